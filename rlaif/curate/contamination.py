"""Find rows that share too many word n-grams with a row of a test set.

The share is |A and B| / min(|A|, |B|) for the sets of n-grams of the row and of the test row, so that a test row is
found inside a longer text. N-grams of 13 words follow Brown et al. (2020, "Language Models are Few-Shot Learners",
appendix C), who dropped at a single shared one; a share leaves room for instructions that many rows have. A test row of
fewer than n words is one n-gram, which must occur in the row as a whole; one of fewer than SHORTEST words must be
equal.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

SHORTEST = 5
"""Words from which a short test row may stand inside a longer text."""
COLUMNS = ("prompt", "messages", "question", "instruction", "query", "problem", "input", "goal", "turns", "text")
"""Columns of test sets that are compared where none is named; the first one that a row has."""
# Scripts without spaces: each character is a word. Otherwise runs of letters and digits.
_WORD = re.compile(
    r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]+"
)


class EvaluationRow(NamedTuple):
    """One text of a test set."""

    place: str
    id: str | None
    text: str


class Hit(NamedTuple):
    """The test row with the largest share."""

    row: EvaluationRow
    share: float


def words_of(text: str) -> list[str]:
    """Return the words in lower case and NFKC, without punctuation."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).lower())


class EvaluationSets:
    """The n-grams of test sets, to be looked up."""

    def __init__(self, rows: Iterable[EvaluationRow], ngram: int) -> None:
        self._ngram = ngram
        self._rows: list[EvaluationRow] = []
        self._equal: dict[tuple[str, ...], int] = {}
        parts: dict[int, list[tuple[NDArray[np.uint64], int]]] = {}
        for row in rows:
            number, words = len(self._rows), words_of(row.text)
            if not words:
                continue
            self._rows.append(row)
            if len(words) < SHORTEST:
                self._equal.setdefault(tuple(words), number)
                continue
            size = min(ngram, len(words))
            parts.setdefault(size, []).append((np.unique(_hashes(words, size)), number))
        self._index = {size: _Index(found) for size, found in sorted(parts.items())}

    def __len__(self) -> int:
        return len(self._rows)

    def nearest(self, text: str, overlap: float) -> Hit | None:
        """Return the test row that shares most with a text, if that is at least `overlap`."""
        words = words_of(text)
        best: tuple[float, int] | None = None
        if tuple(words) in self._equal:
            best = (1.0, -self._equal[tuple(words)])
        for size, index in self._index.items():
            if len(words) < size:
                continue
            candidates = index.shared(np.unique(_hashes(words, size)), overlap)
            if candidates:
                # the hashes propose, the words decide
                mine = _grams(words, size)
                found = max((_share(mine, _grams(words_of(self._rows[n].text), size)), -n) for n in candidates)
                best = max(best, found) if best else found
        if best is None or best[0] < overlap:
            return None
        return Hit(self._rows[-best[1]], best[0])


class _Index:
    """The hashes of n-grams of one length, sorted, with the test rows that have them."""

    def __init__(self, parts: Sequence[tuple[NDArray[np.uint64], int]]) -> None:
        hashes = np.concatenate([found for found, _ in parts])
        owners = np.repeat(np.array([row for _, row in parts], dtype=np.int64), [len(found) for found, _ in parts])
        order = np.argsort(hashes, kind="stable")
        self._hashes, self._owners = hashes[order], owners[order]
        self._sizes = {row: len(found) for found, row in parts}

    def shared(self, hashes: NDArray[np.uint64], overlap: float) -> list[int]:
        """Return the test rows of which at least the share is in a text."""
        starts = np.searchsorted(self._hashes, hashes, side="left")
        present = np.flatnonzero(self._hashes[np.minimum(starts, len(self._hashes) - 1)] == hashes)
        if not len(present):
            return []
        ends = np.searchsorted(self._hashes, hashes[present], side="right")
        counts: Counter[int] = Counter()
        for start, end in zip(starts[present], ends, strict=True):
            counts.update(self._owners[start:end].tolist())
        return [row for row, n in counts.items() if n / min(len(hashes), self._sizes[row]) >= overlap]


def _hashes(words: Sequence[str], size: int) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each n-gram of `size` words."""
    one = np.array([crc32(word.encode("utf-8", "surrogatepass")) for word in words], dtype=np.uint64)
    count = len(words) - size + 1
    found = np.zeros(count, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for place in range(size):
            found = found * np.uint64(0x9E3779B97F4A7C15) + one[place : place + count] + np.uint64(1)
            found ^= found >> np.uint64(29)
    return found


def _grams(words: Sequence[str], size: int) -> set[tuple[str, ...]]:
    return {tuple(words[start : start + size]) for start in range(len(words) - size + 1)}


def _share(one: set[tuple[str, ...]], other: set[tuple[str, ...]]) -> float:
    return len(one & other) / min(len(one), len(other))


def texts_of(row: object, columns: Sequence[str]) -> Iterator[str]:
    """Yield the texts of a test row: of the named columns, or of the first known one; none where it has none."""
    if isinstance(row, str):
        yield row
        return
    if not isinstance(row, dict):
        return
    wanted = columns or tuple(name for name in COLUMNS if row.get(name))[:1]
    for name in wanted:
        text = _text(row.get(name))
        if text:
            yield text


def _text(cell: object) -> str:
    """Return the text of a cell: a text, turns, or texts; without the system's turns and the final answer."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, dict):
        return "" if cell.get("role") in {"system", "developer"} else _text(cell.get("content"))
    if not isinstance(cell, list | tuple):
        return ""
    answered = bool(cell) and isinstance(cell[-1], dict) and cell[-1].get("role") == "assistant"
    return "\n".join(filter(None, map(_text, cell[:-1] if answered else cell)))
