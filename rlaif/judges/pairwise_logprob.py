"""The kind `pairwise-logprob`: the critic names the better of two responses under one principle by one token."""

from typing import Any, Literal

from pydantic import Field, field_validator

from rlaif.constitution.schema import Case, Principle
from rlaif.judges.base import THINKING, Comparison, Given, Judge, JudgeConfigBase, JudgeKind
from rlaif.judges.pairwise import STAND_INS, Labels, after_preamble, check_labels, continued, pairwise_logits
from rlaif.models.backend import ChatRequest, user
from rlaif.records import Message, Order, Verdict
from rlaif.templates import AGAIN, Templates, conversation_text, fence_tag, prompt_text


class PairwiseLogprobConfig(JudgeConfigBase):
    """A judge whose verdict is one token for each order."""

    kind: Literal["pairwise-logprob"] = "pairwise-logprob"
    labels: Labels = ("A", "B")
    """The labels of the first and second response; each must be a single token for the model, because their
    probabilities are read from log-probabilities."""
    preamble: str = ""
    """Your own text before the question, such as the judge's role; none by default."""
    cases: int = Field(default=0, ge=0, le=16)
    """Number of each principle's cases shown as worked examples before the question; the right label alternates. With
    cases, the principles no longer share a cached prefix."""
    answer_start: str = ""
    """Text with which the critic's reply is made to begin, such as `Answer:`; the label is read after it. The server
    must support `continue_final_message`, as vLLM does."""
    again: bool = False
    """Ask in the words of the template `compare_again`. Beside the same judge without it, every question is asked
    twice, and the noise of the verdicts is measured also where prompts have two candidates."""

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: Labels) -> Labels:
        return check_labels(labels)

    @property
    def called(self) -> str:
        """Name of the judge in verdicts and reports."""
        return self.name or (f"{self.kind}-again" if self.again else self.kind)

    @property
    def more_templates(self) -> tuple[str, ...]:
        """Names of templates that it needs beside its kind's."""
        return (AGAIN,) if self.again else ()

    @property
    def worked_cases(self) -> int:
        """Number of a principle's cases that it is shown as worked examples."""
        return self.cases

    def questions(self) -> dict[str, Any]:
        """Return the options on which its requests depend; runs of versions without `again` have no such option."""
        options = super().questions()
        return options if self.again else {name: value for name, value in options.items() if name != "again"}


async def compare(
    judge: Judge, templates: Templates, comparison: Comparison, order: Order, principle: Principle
) -> Given:
    """Return the verdict for one order, read from the probabilities of the two labels."""
    config: PairwiseLogprobConfig = judge.config
    messages = compare_messages(judge, templates, comparison, order, principle)
    request = ChatRequest(messages=messages, max_tokens=1, seed=comparison.seed)
    if config.answer_start:
        request = continued(request, config.answer_start)
    read, stored = await judge.critic.choose(request, config.labels, priority=comparison.priority)
    return Verdict(
        judge=config.called,
        principle=principle.id,
        order=order,
        first=read.logprobs[0],
        second=read.logprobs[1],
        floor=read.floor if None in read.logprobs else None,
        label_mass=read.label_mass,
        reply=stored.key,
    ), [stored]


def compare_messages(
    judge: Judge, templates: Templates, comparison: Comparison, order: Order, principle: Principle
) -> tuple[Message, ...]:
    """Return the conversation that asks one question: the worked cases, then the question."""
    first, second = comparison.shown(order)
    config: PairwiseLogprobConfig = judge.config
    cases = principle.cases[: config.cases]
    texts = [text for case in cases for text in (conversation_text(case.conversation), case.better, case.worse)]
    tag = fence_tag(comparison.prompt, first.text, second.text, *texts)

    def ask(conversation: str, first: str, second: str) -> Message:
        question = templates.render(
            AGAIN if config.again else comparison.template,
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
        reply = f"{config.answer_start} {label}".strip()
        return ask(conversation_text(case.conversation), *shown), Message(role="assistant", content=reply)

    # The right label alternates in the same way for both orders: the effect of the cases on a label's odds is then a
    # constant position bias, which averaging over both orders cancels.
    shots = [turn for place, case in enumerate(cases) for turn in worked(case, better_first=place % 2 == 0)]
    return (*shots, ask(prompt_text(comparison.prompt), first.text, second.text))


def describe(config: PairwiseLogprobConfig) -> str:
    """Return a short description of the judge."""
    how = "one token for each order, probabilities read from log-probabilities"
    how += ", asked in other words" if config.again else ""
    how += f", after {config.cases} worked cases of the principle" if config.cases else ""
    return how + (f", its reply made to begin with {config.answer_start!r}" if config.answer_start else "")


KIND = JudgeKind(
    config=PairwiseLogprobConfig,
    logits=pairwise_logits,
    describe=describe,
    unanswered=lambda _, mass: f"only {mass:.0%} of its probability falls on the two labels {THINKING}",
    ask_pair=compare,
    one_token=lambda config: config.labels,
    template="compare",
    stand_ins=STAND_INS,
)
