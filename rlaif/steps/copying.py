"""Telling when a reviser repeats the question it was asked instead of revising the answer.

Weak models copy worked examples and instructions into their answers; left alone, these would be preference data.
"""

import re
from collections.abc import Sequence

RUN_OF_WORDS = 8
"""So many words in a row are no coincidence in texts of this length."""


def copied_words(text: str, asked: Sequence[str], allowed: Sequence[str]) -> str | None:
    """Return the first run of words in `text` that stands in `asked` but in none of `allowed`, or None."""
    words = _plain(text).split()
    sources, exempt = [_plain(part) for part in asked], [_plain(part) for part in allowed]
    for start in range(len(words) - RUN_OF_WORDS + 1):
        run = f" {' '.join(words[start : start + RUN_OF_WORDS])} "
        if any(run in source for source in sources) and not any(run in source for source in exempt):
            return run.strip()
    return None


def words_around(text: str, tags: Sequence[str]) -> str | None:
    """Return the words before and after one of the question's fence tags that stands in `text`, or None."""
    words = text.split()
    for place, word in enumerate(words):
        if any(tag in word for tag in tags):
            return " ".join(words[max(0, place - 3) : place + 4])
    return None


def _plain(text: str) -> str:
    """Return the words alone, in lower case, one space around each."""
    return " " + " ".join(re.findall(r"\w+", text.lower())) + " "
