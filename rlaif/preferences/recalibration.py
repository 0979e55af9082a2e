"""Corrections of a run's log-odds: surface features, noise of the verdicts, and confidence by gold labels.

Every matchup's log-odds first lose what the judges give for surface features (`shortcuts.py`). The posterior of the
difference in quality (`posterior.py`) then takes the noise of the verdicts out of p_chosen. Whether the critic is over-
or underconfident throughout, only gold labels show. They give a `Recalibrator`, valid only for that critic and those
rules:

    temperature     differences times one slope (Platt 1999 without an intercept): needs few labels, keeps the order
    isotonic        an increasing step function of log-odds (Zadrozny & Elkan 2002): needs hundreds

A slope fitted on the log-odds of random pairs contains the noise of the verdicts, and selected pairs have another share
of noise than random ones. So the recalibrator keeps the gold items' log-odds, and a run fits it again to their
posterior, with the run's own noise: on the scale of quality, where selection changes nothing. Both kinds are fitted on
both orientations of each item, so that p(a beats b) = 1 - p(b beats a) and no winner changes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from rlaif.errors import GoldError
from rlaif.preferences.judged_with import JudgedWith
from rlaif.preferences.posterior import Difference, Evidence, Noise, Observation, QualityModel
from rlaif.preferences.shortcuts import Effect, shift_of
from rlaif.records import Record
from rlaif.stats.estimates import Array, Estimate
from rlaif.stats.log_odds import sigmoid

Kind = Literal["temperature", "isotonic"]

FEWEST_ITEMS = {"temperature": 30, "isotonic": 200}
"""Fewest gold items: 30 give a slope with a relative error of about a half, and a step of an isotonic fit often holds
only a tenth of the items."""


class FittedOn(JudgedWith):
    """What a recalibrator was fitted on, and so what it may be used for."""

    gold: str
    """File of the gold labels."""
    gold_hash: str


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
    logits: tuple[float, ...] = ()
    """Log-odds for the better response of every gold item, from which a run fits it again with its own noise; empty in
    files of earlier versions, which are valid for the log-odds of one matchup."""

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
        return Recalibrator(kind=kind, knots=_knots(found), items=len(found), fitted_on=fitted_on, logits=tuple(logits))
    slope = _slope(found, fitted_on.gold)
    return Recalibrator(kind=kind, slope=slope, items=len(found), fitted_on=fitted_on, logits=tuple(logits))


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


def on_quality_scale(recalibrator: Recalibrator, model: QualityModel) -> Recalibrator:
    """Return the recalibrator fitted again to the posterior differences of its gold items, with a run's noise."""
    from scipy.optimize import minimize_scalar  # noqa: PLC0415

    found = np.array(recalibrator.logits)
    of_gold = model.with_signal(float(np.mean(found**2)))
    differences = [
        of_gold.difference(Evidence.of("", [Observation("a", "b", logit, math.nan)]), "a", "b") for logit in found
    ]
    if recalibrator.kind == "isotonic":
        return recalibrator.model_copy(update={"knots": _knots(np.array([_log_odds(one.p()) for one in differences]))})
    fitted = minimize_scalar(
        lambda log_slope: -sum(math.log(one.p(math.exp(log_slope))) for one in differences),
        bounds=(math.log(0.05), math.log(20)),
        method="bounded",
    )
    return recalibrator.model_copy(update={"slope": float(math.exp(fitted.x))})


def _log_odds(p: float) -> float:
    return math.log(p / (1 - p))


class Corrected(Record):
    """The corrections of a run, for people to read."""

    length_effect: float | None = None
    """Subtracted, in logits per unit of log length ratio."""
    length_measured: Estimate | None = None
    """In runs of earlier versions: the same with its interval, measured over the run without holding quality fixed."""
    shortcuts: tuple[Effect, ...] = ()
    """Effects of surface features, measured by intervention; those that are shown were subtracted."""
    shortcuts_of: str | None = None
    """The run whose responses were edited to measure them."""
    noise: Noise | None = None
    """Variances over the run, which p_chosen is calibrated with; None where it is not calibrated."""
    recalibrator: Recalibrator | None = None
    revisions_judged: int = 0
    """Readable matchups of a revision and its parent."""
    revisions_won: int = 0
    """Those whose log-odds are for the revision."""
    revisions_mean_p: float | None = None
    """Mean probability in these matchups that the revision is better, from the matchup alone; None without any."""


@dataclass(frozen=True)
class Correction:
    """The corrections as functions of log-odds."""

    what: Corrected
    quality: QualityModel | None = None
    """The distribution of noise and quality over the run; None where there are too few matchups to estimate it."""

    def shift(self, ln_ratio: float) -> float:
        """Return the log-odds to subtract for length; `ln_ratio` is ln(characters of a / characters of b)."""
        return (self.what.length_effect or 0.0) * ln_ratio

    def shift_between(self, a: str, b: str) -> float:
        """Return the log-odds for the text `a` to subtract: for the lengths, and for other surface features."""
        lengths = self.shift(math.log(len(a) / len(b))) if self.what.length_effect else 0.0
        return lengths + shift_of(self.what.shortcuts, a, b)

    @property
    def shifts(self) -> bool:
        """Whether anything is subtracted for surface features."""
        return self.what.length_effect is not None or any(effect.shown for effect in self.what.shortcuts)

    @property
    def recalibrate(self) -> Callable[[float], float] | None:
        """From one matchup's log-odds to calibrated ones; None where a posterior is used, or there are no labels."""
        recalibrator = self.what.recalibrator
        return None if recalibrator is None or self.quality is not None else recalibrator.apply

    def p_of(self, difference: Difference) -> float:
        """Return the calibrated probability that a posterior difference in quality is above 0."""
        recalibrator = self.what.recalibrator
        if recalibrator is None:
            return difference.p()
        if recalibrator.slope is not None:
            return difference.p(recalibrator.slope)
        return sigmoid(recalibrator.apply(_log_odds(difference.p())))


NO_CORRECTION = Correction(Corrected())
