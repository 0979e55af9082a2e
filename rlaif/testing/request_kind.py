"""Recognise what a request asks a simulated model for: the shipped templates fence all texts that they contain.

<answer-A 0123456789>
the response
</answer-A 0123456789>
"""

import re
from typing import Any

from rlaif.testing.simulated_model import Kind

_FENCE = re.compile(
    r"^<(?P<name>[a-zA-Z]+(?:-[^\s<>]+)?) (?P<tag>[0-9a-f]{10})>\n(?P<text>.*?)\n</(?P=name) (?P=tag)>$",
    re.M | re.S,
)
_SCALE = re.compile(r"whole number from (\d+) to (\d+)")
_LABELS = re.compile(r"^Reply with (\S+) or (\S+) and nothing else\.$", re.M)
_OPTION = re.compile(r"^([A-D])\) (.*)$", re.M)


def kind_of(body: dict[str, Any]) -> Kind:
    """Return the kind of a request."""
    if "prompt" in body or "use_activation" in body:
        return "score" if "prompt" in body else "reward"
    question = question_of(body)
    if not body.get("logprobs"):
        return _kind_of_text(fenced(question))
    if _SCALE.search(question):
        return "rate"
    return "choice" if len(_OPTION.findall(question)) == 4 else "judge"


def _kind_of_text(names: dict[str, str]) -> Kind:
    if "answer-1" in names:
        return "rank"
    if any(name.startswith("answer-") for name in names):
        return "deliberate"
    if "critique" in names:
        return "revise"
    return "critique" if "answer" in names else "sample"


def question_of(body: dict[str, Any]) -> str:
    """Return the last turn of the user: the last message, or the one before an assistant's turn to be continued."""
    continued = body.get("continue_final_message") and len(body["messages"]) > 1
    content: str = body["messages"][-2 if continued else -1]["content"]
    return content


def fenced(text: str) -> dict[str, str]:
    """Return the fenced texts by name."""
    return {found["name"]: found["text"] for found in _FENCE.finditer(text)} if "</" in text else {}


def shown_responses(question: str) -> list[tuple[str, str]]:
    """Return (label, text) of the responses, in the order in which they are shown."""
    names = fenced(question).items()
    return [(name.removeprefix("answer-"), text) for name, text in names if name.startswith("answer-")]


def after_fences(question: str) -> str:
    """Return the text after the last fence: the principle's question."""
    return question.rpartition("\n</")[2]


def tag_of(question: str) -> str:
    """Return the tag of the first fence; empty where there is none."""
    found = _FENCE.search(question)
    return found["tag"] if found else ""


def scale_of(question: str) -> tuple[int, int]:
    """Return the (lowest, highest) number of a rating."""
    low, high = _SCALE.findall(question)[-1]
    return int(low), int(high)


def labels_of(question: str) -> tuple[str, str] | None:
    """Return the two labels to answer with; None where the question does not end in them."""
    found = _LABELS.findall(after_fences(question))
    return found[-1] if found else None


def options_of(question: str) -> dict[str, str]:
    """Return the options of a multiple-choice question, by letter."""
    return dict(_OPTION.findall(question))
