"""Which responses meet: all pairs of a few candidates, a sparse connected design of many.

The sparse design keeps every revision against its parent and lays the shuffled candidates on a ring where
each meets its two nearest neighbours on either side: at most 3 n matchups instead of n (n - 1) / 2.
"""

import random
from collections.abc import Mapping, Sequence
from itertools import combinations

ALL_PAIRS_UP_TO = 6


def design(candidates: Sequence[str], parents: Mapping[str, str], seed: int) -> list[tuple[str, str]]:
    """Return the matchups of one prompt as (a, b), each unordered pair once.

    `parents` maps a revision to the response it revises. Which one is `a` is drawn, so that being `a` says
    nothing about an answer.
    """
    rng = random.Random(seed)
    if len(candidates) <= ALL_PAIRS_UP_TO:
        chosen = list(combinations(candidates, 2))
    else:
        chosen = _sparse(candidates, parents, rng)
    return [(b, a) if rng.random() < 0.5 else (a, b) for a, b in chosen]


def expected_matchups(candidates: int) -> int:
    """Return how many matchups the design makes of so many candidates, at the most."""
    return candidates * (candidates - 1) // 2 if candidates <= ALL_PAIRS_UP_TO else 3 * candidates


def _sparse(candidates: Sequence[str], parents: Mapping[str, str], rng: random.Random) -> list[tuple[str, str]]:
    edges = [(c, parents[c]) for c in candidates if parents.get(c) in candidates]
    ring = rng.sample(list(candidates), len(candidates))
    for step in (1, 2):
        edges += [(one, ring[(place + step) % len(ring)]) for place, one in enumerate(ring)]
    return list({frozenset(edge): edge for edge in edges}.values())
