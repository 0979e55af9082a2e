"""How sure a noisy critic may be, told from the disagreement of its two orders and without gold labels.

With l = (x_ab - x_ba) / 2 and b = (x_ab + x_ba) / 2, noise that is drawn for every verdict anew has the same variance
in both. All that b varies by beyond a constant bias is noise, so

    v = var(b)                  the noise of l
    t = var(l) - v              how much matchups really differ
    s | l ~ N(k l, k v)         k = t / (t + v), for differences s that are about normal (empirical Bayes)

and the honest probability is E[sigma(s) | l], nearer to one half than sigma(l): matchups with great l are also those
whose noise was great. What is wrong in both orders alike is no noise to this: gold labels alone can tell.
"""

import math

import numpy as np
import numpy.typing as npt

from rlaif.preferences.logits import TIE_LOGIT
from rlaif.records import Record
from rlaif.stats.estimates import Array

FEWEST = 50
"""With fewer matchups the variances say little, and nothing is shrunk."""

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(21)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


class Noise(Record):
    """What varies in the log-odds of a critic's matchups over a run."""

    noise: float
    """Variance of l that comes from the verdicts' noise."""
    signal: float
    """Variance of l that comes from the answers; 0 where noise explains all."""

    @property
    def reliability(self) -> float:
        """Share of the variance that is the answers', in [0, 1]: how far two sittings would correlate."""
        total = self.noise + self.signal
        return self.signal / total if total else 1.0


def measure_noise(logits: npt.ArrayLike, position_biases: npt.ArrayLike) -> Noise | None:
    """Return the variances over matchups asked in both orders; None with fewer than FEWEST that are no ties.

    (n,) log-odds for an answer that was drawn to be `a`, so that their mean is 0, and (n,) position biases, freed of
    what is constant for their principle where not all matchups were asked the same ones. Ties are left out: a critic
    that answers exactly even in both orders has neither noise nor its usual bias there. So are matchups whose bias is
    NaN: asked in one order, or decided by programs alone, they'd pass for free of noise.
    """
    asked, biases = np.asarray(logits, dtype=float), np.asarray(position_biases, dtype=float)
    named = (np.abs(asked) >= TIE_LOGIT) & np.isfinite(biases)
    if named.sum() < FEWEST:
        return None
    noise = float(biases[named].var(ddof=1))
    return Noise(noise=noise, signal=max(0.0, float(np.mean(asked[named] ** 2)) - noise))


def denoised(logit: float, noise: Noise) -> float:
    """Return the log-odds of E[sigma(s) | l]; never turned round, and nearer to zero than `logit`."""
    return float(denoised_all(np.array([logit]), noise)[0])


def denoised_all(logits: Array, noise: Noise) -> Array:
    """Return the same for (n,) log-odds."""
    k = noise.reliability
    around = k * logits[:, None] + math.sqrt(k * noise.noise) * NODES
    # In logarithms, so that neither probability rounds to zero.
    result: Array = _log_mean_sigma(around) - _log_mean_sigma(-around)
    return result


def _log_mean_sigma(x: Array) -> Array:
    """Return log E[sigma(x)] over the nodes, (n, nodes) to (n,)."""
    result: Array = np.logaddexp.reduce(np.log(WEIGHTS) - np.logaddexp(0, -x), axis=1)
    return result
