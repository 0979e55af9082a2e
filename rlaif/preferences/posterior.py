"""The probability that a response is better, given all matchups of its prompt.

A pair is selected with everything that was judged, so a probability from its own matchup alone claims too much: the
winner was partly lucky. A posterior that uses the same data is not biased by the selection (Dawid 1994; Senn 2008).

    u_i ~ N(0, t / 2)                         quality of a candidate; a difference of two has variance t
    l_ij = u_i - u_j + e,   e ~ N(0, v)       log-odds of a matchup, both orders averaged
    p_chosen = E[sigma(u_c - u_r) | all l of the prompt]

For given v and t everything is normal and in closed form. They are not the same for all prompts: their distribution
over a grid is estimated over the run (empirical Bayes by EM, Robbins 1956; scale mixtures of normals, Stephens 2017),
so that outliers and heavy tails of the noise or of the quality do no harm.

With three candidates or more, v is measured from the residuals of the log-odds from the fitted qualities. They contain
every error that differs between matchups, also one that both orders share. With two candidates there are no residuals;
then from the disagreement of the judges where there are several, or one that is asked again in other words: they show
every error that they do not share. With one judge, from the disagreement of the two orders beyond the constant position
bias, which has the variance of l if the noise of the two orders is independent. An error that belongs to a response,
and a critic that is over- or underconfident throughout, are in none of them: only labels by people show them.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import nsmallest
from typing import Literal, Self

import numpy as np

from rlaif.records import Record
from rlaif.seeds import content_hash
from rlaif.stats.estimates import Array

FEWEST = 50
"""Least degrees of freedom of the noise; with fewer, p_chosen is that of the pair's own matchup."""
MOST_PROMPTS = 4000
"""Prompts that the distributions are estimated from; of more, a sample."""

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(21)
WEIGHTS = WEIGHTS / WEIGHTS.sum()

NOISE_STEPS = 2.0 ** np.arange(-6, 8)
QUALITY_STEPS = 2.0 ** np.arange(-5, 7)
"""The grids of v and t, in multiples of their means over the run."""
START_WIDTH = 1.0
"""The EM starts from a normal distribution of log2 v and log2 t around the means with this SD. Started from equal
weights, runs of some hundred prompts get variances spread too far, and their p_chosen claims too little."""
ITERATIONS = 400
LEAST_WEIGHT = 1e-5
"""Points of the grid with less weight are dropped."""
NO_EDGE = 1e-9
"""Eigenvalues below this are zero: of parts of the design that no matchup connects."""
LEAST_NOISE = 1e-6
"""Variance of the noise, in squared logits, of a critic whose log-odds are consistent to the last digit."""

Source = Literal["residuals", "judges", "orders"]
SOURCES: tuple[Source, ...] = ("residuals", "judges", "orders")
"""The first that has enough degrees of freedom is used."""


@dataclass(frozen=True)
class Observation:
    """One judged matchup: log-odds that a is better, and the disagreement of its two orders."""

    a: str
    b: str
    logit: float
    disagreement: float
    """Half the sum of the two orders' log-odds minus the constant position bias; NaN where only one was asked."""
    among_judges: tuple[float, int] = (0.0, 0)
    """Sum of squares among the judges with expectation (degrees of freedom) * v, and the degrees of freedom."""
    variance: float = 1.0
    """Variance of its noise in multiples of v: above 1 where less was asked than of others."""

    @property
    def scaled(self) -> "Observation":
        """The same divided by the root of `variance`, so that its noise has the variance v."""
        if self.variance == 1:
            return self
        root = math.sqrt(self.variance)
        squares, freedom = self.among_judges
        return replace(
            self,
            logit=self.logit / root,
            disagreement=self.disagreement / root,
            among_judges=(squares / root**2, freedom),
        )


@dataclass(frozen=True)
class Evidence:
    """Sufficient statistics of one prompt's matchups.

    With the eigenvectors of X'X (X the design matrix of +1 and -1), effects are independent given v and t:
    effect_k ~ N(0, t / 2 + v / size_k).
    """

    prompt_id: str
    candidates: tuple[str, ...]
    sizes: Array
    """(K,) eigenvalues above zero."""
    axes: Array
    """(candidates, K) their eigenvectors."""
    effects: Array
    """(K,) least-squares effects along the axes, in logits."""
    residuals: tuple[float, int]
    """Sum of squared residuals, and its degrees of freedom."""
    orders: tuple[float, int]
    """Sum of squared disagreements of the two orders, and their number."""
    judges: tuple[float, int]
    """Sum of squares among the judges, and its degrees of freedom."""

    @classmethod
    def of(cls, prompt_id: str, observed: Sequence[Observation]) -> Self:
        """Return the statistics of a prompt's matchups, at least one."""
        candidates = tuple(dict.fromkeys(name for one in observed for name in (one.a, one.b)))
        x = np.zeros((len(observed), len(candidates)))
        for row, one in zip(x, observed, strict=True):
            row[candidates.index(one.a)] += 1 / math.sqrt(one.variance)
            row[candidates.index(one.b)] -= 1 / math.sqrt(one.variance)
        observed = [one.scaled for one in observed]
        logits = np.array([one.logit for one in observed])
        sizes, axes = np.linalg.eigh(x.T @ x)
        sizes, axes = sizes[sizes > NO_EDGE], axes[:, sizes > NO_EDGE]
        effects = axes.T @ (x.T @ logits) / sizes
        off = logits - x @ (axes @ effects)
        asked_twice = [one.disagreement for one in observed if not math.isnan(one.disagreement)]
        return cls(
            prompt_id=prompt_id,
            candidates=candidates,
            sizes=sizes,
            axes=axes,
            effects=effects,
            residuals=(float(off @ off), len(observed) - len(sizes)),
            orders=(sum(value**2 for value in asked_twice), len(asked_twice)),
            judges=(sum(one.among_judges[0] for one in observed), sum(one.among_judges[1] for one in observed)),
        )

    def noise(self, source: Source) -> tuple[float, int]:
        """Return a sum of squares with expectation (degrees of freedom) * v, and the degrees of freedom."""
        return {"residuals": self.residuals, "judges": self.judges, "orders": self.orders}[source]


class Noise(Record):
    """Variances of the log-odds of a critic's matchups over a run, in squared logits."""

    noise: float
    """Variance due to noise of the verdicts."""
    signal: float
    """Variance due to the responses' quality; 0 where noise explains all."""
    source: Source = "orders"
    """Whether the noise was measured from residuals, or from the disagreement of the judges or of the two orders."""
    from_orders: float | None = None
    """Variance of the noise from the disagreement of the two orders, whatever the source; None with one order."""
    orders_differ: bool = False
    """Whether the orders are shown to give another noise than the source."""
    signal_shown: bool = True
    """Whether the signal is shown to be above 0."""

    @property
    def reliability(self) -> float:
        """Share of the variance that is signal, in [0, 1]: the correlation of two independent judging passes."""
        total = self.noise + self.signal
        return self.signal / total if total else 1.0


@dataclass(frozen=True)
class Difference:
    """Posterior of the difference in quality of two responses: a mixture of normals."""

    weights: Array
    """(G,) adding up to 1."""
    means: Array
    """(G,) in logits."""
    variances: Array
    """(G,) in squared logits."""

    def p(self, slope: float = 1.0) -> float:
        """Return E[sigma(slope * difference)]: the probability that the first response is better."""
        nodes = self.means[:, None] + np.sqrt(self.variances)[:, None] * NODES
        return float(self.weights @ (WEIGHTS / (1 + np.exp(-slope * nodes))).sum(1))


@dataclass(frozen=True)
class QualityModel:
    """The distribution of (v, t) over a run's prompts."""

    noise: Noise
    variances: Array
    """(G, 2) points (v, t) in squared logits."""
    weights: Array
    """(G,) adding up to 1."""

    def with_signal(self, total: float) -> "QualityModel":
        """Return the same noise for single pairs whose log-odds have another variance in total, in squared logits."""
        v = self.variances[:, 0]
        t = max(total - float(self.weights @ v), 0.02 * total, LEAST_NOISE)
        return replace(self, variances=np.column_stack([v, np.full_like(v, t)]))

    def difference(self, evidence: Evidence, first: str, second: str) -> Difference:
        """Return the posterior of quality of `first` minus quality of `second`; both must be in the evidence."""
        squares, freedom = evidence.noise(self.noise.source)
        statistics = _Statistics(
            np.array([squares]), np.array([freedom]), evidence.sizes[None], evidence.effects[None], self.variances
        )
        logs = statistics.log_likelihood()[0] + np.log(self.weights)
        weights = np.exp(logs - logs.max())
        v, t = self.variances.T[:, :, None]
        kept = (t / 2) / (t / 2 + v / evidence.sizes)
        place = evidence.candidates.index
        contrast = evidence.axes[place(first)] - evidence.axes[place(second)]
        return Difference(
            weights=weights / weights.sum(),
            means=(kept * evidence.effects * contrast).sum(1),
            variances=(kept * v / evidence.sizes * contrast**2).sum(1),
        )


def fit_quality(prompts: Iterable[Evidence]) -> QualityModel | None:
    """Estimate the variances over a run; None with fewer than FEWEST degrees of freedom of the noise.

    Of more than MOST_PROMPTS prompts, a sample by the hash of their ids is used.
    """
    taken = nsmallest(MOST_PROMPTS, prompts, key=lambda one: content_hash("quality", one.prompt_id))
    source = next((one for one in SOURCES if _freedom(taken, one) >= FEWEST), None)
    if source is None:
        return None
    noise = _components(taken, source)
    signal = max(noise.signal, 0.02 * (noise.signal + noise.noise), LEAST_NOISE)
    v, t = np.meshgrid(max(noise.noise, LEAST_NOISE) * NOISE_STEPS, signal * QUALITY_STEPS, indexing="ij")
    grid = np.column_stack([v.ravel(), t.ravel()])
    start = np.exp(-0.5 * np.add.outer(np.log2(NOISE_STEPS) ** 2, np.log2(QUALITY_STEPS) ** 2) / START_WIDTH**2)
    weights = _mixture_weights(_Statistics.of(taken, source, grid).log_likelihood(), start.ravel())
    kept = weights > LEAST_WEIGHT
    return QualityModel(noise, grid[kept], weights[kept] / weights[kept].sum())


@dataclass(frozen=True)
class _Statistics:
    """Evidence of P prompts in arrays, with the grid of (v, t)."""

    squares: Array
    """(P,) sums of squares of the noise."""
    freedom: Array
    """(P,) their degrees of freedom."""
    sizes: Array
    """(P, K); 0 beyond a prompt's own."""
    effects: Array
    """(P, K)"""
    grid: Array
    """(G, 2)"""

    @classmethod
    def of(cls, prompts: Sequence[Evidence], source: Source, grid: Array) -> Self:
        longest = max(len(one.sizes) for one in prompts)
        squares, freedom = np.array([one.noise(source) for one in prompts]).T
        sizes, effects = np.zeros((2, len(prompts), longest))
        for place, one in enumerate(prompts):
            sizes[place, : len(one.sizes)] = one.sizes
            effects[place, : len(one.sizes)] = one.effects
        return cls(squares, freedom, sizes, effects, grid)

    def log_likelihood(self) -> Array:
        """Return the (P, G) log-likelihoods, up to a constant of each prompt."""
        v, t = self.grid.T
        logs = -0.5 * (self.freedom[:, None] * np.log(v) + self.squares[:, None] / v)
        for sizes, effects in zip(self.sizes.T, self.effects.T, strict=True):
            has = sizes > 0
            variance = t / 2 + v / np.where(has, sizes, 1)[:, None]
            logs -= 0.5 * has[:, None] * (np.log(variance) + effects[:, None] ** 2 / variance)
        result: Array = logs
        return result


def _mixture_weights(logs: Array, start: Array) -> Array:
    """Return the (G,) weights of a mixture with (P, G) log-likelihoods, by EM from the (G,) weights `start`."""
    likelihoods = np.exp(logs - logs.max(1, keepdims=True))
    weights = start / start.sum()
    for _ in range(ITERATIONS):
        weights *= (1 / (likelihoods @ weights)) @ likelihoods / len(logs)
    result: Array = weights / weights.sum()
    return result


def _components(prompts: Sequence[Evidence], source: Source) -> Noise:
    """Return the mean variances over the prompts, by moments, and what they are shown to be."""
    noise = _ratio(prompts, source)
    effects = np.array([(2 * one.effects**2 - 2 * noise / one.sizes).mean() for one in prompts])
    signal = float(np.mean(effects))
    # The noise was estimated from the same prompts: with two candidates, its error is as large as that of the effects.
    squares, freedom = np.array([one.noise(source) for one in prompts]).T
    of_noise = (squares - noise * freedom) / freedom.mean() * np.mean([(2 / one.sizes).mean() for one in prompts])
    error = float(np.std(effects - of_noise) / math.sqrt(len(prompts)))
    has_both = source != "orders" and _freedom(prompts, "orders") >= FEWEST
    return Noise(
        noise=noise,
        signal=max(0.0, signal),
        source=source,
        from_orders=_ratio(prompts, "orders") if any(one.orders[1] for one in prompts) else None,
        orders_differ=has_both and _differ(prompts, source),
        signal_shown=signal > SHOWN * error,
    )


def _freedom(prompts: Sequence[Evidence], source: Source) -> int:
    return sum(one.noise(source)[1] for one in prompts)


def _ratio(prompts: Sequence[Evidence], source: Source) -> float:
    squares, freedom = np.array([one.noise(source) for one in prompts]).sum(0)
    return float(squares / freedom)


SHOWN = 1.96
"""Standard errors above 0 from which a signal is said to be shown: one-sided, at the 2.5 % level."""
DIFFERENT = 1.5
"""The orders are said to differ from the source where one variance is at least this many times the other, and the
difference is more than three standard errors."""


def _differ(prompts: Sequence[Evidence], source: Source) -> bool:
    """Whether source and orders give different variances; standard errors by the delta method over prompts."""
    of_source, of_orders = _ratio(prompts, source), _ratio(prompts, "orders")
    if min(of_source, of_orders) <= LEAST_NOISE:
        return max(of_source, of_orders) > 100 * LEAST_NOISE

    def influence(name: Source, variance: float) -> Array:
        squares, freedom = np.array([one.noise(name) for one in prompts]).T
        result: Array = (squares / variance - freedom) / freedom.sum()
        return result

    error = np.linalg.norm(influence(source, of_source) - influence("orders", of_orders))
    ratio = abs(math.log(of_source / of_orders))
    return bool(ratio > math.log(DIFFERENT) and ratio > 3 * error)
