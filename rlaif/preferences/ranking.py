"""Which candidates meet, how strong they are, and which two make a pair.

**Design.** All pairs of up to six candidates; of more, a sparse connected design: each revision against its parent, and
the shuffled candidates on a ring where each meets its two nearest neighbours on either side, at most 3 n matchups.

**Strengths** follow Bradley and Terry (1952): strengths s around 0, in logits, so that s_a - s_b is the log-odds that a
beats b. A verdict is not a win or a loss but log-odds with noise, l = s_a - s_b + e, so what is minimised is

    sum w rho(l - s_a + s_b) + PRIOR sum s^2 / 2        rho: Huber 1964, squares with linear tails

and not the cross-entropy of sigma(l), the likelihood of drawn winners, which nearly ignores how large a confident
verdict is: on planted strengths it loses up to 0.06 of Kendall's tau (benchmarks/README.md). The linear tails are for
outliers: one in twenty costs plain squares 0.05 of tau. `choix` fits the same model without soft outcomes and standard
errors.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from rlaif.base import Section
from rlaif.preferences.judgement import Judgement
from rlaif.records import Record
from rlaif.stats.estimates import Array, student_t

ALL_PAIRS_UP_TO = 6


def design(candidates: Sequence[str], parents: Mapping[str, str], seed: int) -> list[tuple[str, str]]:
    """Return the matchups of one prompt as (a, b), each unordered pair once.

    `parents` maps a revision to the response it revises. Which one is `a` is drawn at random.
    """
    rng = random.Random(seed)
    if len(candidates) <= ALL_PAIRS_UP_TO:
        chosen = list(combinations(candidates, 2))
    else:
        chosen = _sparse(candidates, parents, rng)
    return [(b, a) if rng.random() < 0.5 else (a, b) for a, b in chosen]


def expected_matchups(candidates: int, revisions: int = 0) -> float:
    """Return the number of matchups that the design makes of so many candidates, revisions among them, on average.

    On the ring of a sparse design each candidate meets four of the others, a revision's parent among them by chance.
    """
    if candidates <= ALL_PAIRS_UP_TO:
        return candidates * (candidates - 1) / 2
    return 2 * candidates + revisions * (1 - 4 / (candidates - 1))


def _sparse(candidates: Sequence[str], parents: Mapping[str, str], rng: random.Random) -> list[tuple[str, str]]:
    edges = [(c, parents[c]) for c in candidates if parents.get(c) in candidates]
    ring = rng.sample(list(candidates), len(candidates))
    for step in (1, 2):
        edges += [(one, ring[(place + step) % len(ring)]) for place, one in enumerate(ring)]
    return list({frozenset(edge): edge for edge in edges}.values())


PRIOR = 0.1
"""Weight of the prior, in matchups: each candidate has a tenth of a draw with an average one. This is a Gaussian prior
whose standard deviation is three times the noise of a verdict, so it fits under- and overconfident critics. It shrinks
four candidates that all met by 2 %, two by 5 %: little, because the intervals do not include what it shrinks."""

ARMS = 1.5
"""Residuals beyond so many standard deviations count linearly; 96 % efficient for normal noise."""
STEPS = 4
"""Reweighting steps; more gain a thousandth of tau and cost as much again."""
MAD = 1.4826
"""Standard deviation of normal noise for a median absolute one of 1."""
LEAST_NOISE = 0.1
"""Smallest noise assumed, in logits: where most verdicts are exact ties, the others are not outliers."""
NO_EDGE = 1e-9
DECIMALS = 9
"""Strengths are rounded, so that three candidates that beat one another in a cycle are exactly equal."""


@dataclass(frozen=True)
class Result:
    """The log-odds of one matchup."""

    a: str
    b: str
    logit: float
    """Log-odds that a beats b, finite; 0 is a draw."""
    weight: float = 1.0
    """In verdicts of the usual noise; above 0."""


class Strength(Record):
    """Strength of a candidate among those of its prompt."""

    value: float
    """Logits above the average candidate; differences are log-odds of beating one another."""
    se: float | None
    """Standard error, scaled so that value ± 1.96 se is a 95 % interval; Student's t is in it, wide with few matchups
    (three candidates: 6.5 times the plain one). None with no degree of freedom left, as with two candidates."""


def strengths(results: Sequence[Result]) -> dict[str, Strength]:
    """Return the strength of each candidate with a matchup, centred on 0.

    Groups that never met are each centred on 0 by the prior: which group is better is unknown, and their standard
    errors include that.
    """
    names = {name: place for place, name in enumerate(dict.fromkeys(n for r in results for n in (r.a, r.b)))}
    if not names:
        return {}
    x, logits, weights = _design(results, names)
    trust = _trust(x, logits, weights)
    values, spread = _fit(x, logits, weights * trust)
    noise = _noise_sd(x, logits, weights, trust)
    return {
        name: Strength(
            value=round(float(values[place]), DECIMALS) + 0.0,
            se=None if noise is None else float(noise * spread[place]),
        )
        for name, place in names.items()
    }


def _design(results: Sequence[Result], names: dict[str, int]) -> tuple[Array, Array, Array]:
    """Return the (results, candidates) design matrix of +1 and -1, the log-odds, and the weights."""
    x = np.zeros((len(results), len(names)))
    for row, result in zip(x, results, strict=True):
        row[names[result.a]] += 1
        row[names[result.b]] -= 1
    return x, np.array([r.logit for r in results]), np.array([r.weight for r in results])


def _trust(x: Array, logits: Array, weights: Array) -> Array:
    """Return the share of its weight that each result keeps, in (0, 1]: Huber's weights, iteratively reweighted.

    1 with up to four candidates, or with few matchups: an outlier cannot be told from the rest there.
    """
    count, candidates = x.shape
    trust = np.ones(count)
    if count < 2 * candidates - 1:
        return trust
    prior, left = PRIOR * np.eye(candidates), count - candidates + 1
    for _ in range(STEPS):
        pull = x.T * (weights * trust)
        off = np.sqrt(weights) * np.abs(logits - x @ np.linalg.solve(pull @ x + prior, pull @ logits))
        usual = max(LEAST_NOISE, MAD * np.sort(off)[count // 2] * (count / left) ** 0.5)
        trust = np.minimum(1, ARMS * usual / np.maximum(off, LEAST_NOISE))
    return trust


def _fit(x: Array, logits: Array, weights: Array) -> tuple[Array, Array]:
    """Return the strengths and, for noise of 1, the standard errors of their distance from the mean."""
    inverse = np.linalg.inv((x.T * weights) @ x + PRIOR * np.eye(x.shape[1]))
    centred = inverse - inverse.mean(axis=0)
    centred = centred - centred.mean(axis=1, keepdims=True)
    return inverse @ (x.T @ (weights * logits)), np.sqrt(np.diagonal(centred).clip(0))


def _noise_sd(x: Array, logits: Array, weights: Array, trust: Array) -> float | None:
    """Return the residual standard deviation times (Student's t / 1.96); None without a degree of freedom.

    Residuals are taken without the prior. They contain everything that strengths do not explain: noise of the verdicts,
    and real cycles.
    """
    root = np.sqrt(weights * trust)
    u, sizes, _ = np.linalg.svd(x * root[:, None], full_matrices=False)
    explained = u[:, sizes > NO_EDGE]
    left = len(x) - explained.shape[1]
    if not left:
        return None
    residuals = root * logits - explained @ (explained.T @ (root * logits))
    # A result that keeps half of its weight counts as half a degree of freedom.
    variance = residuals @ residuals / (left - (1 - trust).sum())
    return float(np.sqrt(variance)) * student_t(left) / student_t(None)


class PairsConfig(Section):
    """Which decided matchups become preference pairs."""

    select: Literal["best-vs-worst", "best-vs-random", "revision-vs-parent", "policy-vs-policy"] = "best-vs-worst"
    per_prompt: int = Field(default=1, ge=1)
    """Most pairs of one prompt."""
    chosen_policy: str | None = None
    """Of `policy-vs-policy`: the policy whose responses are chosen, where the judges find them better; by default the
    first one."""
    rejected_policy: str | None = None
    """The policy whose responses are rejected; by default the second one."""
    reasoning: bool = False
    """Write the reasoning of a thinking model into the dataset, as `reasoning_content` of the response's turn."""
    max_length_ratio: float | None = Field(default=None, gt=1)
    """Pair only responses of similar length: the longer at most so many times as long, in characters."""
    test_fraction: float = Field(default=0.1, ge=0, lt=1)
    """Share of the prompts that go to the test split; the same prompts in every run."""

    @model_serializer(mode="wrap")
    def _without_unused(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        unset = {name for name in ("chosen_policy", "rejected_policy", "reasoning") if not getattr(self, name)}
        return {name: value for name, value in write(self).items() if name not in unset}

    def questions(self) -> dict[str, Any]:
        """Return the settings on which it depends what is compared."""
        return {
            name: value
            for name, value in self.model_dump(mode="json").items()
            if name not in {"max_length_ratio", "test_fraction", "reasoning"}
        }


def rank(judgements: Sequence[Judgement]) -> dict[str, Strength]:
    """Return the strength of each candidate, from the readable matchups of the design.

    Final matchups are left out: they are asked *because of* the ranking and would bias it. A candidate without a
    readable matchup has no strength.
    """
    return strengths([Result(j.a, j.b, j.logit) for j in judgements if j.purpose == "design" and j.logit is not None])


def scores_of(ranked: Mapping[str, Strength]) -> dict[str, float]:
    """Return the strengths without their standard errors."""
    return {candidate: strength.value for candidate, strength in ranked.items()}


def wanted_pairs(
    scores: Mapping[str, float],
    parents: Mapping[str, str],
    pairs: PairsConfig,
    seed: int,
    lengths: Mapping[str, int] | None = None,
    sides: tuple[Sequence[str], Sequence[str]] = ((), ()),
) -> list[tuple[str, str]]:
    """Return the (better, worse) candidates that the selection rule wants, best first.

    For `revision-vs-parent` the revision comes first, whichever is better. Equal scores give no pair. `lengths` are the
    candidates' lengths in characters, needed with `max_length_ratio`. `sides` are the candidates of two policies,
    needed for `policy-vs-policy`: they are paired at random, the first side's first, whichever is better.
    """
    ranked = sorted(scores, key=lambda candidate: (-scores[candidate], candidate))
    longest = pairs.max_length_ratio if lengths is not None else None

    def alike(one: str, other: str) -> bool:
        return longest is None or _ratio(lengths or {}, one, other) <= longest

    if pairs.select == "revision-vs-parent":
        related = [(child, parents[child]) for child in ranked if parents.get(child) in scores]
        return [pair for pair in related if alike(*pair)]
    if pairs.select == "policy-vs-policy":
        return [pair for pair in _at_random(scores, sides, seed) if alike(*pair)]
    if len(ranked) < 2:
        return []
    if pairs.select == "best-vs-random":
        close_ones = [other for other in ranked[1:] if alike(ranked[0], other)]
        others = random.Random(seed).sample(close_ones, min(pairs.per_prompt, len(close_ones)))
        wanted = [(ranked[0], other) for other in others]
    elif longest is None:
        count = min(pairs.per_prompt, len(ranked) // 2)
        wanted = [(ranked[place], ranked[-1 - place]) for place in range(count)]
    else:
        close = [pair for pair in combinations(ranked, 2) if alike(*pair)]
        wanted = _farthest_apart(close, scores)[: pairs.per_prompt]
    return [(better, worse) for better, worse in wanted if scores[better] > scores[worse]]


def _at_random(
    scores: Mapping[str, float], sides: tuple[Sequence[str], Sequence[str]], seed: int
) -> list[tuple[str, str]]:
    """Return pairs of one candidate of each side, no candidate twice; scores have no part in it."""
    rng = random.Random(seed)
    one, other = ([name for name in side if name in scores] for side in sides)
    count = min(len(one), len(other))
    return list(zip(rng.sample(one, count), rng.sample(other, count), strict=True))


def _farthest_apart(pairs: Sequence[tuple[str, str]], scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return pairs without a common candidate, the largest difference of scores first."""
    taken: set[str] = set()
    found = []
    for better, worse in sorted(pairs, key=lambda pair: scores[pair[1]] - scores[pair[0]]):
        if not {better, worse} & taken:
            taken |= {better, worse}
            found.append((better, worse))
    return found


def _ratio(lengths: Mapping[str, int], one: str, other: str) -> float:
    shorter, longer = sorted((lengths[one], lengths[other]))
    return longer / max(1, shorter)
