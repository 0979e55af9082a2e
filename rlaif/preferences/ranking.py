"""From judgements to an order of the candidates, and to the two that a pair should be made of."""

import random
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal

from pydantic import Field

from rlaif.base import Section
from rlaif.preferences.bradley_terry import Result, Strength, strengths
from rlaif.preferences.judgement import Judgement


class PairsConfig(Section):
    """Which decided matchups become preference pairs."""

    select: Literal["best-vs-worst", "best-vs-random", "revision-vs-parent"] = "best-vs-worst"
    per_prompt: int = Field(default=1, ge=1)
    """Pairs of one prompt at the most."""
    max_length_ratio: float | None = Field(default=None, gt=1)
    """Pair only answers of similar length: the longer one at most so many times as long, in characters."""
    test_fraction: float = Field(default=0.1, ge=0, lt=1)
    """Share of the prompts that go to the test split; the same prompts in every run."""


def rank(judgements: Sequence[Judgement]) -> dict[str, Strength]:
    """Return for every candidate how strong it is, from all the matchups that the design chose.

    Only matchups of the design count: a final matchup is asked *because of* the ranking, and would bend it.
    Unreadable matchups are left out; a candidate with no readable one has no strength.
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
) -> list[tuple[str, str]]:
    """Return the (better, worse) candidates that the selection rule asks for, best first.

    For `revision-vs-parent` the revision stands first, whichever is better. Equal scores give no pair. `lengths` are
    the candidates' characters, needed where only answers of similar length may be paired.
    """
    ranked = sorted(scores, key=lambda candidate: (-scores[candidate], candidate))

    longest = pairs.max_length_ratio if lengths is not None else None

    def alike(one: str, other: str) -> bool:
        return longest is None or _ratio(lengths or {}, one, other) <= longest

    if pairs.select == "revision-vs-parent":
        of_kin = [(child, parents[child]) for child in ranked if parents.get(child) in scores]
        return [pair for pair in of_kin if alike(*pair)]
    if len(ranked) < 2:
        return []
    if pairs.select == "best-vs-random":
        apt = [other for other in ranked[1:] if alike(ranked[0], other)]
        others = random.Random(seed).sample(apt, min(pairs.per_prompt, len(apt)))
        wanted = [(ranked[0], other) for other in others]
    elif longest is None:
        count = min(pairs.per_prompt, len(ranked) // 2)
        wanted = [(ranked[place], ranked[-1 - place]) for place in range(count)]
    else:
        apt_pairs = [pair for pair in combinations(ranked, 2) if alike(*pair)]
        wanted = _farthest_apart(apt_pairs, scores)[: pairs.per_prompt]
    return [(better, worse) for better, worse in wanted if scores[better] > scores[worse]]


def _farthest_apart(pairs: Sequence[tuple[str, str]], scores: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return pairs that have no candidate in common, the widest difference of scores first."""
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
