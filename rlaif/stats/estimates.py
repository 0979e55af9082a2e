"""Estimates with 95 % intervals: ratios from a bootstrap over prompts, medians, shares of independent trials.

Input of the bootstrap: for each prompt a tally of counts and sums by name. Output: ratios and other functions of their
totals. Whole prompts are resampled with all their matchups, which depend on one another.

Percentile intervals from few prompts are too narrow; the quantiles are moved outwards as Hesterberg 2015 (What Teachers
Should Know About the Bootstrap, The American Statistician 69, "expanded percentile") proposes. A share of exactly 0 or
1 has no spread to resample; its open end is the exact binomial bound for that number of prompts.
"""

import math
import random
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import NoReturn

import numpy as np
import numpy.typing as npt
from pydantic import Field

from rlaif.base import Record

Key = Hashable
Array = npt.NDArray[np.float64]

RESAMPLES = 2000
ALPHA = 0.05
MOST_CLUSTERS = 4000
"""More clusters are combined at random into this many bundles: the variance is unchanged and the memory bounded."""


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
    """Lower end of the 95 % interval; None with fewer than two prompts, but for a share of exactly 0 or 1."""
    high: float | None = None
    n: float = Field(default=0, ge=0)
    """What it was measured on, summed: matchups, responses, … as the estimate's name says."""
    prompts: int = Field(default=0, ge=0)
    """Prompts that had any of these."""

    def ends(self, form: str, scale: float = 1) -> str:
        """Return the interval as ` (LOW to HIGH)`, each end times `scale` in a format such as `.0%`; empty for none."""
        if self.low is None or self.high is None:
            return ""
        return f" ({self.low * scale:{form}} to {self.high * scale:{form}})"

    def holds(self, truth: float) -> bool:
        """Whether the interval contains a number."""
        return self.low is not None and self.high is not None and self.low <= truth <= self.high


class Bootstrap:
    """Tallies of all prompts; every estimate uses the same resamples, so that differences are paired."""

    def __init__(self, tallies: Sequence[Tally], *, seed: int = 0, resamples: int = RESAMPLES) -> None:
        self._tallies = tallies
        self._columns: dict[Key, Array] = {}
        self._seed = seed
        self._resamples = resamples
        self._draws: Array | None = None

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

        estimate = self.function(divided, (*above, *below), of=below)
        if not share or estimate.value not in {0.0, 1.0} or estimate.low != estimate.high:
            return estimate
        slack = unseen(estimate.prompts)
        ends = {"low": 0.0, "high": slack} if estimate.value == 0 else {"low": 1 - slack, "high": 1.0}
        return estimate.model_copy(update=ends)

    def function(self, of_totals: Callable[[Array], Array], keys: Sequence[Key], *, of: Sequence[Key]) -> Estimate:
        """Return a function of the totals of `keys`.

        `of_totals` maps an array (keys, …) to one of shape (…); `n` and `prompts` count the keys in `of`.
        """
        if isinstance(of, str):
            raise TypeError("`of` is a sequence of names; the letters of a single string would be read as names")
        columns = np.stack([self._column(key) for key in keys])
        base = np.sum([self._column(key) for key in of], axis=0)
        n, prompts = float(base.sum()), int((base != 0).sum())
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(of_totals(columns.sum(axis=1)))
            if not np.isfinite(value):
                return Estimate(value=None, n=n, prompts=prompts)
            if prompts < 2:
                return Estimate(value=value, n=n, prompts=prompts)
            return with_interval(value, of_totals(columns @ self._drawn().T), n, prompts)

    def _column(self, key: Key) -> Array:
        if key not in self._columns:
            self._columns[key] = np.array([tally[key] for tally in self._tallies], dtype=float)
        return self._columns[key]

    def _drawn(self) -> Array:
        """Return how often each prompt is in each resample, (resamples, prompts)."""
        if self._draws is None:
            self._draws = next(resample_counts(self.prompts, self._resamples, self._seed, self._resamples))
        return self._draws


def resample_counts(clusters: int, resamples: int, seed: int, at_once: int) -> Iterator[Array]:
    """Yield how often each cluster is in each resample, (up to `at_once` resamples, clusters)."""
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        yield rng.multinomial(clusters, np.full(clusters, 1 / clusters), size=size).astype(float)


def bootstrap_of(tallies: Iterable[tuple[Hashable, Tally]], seed: int = 0) -> Bootstrap:
    """Return a bootstrap over clusters: tallies of one cluster (one prompt, one item) are always drawn together."""
    clusters: dict[Hashable, Tally] = {}
    for cluster, tally in tallies:
        clusters.setdefault(cluster, Tally()).add(tally)
    return Bootstrap(_bundled(list(clusters.values())), seed=seed)


def _bundled(tallies: list[Tally]) -> list[Tally]:
    if len(tallies) <= MOST_CLUSTERS:
        return tallies
    random.Random(0).shuffle(tallies)
    bundles = [Tally() for _ in range(MOST_CLUSTERS)]
    for place, tally in enumerate(tallies):
        bundles[place % MOST_CLUSTERS].add(tally)
    return bundles


def with_interval(value: float, drawn: Array, n: float, prompts: int) -> Estimate:
    """Return an estimate whose interval comes from its value in every resample, widened for few prompts."""
    drawn = drawn[np.isfinite(drawn)]
    outside = NormalDist().cdf(-student_t(prompts - 1) * (prompts / (prompts - 1)) ** 0.5)
    low, high = np.quantile(drawn, [outside, 1 - outside]) if len(drawn) else (value, value)
    return Estimate(value=value, low=float(low), high=float(high), n=n, prompts=prompts)


def median_interval(values: npt.ArrayLike, clusters: Sequence[str] | npt.NDArray[np.int64]) -> Estimate:
    """Return the median of (n,) values; values of one cluster (a prompt's) may depend on one another.

    Woodruff 1952 (Confidence intervals for medians and other position measures, JASA 47): the share of values below the
    median has a variance, summed by cluster; its interval is mapped back to quantiles of the values. No interval with
    fewer than two clusters, nor with so few that the interval of the share exceeds [0, 1].
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


def unseen(n: int) -> float:
    """Return the largest share that could be missed in n prompts: the 97.5 % bound for 0 of n (Clopper-Pearson)."""
    return 1 - float((ALPHA / 2) ** (1 / n))


def wilson(hits: int, n: int) -> Estimate:
    """Return the share of hits among n independent trials with its 95 % score interval (Wilson 1927, JASA 22)."""
    if n == 0:
        return Estimate(value=None)
    from scipy.stats import binomtest  # noqa: PLC0415  (half a second)

    low, high = binomtest(hits, n).proportion_ci(1 - ALPHA, method="wilson")
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
