"""Choose the K best rows, or K rows that are both good and diverse.

LIMA (Zhou et al. 2023, "LIMA: Less Is More for Alignment") found that few good and diverse prompts are enough. Diverse
rows are chosen greedily: the next row is the one with the largest product of its margin, |p_chosen - 0.5|, and its
distance, 1 - cosine, from the nearest row that is chosen already (k-center greedy, Gonzalez 1985, weighted by the
margin). The vectors are TF-IDF of hashed words and word pairs of the prompt, projected at random to DIMENSIONS numbers
(Achlioptas 2003), so that memory does not grow with the texts.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlaif.curate.texts import TextFile

DIMENSIONS = 128
FEATURES = 2**18
BATCH = 2000


def best(rows: Sequence[int], margins: NDArray[np.float64], count: int) -> list[int]:
    """Return the rows with the largest margins; the earlier one where two are equal."""
    return sorted(rows, key=lambda row: (-margins[row], row))[:count]


def best_and_diverse(
    texts: TextFile,
    rows: Sequence[int],
    margins: NDArray[np.float64],
    count: int,
    seed: int,
    say: Callable[[int], None] = lambda _: None,
) -> list[int]:
    """Return `count` rows in the order in which they are chosen."""
    vectors = _vectors(texts, rows, seed)
    weights = margins[np.asarray(rows, dtype=np.int64)]
    # A row's distance only shrinks as more are chosen. So a row whose gain is up to date and the largest of all, most
    # of which are out of date and too large, is the best one (lazy greedy, Minoux 1978).
    distances = np.ones(len(rows))
    seen = np.zeros(len(rows), dtype=np.int64)
    heap = [(-weight, place) for place, weight in enumerate(weights)]
    heapq.heapify(heap)
    chosen = np.empty((min(count, len(rows)), vectors.shape[1]), dtype=np.float32)
    found: list[int] = []
    while heap and len(found) < count:
        _, place = heapq.heappop(heap)
        if seen[place] == len(found):
            chosen[len(found)] = vectors[place]
            found.append(rows[place])
            if len(found) % 100 == 0:
                say(len(found))
            continue
        nearest = float((chosen[seen[place] : len(found)] @ vectors[place]).max())
        distances[place] = min(distances[place], 1 - max(0.0, min(1.0, nearest)))
        seen[place] = len(found)
        heapq.heappush(heap, (-weights[place] * distances[place], place))
    return found


def _vectors(texts: TextFile, rows: Sequence[int], seed: int) -> NDArray[np.float32]:
    """Return the (n, DIMENSIONS) vectors of the rows' texts, of length 1."""
    from sklearn.feature_extraction.text import HashingVectorizer  # noqa: PLC0415
    from sklearn.preprocessing import normalize  # noqa: PLC0415
    from sklearn.random_projection import SparseRandomProjection  # noqa: PLC0415

    hashed = HashingVectorizer(
        n_features=FEATURES, ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", alternate_sign=False, norm=None,
        dtype=np.float32,
    )  # fmt: skip
    frequency = np.zeros(FEATURES)
    for part in _batches(rows):
        frequency += np.bincount(hashed.transform([texts[row] for row in part]).indices, minlength=FEATURES)
    rarity = (np.log((1 + len(rows)) / (1 + frequency)) + 1).astype(np.float32)
    projection = SparseRandomProjection(DIMENSIONS, random_state=seed, dense_output=True)
    projection.fit(hashed.transform([texts[rows[0]]]))
    found = np.empty((len(rows), DIMENSIONS), dtype=np.float32)
    start = 0
    for part in _batches(rows):
        counts: Any = hashed.transform([texts[row] for row in part])
        counts.data = (1 + np.log(counts.data)) * rarity[counts.indices]
        found[start : start + len(part)] = normalize(projection.transform(normalize(counts)))
        start += len(part)
    return found


def _batches(rows: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(rows), BATCH):
        yield rows[start : start + BATCH]
