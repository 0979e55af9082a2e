"""Corrections of a run's log-odds before they become labels: length first, then calibration.

**From gold labels.** The critic's log-odds for the better responses of a gold set give a `Recalibrator`, log-odds to
log-odds, valid only for that critic and those rules:

    temperature     times one slope (Platt 1999 without an intercept): needs few labels, keeps the order
    isotonic        an increasing step function (Zadrozny & Elkan 2002), linear between steps: needs hundreds

Both are fitted on both orientations of each item, so that p(a beats b) = 1 - p(b beats a) and no winner changes.

**Without gold labels**, from the disagreement of the two orders. With l = (x_ab - x_ba) / 2 and b = (x_ab + x_ba) / 2,
noise drawn anew for every verdict has the same variance in both, and b varies for no other reason, so

    v = var(b)                  variance of the noise of l
    t = var(l) - v              variance of the signal
    s | l ~ N(k l, k v)         k = t / (t + v), for approximately normal differences s (empirical Bayes)

and the calibrated probability is E[sigma(s) | l], nearer to one half than sigma(l). Errors that both orders share are
not seen; only gold labels show them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from rlaif.errors import GoldError
from rlaif.preferences.logits import TIE_LOGIT
from rlaif.records import Record
from rlaif.stats.estimates import Array, Estimate

FEWEST = 50
"""With fewer matchups the variances are too uncertain, and nothing is shrunk."""

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(21)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


class Noise(Record):
    """Variance components of the log-odds of a critic's matchups over a run."""

    noise: float
    """Variance of l due to noise of the verdicts."""
    signal: float
    """Variance of l due to the responses; 0 where noise explains all."""

    @property
    def reliability(self) -> float:
        """Share of the variance that is signal, in [0, 1]: the correlation of two independent judging passes."""
        total = self.noise + self.signal
        return self.signal / total if total else 1.0


def measure_noise(logits: npt.ArrayLike, position_biases: npt.ArrayLike) -> Noise | None:
    """Return the variances over matchups asked in both orders; None with fewer than FEWEST that are not ties.

    (n,) log-odds for a response that was drawn at random to be `a`, so that their mean is 0, and (n,) position biases,
    minus their principle's constant where not all matchups have the same principles. Ties are left out: exact ties in
    both orders have neither noise nor the usual bias. So are matchups whose bias is NaN (one order, or checks alone).
    """
    asked, biases = np.asarray(logits, dtype=float), np.asarray(position_biases, dtype=float)
    named = (np.abs(asked) >= TIE_LOGIT) & np.isfinite(biases)
    if named.sum() < FEWEST:
        return None
    noise = float(biases[named].var(ddof=1))
    return Noise(noise=noise, signal=max(0.0, float(np.mean(asked[named] ** 2)) - noise))


def denoised(logit: float, noise: Noise) -> float:
    """Return the log-odds of E[sigma(s) | l]: the sign of `logit`, and nearer to zero."""
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


Kind = Literal["temperature", "isotonic"]

FEWEST_ITEMS = {"temperature": 30, "isotonic": 200}
"""Fewest gold items: 30 give a slope with a relative error of about a half, and a step of an isotonic fit often holds
only a tenth of the items."""


class FittedOn(Record):
    """What a recalibrator was fitted on, and so what it may be used for."""

    gold: str
    """File of the gold labels."""
    gold_hash: str
    critic: str
    """Name the critic is served under."""
    constitution: str
    constitution_hash: str
    asked: dict[str, Any]
    """How the critic was asked: kinds of judges, orders, principles, length correction."""
    identities: dict[str, str] = Field(default_factory=dict)
    """By the judges' names, the identity of the model behind each."""
    words: dict[str, str] = Field(default_factory=dict)
    """Hashes of the templates, and of the cases shown."""


class Recalibrator(Record):
    """A function from a critic's log-odds to calibrated log-odds."""

    kind: Kind
    slope: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """For `temperature`: factor for the log-odds, 1 / temperature; below 1 for an overconfident critic."""
    knots: tuple[tuple[float, float], ...] = ()
    """For `isotonic`: (log-odds before, after) from (0, 0) on, both increasing; constant beyond the last one, and
    odd."""
    items: int = Field(ge=1)
    """Gold items it was fitted on."""
    fitted_on: FittedOn

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        if self.kind == "temperature" and (self.slope is None or self.knots):
            raise ValueError("a temperature has a slope and no knots")
        if self.kind == "isotonic" and (self.slope is not None or not _rising(self.knots)):
            raise ValueError("an isotonic recalibration has no slope, and knots that rise from (0, 0)")
        return self

    def apply(self, logit: float) -> float:
        """Return the calibrated log-odds. A winner may become a tie, never a loser."""
        if self.slope is not None:
            return logit * self.slope
        before, after = zip(*self.knots, strict=True)
        return float(np.copysign(np.interp(abs(logit), before, after), logit))


def fit_recalibrator(kind: Kind, logits: Sequence[float], fitted_on: FittedOn) -> Recalibrator:
    """Fit a recalibrator on log-odds for the better answer of every gold item.

    Raises GoldError where there are too few items, or where none can be fitted: all are right, or too many are wrong.
    """
    if len(logits) < FEWEST_ITEMS[kind]:
        raise GoldError(
            f"{fitted_on.gold}: {len(logits)} items that the critic could judge are too few for --recalibrate {kind}; "
            f"it needs {FEWEST_ITEMS[kind]}"
        )
    found = np.array(logits, dtype=float)
    if found.sum() <= 0:
        raise GoldError(
            f"{fitted_on.gold}: {fitted_on.critic} is not better than chance here; no recalibration can fix that"
        )
    if kind == "isotonic":
        return Recalibrator(kind=kind, knots=_knots(found), items=len(found), fitted_on=fitted_on)
    return Recalibrator(kind=kind, slope=_slope(found, fitted_on.gold), items=len(found), fitted_on=fitted_on)


def _slope(logits: Array, gold: str) -> float:
    """Return the slope of a logistic regression without an intercept."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    if (logits >= 0).all():
        raise GoldError(f"{gold}: the critic is right everywhere, so no temperature can be fitted; use harder items")
    x, right = _both_ways(logits)
    model = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-8).fit(x[:, None], right)
    return float(model.coef_[0, 0])


def _knots(logits: Array) -> tuple[tuple[float, float], ...]:
    """Return the steps of an isotonic regression as (before, after) on the scale of log-odds, its upper half.

    Steps are smoothed by Laplace's rule of succession and made monotone again: ten right of ten become 11 / 12. So no
    probability is 0 or 1; the highest possible is (n + 1) / (n + 2).
    """
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415

    x, right = _both_ways(logits)
    steps = IsotonicRegression().fit_transform(x, right)
    _, places, counts = np.unique(steps.round(12), return_inverse=True, return_counts=True)
    smoothed = (np.bincount(places, weights=right) + 1) / (counts + 2)
    again = IsotonicRegression().fit(x, smoothed[places])
    upper = again.X_thresholds_ > 0
    # At zero both orientations of the same items meet, so p is one half up to rounding.
    p = again.y_thresholds_[upper].clip(0.5)
    after = np.maximum.accumulate(np.log(p / (1 - p)))
    return ((0.0, 0.0), *((float(b), float(a)) for b, a in zip(again.X_thresholds_[upper], after, strict=True)))


def _both_ways(logits: Array) -> tuple[Array, Array]:
    """Return the log-odds of every item in both orientations, and whether the first response is better."""
    return np.concatenate([logits, -logits]), np.concatenate([np.ones(len(logits)), np.zeros(len(logits))])


def _rising(knots: Sequence[tuple[float, float]]) -> bool:
    """Whether knots start at (0, 0), with strictly increasing x and non-decreasing y."""
    if not knots or knots[0] != (0.0, 0.0) or not np.isfinite(knots).all():
        return False
    steps = np.diff(np.array(knots), axis=0)
    return bool((steps[:, 0] > 0).all() and (steps[:, 1] >= 0).all())


class Corrected(Record):
    """The corrections of a run, for people to read."""

    length_effect: float | None = None
    """Subtracted, in logits per unit of log length ratio."""
    length_measured: Estimate | None = None
    """The same with its interval, where it was measured over this run."""
    noise: Noise | None = None
    """Variances from the two orders, where probabilities were shrunk by them."""
    recalibrator: Recalibrator | None = None


@dataclass(frozen=True)
class Correction:
    """The corrections as functions of log-odds."""

    what: Corrected

    def shift(self, ln_ratio: float) -> float:
        """Return the log-odds to subtract for length; `ln_ratio` is ln(characters of a / characters of b)."""
        return (self.what.length_effect or 0.0) * ln_ratio

    @property
    def recalibrate(self) -> Callable[[float], float] | None:
        """From log-odds to calibrated log-odds; None where they are left unchanged."""
        if self.what.recalibrator is not None:
            return self.what.recalibrator.apply
        noise = self.what.noise
        return None if noise is None else lambda logit: denoised(logit, noise)


NO_CORRECTION = Correction(Corrected())
