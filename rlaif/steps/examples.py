"""Worked examples of the constitution as turns that stand before the real question."""

from collections.abc import Callable, Sequence

from rlaif.constitution.schema import Example, Principle
from rlaif.models.wire import user
from rlaif.records import Message


def worked(principles: Sequence[Principle], turn: Callable[[Example], tuple[str, str]]) -> list[Message]:
    """Return the examples of these principles as (question, answer) turns, asked in the same words."""
    messages = []
    for principle in principles:
        for example in principle.examples:
            question, answer = turn(example)
            messages += [user(question), Message(role="assistant", content=answer)]
    return messages
