"""One token says which of two responses is better under one principle: kind `pairwise-logprob`."""

from typing import Literal

from pydantic import Field, field_validator

from rlaif.constitution.schema import Case, Principle
from rlaif.judges.base import THINKING, Comparison, Given, Judge, JudgeConfigBase, JudgeKind
from rlaif.judges.pairwise import STAND_INS, Labels, after_preamble, check_labels, continued, pairwise_logits
from rlaif.models.backend import ChatRequest, user
from rlaif.records import Message, Order, Verdict
from rlaif.templates import Templates, conversation_text, fence_tag


class PairwiseLogprobConfig(JudgeConfigBase):
    """A judge that answers with one token, in both orders."""

    kind: Literal["pairwise-logprob"] = "pairwise-logprob"
    labels: Labels = ("A", "B")
    """What it answers with; read from log-probabilities, each must be a single token for the model."""
    preamble: str = ""
    """Stands before the question: who the judge is, what matters. Yours; none by default."""
    cases: int = Field(default=0, ge=0, le=16)
    """Worked cases of each principle shown before the question, label by label in turn. They differ from principle to
    principle, so the principles no longer share a cached prefix."""
    answer_start: str = ""
    """Words put into the critic's mouth, after which its label is read, such as `Answer:`; the server must know
    `continue_final_message`, as vLLM does."""

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: Labels) -> Labels:
        return check_labels(labels)

    @property
    def worked_cases(self) -> int:
        """How many worked cases of a principle it is shown."""
        return self.cases


async def compare(
    judge: Judge, templates: Templates, comparison: Comparison, order: Order, principle: Principle
) -> Given:
    """Return the verdict of one order, read from the probabilities of the two labels."""
    config: PairwiseLogprobConfig = judge.config
    messages = compare_messages(judge, templates, comparison, order, principle)
    request = ChatRequest(messages=messages, max_tokens=1, seed=comparison.seed)
    if config.answer_start:
        request = continued(request, config.answer_start)
    read, answer = await judge.critic.choose(request, config.labels, priority=comparison.priority)
    return Verdict(
        judge=config.called,
        principle=principle.id,
        order=order,
        first=read.logprobs[0],
        second=read.logprobs[1],
        floor=read.floor if None in read.logprobs else None,
        label_mass=read.label_mass,
        reply=answer.key,
    ), [answer]


def compare_messages(
    judge: Judge, templates: Templates, comparison: Comparison, order: Order, principle: Principle
) -> tuple[Message, ...]:
    """Return the question with the worked cases before it."""
    first, second = comparison.shown(order)
    config: PairwiseLogprobConfig = judge.config
    cases = principle.cases[: config.cases]
    texts = [text for case in cases for text in (conversation_text(case.conversation), case.better, case.worse)]
    tag = fence_tag(comparison.prompt, first.text, second.text, *texts)

    def ask(conversation: str, first: str, second: str) -> Message:
        question = templates.render(
            comparison.template,
            conversation=conversation,
            first=first,
            second=second,
            labels=config.labels,
            question=principle.compare,
            tag=tag,
        )
        return user(after_preamble(config.preamble, question))

    def worked(case: Case, *, better_first: bool) -> tuple[Message, Message]:
        shown = (case.better, case.worse) if better_first else (case.worse, case.better)
        label = config.labels[0 if better_first else 1]
        said = f"{config.answer_start} {label}".strip()
        return ask(conversation_text(case.conversation), *shown), Message(role="assistant", content=said)

    # The labels take turns, the same in both orders: what the cases do to a label's odds is then a constant position
    # bias, which both orders together cancel.
    shots = [turn for place, case in enumerate(cases) for turn in worked(case, better_first=place % 2 == 0)]
    return (*shots, ask(conversation_text(comparison.prompt.messages), first.text, second.text))


def describe(config: PairwiseLogprobConfig) -> str:
    """Return what such a judge does, in a few words."""
    how = "one token for each order, probabilities read from log-probabilities"
    how += f", after {config.cases} worked cases of the principle" if config.cases else ""
    return how + (f", its answer begun with {config.answer_start!r}" if config.answer_start else "")


KIND = JudgeKind(
    config=PairwiseLogprobConfig,
    logits=pairwise_logits,
    describe=describe,
    unanswered=lambda _, mass: f"only {mass:.0%} of its probability falls on the two labels {THINKING}",
    ask_pair=compare,
    template="compare",
    stand_ins=STAND_INS,
)
