"""What the two kinds of judges that compare two responses share: labels, preamble, log-odds."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from rlaif.judges.base import JudgeConfigBase, Reading
from rlaif.models.backend import ChatRequest
from rlaif.preferences.logits import PrincipleLogit, from_orders
from rlaif.records import Matchup, Message, Order, Verdict

Labels: TypeAlias = tuple[str, str]
STAND_INS: Mapping[str, object] = {"first": "x", "second": "x", "labels": ("A", "B"), "question": "x"}


def check_labels(labels: Labels) -> Labels:
    """Return the two labels unchanged. Raises ValueError where one is empty, contains `*`, or equals the other."""
    if any("*" in label for label in labels):
        raise ValueError("a label must not contain *, which marks bold type")
    if labels[0].strip() == labels[1].strip() or not all(label.strip() for label in labels):
        raise ValueError("the two labels must differ, and neither may be empty")
    return labels


def pairwise_logits(judge: JudgeConfigBase, matchup: Matchup, reading: Reading) -> Iterator[tuple[str, PrincipleLogit]]:
    """Yield (principle, log-odds) of a matchup from the verdicts of one judge."""
    for (called, principle), verdicts in matchup.verdicts_by_judge().items():
        if called == judge.called and (logit := pairwise_logit(called, verdicts, reading)) is not None:
            yield principle, logit


def pairwise_logit(judge: str, verdicts: Mapping[Order, Verdict], reading: Reading) -> PrincipleLogit | None:
    """Return the log-odds of a matchup from one judge's verdicts under one principle; None where unreadable."""
    logits = {order: v.logit() for order, v in verdicts.items() if readable(v, reading.min_label_mass)}
    ab, ba = logits.get("ab"), logits.get("ba")
    if reading.both_orders and ab is not None and ba is not None:
        # A label that was not reported makes the logit a bound: the real one is further from zero. Where the bound's
        # sign differs from that of both orders together, the real sum may have the other sign: unreadable.
        sides = [(verdicts["ab"], ab), (verdicts["ba"], -ba)]
        if any(verdict.bounded and side * (ab - ba) <= 0 for verdict, side in sides):
            return None
    if not reading.both_orders and ab is not None:
        ba = None
    return from_orders(judge, ab, ba, both_needed=reading.both_orders)


def readable(verdict: Verdict, min_label_mass: float) -> bool:
    """Whether a verdict is usable: at least one label was reported, and `label_mass` is high enough."""
    return verdict.logit() is not None and verdict.label_mass >= min_label_mass


def after_preamble(preamble: str, question: str) -> str:
    """Return a question after the user's preamble, if there is one."""
    return f"{preamble.strip()}\n\n{question}" if preamble.strip() else question


def continued(request: ChatRequest, start: str) -> ChatRequest:
    """Return a request whose reply continues an assistant's turn that begins with `start`."""
    begun = Message(role="assistant", content=start)
    update: dict[str, Any] = {
        "messages": (*request.messages, begun),
        "continue_final_message": True,
        "add_generation_prompt": False,
    }
    return request.model_copy(update=update)
