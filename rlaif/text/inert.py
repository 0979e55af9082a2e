"""Texts of somebody else in Markdown: as they are, without links, images, HTML, headings or hidden characters."""

import re

_HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
"""Control characters, and those that change the direction of a text or are not seen."""
_LINK = re.compile(r"(?<!\\)([\[\]])")
_BLOCK = re.compile(r"^(\s*)([#>|=~+*-]|\d+[.)])")
"""What begins a heading, a quotation, a table, a list or a rule at the start of a line."""


def inert(text: str) -> str:
    """Return a text as one line of Markdown that shows it and does nothing else."""
    line = " ".join(_HIDDEN.sub("\N{REPLACEMENT CHARACTER}", text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _BLOCK.sub(r"\1\\\2", _LINK.sub(r"\\\1", line))


def inert_code(text: str) -> str:
    """Return a text that can stand between backticks."""
    return " ".join(_HIDDEN.sub("\N{REPLACEMENT CHARACTER}", text).replace("`", "'").split())
