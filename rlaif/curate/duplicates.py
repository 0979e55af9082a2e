"""Find rows that are nearly the same as a better one.

Shingles of five characters; MinHash signatures by datasketch (Broder 1997, "On the resemblance and containment of
documents") cut into bands (locality-sensitive hashing) propose candidates; the exact Jaccard similarity of the two sets
of shingles decides. The buckets of a band are found by sorting an array: datasketch's own index is a dict of sets for
each band, several times the memory that 100,000 rows may use here.
"""

import math
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from rlaif.curate.texts import TextFile

SHINGLE = 5
"""Characters of a shingle: it needs no words, so that it is right for every language."""
PERMUTATIONS = 128
RECALL = 0.999
"""Least probability that two rows at the threshold share a band."""
SLACK = 6
"""Standard errors by which a signature may underestimate the similarity before the exact one is not computed."""


class Duplicate(NamedTuple):
    """A row that is nearly the same as a better one."""

    row: int
    of: int
    """The better row, which is kept."""
    similarity: float
    """Exact Jaccard similarity of their shingles."""


def shingles(text: str) -> set[str]:
    """Return the shingles of a text in lower case, with single spaces and in Unicode's form NFKC."""
    plain = " ".join(unicodedata.normalize("NFKC", text).lower().split())
    return {plain[start : start + SHINGLE] for start in range(max(1, len(plain) - SHINGLE + 1))}


def jaccard(one: set[str], other: set[str]) -> float:
    """Return the share of the shingles of both texts that they share."""
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def near_duplicates(
    texts: TextFile,
    order: Sequence[int],
    threshold: float,
    seed: int,
    *,
    same: Callable[[int, int], bool] = lambda _one, _other: False,
    say: Callable[[int], None] = lambda _: None,
) -> Iterator[Duplicate]:
    """Yield the rows whose similarity with a kept, better row is at least `threshold`; `order` is from best to worst.

    Kept rows are therefore less similar than the threshold with each other (but for pairs that no band proposes, fewer
    than one in a thousand at the threshold), and there are no chains: each dropped row names a kept one that it is near
    to, the nearest. Rows that are the `same` are not compared.
    """
    signatures = _signatures(texts, order, seed, say)
    buckets = _buckets(signatures, threshold)
    least = threshold - SLACK * math.sqrt(threshold * (1 - threshold) / PERMUTATIONS)

    @lru_cache(maxsize=4096)
    def shingles_of(place: int) -> set[str]:
        return shingles(texts[order[place]])

    kept_in: dict[tuple[int, int], list[int]] = {}
    for place in range(len(order)):
        mine = [(band, int(bucket)) for band, bucket in enumerate(buckets[:, place]) if bucket >= 0]
        near = sorted({other for key in mine for other in kept_in.get(key, ())})
        if near:
            alike = (signatures[near] == signatures[place]).mean(axis=1) >= least
            near = [
                other
                for other, close in zip(near, alike, strict=True)
                if close and not same(order[place], order[other])
            ]
        found = max(((jaccard(shingles_of(place), shingles_of(other)), -other) for other in near), default=None)
        if found is not None and found[0] >= threshold:
            yield Duplicate(order[place], order[-found[1]], found[0])
        else:
            for key in mine:
                kept_in.setdefault(key, []).append(place)


def _signatures(texts: TextFile, order: Sequence[int], seed: int, say: Callable[[int], None]) -> NDArray[np.uint32]:
    """Return the (n, PERMUTATIONS) signatures in the given order."""
    from datasketch import MinHash  # noqa: PLC0415

    empty = MinHash(PERMUTATIONS, seed=seed + 1, hashfunc=int, scheme="affine32")
    found = np.empty((len(order), PERMUTATIONS), dtype=np.uint32)
    for place, row in enumerate(order):
        one = empty.copy()
        one.update_batch([crc32(shingle.encode("utf-8", "surrogatepass")) for shingle in shingles(texts[row])])
        found[place] = one.hashvalues
        if place % 1000 == 0:
            say(place)
    return found


def bands_for(threshold: float) -> tuple[int, int]:
    """Return (bands, rows of a band): the longest bands that propose RECALL of the pairs at the threshold."""
    for rows in range(PERMUTATIONS, 1, -1):
        bands = PERMUTATIONS // rows
        if 1 - (1 - threshold**rows) ** bands >= RECALL:
            return bands, rows
    return PERMUTATIONS, 1


def _buckets(signatures: NDArray[np.uint32], threshold: float) -> NDArray[np.int32]:
    """Return for each band and row a number that rows of one bucket share; -1 for a row that is alone in it."""
    bands, rows = bands_for(threshold)
    found = np.full((bands, len(signatures)), -1, dtype=np.int32)
    for band in range(bands):
        part = np.ascontiguousarray(signatures[:, band * rows : (band + 1) * rows])
        keys: Any = part.view(np.dtype((np.void, part.shape[1] * part.itemsize))).ravel()
        _, bucket, size = np.unique(keys, return_inverse=True, return_counts=True)
        shared = size[bucket] > 1
        found[band, shared] = bucket[shared]
    return found
