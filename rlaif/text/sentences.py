"""Normalise text for rules, and split it into sentences.

Lower case, straight apostrophes and expanded contractions: a rule needs only the form "cannot". Positions in the
original text are lost; `hedging` keeps them.
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
    """Return `text` in lower case, apostrophes straight, contractions expanded; line breaks stay."""
    text = text.translate(_STRAIGHT).lower()
    for pattern, expanded in _CONTRACTIONS:
        text = pattern.sub(expanded, text)
    return text


def sentences(text: str) -> list[str]:
    """Return the non-empty sentences of a `plain` text without markup, words separated by one space."""
    parts = (" ".join(_MARKUP.sub(" ", part).split()) for part in _BREAK.split(text))
    return [part for part in parts if any(character.isalpha() for character in part)]
