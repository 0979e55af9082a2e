"""Measure how calibrated a judge is: of its verdicts with probability 0.7, 70 % should be right.

The input is, per item, the probability of the better response before any threshold. The result is the Brier score, a
reliability table, and the slope that calibrates the log-odds.

Which response is called `a` is arbitrary, so confidence max(p, 1 - p) is compared with accuracy, in bins from 0.5 to 1.
A tie counts as half right. `confidence.py` has the calibration error and a test.
"""

from collections.abc import Hashable, Sequence
from statistics import fmean

import numpy as np

from rlaif.evaluate.confidence import calibration_error
from rlaif.preferences.logits import TIE_LOGIT
from rlaif.records import Record
from rlaif.seeds import content_hash
from rlaif.stats.estimates import Array, Estimate, Key, Tallies, Tally
from rlaif.stats.log_odds import sigmoid
from rlaif.stats.regression import coefficient, logistic

BINS = 10
"""Number of bins of confidence, each 0.05 wide."""

FOLDS = 5
ROUNDING = 1e-9
"""Added before rounding down, so that a float slightly below 0.6 is in the bin that begins at 0.6."""


class Bin(Record):
    """The items whose confidence is in one bin."""

    low: float
    high: float
    items: int
    confidence: float | None
    """Mean confidence; None where there are no items."""
    right: Estimate
    """Share of the items that is right."""


class Recalibration(Record):
    """The best single temperature for the log-odds, fitted on the gold labels, and the calibration with it."""

    slope: Estimate
    """Factor for the log-odds that fits the labels best (Cox 1958): 1 is calibrated, below 1 overconfident, above 1
    underconfident."""
    temperature: float | None
    """1 / slope, by which log-odds are divided; None where the slope is not positive, or all items are right."""
    brier: float | None
    """Brier score after recalibration, with a temperature fitted on other prompts (five folds)."""
    calibration_error: float | None


def bin_of(confidence: float) -> int:
    """Return the index (0 to BINS - 1) of the bin of a confidence in [0.5, 1]."""
    return min(BINS - 1, int((confidence - 0.5) * 2 * BINS + ROUNDING))


def tally_probability(p_better: float) -> Tally:
    """Return the tally of one item, from its probability of the better response."""
    tally = Tally()
    confidence = max(p_better, 1 - p_better)
    right = 0.5 if abs(p_better - 0.5) < TIE_LOGIT / 4 else float(p_better > 0.5)
    tally["scored"] = 1
    tally["squared"] = (1 - p_better) ** 2
    for name, value in (("n", 1.0), ("confidence", confidence), ("right", right)):
        tally[name, bin_of(confidence)] = value
    return tally


def reliability(found: Tallies) -> tuple[Bin, ...]:
    """Return the reliability table, one entry per bin."""
    return tuple(_bin(found, number) for number in range(BINS))


def _bin(found: Tallies, number: int) -> Bin:
    count = found.total(("n", number))
    return Bin(
        low=0.5 + number / (2 * BINS),
        high=0.5 + (number + 1) / (2 * BINS),
        items=int(count),
        confidence=found.total(("confidence", number)) / count if count else None,
        right=found.ratio(("right", number), ("n", number)),
    )


ERROR_KEYS: list[Key] = [(name, number) for name in ("confidence", "right") for number in range(BINS)]


def error_of_totals(totals: Array) -> Array:
    """Return (…) calibration errors from (2 BINS + 1, …) totals: those of `ERROR_KEYS`, then the number of items."""
    distance: Array = np.abs(totals[:BINS] - totals[BINS : 2 * BINS]).sum(axis=0) / totals[2 * BINS]
    return distance


def recalibrate(logits: Sequence[float], prompts: Sequence[str]) -> Recalibration:
    """Return the best temperature; `logits` are (n,) log-odds of the better response, `prompts` their (n,) prompts."""
    x, y = np.array(logits, dtype=float)[:, None], np.ones(len(logits))
    slope = coefficient(logistic, x, y, prompts)
    recalibrated = _cross_fitted(x, prompts)
    p = [sigmoid(logit) for logit in recalibrated or ()]
    return Recalibration(
        slope=slope,
        temperature=1 / slope.value if slope.value is not None and slope.value > 0 else None,
        brier=fmean((1 - one) ** 2 for one in p) if p else None,
        calibration_error=calibration_error(p, prompts).value if p else None,
    )


def _cross_fitted(x: Array, prompts: Sequence[Hashable]) -> list[float] | None:
    """Return (n,) log-odds times the slope fitted on the other folds; None where a slope is not above 0."""
    folds = np.array([int(content_hash(str(prompt)), 16) % FOLDS for prompt in prompts])
    recalibrated = np.zeros(len(x))
    for fold in range(FOLDS):
        in_fold = folds == fold
        labels = np.ones(int((~in_fold).sum()))
        slope = float(logistic(x[~in_fold], labels, labels[None, :])[0, 0])
        if not slope > 0:
            return None
        recalibrated[in_fold] = x[in_fold, 0] * slope
    return [float(value) for value in recalibrated]
