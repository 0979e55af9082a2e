"""Whether sampled rows look like a simple random sample of their table, by what is known of every row.

Two-sample tests of the sampled rows against the others: Kolmogorov-Smirnov for numbers, Fisher's exact test for
membership in groups. Under a random draw all of them together raise a false alarm with a probability of at most `level`
(Bonferroni; half for the numbers, half for the groups). What is not given as a column cannot be seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

FEWEST_OF_GROUP = 5
"""Least number of rows of a group that is tested."""


@dataclass(frozen=True)
class Shift:
    """A property that sampled rows have to another degree than the table."""

    name: str
    test: str
    p: float
    sampled: float
    """Median of a number, or share of a group, among the sampled rows."""
    table: float
    """The same in the whole table."""


def shifts(numbers: Mapping[str, Floats], groups: Mapping[str, Bools], sampled: Bools, level: float) -> list[Shift]:
    """Return the properties that differ, the clearest first; none where every row is sampled, or none.

    `numbers` and `groups` have (N,) values for every row of the table; `sampled` is (N,).
    """
    if sampled.all() or not sampled.any():
        return []
    large = {name: group for name, group in groups.items() if FEWEST_OF_GROUP <= group.sum() < len(group)}
    found = [
        shift
        for name, values in numbers.items()
        if (shift := _number(name, values, sampled)).p * 2 * len(numbers) <= level
    ]
    found += [
        shift for name, group in large.items() if (shift := _group(name, group, sampled)).p * 2 * len(large) <= level
    ]
    return sorted(found, key=lambda shift: shift.p)


def _number(name: str, values: Floats, sampled: Bools) -> Shift:
    from scipy.stats import ks_2samp  # noqa: PLC0415  (half a second)

    p = ks_2samp(values[sampled], values[~sampled], method="asymp").pvalue
    return Shift(name, "Kolmogorov-Smirnov", float(p), float(np.median(values[sampled])), float(np.median(values)))


def _group(name: str, group: Bools, sampled: Bools) -> Shift:
    from scipy.stats import fisher_exact  # noqa: PLC0415

    inside, outside = int((group & sampled).sum()), int((group & ~sampled).sum())
    table = [[inside, int(sampled.sum()) - inside], [outside, int((~sampled).sum()) - outside]]
    p = fisher_exact(table).pvalue
    return Shift(name, "Fisher's exact test", float(p), float(group[sampled].mean()), float(group.mean()))
