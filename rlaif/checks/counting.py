"""Counting lines, words, sentences and characters, by rules that hold in all scripts.

`rlaif.text.words` counts by Python's `\\w`, which takes combining marks for gaps and so cuts Hindi words and
decomposed letters to pieces; for comparing averages that does not matter, for "exactly five words" it does. A script
that writes no spaces between words (Chinese, Japanese, Thai) has one word between two marks here: count characters.
"""

import re
import unicodedata

from rlaif.checks.patterns import findall

_WORD = r"[\pL\pN][\pL\pN\pM]*(?:['’ʼ‑-][\pL\pN][\pL\pN\pM]*)*"
_JOINERS = dict.fromkeys(map(ord, "\u00ad\u200c\u200d\u2060\ufeff"))
"""Soft hyphen and characters without width that join: they stand inside words and are none."""

# Possessive, and begun only where a run of marks begins: time grows with the text alone.
_END = re.compile(r"(?:(?<![.!?…‽؟۔।॥՞።])[.!?…‽؟۔।॥՞።]++[\"'”’»›)\]*_]*+(?=\s|$)|[。！？｡]++[」』”’）)]*+)")
_NO_END = re.compile(
    r"(?:\b(?:mr|mrs|ms|dr|prof|st|jr|sr|vs|etc|e\.g|i\.e|a\.m|p\.m|cf|approx|fig|z\.b|d\.h|u\.a|bzw|ca)"
    r"|(?<![^\W\d_])(?-i:[A-HJ-Z]))\.$",
    re.I,
)
"""Abbreviations and initials, whose full stop ends no sentence but the last; "etc. Then" is one sentence for that."""


def lines(text: str) -> list[str]:
    """Return the lines with something visible in them; all of Unicode's line ends count as one."""
    return [line for line in text.splitlines() if any(map(_visible, line))]


def words(text: str) -> list[str]:
    """Return the words: runs of letters, digits and their marks; an apostrophe or hyphen inside belongs to its word."""
    return findall(_WORD, unicodedata.normalize("NFC", text).translate(_JOINERS))


def sentences(text: str) -> list[str]:
    """Return the stretches with a letter in them that a mark or the end of a line ends.

    A line that goes on in small letters goes on with its sentence, too; an abbreviation's full stop ends none.
    """
    found = []
    for stretch in _stretches(lines(text)):
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


def _stretches(all_lines: list[str]) -> list[str]:
    """Join the lines that were only wrapped."""
    joined: list[str] = []
    for line in all_lines:
        if joined and line.lstrip()[:1].islower():
            joined[-1] += " " + line
        else:
            joined.append(line)
    return joined


def _visible(character: str) -> bool:
    return not character.isspace() and unicodedata.category(character) not in {"Cc", "Cf", "Zs", "Zl", "Zp"}
