"""Measure whether a judge's confidence means anything: calibration, and whether it is surer where it is right.

Input: for n items the probability p of the better response, or the log-odds, and the item's prompt; items of one prompt
may depend on one another. Which response is called `a` is arbitrary, so confidence c = max(p, 1 - p) is compared with
whether the judge is right (y = 1, 0, or one half at p = 0.5).

- **Calibration error**: the root mean square distance of confidence and share right, over bins with equally many items,
  without the part that chance alone makes of few items (Kumar, Liang & Ma 2019, arXiv:1909.10155; Broecker 2012,
  Climate Dynamics 39). It has no interval: the plain binned error, and any resampling of it, is above zero even for a
  calibrated judge, so its intervals miss the truth.
- **Test of calibration**: Spiegelhalter 1986 (Statistics in Medicine 5), Z = sum (y - c)(1 - 2c) / its standard
  deviation if every c were right. Its distribution is drawn from the confidences themselves.
- **AUROC of the confidence**: the probability that the judge is surer of a right item than of a wrong one, one half
  where confidence means nothing; with the interval of DeLong, DeLong & Clarke-Pearson 1988 for clusters (Obuchowski
  1997, Biometrics 53), on the scale of log-odds.
"""

import math
from collections.abc import Hashable, Sequence

import numpy as np

from rlaif.preferences.logits import TIE_LOGIT
from rlaif.records import Record
from rlaif.stats.estimates import Array, Estimate, student_t
from rlaif.stats.jackknife import unseen

MOST_BINS = 10
ITEMS_IN_BIN = 20
"""Bins have at least this many items, so that the share right of each is known to some extent."""
DRAWS = 4000
MOST_CELLS = 4_000_000
"""Draws times items up to which the test's distribution is drawn; above, it is normal to all digits shown."""
FEWEST_OF_EACH = 8
"""Least number of prompts with a right item, and of prompts with a wrong one, for an interval of the AUROC."""


class CalibrationTest(Record):
    """Spiegelhalter's test of the hypothesis that all probabilities are right."""

    z: float | None = None
    """Below 0 overconfident, above 0 underconfident; None where no probability differs from one half and 1."""
    p_value: float | None = None


def calibration_error(p_better: Sequence[float], prompts: Sequence[Hashable]) -> Estimate:
    """Return the calibration error, without an interval; value None without items."""
    confidence, right = _confidence_and_right(p_better)
    n, names = len(confidence), _places(prompts)
    estimate = Estimate(value=None, n=n, prompts=len(set(names.tolist())))
    if n < 2:
        return estimate
    order = np.argsort(confidence, kind="stable")
    squared = 0.0
    for places in np.array_split(order, max(1, min(MOST_BINS, n // ITEMS_IN_BIN))):
        residuals = right[places] - confidence[places]
        off = residuals.mean()
        sums = np.bincount(names[places], weights=residuals - off)
        clusters = len(np.unique(names[places]))
        by_chance = (sums @ sums) / len(places) ** 2 * clusters / (clusters - 1) if clusters > 1 else off**2
        squared += len(places) / n * (off**2 - by_chance)
    return estimate.model_copy(update={"value": math.sqrt(max(0.0, squared))})


def spiegelhalter(p_better: Sequence[float], prompts: Sequence[Hashable]) -> CalibrationTest:
    """Return Spiegelhalter's test; where prompts have several items, the larger p-value of it and of one by prompts."""
    c, right = _confidence_and_right(p_better)
    weight = 1 - 2 * c
    variance = float((weight**2 * c * (1 - c)).sum())
    if not variance > 0:
        return CalibrationTest()
    terms = (right - c) * weight
    z = float(terms.sum()) / math.sqrt(variance)
    p_value = _drawn_p(c, weight, z * math.sqrt(variance)) if len(c) * DRAWS <= MOST_CELLS else _two_sided(z)
    by_prompt = np.bincount(_places(prompts), weights=terms)
    if len(by_prompt) < len(c):
        p_value = max(p_value, _two_sided(float(by_prompt.sum() / math.sqrt(by_prompt @ by_prompt))))
    return CalibrationTest(z=-z, p_value=p_value)


def confidence_auroc(logits: Sequence[float], prompts: Sequence[Hashable]) -> Estimate:
    """Return the AUROC of |log-odds| for being right, over (n,) log-odds of the better response without ties.

    `n` counts the wrong items. No interval where fewer than FEWEST_OF_EACH prompts have a right or a wrong item.
    """
    x, names = np.asarray(logits, dtype=float), _places(prompts)
    named = np.abs(x) >= TIE_LOGIT
    x, names = x[named], names[named]
    right, wrong = np.abs(x[x > 0]), np.abs(x[x < 0])
    of_right, of_wrong = names[x > 0], names[x < 0]
    estimate = Estimate(value=None, n=len(wrong), prompts=len(np.unique(names)))
    if not len(right) or not len(wrong):
        return estimate
    above, below = _share_below(wrong, right), 1 - _share_below(right, wrong)
    value = float(above.mean())
    estimate = estimate.model_copy(update={"value": value})
    fewest = min(len(np.unique(of_right)), len(np.unique(of_wrong)))
    if fewest < FEWEST_OF_EACH:
        return estimate
    if value in {0.0, 1.0}:
        ends = (0.0, unseen(fewest)) if value == 0 else (1 - unseen(fewest), 1.0)
        return estimate.model_copy(update={"low": ends[0], "high": ends[1]})
    influence = np.bincount(of_right, weights=(above - value) / len(right), minlength=len(logits))
    influence += np.bincount(of_wrong, weights=(below - value) / len(wrong), minlength=len(logits))
    error = math.sqrt(estimate.prompts / (estimate.prompts - 1) * (influence @ influence))
    half = student_t(estimate.prompts - 1) * error / (value * (1 - value))
    middle = math.log(value / (1 - value))
    low, high = (1 / (1 + math.exp(-(middle + sign * half))) for sign in (-1, 1))
    return estimate.model_copy(update={"low": low, "high": high})


def _confidence_and_right(p_better: Sequence[float]) -> tuple[Array, Array]:
    """Return (n,) confidences and whether each is right: 1, 0, or one half for a tie."""
    p = np.asarray(p_better, dtype=float)
    right = np.where(np.abs(p - 0.5) < TIE_LOGIT / 4, 0.5, (p > 0.5).astype(float))
    return np.maximum(p, 1 - p), right


def _places(prompts: Sequence[Hashable]) -> Array:
    """Return a number for each item's prompt, from 0."""
    numbers = {prompt: number for number, prompt in enumerate(dict.fromkeys(prompts))}
    return np.array([numbers[prompt] for prompt in prompts], dtype=int)


def _drawn_p(c: Array, weight: Array, found: float) -> float:
    """Return how often outcomes drawn with probabilities c are as far from them as what was found."""
    drawn = ((np.random.default_rng(0).random((DRAWS, len(c))) < c) - c) @ weight
    return float((1 + (np.abs(drawn) >= abs(found) - 1e-12).sum()) / (1 + DRAWS))


def _two_sided(z: float) -> float:
    return math.erfc(abs(z) / math.sqrt(2))


def _share_below(values: Array, each: Array) -> Array:
    """Return for each the share of the values below it; equal ones count one half."""
    ordered = np.sort(values)
    counted = np.searchsorted(ordered, each, "left") + np.searchsorted(ordered, each, "right")
    result: Array = counted / (2 * len(values))
    return result
