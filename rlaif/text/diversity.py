"""Lexical diversity of one or several texts, for any language that separates words by spaces.

Words are runs of letters and digits in lower case; an apostrophe or hyphen inside belongs to its word.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import combinations, pairwise

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")


def words(text: str) -> list[str]:
    """Return the words of `text` in lower case, curly apostrophes made straight."""
    return [word.replace("’", "'") for word in _WORD.findall(text.lower())]


def word_count(text: str) -> int:
    """Return the number of words."""
    return len(words(text))


def mattr(text: str, window: int = 50) -> float | None:
    """Return the moving-average type-token ratio, in (0, 1]; None for a text with fewer words than `window`.

    The mean of distinct words per word over all windows of `window` consecutive words (Covington & McFall 2010,
    "Cutting the Gordian knot"). Unlike the plain ratio it does not fall with the length of the text.
    Raises ValueError for a window below 1.
    """
    if window < 1:
        raise ValueError(f"window is {window}; a window holds at least 1 word")
    found = words(text)
    if len(found) < window:
        return None
    inside = Counter(found[:window])
    types = len(inside)
    # Each step adds one word and removes one, so that the time does not depend on the window.
    for leaving, entering in zip(found, found[window:], strict=False):
        inside[entering] += 1
        inside[leaving] -= 1
        if not inside[leaving]:
            del inside[leaving]
        types += len(inside)
    return types / (window * (len(found) - window + 1))


def self_overlap(texts: Sequence[str]) -> float | None:
    """Return the mean Jaccard overlap of word bigrams over all pairs of texts, in [0, 1]; higher is less varied.

    Texts of fewer than two words have no bigrams and are skipped; None with fewer than two texts left. Quadratic in the
    number of texts: meant for the responses to one prompt.
    """
    bigrams = [found for text in texts if (found := set(pairwise(words(text))))]
    overlaps = [len(a & b) / len(a | b) for a, b in combinations(bigrams, 2)]
    return sum(overlaps) / len(overlaps) if overlaps else None
