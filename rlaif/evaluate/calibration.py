"""How calibrated a judge is: of its verdicts with probability 0.7, 70 % should be right.

Comes in: per item the probability given to the better response, before any threshold. Goes out: Brier score, a
reliability table with its expected calibration error, and the slope by which the log-odds would have to be multiplied.

Which response is called `a` is arbitrary, so confidence max(p, 1 - p) is compared with accuracy, in bins from 0.5 to 1.
A tie is half right. The calibration error (Naeini, Cooper & Hauskrecht 2015) is never negative, so it is above 0 for a
calibrated judge too, the more the fewer items there are; so is its interval.
"""

from collections.abc import Hashable, Sequence

import numpy as np

from rlaif.preferences.logits import TIE_LOGIT
from rlaif.records import Record
from rlaif.seeds import content_hash
from rlaif.stats.estimates import Array, Bootstrap, Estimate, Key, Tally
from rlaif.stats.log_odds import sigmoid
from rlaif.stats.regression import coefficient, logistic

BINS = 10
"""Of confidence, each 0.05 wide."""

FOLDS = 5
ROUNDING = 1e-9
"""0.6 is not a float; it belongs to the bin that begins there."""


class Bin(Record):
    """Items judged with about the same confidence."""

    low: float
    high: float
    items: int
    confidence: float | None
    """Their mean; None where there are no items."""
    right: Estimate
    """Share that is right."""


class Recalibration(Record):
    """The probabilities after a single temperature that was fitted on the gold labels."""

    slope: Estimate
    """Factor for the log-odds that fits the labels best (Cox 1958): 1 calibrated, below 1 overconfident, above 1
    underconfident."""
    temperature: float | None
    """1 / slope: divide log-odds by it; None where the slope is not positive, or all are right."""
    brier: float | None
    """Afterwards, each prompt recalibrated by a temperature fitted on other prompts (five folds)."""
    calibration_error: float | None


def bin_of(confidence: float) -> int:
    """Return the number of the bin of a confidence in [0.5, 1]."""
    return min(BINS - 1, int((confidence - 0.5) * 2 * BINS + ROUNDING))


def tally_probability(p_better: float) -> Tally:
    """Return the counts of one item's probability of the better response."""
    tally = Tally()
    confidence = max(p_better, 1 - p_better)
    right = 0.5 if abs(p_better - 0.5) < TIE_LOGIT / 4 else float(p_better > 0.5)
    tally["scored"] = 1
    tally["squared"] = (1 - p_better) ** 2
    for name, value in (("n", 1.0), ("confidence", confidence), ("right", right)):
        tally[name, bin_of(confidence)] = value
    return tally


def reliability(found: Bootstrap) -> tuple[Bin, ...]:
    """Return the reliability table."""
    return tuple(_bin(found, number) for number in range(BINS))


def _bin(found: Bootstrap, number: int) -> Bin:
    count = found.total(("n", number))
    return Bin(
        low=0.5 + number / (2 * BINS),
        high=0.5 + (number + 1) / (2 * BINS),
        items=int(count),
        confidence=found.total(("confidence", number)) / count if count else None,
        right=found.ratio(("right", number), ("n", number)),
    )


def calibration_error(found: Bootstrap) -> Estimate:
    """Return the mean distance of confidence and share right over the bins, weighted by items."""
    return found.function(error_of_totals, [*ERROR_KEYS, "scored"], of=("scored",))


ERROR_KEYS: list[Key] = [(name, number) for name in ("confidence", "right") for number in range(BINS)]


def error_of_totals(totals: Array) -> Array:
    """Return (…) calibration errors from totals (2 BINS + 1, …): those of `ERROR_KEYS`, then how many there are."""
    distance: Array = np.abs(totals[:BINS] - totals[BINS : 2 * BINS]).sum(axis=0) / totals[2 * BINS]
    return distance


def recalibrate(logits: Sequence[float], prompts: Sequence[str]) -> Recalibration:
    """Return the temperature that fits the labels best; `logits` are log-odds for the better response."""
    x, y = np.array(logits, dtype=float)[:, None], np.ones(len(logits))
    slope = coefficient(logistic, x, y, prompts)
    after = _cross_fitted(x, prompts)
    found = Bootstrap([tally_probability(sigmoid(logit)) for logit in after], resamples=1) if after else None
    return Recalibration(
        slope=slope,
        temperature=1 / slope.value if slope.value is not None and slope.value > 0 else None,
        brier=found.total("squared") / found.total("scored") if found else None,
        calibration_error=calibration_error(found).value if found else None,
    )


def _cross_fitted(x: Array, prompts: Sequence[Hashable]) -> list[float] | None:
    """Return the log-odds, each times the slope fitted on the other folds; None where a fold has no slope above 0."""
    folds = np.array([int(content_hash(str(prompt)), 16) % FOLDS for prompt in prompts])
    after = np.zeros(len(x))
    for fold in range(FOLDS):
        inside = folds == fold
        others = np.ones(int((~inside).sum()))
        slope = float(logistic(x[~inside], others, others[None, :])[0, 0])
        if not slope > 0:
            return None
        after[inside] = x[inside, 0] * slope
    return [float(value) for value in after]
