"""The critic thinks in words before it says which of two responses is better: kind `pairwise-reasoned`.

The verdict is the last line of what the critic itself wrote, or the probability of the two labels once its reasoning
and the beginning of that line stand there. Nothing else in the text is looked at, so that no verdict quoted from an
answer can pose as the critic's.
"""

import math
import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from rlaif.constitution.schema import Principle
from rlaif.judges.base import THINKING, Comparison, Given, Judge, JudgeConfigBase, JudgeKind
from rlaif.judges.pairwise import STAND_INS, Labels, after_preamble, check_labels, continued, pairwise_logits
from rlaif.models.backend import ChatRequest, Choice, user
from rlaif.records import Order, Verdict
from rlaif.seeds import derive_seed
from rlaif.templates import Templates, conversation_text, fence_tag

USUAL_TEMPERATURE = 0.7
USUAL_LENGTH = 1024
LINE = "Verdict:"


class PairwiseReasonedConfig(JudgeConfigBase):
    """A judge that thinks in words, then names one of two responses."""

    kind: Literal["pairwise-reasoned"] = "pairwise-reasoned"
    labels: Labels = ("A", "B")
    """What it answers with; where they are read as probabilities, each must be a single token for the model."""
    preamble: str = ""
    """Stands before the question: who the judge is, what matters. Yours; none by default."""
    read: Literal["text", "logprob"] = "text"
    """How the verdict after the reasoning is read: as the last line it wrote, or as the probabilities of the two labels
    once its reasoning and the beginning of that line stand there."""
    clamp: tuple[float, float] | None = (0.4, 0.6)
    """What a reasoned verdict's probability is held within, because models are far too sure after reasoning (Bai et al.
    2022b); both are kept. null leaves a probability as it is (only with read: logprob)."""
    temperature: float | None = Field(default=None, ge=0, le=5)
    """Of the reasoning; 0.7 where none is given."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Longest reply, a thinking model's thoughts included; 1024 where none is given."""

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: Labels) -> Labels:
        return check_labels(labels)

    @field_validator("clamp")
    @classmethod
    def _clamp_holds_one_half(cls, clamp: tuple[float, float] | None) -> tuple[float, float] | None:
        if clamp is not None and not 0 < clamp[0] < 0.5 < clamp[1] < 1:
            raise ValueError("the range must lie within 0 and 1 and hold 0.5, such as [0.4, 0.6]")
        return clamp

    @model_validator(mode="after")
    def _words_are_clamped(self) -> Self:
        if self.read == "text" and self.clamp is None:
            raise ValueError("`clamp: null` needs `read: logprob`: a verdict in words has no probability of its own")
        return self

    @property
    def range(self) -> tuple[float, float] | None:
        """What its probabilities are held within."""
        return self.clamp

    @property
    def thought_tokens(self) -> int:
        """The most it may write before its verdict."""
        return self.max_tokens or USUAL_LENGTH


async def deliberate(
    judge: Judge, templates: Templates, comparison: Comparison, order: Order, principle: Principle
) -> Given:
    """Return the verdict of one order, and what was thought before it."""
    config: PairwiseReasonedConfig = judge.config
    prompt = comparison.prompt.id
    request = ChatRequest(
        messages=(user(_question(judge.config, templates, comparison, order, principle)),),
        max_tokens=config.thought_tokens,
        temperature=USUAL_TEMPERATURE if config.temperature is None else config.temperature,
        seed=derive_seed(comparison.seed or comparison.run_seed, prompt, config.called, principle.compare or "", order),
    )
    thought = await judge.critic.chat(request, priority=comparison.priority)
    choice = thought.reply.choices[0]
    verdict = Verdict(
        judge=config.called,
        principle=principle.id,
        order=order,
        label_mass=0.0,
        reasoning=whole_thought(choice),
        reply=thought.key,
    )
    if config.read == "text":
        return in_words(verdict, choice, config), [thought]
    said = f"{before_the_verdict(whole_thought(choice))}\n\n{LINE}"
    asked = continued(ChatRequest(messages=request.messages, max_tokens=1, seed=comparison.seed), said)
    read, answer = await judge.critic.choose(asked, config.labels, priority=comparison.priority)
    found = verdict.model_copy(
        update={
            "first": read.logprobs[0],
            "second": read.logprobs[1],
            "floor": read.floor if None in read.logprobs else None,
            "label_mass": read.label_mass,
            "reply": answer.key,
        }
    )
    return clamped(found, config), [thought, answer]


def in_words(verdict: Verdict, choice: Choice, config: PairwiseReasonedConfig) -> Verdict:
    """Return the verdict with what its last line says; one that was cut off, or says nothing, stays unreadable."""
    said = None if choice.finish_reason == "length" else read_verdict(choice.text, config.labels)
    if said is None:
        return verdict
    named = "first" if said == 0 else "second"
    return clamped(verdict.model_copy(update={"said": named, "label_mass": 1.0}), config)


def read_verdict(text: str, labels: tuple[str, str]) -> int | None:
    """Return which label the last line of a text names, 0 or 1; None when it is not a verdict, to the letter.

    Bold type and a closing full stop are let pass, and brackets around the label.
    """
    lines = text.strip().splitlines()
    last = lines[-1].replace("*", "").strip() if lines else ""
    found = re.fullmatch(rf"{LINE}\s*(?P<whole>[\[(`]?(?P<label>.+?)[\])`]?)\.?", last, re.IGNORECASE)
    named = [label.strip() for label in labels]
    said = [] if found is None else [found["whole"], found["label"]]
    return next((named.index(label) for label in said if label in named), None)


def clamped(verdict: Verdict, config: PairwiseReasonedConfig) -> Verdict:
    """Return a verdict with its log-odds held within the judge's range; what was read stands beside."""
    logit = verdict.raw_logit()
    if logit is None or config.clamp is None:
        return verdict
    low, high = (math.log(p / (1 - p)) for p in config.clamp)
    return verdict.model_copy(update={"clamped": min(max(logit, low), high)})


def whole_thought(choice: Choice) -> str:
    """Return what the critic wrote, a thinking model's thoughts first."""
    return "\n\n".join(part for part in (choice.reasoning, choice.text) if part)


def before_the_verdict(text: str) -> str:
    """Return a text without a last line that begins like a verdict."""
    lines = text.strip().splitlines()
    ends = bool(lines) and lines[-1].replace("*", "").strip().lower().startswith(LINE.lower())
    return "\n".join(lines[:-1] if ends else lines).strip()


def _question(
    config: PairwiseReasonedConfig, templates: Templates, comparison: Comparison, order: Order, principle: Principle
) -> str:
    first, second = comparison.shown(order)
    question = templates.render(
        "deliberate",
        conversation=conversation_text(comparison.prompt.messages),
        first=first.text,
        second=second.text,
        labels=config.labels,
        question=principle.compare,
        tag=fence_tag(comparison.prompt, first.text, second.text),
    )
    return after_preamble(config.preamble, question)


def describe(config: PairwiseReasonedConfig) -> str:
    """Return what such a judge does, in a few words."""
    read = "its last line" if config.read == "text" else "the labels' probabilities after its reasoning"
    held = f", held within {config.clamp[0]:g} and {config.clamp[1]:g}" if config.clamp else ""
    return f"thinks first; the verdict is {read}{held}"


def unanswered(config: PairwiseReasonedConfig, mass: float) -> str:
    """Return what is said of one that answers too rarely."""
    if config.read == "text":
        return f"only {mass:.0%} of its thoughts end in a verdict"
    return f"only {mass:.0%} of its probability falls on the two labels {THINKING}"


KIND = JudgeKind(
    config=PairwiseReasonedConfig,
    logits=pairwise_logits,
    describe=describe,
    unanswered=unanswered,
    ask_pair=deliberate,
    template="deliberate",
    stand_ins=STAND_INS,
)
