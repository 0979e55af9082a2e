"""A critic's log-odds, corrected by what gold labels said about it.

Comes in: its log-odds for the better answers of a gold set. Goes out: a `Recalibrator` that maps log-odds to log-odds,
and remembers whose they were: it is worth nothing for another critic or other rules. Kinds:

    temperature     times one slope (Platt 1999 without an intercept): needs few labels, keeps every order
    isotonic        a rising step function (Zadrozny & Elkan 2002): needs hundreds; between two steps lies a line

Both are fitted on either orientation of every item, so that p(a beats b) = 1 - p(b beats a) stays, and no winner is
turned round. Reporting how calibrated a critic is, is `rlaif.evaluate.calibration`'s.
"""

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from rlaif.errors import GoldError
from rlaif.records import Record
from rlaif.stats.estimates import Array

Kind = Literal["temperature", "isotonic"]

FEWEST_ITEMS = {"temperature": 30, "isotonic": 200}
"""With fewer gold items the correction is more chance than critic: 30 tell a slope to about a half of itself, and a
step of an isotonic fit often holds no more than a tenth of the items."""


class FittedOn(Record):
    """Where a recalibrator comes from, and what it may be used for."""

    gold: str
    """File of the gold labels."""
    gold_hash: str
    critic: str
    """Name the critic is served under."""
    constitution: str
    constitution_hash: str
    asked: dict[str, Any]
    """Kinds of judges, orders, principles, what is taken out for length: how the critic was asked."""
    identities: dict[str, str] = Field(default_factory=dict)
    """By the judges' names: which model spoke for each, as the reply store knows it."""
    words: dict[str, str] = Field(default_factory=dict)
    """Hashes of the templates it was asked with, and of the cases it was shown."""


class Recalibrator(Record):
    """What to make of a critic's log-odds."""

    kind: Kind
    slope: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """For `temperature`: factor for the log-odds, the reciprocal of the temperature; below 1 for a critic too sure."""
    knots: tuple[tuple[float, float], ...] = ()
    """For `isotonic`: (log-odds before, after) from (0, 0) on, both rising; the last one holds for all that is beyond,
    and the other side is the mirror image."""
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
        """Return the honest log-odds. A winner may become a tie, never a loser."""
        if self.slope is not None:
            return logit * self.slope
        before, after = zip(*self.knots, strict=True)
        return float(np.copysign(np.interp(abs(logit), before, after), logit))


def fit_recalibrator(kind: Kind, logits: Sequence[float], fitted_on: FittedOn) -> Recalibrator:
    """Fit a recalibrator on log-odds for the better answer of every gold item.

    Raises GoldError where there are too few items, or no correction can be honest: all are right, or too many wrong.
    """
    if len(logits) < FEWEST_ITEMS[kind]:
        raise GoldError(
            f"{fitted_on.gold}: {len(logits)} items that the critic could judge are too few for --recalibrate {kind}; "
            f"it needs {FEWEST_ITEMS[kind]}"
        )
    found = np.array(logits, dtype=float)
    if found.sum() <= 0:
        raise GoldError(f"{fitted_on.gold}: {fitted_on.critic} is no better than chance here; nothing can mend that")
    if kind == "isotonic":
        return Recalibrator(kind=kind, knots=_knots(found), items=len(found), fitted_on=fitted_on)
    return Recalibrator(kind=kind, slope=_slope(found, fitted_on.gold), items=len(found), fitted_on=fitted_on)


def _slope(logits: Array, gold: str) -> float:
    """Return the slope of a logistic regression without an intercept."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    if (logits >= 0).all():
        raise GoldError(f"{gold}: the critic is right everywhere, so no temperature can be told; use harder items")
    x, right = _both_ways(logits)
    model = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-8).fit(x[:, None], right)
    return float(model.coef_[0, 0])


def _knots(logits: Array) -> tuple[tuple[float, float], ...]:
    """Return the steps of an isotonic regression as (before, after) on the scale of log-odds, its upper half.

    Steps are smoothed by Laplace's rule of succession, one more right and one more wrong, and made to rise again: ten
    of ten right are 11 in 12, no certainty. So no probability is 0 or 1, and at best it is (n + 1) / (n + 2).
    """
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415

    x, right = _both_ways(logits)
    steps = IsotonicRegression().fit_transform(x, right)
    _, places, counts = np.unique(steps.round(12), return_inverse=True, return_counts=True)
    smoothed = (np.bincount(places, weights=right) + 1) / (counts + 2)
    again = IsotonicRegression().fit(x, smoothed[places])
    upper = again.X_thresholds_ > 0
    # Beside zero both orientations of the same items meet, which makes them one half but for rounding.
    p = again.y_thresholds_[upper].clip(0.5)
    after = np.maximum.accumulate(np.log(p / (1 - p)))
    return ((0.0, 0.0), *((float(b), float(a)) for b, a in zip(again.X_thresholds_[upper], after, strict=True)))


def _both_ways(logits: Array) -> tuple[Array, Array]:
    """Return the log-odds of every item in both orientations, and whether the first answer is the better one."""
    return np.concatenate([logits, -logits]), np.concatenate([np.ones(len(logits)), np.zeros(len(logits))])


def _rising(knots: Sequence[tuple[float, float]]) -> bool:
    """Whether knots start at (0, 0), go strictly rightwards and never down."""
    if not knots or knots[0] != (0.0, 0.0) or not np.isfinite(knots).all():
        return False
    steps = np.diff(np.array(knots), axis=0)
    return bool((steps[:, 0] > 0).all() and (steps[:, 1] >= 0).all())
