"""Surface features of a response by which a judge may be moved whatever the response is worth: shortcuts.

Each feature has an edit of the same name that changes it and says nothing else (`edits.py`), so that its effect on a
judge can be measured by intervention. English only, except length, Markdown and `answer`. The rules find typical forms
of a feature, not all of them.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Literal, get_args

from rlaif.text.hedging import hedges
from rlaif.text.markdown import has_markdown
from rlaif.text.sentences import plain, sentences

Shortcut = Literal["padding", "markdown", "flattery", "hedge", "authority", "answer"]
SHORTCUTS: tuple[Shortcut, ...] = get_args(Shortcut)

UNITS: Mapping[Shortcut, str] = {
    "padding": "unit of log length ratio",
    "markdown": "response with Markdown",
    "flattery": "flattering opening",
    "hedge": "hedge",
    "authority": "response with a claim of authority",
    "answer": "ending such as `Answer: A`",
}
"""What an effect in logits is per."""

OPENING = 2
"""Number of sentences in which flattery is searched for."""


def feature(name: Shortcut, text: str) -> float:
    """Return a feature of a text: ln(characters), the number of hedges, or 1 and 0 for present and absent."""
    return _feature(name, text)


@lru_cache(maxsize=4096)
def _feature(name: Shortcut, text: str) -> float:
    return _FEATURES[name](text)


def feature_changes(before: str, after: str, names: Iterable[Shortcut] = SHORTCUTS) -> dict[Shortcut, float]:
    """Return how much of each feature the second text has more than the first one."""
    return {name: feature(name, after) - feature(name, before) for name in names}


def _log_length(text: str) -> float:
    return math.log(max(1, len(text)))


def _flatters(text: str) -> bool:
    return any(map(_FLATTERY.search, sentences(plain(_without_marks(text[:400])))[:OPENING]))


def _hedge_count(text: str) -> int:
    return sum(span.kind == "epistemic" for span in hedges(_without_marks(text)).spans)


def _claims_authority(text: str) -> bool:
    return _AUTHORITY.search(plain(_without_marks(text))) is not None


def _without_marks(text: str) -> str:
    """Return the text without bold type and list marks, which must not hide words."""
    return _MARKS.sub("", text)


def _ends_in_a_label(text: str) -> bool:
    return _ANSWER.search(text.rstrip()) is not None


_MARKS = re.compile(r"\*\*|^[ \t]{0,8}(?:[-*+•]|\d{1,3}[.)])[ \t]+", re.MULTILINE)
_ADJECTIVE = (
    r"(?:great|good|excellent|wonderful|fantastic|brilliant|amazing|insightful|thoughtful|fascinating|terrific|superb"
    r"|interesting|clever|smart|important)"
)
_NOUN = r"(?:question|point|idea|thought|topic|request|observation|inquiry|thing to ask|thing to bring up)"
_FLATTERY = re.compile(
    rf"^(?:wow )?(?:what|that is|this is|such)(?: really| truly| indeed| such)? an? (?:\w+ )?{_ADJECTIVE}"
    rf"(?: \w+){{0,2}}? {_NOUN}\b"
    rf"|^(?:(?:very|really|truly) )?{_ADJECTIVE} {_NOUN}\W*$"
    rf"|\b(?:thank you|thanks) for (?:this|that|your|such an?|the|asking such an?) (?:\w+ )?{_ADJECTIVE}"
    rf"(?: \w+){{0,2}}? {_NOUN}\b"
    r"|^(?:it is clear that |clearly,? )?you (?:clearly|obviously|really|must|evidently)"
    r" (?:know|understand|have (?:an? )?(?:\w+ )?(?:eye|mind|understanding|grasp))\b"
    r"|^i (?:really |truly )?(?:admire|love) (?:how|that|the way|your|this question|this topic)\b"
)
_EXPERT = (
    r"(?:expert|specialist|professional|authority|doctor|physician|lawyer|scientist|professor|researcher|engineer"
    r"|economist|practitioner)s?"
)
_AS_EXPERT = rf"\bas an? (?:[\w-]+ ){{0,4}}?{_EXPERT}\b"
_AUTHORITY = re.compile(
    rf"{_AS_EXPERT}[^.!?\n]{{0,80}}\b(?:i|we|my)\b|\b(?:i|we)\b[^.!?\n]{{0,60}}{_AS_EXPERT}"
    r"|\bexperts (?:\w+ )?(?:agree|confirm|recommend|say|have (?:confirmed|shown|found))\b"
    r"|\b(?:studies|research|science|scientists) (?:clearly |consistently |has |have )*"
    r"(?:shows?|shown|proves?|proven|proved|confirms?|confirmed|demonstrates?|demonstrated)\b"
    r"|\b(?:confirmed|proven|proved|backed|supported|established) by (?:[\w-]+ ){0,3}?"
    r"(?:research|studies|science|experts|scientists|authorities)\b"
    r"|\bscientific consensus\b|\bpeer[- ]reviewed\b"
)
_ANSWER = re.compile(r"(?:^|\n)\W{0,4}(?:(?:final|correct|the) )?answer\W{1,4}[(\[]?[a-z][)\]]?\W{0,3}$", re.IGNORECASE)
_FEATURES: Mapping[Shortcut, Callable[[str], float]] = {
    "padding": _log_length,
    "markdown": has_markdown,
    "flattery": _flatters,
    "hedge": _hedge_count,
    "authority": _claims_authority,
    "answer": _ends_in_a_label,
}
