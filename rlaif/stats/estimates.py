"""Estimates with 95 % intervals: ratios and other functions of totals over prompts, medians, independent trials.

The input is, for each prompt, a tally of counts and sums by name. Prompts are independent; the matchups of a prompt
depend on one another, so an interval comes from leaving out whole prompts (`jackknife`). A share of exactly 0 or 1 has
no spread; its open end is the exact binomial bound for that number of prompts.
"""

import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from statistics import NormalDist
from typing import NoReturn

import numpy as np
import numpy.typing as npt
from pydantic import Field

from rlaif.base import Record
from rlaif.stats.jackknife import ALPHA, FEWEST, Scale, Weights, jackknife_interval, spread_of, unseen
from rlaif.stats.share_difference import share_difference

Array = npt.NDArray[np.float64]
Key = Hashable
OfTotals = Callable[[Array], Array]
"""A function from totals (keys, …) to values (…)."""


class Tally(dict[Key, float]):
    """Sums by name; a name that was never counted reads as 0. (A Counter would drop sums below zero.)"""

    def __missing__(self, key: Key) -> float:
        return 0.0

    def add(self, other: Mapping[Key, float]) -> None:
        """Add the sums of another tally to this one."""
        for key, value in other.items():
            self[key] += value

    def update(self, *_: object, **__: object) -> NoReturn:
        """Raise TypeError: it would overwrite sums where `add` adds to them."""
        raise TypeError("a tally adds up: use add()")


class Estimate(Record):
    """A number measured over prompts."""

    value: float | None
    """None where there was nothing to measure it on."""
    low: float | None = None
    """Lower end of the 95 % interval; None with fewer than FEWEST prompts, but for a share of exactly 0 or 1."""
    high: float | None = None
    n: float = Field(default=0, ge=0)
    """What it was measured on, summed: matchups, responses, … as the estimate's name says."""
    prompts: int = Field(default=0, ge=0)
    """Prompts that had any of these."""
    p: float | None = Field(default=None, exclude=True)
    """Two-sided p of no effect (`jackknife.Interval`); not written to files."""

    def ends(self, form: str, scale: float = 1) -> str:
        """Return the interval as ` (LOW to HIGH)`, each end times `scale` in a format such as `.0%`; empty for none."""
        if self.low is None or self.high is None:
            return ""
        return f" ({self.low * scale:{form}} to {self.high * scale:{form}})"

    def ends_or_reason(self, form: str) -> str:
        """Return the interval as `ends` does, or why there is none, in brackets."""
        return self.ends(form) or f" ({self.no_interval})"

    @property
    def no_interval(self) -> str:
        """Why an estimate with a value has no interval."""
        if self.prompts < FEWEST:
            return f"no interval from fewer than {FEWEST} prompts"
        return "no interval: without one of the prompts there is nothing to estimate"

    def holds(self, truth: float) -> bool:
        """Whether the interval contains a number."""
        return self.low is not None and self.high is not None and self.low <= truth <= self.high


class Tallies:
    """Tallies of all prompts, and estimates from their totals."""

    def __init__(self, tallies: Sequence[Tally]) -> None:
        self._tallies = tallies
        self._columns: dict[Key, Array] = {}

    @property
    def prompts(self) -> int:
        """Number of prompts."""
        return len(self._tallies)

    def total(self, key: Key) -> float:
        """Return a sum over all prompts."""
        return float(self._column(key).sum())

    def ratio(self, above: Key, below: Key, *, share: bool = True) -> Estimate:
        """Return sum(above) / sum(below). `share` says that it is a share of `below`, in [0, 1]."""
        return self.ratio_of_sums((above,), (below,), share=share)

    def ratio_of_sums(self, above: Sequence[Key], below: Sequence[Key], *, share: bool = True) -> Estimate:
        """Return the ratio of two sums over several keys each; its `n` is the sum over `below`."""

        def divided(totals: Array) -> Array:
            result: Array = totals[: len(above)].sum(axis=0) / totals[len(above) :].sum(axis=0)
            return result

        scale = "share" if share else self._scale(above, below)
        estimate = self.function(divided, (*above, *below), of=below, scale=scale)
        if not share or estimate.low is not None or estimate.value not in {0.0, 1.0}:
            return estimate
        # The exact bound holds for any number of prompts.
        slack = unseen(estimate.prompts)
        ends = {"low": 0.0, "high": slack} if estimate.value == 0 else {"low": 1 - slack, "high": 1.0}
        return estimate.model_copy(update=ends)

    def function(
        self, of_totals: OfTotals, keys: Sequence[Key], *, of: Sequence[Key], scale: Scale = "plain"
    ) -> Estimate:
        """Return a function of the totals of `keys`; it must not depend on the number of prompts.

        `of_totals` maps an array (keys, …) to one of shape (…); `n` and `prompts` count the keys in `of`.
        """
        if isinstance(of, str):
            raise TypeError("`of` is a sequence of names; the letters of a single string would be read as names")
        sizes = self._sum(of)
        counted = sizes != 0
        value, left_out = self._left_out(of_totals, keys, counted)
        if not np.isfinite(value):
            return Estimate(value=None, n=float(sizes.sum()), prompts=int(counted.sum()))
        return estimate_of(value, left_out, Weights.of_sizes(sizes[counted]), float(sizes.sum()), scale)

    def difference_of_shares(self, one: tuple[Key, Key], other: tuple[Key, Key]) -> Estimate:
        """Return the share `other` minus the share `one`, each given as (above, below); it is counted by `other`."""
        sizes = [self._sum([below]) for _, below in (one, other)]
        counted = (sizes[0] != 0) | (sizes[1] != 0)
        n, prompts = float(sizes[1].sum()), int((sizes[1] != 0).sum())
        found = [self._left_out(lambda t: t[0] / t[1], keys, counted) for keys in (one, other)]
        if not all(np.isfinite(value) for value, _ in found):
            return Estimate(value=None, n=n, prompts=prompts)
        weights = [Weights.of_sizes(one[counted]) for one in sizes]
        spreads = [spread_of(*of, weight, "share") for of, weight in zip(found, weights, strict=True)]
        value = found[1][0] - found[0][0]
        if spreads[0] is None or spreads[1] is None:
            return Estimate(value=value, n=n, prompts=prompts)
        between = share_difference(spreads[0], spreads[1])
        return Estimate(value=value, n=n, prompts=prompts, low=between.low, high=between.high, p=between.p)

    def _left_out(
        self, of_totals: OfTotals, keys: Sequence[Key], counted: npt.NDArray[np.bool_]
    ) -> tuple[float, Array]:
        """Return a function of the totals, and its (n,) values without each of the prompts that are `counted`."""
        columns = np.stack([self._column(key) for key in keys])
        totals = columns.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(of_totals(totals)), of_totals(totals[:, None] - columns[:, counted])

    def _scale(self, above: Sequence[Key], below: Sequence[Key]) -> Scale:
        """Return the scale that the prompts' values allow."""
        sums, counts = self._sum(above), self._sum(below)
        if (np.abs(sums) <= counts).all():
            return "correlation" if (sums < 0).any() else "fraction"
        return "plain" if (sums < 0).any() else "positive"

    def _sum(self, keys: Sequence[Key]) -> Array:
        return np.asarray(np.sum([self._column(key) for key in keys], axis=0))

    def _column(self, key: Key) -> Array:
        if key not in self._columns:
            self._columns[key] = np.array([tally[key] for tally in self._tallies], dtype=float)
        return self._columns[key]


def tallies_of(tallies: Iterable[tuple[Hashable, Tally]]) -> Tallies:
    """Return the tallies by cluster: those of one cluster (one prompt, one item) are added up."""
    clusters: dict[Hashable, Tally] = {}
    for cluster, tally in tallies:
        clusters.setdefault(cluster, Tally()).add(tally)
    return Tallies(list(clusters.values()))


def estimate_of(value: float, left_out: Array, weights: Weights, n: float, scale: Scale = "plain") -> Estimate:
    """Return an estimate with the interval of `jackknife_interval`."""
    found = jackknife_interval(value, left_out, weights, scale)
    ends = {} if found is None else {"low": found.low, "high": found.high, "p": found.p}
    return Estimate(value=value, n=n, prompts=len(left_out), **ends)


def median_interval(values: npt.ArrayLike, clusters: Sequence[str] | npt.NDArray[np.int64]) -> Estimate:
    """Return the median of (n,) values; values of one cluster (a prompt's) may depend on one another.

    Woodruff 1952 (Confidence intervals for medians and other position measures, JASA 47): the share of values below the
    median has a variance, summed by cluster; its interval is mapped back to quantiles of the values. No interval with
    fewer than FEWEST clusters, nor with so few that the interval of the share exceeds [0, 1].
    """
    found = np.asarray(values, dtype=float)
    if not len(found):
        return Estimate(value=None)
    middle = float(np.median(found))
    _, places = np.unique(np.asarray(clusters), return_inverse=True)
    count = int(places.max()) + 1
    estimate = Estimate(value=middle, n=len(found), prompts=count)
    if count < FEWEST:
        return estimate
    below = (np.sign(middle - found)) / 2  # a value at the median itself counts as half below it
    sums = np.bincount(places, weights=below - below.mean(), minlength=count)
    half = student_t(count - 1) * float(np.sqrt(count / (count - 1) * (sums @ sums)) / len(found))
    if half > 0.5:
        return estimate
    # Where a share falls between two values, the outer one.
    low, high = np.quantile(found, 0.5 - half, method="lower"), np.quantile(found, 0.5 + half, method="higher")
    return estimate.model_copy(update={"low": float(low), "high": float(high)})


def student_t(df: int | None) -> float:
    """Return the 97.5 % quantile of Student's t; with None as degrees of freedom, of the normal distribution.

    Exact for one and two degrees of freedom, else by the expansion of Fisher and Cornish, within 1 %. (With scipy's,
    standard errors in exported datasets, and so their content hashes, would differ from those of earlier versions.)
    """
    if df is None:
        return NormalDist().inv_cdf(1 - ALPHA / 2)
    if df <= 2:
        p = 1 - ALPHA / 2
        return math.tan(math.pi * (p - 0.5)) if df == 1 else (2 * p - 1) / (2 * p * (1 - p)) ** 0.5
    z = student_t(None)
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * df**3)
    return z + (z**3 + z) / (4 * df) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * df**2) + third


def wilson(hits: int, n: int) -> Estimate:
    """Return the share of hits among n independent trials with its 95 % score interval (Wilson 1927, JASA 22).

    With fewer than FEWEST trials, of which Wilson's interval covers 90 %, it is the exact one (Clopper & Pearson).
    """
    if n == 0:
        return Estimate(value=None)
    from scipy.stats import binomtest  # noqa: PLC0415  (half a second)

    low, high = binomtest(hits, n).proportion_ci(1 - ALPHA, method="wilson" if n >= FEWEST else "exact")
    return Estimate(value=hits / n, low=float(low), high=float(high), n=n, prompts=n)


def kappa_of(totals: Array) -> Array:
    """Return Cohen's kappa of 2 x 2 counts (aa, ab, ba, bb) along the first axis (Cohen 1960)."""
    both_a, ab, ba, both_b = totals
    n = both_a + ab + ba + both_b
    observed = (both_a + both_b) / n
    one, other = (both_a + ab) / n, (both_a + ba) / n
    expected = one * other + (1 - one) * (1 - other)
    result: Array = (observed - expected) / (1 - expected)
    return result


def apart(one: Estimate, other: Estimate) -> bool:
    """Whether two intervals do not overlap, so that the two estimates are shown to differ."""
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.high < other.low or other.high < one.low


def highest_is_shown(estimates: Sequence[Estimate]) -> bool:
    """Whether the highest of several estimates is shown to be higher than all others; true for a single one."""
    known = [estimate for estimate in estimates if estimate.value is not None]
    highest = max(known, key=lambda estimate: estimate.value or 0, default=None)
    return highest is not None and all(apart(highest, estimate) for estimate in known if estimate is not highest)
