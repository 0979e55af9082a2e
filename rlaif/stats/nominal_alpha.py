"""Krippendorff's alpha of nominal verdicts on pairs, with a 95 % interval from leaving out one prompt after the other.

Krippendorff 2004 (Measuring the reliability of qualitative text analysis data, Quality & Quantity 38): 1 is perfect
agreement, 0 what chance gives. Computed by the package `krippendorff`. The names of a pair's two responses are
arbitrary, so each pair counts in both orientations: the result does not depend on which response is called a, and
chance agrees on half of the verdicts that name one. With n verdicts, this adds about (1 - alpha) / 2n.
"""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt

from rlaif.stats.estimates import Estimate, estimate_of
from rlaif.stats.jackknife import Weights

Counts = npt.NDArray[np.int64]


def alpha_of_pairs(counts: npt.ArrayLike, clusters: Sequence[Hashable]) -> Estimate:
    """Return alpha of (N, 3) counts: how many people say that a is better, that b is better, that it is a tie.

    `clusters`: (N,) the prompt of each pair; pairs of one prompt may depend on one another. The estimate's `n` is the
    number of pairs with two verdicts or more; the others say nothing of agreement. Its value is None without any, and
    where all verdicts are ties.
    """
    table = np.asarray(counts, dtype=np.int64).reshape(-1, 3)
    shared = table.sum(axis=1) >= 2
    table = table[shared]
    kept = [cluster for cluster, use in zip(clusters, shared, strict=True) if use]
    numbers = {cluster: number for number, cluster in enumerate(dict.fromkeys(kept))}
    places = np.array([numbers[cluster] for cluster in kept], dtype=np.int64)
    value = _alpha(table)
    if not np.isfinite(value):
        return Estimate(value=None, n=len(table), prompts=len(numbers))
    left_out = np.array([_alpha(table[places != number]) for number in range(len(numbers))])
    verdicts = np.bincount(places, weights=table.sum(axis=1)).astype(np.float64)
    return estimate_of(value, left_out, Weights.of_sizes(verdicts), len(table), "correlation")


def _alpha(table: Counts) -> float:
    """Return alpha of pairs with two verdicts or more; not a number where there is no disagreement by chance."""
    both = np.concatenate([table, table[:, [1, 0, 2]]])
    if not both[:, :2].any():
        return float("nan")
    import krippendorff  # noqa: PLC0415

    return float(krippendorff.alpha(value_counts=both, level_of_measurement="nominal"))
