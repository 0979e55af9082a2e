"""The critic compares two responses under every principle, in both orders, with one token each.

The principle stands last in the question, so that all principles of one order share one prefix in the
server's cache; the first of them goes ahead and fills it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rlaif.config import JudgingConfig
from rlaif.constitution import Principle
from rlaif.models.model import Answer, Model
from rlaif.models.wire import ChatRequest
from rlaif.records import Checked, Matchup, Order, Prompt, Response, Verdict
from rlaif.steps.examples import user
from rlaif.tasks import together
from rlaif.templates import Templates, conversation_text, fence_tag


@dataclass(frozen=True)
class Comparison:
    """Two responses of one prompt that are to be compared."""

    prompt: Prompt
    a: Response
    b: Response
    purpose: Literal["design", "final"]
    principles: Sequence[Principle]
    settings: JudgingConfig
    priority: int
    template: Literal["compare", "compare_again"] = "compare"
    """`compare_again` asks the same in other words, to see how much hangs on the words."""
    seed: int | None = None
    """Sent along so that the same question counts as asked anew; the verdict is read at temperature 0."""
    checks: tuple[Checked, ...] = ()
    """What programs found in the two; nobody is asked about these principles."""

    def shown(self, order: Order) -> tuple[Response, Response]:
        """Return (shown first, shown second)."""
        return (self.a, self.b) if order == "ab" else (self.b, self.a)


async def judge(critic: Model, templates: Templates, comparison: Comparison) -> tuple[Matchup, list[Answer]]:
    """Return the matchup with its verdicts: principles x orders; none where only programs decide."""
    orders: tuple[Order, ...] = ("ab", "ba") if comparison.settings.orders == "both" else ("ab",)
    asked = await together(*(_one_order(critic, templates, comparison, order) for order in orders))
    verdicts = [verdict for order in asked for verdict in order]
    return Matchup(
        a=comparison.a.id,
        b=comparison.b.id,
        purpose=comparison.purpose,
        verdicts=tuple(verdict for verdict, _ in verdicts),
        checks=comparison.checks,
    ), [answer for _, answer in verdicts]


async def _one_order(
    critic: Model, templates: Templates, comparison: Comparison, order: Order
) -> list[tuple[Verdict, Answer]]:
    if not comparison.principles:
        return []
    ahead, *siblings = comparison.principles
    first = await _verdict(critic, templates, comparison, order, ahead)
    return [
        first,
        *await together(*(_verdict(critic, templates, comparison, order, p) for p in siblings)),
    ]


async def _verdict(
    critic: Model, templates: Templates, comparison: Comparison, order: Order, principle: Principle
) -> tuple[Verdict, Answer]:
    first, second = comparison.shown(order)
    labels = comparison.settings.labels
    question = templates.render(
        comparison.template,
        conversation=conversation_text(comparison.prompt.messages),
        first=first.text,
        second=second.text,
        labels=labels,
        question=principle.compare,
        tag=fence_tag(comparison.prompt, first.text, second.text),
    )
    read, answer = await critic.choose(
        ChatRequest(messages=(user(question),), max_tokens=1, seed=comparison.seed),
        labels,
        priority=comparison.priority,
    )
    return Verdict(
        principle=principle.id,
        order=order,
        first=read.logprobs[0],
        second=read.logprobs[1],
        floor=read.floor if None in read.logprobs else None,
        label_mass=read.label_mass,
        reply=answer.key,
    ), answer
