"""The difference of two shares of the same prompts, with a 95 % interval and a test.

The interval is made of those of the two shares and their correlation (Newcombe 1998, Statistics in Medicine 17; Zou &
Donner 2008, Statistics in Medicine 27), so it is as asymmetric as rare events are. The p is the level at which the
interval begins to exclude zero.
"""

import math

import numpy as np

from rlaif.stats.jackknife import ALPHA, Interval, Spread, largest_alpha, share_ends, unseen


def share_difference(one: Spread, other: Spread) -> Interval:
    """Return the interval of `other` minus `one`."""
    if np.allclose(one.deviations, other.deviations) and one.value == other.value:
        # No prompt differs: their correlation of 1 says nothing of the few unseen prompts that may.
        other_share = unseen(len(one.deviations))
        return Interval(-other_share, other_share, 1.0)
    correlation = _correlation(one, other)
    low, high = _ends(one, other, correlation, ALPHA)
    if one.value == other.value:
        return Interval(low, high, 1.0)
    return Interval(low, high, largest_alpha(lambda alpha: _ends(one, other, correlation, alpha), 0.0))


def _ends(one: Spread, other: Spread, correlation: float, alpha: float) -> tuple[float, float]:
    (low, high), (other_low, other_high) = share_ends(one, alpha), share_ends(other, alpha)
    difference = other.value - one.value
    down = _combined(other.value - other_low, high - one.value, correlation)
    up = _combined(other_high - other.value, one.value - low, correlation)
    return max(-1.0, difference - down), min(1.0, difference + up)


def _combined(x: float, y: float, correlation: float) -> float:
    return math.sqrt(max(0.0, x * x - 2 * correlation * x * y + y * y))


def _correlation(one: Spread, other: Spread) -> float:
    if one.error and other.error:
        return float(one.deviations @ other.deviations / (one.error * other.error))
    # Where every prompt has the event in one of the two only, a prompt that is not like that counts twice.
    return -1.0 if not one.error and not other.error and one.value != other.value else 0.0
