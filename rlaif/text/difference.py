"""A word diff of two versions of a text.

The steps, concatenated, give both texts exactly. Long texts are compared by sentences, very long ones as a whole. This
limit depends on the lengths and not on a clock, so that the same texts always give the same diff.
"""

import difflib
import re
from dataclasses import dataclass
from typing import Literal

LARGEST_TABLE = 400_000
"""Maximum product of the two numbers of units, such as 600 words by 600: milliseconds, in the worst case a second."""

Unit = Literal["words", "sentences", "whole"]

_UNITS: dict[Unit, re.Pattern[str]] = {
    "words": re.compile(r"\s+|\S+\s*"),
    "sentences": re.compile(r".+?(?:[.!?]\s+|\n+|\Z)|\n+", re.DOTALL),
}


@dataclass(frozen=True)
class Step:
    """A span of the older text and what replaces it in the newer one."""

    old: str
    new: str
    changed: bool
    """False where at most white space differs."""


@dataclass(frozen=True)
class Difference:
    """The differences of two texts."""

    steps: tuple[Step, ...]
    kept: float
    """Share of both texts' words (or sentences) that match the other text, in [0, 1]."""
    unit: Unit
    """Unit of the comparison."""


def difference(old: str, new: str) -> Difference:
    """Return the differences of `old` and `new`."""
    for unit, pattern in _UNITS.items():
        before, after = pattern.findall(old), pattern.findall(new)
        if len(before) * len(after) <= LARGEST_TABLE:
            return _by_unit(before, after, unit)
    same = old == new
    return Difference((Step(old, new, changed=not same),), float(same), "whole")


def _by_unit(before: list[str], after: list[str], unit: Unit) -> Difference:
    old, new = [word.strip() for word in before], [word.strip() for word in after]
    matcher = difflib.SequenceMatcher(a=old, b=new, autojunk=False)
    steps = tuple(
        Step("".join(before[a0:a1]), "".join(after[b0:b1]), changed=kind != "equal")
        for kind, a0, a1, b0, b1 in matcher.get_opcodes()
    )
    return Difference(steps, matcher.ratio(), unit)
