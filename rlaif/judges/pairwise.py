"""Shared by the two kinds of judges that compare two responses: labels, preamble, log-odds."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from rlaif.judges.base import JudgeConfigBase, Reading
from rlaif.models.backend import ChatRequest
from rlaif.preferences.logits import PrincipleLogit, from_orders
from rlaif.records import Matchup, Message, Order, Verdict

Labels: TypeAlias = tuple[str, str]
STAND_INS: Mapping[str, object] = {"first": "x", "second": "x", "labels": ("A", "B"), "question": "x"}


def check_labels(labels: Labels) -> Labels:
    """Return two labels. Raises ValueError where they are not distinct."""
    if any("*" in label for label in labels):
        raise ValueError("a label may hold no *, which marks bold type")
    if labels[0].strip() == labels[1].strip() or not all(label.strip() for label in labels):
        raise ValueError("the two labels must differ, and neither may be empty")
    return labels


def pairwise_logits(judge: JudgeConfigBase, matchup: Matchup, reading: Reading) -> Iterator[tuple[str, PrincipleLogit]]:
    """Yield (principle, log-odds) from the verdicts of one judge."""
    for (called, principle), verdicts in matchup.verdicts_by_judge().items():
        if called == judge.called and (logit := pairwise_logit(called, verdicts, reading)) is not None:
            yield principle, logit


def pairwise_logit(judge: str, verdicts: Mapping[Order, Verdict], reading: Reading) -> PrincipleLogit | None:
    """Return the log-odds from the verdicts of one judge under one principle; None where unreadable."""
    logits = {order: v.logit() for order, v in verdicts.items() if readable(v, reading.min_label_mass)}
    ab, ba = logits.get("ab"), logits.get("ba")
    if reading.both_orders and ab is not None and ba is not None:
        # A label too rare to be reported only bounds its logit, towards zero. Where the bound points away from what
        # both orders say together, the truth may point the other way.
        sides = [(verdicts["ab"], ab), (verdicts["ba"], -ba)]
        if any(verdict.bounded and side * (ab - ba) <= 0 for verdict, side in sides):
            return None
    if not reading.both_orders and ab is not None:
        ba = None
    return from_orders(judge, ab, ba, both_needed=reading.both_orders)


def readable(verdict: Verdict, min_label_mass: float) -> bool:
    """Whether a verdict is usable: a label was found, and the labels got enough probability."""
    return verdict.logit() is not None and verdict.label_mass >= min_label_mass


def after_preamble(preamble: str, question: str) -> str:
    """Return a question with the user's preamble before it."""
    return f"{preamble.strip()}\n\n{question}" if preamble.strip() else question


def continued(request: ChatRequest, start: str) -> ChatRequest:
    """Return a request whose reply continues the given beginning of the assistant's turn."""
    said = Message(role="assistant", content=start)
    update: dict[str, Any] = {
        "messages": (*request.messages, said),
        "continue_final_message": True,
        "add_generation_prompt": False,
    }
    return request.model_copy(update=update)
