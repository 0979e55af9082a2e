"""An answer read for rules: one spelling of everything, sentence by sentence.

Comes in: any text. Goes out: its sentences in lower case with straight apostrophes and contractions written out, so
that a rule needs to know "cannot" only. Positions in the original are deliberately given up; `hedging` keeps them.
"""

import re

_STRAIGHT = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'", "“": '"', "”": '"', "—": " ", "–": " "})
_CONTRACTIONS = (
    (re.compile(r"\b(?:can't|can not|cant)\b"), "cannot"),
    (re.compile(r"\b(?:won't|wont)\b"), "will not"),
    (re.compile(r"\bdont\b"), "do not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\b(?:i'm|im)\b"), "i am"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'ll\b"), " will"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"\bi'd\b"), "i would"),
    (re.compile(r"\b(it|that|there|here|what|he|she|this|let)'s\b"), r"\1 is"),
)
_BREAK = re.compile(r"(?<=[.!?:;])[\"')*]?\s|\n")
_MARKUP = re.compile(r"[*_#>\"]")
LIST_ITEM = re.compile(r"^[ \t]{0,8}(?:\d{1,3}[.):]|step \d{1,3}|[-*•–+])[ \t]", re.MULTILINE)
"""The start of a line that is an item of a numbered or bulleted list."""


def plain(text: str) -> str:
    """Return `text` in lower case, apostrophes straight, contractions written out; line breaks stay."""
    text = text.translate(_STRAIGHT).lower()
    for pattern, written_out in _CONTRACTIONS:
        text = pattern.sub(written_out, text)
    return text


def sentences(text: str) -> list[str]:
    """Return the sentences of a `plain` text without markup or empty ones, words one space apart."""
    parts = (" ".join(_MARKUP.sub(" ", part).split()) for part in _BREAK.split(text))
    return [part for part in parts if any(character.isalpha() for character in part)]
