"""From judgements to an order of the candidates, and to the two that a pair should be made of."""

import random
from collections.abc import Mapping, Sequence

from rlaif.config import PairsConfig
from rlaif.preferences.bradley_terry import Result, Strength, strengths
from rlaif.preferences.judgement import Judgement


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
    scores: Mapping[str, float], parents: Mapping[str, str], pairs: PairsConfig, seed: int
) -> list[tuple[str, str]]:
    """Return the (better, worse) candidates that the selection rule asks for, best first.

    For `revision-vs-parent` the revision stands first, whichever is better. Equal scores give no pair.
    """
    ranked = sorted(scores, key=lambda candidate: (-scores[candidate], candidate))
    if pairs.select == "revision-vs-parent":
        return [(child, parents[child]) for child in ranked if parents.get(child) in scores]
    if len(ranked) < 2:
        return []
    if pairs.select == "best-vs-random":
        others = random.Random(seed).sample(ranked[1:], min(pairs.per_prompt, len(ranked) - 1))
        wanted = [(ranked[0], other) for other in others]
    else:
        count = min(pairs.per_prompt, len(ranked) // 2)
        wanted = [(ranked[place], ranked[-1 - place]) for place in range(count)]
    return [(better, worse) for better, worse in wanted if scores[better] > scores[worse]]
