"""Counting lines, words, sentences and characters, by rules that hold in all scripts.

`rlaif.text.diversity.words` counts by Python's `\\w`, which takes combining marks for gaps and so splits Hindi words
and decomposed letters; that does not matter when averages are compared, but does for "exactly five words". In a script
without spaces between words (Chinese, Japanese, Thai), what is between two punctuation marks counts as one word here:
count characters instead.
"""

import re
import unicodedata
from typing import Annotated, Self

from pydantic import Field, StrictInt, model_validator

from rlaif.base import Record
from rlaif.checks.matching import findall

CountLimit = Annotated[StrictInt, Field(ge=0, le=1_000_000)]


class Count(Record):
    """How many there may be."""

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
            raise ValueError("every response passes this; give a number, a `min` above 0, a `max`, or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"no response passes this: min {self.min} is above max {self.max}")
        return self

    def __str__(self) -> str:
        """Return `2`, `2 to 3`, `at least 2` or `at most 3`."""
        if self.min == self.max:
            return str(self.min)
        if self.min is None:
            return f"at most {self.max}"
        return f"at least {self.min}" if self.max is None else f"{self.min} to {self.max}"

    def allows(self, found: int) -> bool:
        """Whether this number is within the limits."""
        return (self.min is None or found >= self.min) and (self.max is None or found <= self.max)


_WORD = r"[\pL\pN][\pL\pN\pM]*(?:['’ʼ‑-][\pL\pN][\pL\pN\pM]*)*"
_JOINERS = dict.fromkeys(map(ord, "\u00ad\u200c\u200d\u2060\ufeff"))
"""Soft hyphen and joining characters without width: they occur inside words and are removed."""

# Possessive, and begun only where a run of marks begins: time grows with the text alone.
_END = re.compile(r"(?:(?<![.!?…‽؟۔।॥՞።])[.!?…‽؟۔।॥՞።]++[\"'”’»›)\]*_]*+(?=\s|$)|[。！？｡]++[」』”’）)]*+)")
_NO_END = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|jr|sr|vs|etc|e\.g|i\.e|a\.m|p\.m|cf|approx|fig|z\.b|d\.h|u\.a|bzw|ca)"
    r"|(?<![^\W\d_])(?-i:[A-HJ-Z]))\.$",
    re.I,
)
"""Abbreviations and initials: their full stop does not end a sentence, so "etc. Then" is a single one."""


def lines(text: str) -> list[str]:
    """Return the lines with something visible in them; all of Unicode's line ends count as one."""
    return [line for line in text.splitlines() if any(map(_visible, line))]


def words(text: str) -> list[str]:
    """Return the words: runs of letters, digits and their marks; an apostrophe or hyphen inside belongs to its word."""
    return findall(_WORD, unicodedata.normalize("NFC", text).translate(_JOINERS))


def sentences(text: str) -> list[str]:
    """Return the stretches with a letter in them that a mark or the end of a line ends.

    A line that begins with a small letter continues the sentence before it; an abbreviation's full stop ends none.
    """
    joined: list[str] = []
    for line in lines(text):
        if joined and line.lstrip()[:1].islower():
            joined[-1] += " " + line
        else:
            joined.append(line)
    found = []
    for stretch in joined:
        start = 0
        for end in _END.finditer(stretch):
            if not _NO_END.search(stretch[max(0, end.end() - 12) : end.end()]) or not stretch[end.end() :].strip():
                found.append(stretch[start : end.end()])
                start = end.end()
        found.append(stretch[start:])
    return [sentence.strip() for sentence in found if any(character.isalpha() for character in sentence)]


def characters(text: str) -> int:
    """Return the number of code points after NFC, white space around the text left out."""
    return len(unicodedata.normalize("NFC", text.strip()))


def _visible(character: str) -> bool:
    return not character.isspace() and unicodedata.category(character) not in {"Cc", "Cf", "Zs", "Zl", "Zp"}
