"""The median with a 95 % interval, for values that come in clusters.

Woodruff 1952 (Confidence intervals for medians and other position measures, JASA 47): the share of values below the
median has a variance, summed by cluster; its interval is mapped back to quantiles of the values. This needs neither an
estimate of the density, as the standard error of a median would, nor resamples.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rlaif.stats.estimates import Estimate, student_t


def median_interval(values: npt.ArrayLike, clusters: Sequence[str] | npt.NDArray[np.int64]) -> Estimate:
    """Return the median of (n,) values; values of one cluster (a prompt's) may depend on one another.

    No interval with fewer than two clusters, nor with so few that the interval of the share exceeds [0, 1].
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
    below = (np.sign(middle - found)) / 2  # a value at the median itself counts as half below it
    sums = np.bincount(places, weights=below - below.mean(), minlength=count)
    half = student_t(count - 1) * float(np.sqrt(count / (count - 1) * (sums @ sums)) / len(found))
    if half > 0.5:
        return estimate
    # Where a share falls between two values, the outer one.
    low, high = np.quantile(found, 0.5 - half, method="lower"), np.quantile(found, 0.5 + half, method="higher")
    return estimate.model_copy(update={"low": float(low), "high": float(high)})
