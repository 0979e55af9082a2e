"""Count lines, words, sentences and characters, for all scripts.

`rlaif.text.diversity.words` uses Python's `\\w`, which treats combining marks as gaps and so splits Hindi words and
decomposed letters: acceptable for averages, not for "exactly five words". In a script without spaces between words
(Chinese, Japanese, Thai), the text between two punctuation marks counts as one word here: count characters instead.
"""

import re
import unicodedata
from typing import Annotated, Self

from pydantic import Field, StrictInt, model_validator

from rlaif.base import Record
from rlaif.checks.matching import findall

CountLimit = Annotated[StrictInt, Field(ge=0, le=1_000_000)]


class Count(Record):
    """Limits of a number, both inclusive."""

    min: CountLimit | None = None
    max: CountLimit | None = None

    @model_validator(mode="before")
    @classmethod
    def _a_number_is_enough(cls, count: object) -> object:
        if isinstance(count, int) and not isinstance(count, bool):
            return {"min": count, "max": count}
        if not isinstance(count, dict | Count):
            raise ValueError(  # noqa: TRY004  (pydantic takes ValueErrors)
                f"give a whole number or {{min: …, max: …}}, not {count!r:.40}"
            )
        return count

    @model_validator(mode="after")
    def _can_fail_and_pass(self) -> Self:
        if self.max is None and not self.min:
            raise ValueError("every response would pass; give a number, a `min` above 0, a `max`, or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"no response would pass: min {self.min} is above max {self.max}")
        return self

    def __str__(self) -> str:
        """Return `2`, `2 to 3`, `at least 2` or `at most 3`."""
        if self.min == self.max:
            return str(self.min)
        if self.min is None:
            return f"at most {self.max}"
        return f"at least {self.min}" if self.max is None else f"{self.min} to {self.max}"

    def allows(self, found: int) -> bool:
        """Whether `found` is within the limits."""
        return (self.min is None or found >= self.min) and (self.max is None or found <= self.max)


_WORD = r"\pN+(?:[.,]\pN+)+|[\pL\pN][\pL\pN\pM]*(?:['’ʼ‑-][\pL\pN][\pL\pN\pM]*)*"
_JOINERS = dict.fromkeys(map(ord, "\u00ad\u200c\u200d\u2060\ufeff"))
"""Soft hyphen and zero-width joiners: they occur inside words and are removed."""

# Possessive quantifiers, and a match can begin only where a run of marks begins: linear in the length of the text.
_END = re.compile(r"(?:(?<![.!?…‽؟۔।॥՞።])[.!?…‽؟۔।॥՞።]++[\"'”’»›)\]*_]*+(?=\s|$)|[。！？｡]++[」』”’）)]*+)")
_NO_END = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|jr|sr|vs|etc|e\.g|i\.e|a\.m|p\.m|cf|approx|fig|z\.b|d\.h|u\.a|bzw|ca)"
    r"|(?<![^\W\d_])(?-i:[A-HJ-Z]))\.$",
    re.I,
)
"""Abbreviations and initials: their full stop does not end a sentence, so "etc. Then" is one sentence."""


def lines(text: str) -> list[str]:
    """Return the lines with a visible character; all line ends of Unicode separate lines."""
    return [line for line in text.splitlines() if any(map(_visible, line))]


def words(text: str) -> list[str]:
    """Return the words: runs of letters, digits and their marks; an apostrophe or hyphen inside belongs to its word.

    A number with points or commas inside (3.50, 1,200) is one word.
    """
    return findall(_WORD, unicodedata.normalize("NFC", text).translate(_JOINERS))


def sentences(text: str) -> list[str]:
    """Return the sentences: parts with a letter that end with a punctuation mark or with their line.

    A line that begins with a small letter continues the sentence before it; the full stop of an abbreviation does not
    end a sentence.
    """
    joined: list[str] = []
    for line in lines(text):
        if joined and line.lstrip()[:1].islower():
            joined[-1] += " " + line
        else:
            joined.append(line)
    parts = []
    for paragraph in joined:
        start = 0
        for end in _END.finditer(paragraph):
            if not _NO_END.search(paragraph[max(0, end.end() - 12) : end.end()]) or not paragraph[end.end() :].strip():
                parts.append(paragraph[start : end.end()])
                start = end.end()
        parts.append(paragraph[start:])
    return [part.strip() for part in parts if any(character.isalpha() for character in part)]


def characters(text: str) -> int:
    """Return the number of code points after NFC, without white space around the text."""
    return len(unicodedata.normalize("NFC", text.strip()))


def _visible(character: str) -> bool:
    return not character.isspace() and unicodedata.category(character) not in {"Cc", "Cf", "Zs", "Zl", "Zp"}
