"""The median with a 95 % interval, for values that come in clusters.

Woodruff 1952 (Confidence intervals for medians and other position measures, JASA 47): how many of the values lie below
the median is a share, whose variance is summed by cluster; its interval is read off the values in order. No density has
to be guessed, as a standard error of the median would need, and no resample drawn.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rlaif.stats.estimates import Array, Estimate, student_t


def median_interval(values: npt.ArrayLike, clusters: Sequence[str] | npt.NDArray[np.int64]) -> Estimate:
    """Return the median of (n,) values; values of one cluster (a prompt's) are not taken for independent.

    No interval with fewer than two clusters, nor where so few can't tell on which side of all values the median is.
    """
    found = np.asarray(values, dtype=float)
    if not len(found):
        return Estimate(value=None)
    middle = float(np.median(found))
    _, places = np.unique(np.asarray(clusters), return_inverse=True)
    count = int(places.max()) + 1
    estimate = Estimate(value=middle, n=len(found), prompts=count)
    if count < 2:
        return estimate
    # A value at the median itself counts as half below it.
    below = (np.sign(middle - found)) / 2
    half = student_t(count - 1) * _error_of_mean(below, places, count)
    if half > 0.5:
        return estimate
    low, high = _outwards(np.sort(found), 0.5 - half, 0.5 + half)
    return estimate.model_copy(update={"low": low, "high": high})


def _error_of_mean(values: Array, places: npt.NDArray[np.intp], count: int) -> float:
    """Return the standard error of a mean over items that were drawn cluster by cluster."""
    sums = np.bincount(places, weights=values - values.mean(), minlength=count)
    return float(np.sqrt(count / (count - 1) * (sums @ sums)) / len(values))


def _outwards(ordered: Array, low: float, high: float) -> tuple[float, float]:
    """Return the values below which these shares lie, the farther one where a share falls between two."""
    found = np.quantile(ordered, low, method="lower"), np.quantile(ordered, high, method="higher")
    return float(found[0]), float(found[1])
