"""95 % intervals from the values that an estimate takes when each cluster (a prompt) in turn is left out.

The input is the estimate, its value without each cluster, and how much each cluster determines it. The interval is
symmetric on a scale on which the estimate is closer to normal: the logit for what lies between 0 and 1, the logarithm
for what is above zero, Fisher's z for what lies between -1 and 1. On that scale it is Student's t times a standard
error. Nothing is drawn at random.

The standard error is a jackknife's (Tukey 1958) that weighs a cluster less the more it determines the estimate, which
makes it nearly unbiased for clusters of unequal size (CR2 of Bell & McCaffrey 2002, Survey Methodology 28). The degrees
of freedom are Satterthwaite's (1946, Biometrics Bulletin 2), the fewer of two: those of clusters of these sizes, as if
half of a value's variance were its cluster's; and those of values with tails as heavy as the clusters' have
(Box & Andersen 1955, JRSS B 17). `benchmarks/coverage.py` measures how often the intervals contain the true value.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from rlaif.stats.log_odds import sigmoid

Array = npt.NDArray[np.float64]
Scale = Literal["plain", "share", "fraction", "positive", "correlation"]
"""What an estimate is: any number; a share of counts; a mean of values in [0, 1]; above 0; in [-1, 1]."""

ALPHA = 0.05
FEWEST = 5
"""Fewest clusters for an interval: of four, those of medians and rare counts would cover 91 to 93 % only."""
SMALLEST_P = 1e-9
STEPS = 25
"""Halvings of the logarithm of p: its relative error is below one in a million."""
NEGLIGIBLE = 1e-9
"""A standard error below this share of the value is rounding: leaving a cluster out changes nothing."""


@dataclass(frozen=True)
class Weights:
    """How much each of n clusters determines an estimate."""

    common: Array
    """(n,) weights of the error that all values of a cluster have in common."""
    own: Array
    """(n,) sums of the squared weights of its values' own errors."""

    @classmethod
    def of_sizes(cls, sizes: Array) -> Self:
        """Return the weights in a mean of all values, from the clusters' (n,) numbers of values."""
        total = sizes.sum()
        return cls(sizes / total, sizes / total**2)

    @property
    def leverages(self) -> Array:
        """The (n,) shares of the estimate that clusters contribute; they add up to 1."""
        return np.asarray(self.own / self.own.sum())

    @property
    def equal_clusters(self) -> float:
        """The number of clusters of equal weight that are worth as much as these (Kish 1965)."""
        return float(self.common.sum() ** 2 / (self.common**2).sum())

    @property
    def degrees_of_freedom(self) -> float:
        """Satterthwaite's degrees of freedom; those of n equal clusters are n - 1."""
        variances = (self.common**2 + self.own) / 2
        return float(variances.sum() ** 2 / (variances**2).sum()) - 1


@dataclass(frozen=True)
class Spread:
    """The standard error of an estimate, and the clusters' parts in it."""

    value: float
    deviations: Array
    """(n,) changes of the estimate without each cluster, weighed as in the standard error."""
    df: float
    equal_clusters: float
    """See `Weights`."""

    @property
    def error(self) -> float:
        """The standard error; 0 where leaving a cluster out changes nothing."""
        error = float(np.sqrt((self.deviations**2).sum()))
        return 0.0 if error <= NEGLIGIBLE * max(1.0, abs(self.value)) else error


@dataclass(frozen=True)
class Interval:
    """A 95 % interval, and the test of no effect."""

    low: float
    high: float
    p: float | None
    """Two-sided p of zero, or of one half for what lies in [0, 1]; None for what is above zero by nature. Where all
    clusters agree, that of the sign test."""


def jackknife_interval(value: float, left_out: Array, weights: Weights, scale: Scale = "plain") -> Interval | None:
    """Return the interval of an estimate from its (n,) values without each cluster.

    None with fewer than FEWEST clusters, or where nothing can be estimated without one of them.
    """
    spread = spread_of(value, left_out, weights, scale)
    if spread is None:
        return None
    if scale == "share":
        return share_interval(spread)
    if not spread.error:
        centre = value - 0.5 if scale == "fraction" else value
        p = 1.0 if abs(centre) <= NEGLIGIBLE else 2 * 0.5 ** len(left_out)
        # A few unseen clusters may have any other correlation.
        other = unseen(len(left_out)) if scale == "correlation" else 0.0
        low, high = value - (1 + value) * other, value + (1 - value) * other
        return Interval(low, high, None if scale == "positive" else p)
    return _student(spread, scale)


def spread_of(value: float, left_out: Array, weights: Weights, scale: Scale) -> Spread | None:
    """Return the standard error; None where `jackknife_interval` returns None."""
    n = len(left_out)
    if n < FEWEST or not np.isfinite(left_out).all():
        return None
    deviations = np.sqrt(1 - weights.leverages) * (left_out - value)
    # On the logit scale, intervals of counts are wide enough with those of equal clusters.
    df = n - 1.0 if scale == "share" else weights.degrees_of_freedom
    return Spread(value, deviations, max(1.0, min(df, _df_of_tails(deviations))), weights.equal_clusters)


def share_interval(spread: Spread) -> Interval:
    """Return the interval of a share of counts, and the p of one half."""
    return Interval(*share_ends(spread, ALPHA), largest_alpha(lambda alpha: share_ends(spread, alpha), 0.5))


def share_ends(spread: Spread, alpha: float) -> tuple[float, float]:
    """Return the ends of the interval of a share of counts.

    They are nowhere wider than the exact binomial ones (Clopper & Pearson 1934, Biometrika 26) of as many prompts as
    these are worth: those of matchups that are all alike within a prompt. Where all prompts have the same share, a few
    unseen ones may have any other.
    """
    from scipy.special import betaincinv, stdtrit  # noqa: PLC0415  (a fifth of a second)

    p, other = spread.value, unseen(len(spread.deviations), alpha)
    if not spread.error:
        return p * (1 - other), p + (1 - p) * other
    hits, misses = p * spread.equal_clusters, (1 - p) * spread.equal_clusters
    low, high = betaincinv(hits, misses + 1, alpha / 2), betaincinv(hits + 1, misses, 1 - alpha / 2)
    logit, half = _LOGIT[0](p), float(stdtrit(spread.df, 1 - alpha / 2)) * spread.error * _LOGIT[2](p)
    return max(float(low), sigmoid(logit - half)), min(float(high), sigmoid(logit + half))


def unseen(n: int, alpha: float = ALPHA) -> float:
    """Return the largest share that could be missed in n prompts: the 97.5 % bound for 0 of n (Clopper-Pearson)."""
    return 1 - float((alpha / 2) ** (1 / n))


def largest_alpha(ends: Callable[[float], tuple[float, float]], null: float) -> float:
    """Return the p of a value, the largest alpha whose interval contains it, by bisection; at least SMALLEST_P."""
    small, large = math.log(SMALLEST_P), 0.0
    for _ in range(STEPS):
        middle = (small + large) / 2
        low, high = ends(math.exp(middle))
        small, large = (middle, large) if low <= null <= high else (small, middle)
    return math.exp(large)


def _df_of_tails(deviations: Array) -> float:
    """Return the degrees of freedom of a variance of values with this kurtosis, 2 n / (excess + 2).

    The excess is the unbiased one (G2 of Joanes & Gill 1998, The Statistician 47): 0 on average for normal values.
    """
    n = len(deviations)
    fourth, squared = float((deviations**4).sum()), float((deviations**2).sum()) ** 2
    if not squared:
        return math.inf
    excess = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * (n * fourth / squared - 3) + 6)
    return 2 * n / (excess + 2) if excess > -2 else math.inf


def _student(spread: Spread, scale: Scale) -> Interval:
    from scipy.special import stdtr, stdtrit  # noqa: PLC0415  (a fifth of a second)

    to, back, slope = _SCALES[scale]
    place, error = to(spread.value), spread.error * slope(spread.value)
    half = float(stdtrit(spread.df, 1 - ALPHA / 2)) * error
    p = None if scale == "positive" else float(2 * stdtr(spread.df, -abs(place) / error))
    return Interval(back(place - half), back(place + half), p)


_Map = Callable[[float], float]
_LOGIT: tuple[_Map, _Map, _Map] = (lambda p: math.log(p / (1 - p)), sigmoid, lambda p: 1 / (p * (1 - p)))
_SCALES: dict[Scale, tuple[_Map, _Map, _Map]] = {
    "plain": (float, float, lambda _: 1.0),
    "share": _LOGIT,
    "fraction": _LOGIT,
    "positive": (math.log, math.exp, lambda x: 1 / x),
    "correlation": (math.atanh, math.tanh, lambda r: 1 / (1 - r * r)),
}
"""For each scale: the map to it, the map back, and the derivative of the first."""
