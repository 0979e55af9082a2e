"""How an answer is laid out in Markdown, told by its lines. What stands in a code block is code and nothing else."""

import re
from collections.abc import Callable, Mapping
from itertools import pairwise

from rlaif.checks.check import Format

FEWEST_ITEMS = 2
"""One item is no list: a dash or a number can begin any line."""

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})")
_BULLET = re.compile(r"^[ \t]{0,8}[-*+•–◦][ \t]+\S")
_NUMBER = re.compile(r"^[ \t]{0,8}\d{1,3}[.)][ \t]+\S")
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+\S")
_TABLE_RULE = re.compile(r"^[ \t]*\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_EMPHASIS = re.compile(r"\*\*[^\s*][^*\n]{0,500}\*\*|`[^`\n]{1,500}`")


def is_laid_out(text: str, wanted: Format) -> tuple[bool, str]:
    """Return whether a text has a layout, and what was found."""
    prose, blocks = _split(text)
    found = {name: count for name, see in _SEEN.items() if (count := see(prose))}
    if blocks:
        found["code"] = blocks
    shown = ", ".join(f"{name} {count}" for name, count in found.items()) or "no Markdown"
    fewest = FEWEST_ITEMS if wanted in {"bullets", "numbered"} else 1
    return (not found if wanted == "plain" else found.get(wanted, 0) >= fewest), shown


def _split(text: str) -> tuple[list[str], int]:
    """Return the lines outside code blocks, and the number of blocks; one that never ends is none."""
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
    return prose + (inside if fence else []), blocks


def _matching(pattern: re.Pattern[str]) -> Callable[[list[str]], int]:
    return lambda lines: sum(pattern.match(line) is not None for line in lines)


def _tables(lines: list[str]) -> int:
    """Count rules of hyphens under a row of as many cells."""
    return sum(
        "|" in rule and _TABLE_RULE.match(rule) is not None and "|" in head and _cells(head) == _cells(rule)
        for head, rule in pairwise(lines)
    )


def _cells(row: str) -> int:
    return row.strip().strip("|").replace(r"\|", "").count("|") + 1


_SEEN: Mapping[str, Callable[[list[str]], int]] = {
    "bullets": _matching(_BULLET),
    "numbered": _matching(_NUMBER),
    "table": _tables,
    "headings": _matching(_HEADING),
    "emphasis": lambda lines: sum(len(_EMPHASIS.findall(line)) for line in lines),
}
