"""Recognise the Markdown of a text, line by line; lines inside a code block are not searched."""

import re
from itertools import pairwise

FEWEST_ITEMS = 2
"""Least number of items of a list: a single line can begin with a dash or a number by chance."""

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_BULLET = re.compile(r"^[ \t]{0,8}[-*+•–◦][ \t]+\S")
_NUMBER = re.compile(r"^[ \t]{0,8}\d{1,3}[.)][ \t]+\S")
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+\S")
_TABLE_RULE = re.compile(r"^[ \t]*\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_EMPHASIS = re.compile(r"\*\*[^\s*][^*\n]{0,500}\*\*|`[^`\n]{1,500}`")


def markdown_counts(text: str) -> dict[str, int]:
    """Return the number of bullets, numbered items, tables, headings, emphases and code blocks of a text."""
    prose, blocks, _ = _split(text)
    return {
        "bullets": sum(map(bool, map(_BULLET.match, prose))),
        "numbered": sum(map(bool, map(_NUMBER.match, prose))),
        "table": _tables(prose),
        "headings": sum(map(bool, map(_HEADING.match, prose))),
        "emphasis": sum(len(_EMPHASIS.findall(line)) for line in prose),
        "code": blocks,
    }


def has_markdown(text: str) -> bool:
    """Whether a text has a list, a table, a heading, an emphasis or a code block."""
    counts = markdown_counts(text)
    return any(count >= (FEWEST_ITEMS if name in {"bullets", "numbered"} else 1) for name, count in counts.items())


def ends_in_code(text: str) -> bool:
    """Whether a code block is still open at the end, so that appended words would be part of it."""
    return _split(text)[2]


def _split(text: str) -> tuple[list[str], int, bool]:
    """Return (lines outside code blocks, number of code blocks, whether one is open at the end).

    An unclosed block does not count as a block.
    """
    prose: list[str] = []
    inside: list[str] = []
    fence, blocks = "", 0
    for line in text.splitlines():
        mark = _FENCE.match(line)
        if not fence and mark:
            fence, inside = mark.group(1), [line]
        elif fence and mark and mark.group(1).startswith(fence) and not line.strip(" `~"):
            fence, blocks = "", blocks + 1
        elif fence:
            inside.append(line)
        else:
            prose.append(line)
    return prose + (inside if fence else []), blocks, bool(fence)


def _tables(lines: list[str]) -> int:
    """Return the number of tables: lines of hyphens below a row with the same number of cells."""
    return sum(
        "|" in rule and _TABLE_RULE.match(rule) is not None and "|" in head and _cells(head) == _cells(rule)
        for head, rule in pairwise(lines)
    )


def _cells(row: str) -> int:
    return row.strip().strip("|").replace(r"\|", "").count("|") + 1
