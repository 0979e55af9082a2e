"""From tallies by cluster to a bootstrap whose size stays bounded."""

import random
from collections.abc import Hashable, Iterable

from rlaif.stats.estimates import Bootstrap, Tally

MOST_CLUSTERS = 4000
"""More are put together at random into so many bundles: the variance stays what it is, the memory bounded."""


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
