"""The difference of two shares of the same prompts, with a 95 % interval and a test.

The interval is made of those of the two shares and their correlation (Newcombe 1998, Statistics in Medicine 17; Zou &
Donner 2008, Statistics in Medicine 27), so it is as asymmetric as rare events are. Where a share is exactly 0 or 1, its
open end is the exact binomial bound. The p is the level at which the interval begins to exclude zero.
"""

import math
from dataclasses import dataclass

from rlaif.stats.jackknife import ALPHA, Interval, Spread
from rlaif.stats.log_odds import sigmoid

SMALLEST_P = 1e-9
STEPS = 40
"""Halvings of the logarithm of p: its error is below one in a billion."""


def share_difference(one: Spread, other: Spread) -> Interval:
    """Return the interval of `other` minus `one`."""
    correlation = _correlation(one, other)
    low, high = _ends(one, other, correlation, ALPHA)
    return Interval(low, high, _p(one, other, correlation))


def unseen(n: int, alpha: float = ALPHA) -> float:
    """Return the largest share that could be missed in n prompts: the 97.5 % bound for 0 of n (Clopper-Pearson)."""
    return 1 - float((alpha / 2) ** (1 / n))


@dataclass(frozen=True)
class _Reach:
    """Distances from a share to the ends of its interval."""

    down: float
    up: float


def _ends(one: Spread, other: Spread, correlation: float, alpha: float) -> tuple[float, float]:
    a, b, difference = _reach(one, alpha), _reach(other, alpha), other.value - one.value
    low = difference - _combined(b.down, a.up, correlation)
    return max(-1.0, low), min(1.0, difference + _combined(b.up, a.down, correlation))


def _combined(x: float, y: float, correlation: float) -> float:
    return math.sqrt(max(0.0, x * x - 2 * correlation * x * y + y * y))


def _reach(share: Spread, alpha: float) -> _Reach:
    from scipy.special import stdtrit  # noqa: PLC0415  (a fifth of a second)

    p, n = share.value, len(share.deviations)
    if p <= 0 or p >= 1 or not share.error:
        return _Reach(0.0 if p <= 0 else unseen(n, alpha), 0.0 if p >= 1 else unseen(n, alpha))
    logit, half = math.log(p / (1 - p)), float(stdtrit(share.df, 1 - alpha / 2)) * share.error / (p * (1 - p))
    return _Reach(p - sigmoid(logit - half), sigmoid(logit + half) - p)


def _correlation(one: Spread, other: Spread) -> float:
    if one.error and other.error:
        return float(one.deviations @ other.deviations / (one.error * other.error))
    # Where every prompt has the event in one of the two only, a prompt that is not like that counts twice.
    return -1.0 if not one.error and not other.error and one.value != other.value else 0.0


def _p(one: Spread, other: Spread, correlation: float) -> float:
    """Return the largest alpha whose interval contains zero, by bisection."""
    if one.value == other.value:
        return 1.0
    low, high = math.log(SMALLEST_P), 0.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        ends = _ends(one, other, correlation, math.exp(middle))
        low, high = (middle, high) if ends[0] <= 0 <= ends[1] else (low, middle)
    return math.exp(high)
