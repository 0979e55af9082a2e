"""The kind `pairwise-reasoned`: the critic writes its reasoning before it names the better of two responses.

The verdict is read from the last line of the critic's text, or from the probabilities of the two labels after its
reasoning and the beginning of such a line. The rest of the text is never searched: a verdict that the critic quotes
from a response does not count.
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
from rlaif.templates import Templates, fence_tag, prompt_text

USUAL_TEMPERATURE = 0.7
USUAL_LENGTH = 1024
LINE = "Verdict:"


class PairwiseReasonedConfig(JudgeConfigBase):
    """A judge that writes its reasoning, then names the better of two responses."""

    kind: Literal["pairwise-reasoned"] = "pairwise-reasoned"
    labels: Labels = ("A", "B")
    """The labels of the first and second response; with `read: logprob`, each must be a single token for the model."""
    preamble: str = ""
    """Your own text before the question, such as the judge's role; none by default."""
    read: Literal["text", "logprob"] = "text"
    """How the verdict is read: `text` from the last line of the reply, `logprob` from the probabilities of the two
    labels after the reasoning and the beginning of such a line."""
    clamp: tuple[float, float] | None = (0.4, 0.6)
    """Range to which the probability of a verdict is clamped, because models are overconfident after reasoning (Bai et
    al. 2022b); the raw value is kept, too. null: no clamping (only with `read: logprob`)."""
    temperature: float | None = Field(default=None, ge=0, le=5)
    """Sampling temperature of the reasoning; 0.7 by default."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Maximum tokens of a reply, a thinking model's reasoning included; 1024 by default."""

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: Labels) -> Labels:
        return check_labels(labels)

    @field_validator("clamp")
    @classmethod
    def _clamp_holds_one_half(cls, clamp: tuple[float, float] | None) -> tuple[float, float] | None:
        if clamp is not None and not 0 < clamp[0] < 0.5 < clamp[1] < 1:
            raise ValueError("the range must be between 0 and 1 and contain 0.5, such as [0.4, 0.6]")
        return clamp

    @model_validator(mode="after")
    def _words_are_clamped(self) -> Self:
        if self.read == "text" and self.clamp is None:
            raise ValueError("`clamp: null` needs `read: logprob`: a verdict in words has no probability of its own")
        return self

    @property
    def range(self) -> tuple[float, float] | None:
        """Range to which its probabilities are clamped; None without clamping."""
        return self.clamp

    @property
    def thought_tokens(self) -> int:
        """Maximum number of tokens of the reasoning and the verdict."""
        return self.max_tokens or USUAL_LENGTH


async def deliberate(
    judge: Judge, templates: Templates, comparison: Comparison, order: Order, principle: Principle
) -> Given:
    """Return the verdict for one order, with the reasoning before it."""
    config: PairwiseReasonedConfig = judge.config
    prompt = comparison.prompt.id
    request = ChatRequest(
        messages=(user(_question(judge.config, templates, comparison, order, principle)),),
        max_tokens=config.thought_tokens,
        temperature=USUAL_TEMPERATURE if config.temperature is None else config.temperature,
        seed=derive_seed(comparison.seed or comparison.run_seed, prompt, config.called, principle.compare or "", order),
    )
    reasoned = await judge.critic.chat(request, priority=comparison.priority)
    choice = reasoned.reply.choices[0]
    verdict = Verdict(
        judge=config.called,
        principle=principle.id,
        order=order,
        label_mass=0.0,
        reasoning=whole_reasoning(choice),
        reply=reasoned.key,
    )
    if config.read == "text":
        return verdict_in_words(verdict, choice, config), [reasoned]
    start = f"{before_the_verdict(whole_reasoning(choice))}\n\n{LINE}"
    label_request = continued(ChatRequest(messages=request.messages, max_tokens=1, seed=comparison.seed), start)
    read, stored = await judge.critic.choose(label_request, config.labels, priority=comparison.priority)
    with_labels = verdict.model_copy(
        update={
            "first": read.logprobs[0],
            "second": read.logprobs[1],
            "floor": read.floor if None in read.logprobs else None,
            "label_mass": read.label_mass,
            "reply": stored.key,
        }
    )
    return clamped(with_labels, config), [reasoned, stored]


def verdict_in_words(verdict: Verdict, choice: Choice, config: PairwiseReasonedConfig) -> Verdict:
    """Return the verdict with the response that its last line names; unchanged (unreadable) if cut off or without."""
    index = None if choice.finish_reason == "length" else read_verdict(choice.text, config.labels)
    if index is None:
        return verdict
    named = "first" if index == 0 else "second"
    return clamped(verdict.model_copy(update={"said": named, "label_mass": 1.0}), config)


def read_verdict(text: str, labels: tuple[str, str]) -> int | None:
    """Return the index (0 or 1) of the label that the last line of a text names; None unless it is exactly a verdict.

    Bold type, a final full stop, and brackets around the label are allowed.
    """
    lines = text.strip().splitlines()
    last = lines[-1].replace("*", "").strip() if lines else ""
    match = re.fullmatch(rf"{LINE}\s*(?P<whole>[\[(`]?(?P<label>.+?)[\])`]?)\.?", last, re.IGNORECASE)
    stripped = [label.strip() for label in labels]
    possible = [] if match is None else [match["whole"], match["label"]]
    return next((stripped.index(label) for label in possible if label in stripped), None)


def clamped(verdict: Verdict, config: PairwiseReasonedConfig) -> Verdict:
    """Return a verdict with its log-odds clamped to the judge's range; the raw values are kept."""
    logit = verdict.raw_logit()
    if logit is None or config.clamp is None:
        return verdict
    low, high = (math.log(p / (1 - p)) for p in config.clamp)
    return verdict.model_copy(update={"clamped": min(max(logit, low), high)})


def whole_reasoning(choice: Choice) -> str:
    """Return the critic's text, after a thinking model's separate reasoning."""
    return "\n\n".join(part for part in (choice.reasoning, choice.text) if part)


def before_the_verdict(text: str) -> str:
    """Return a text without its last line if that begins like a verdict."""
    lines = text.strip().splitlines()
    ends = bool(lines) and lines[-1].replace("*", "").strip().lower().startswith(LINE.lower())
    return "\n".join(lines[:-1] if ends else lines).strip()


def _question(
    config: PairwiseReasonedConfig, templates: Templates, comparison: Comparison, order: Order, principle: Principle
) -> str:
    first, second = comparison.shown(order)
    question = templates.render(
        "deliberate",
        conversation=prompt_text(comparison.prompt),
        first=first.text,
        second=second.text,
        labels=config.labels,
        question=principle.compare,
        tag=fence_tag(comparison.prompt, first.text, second.text),
    )
    return after_preamble(config.preamble, question)


def describe(config: PairwiseReasonedConfig) -> str:
    """Return a short description of the judge."""
    source = "its last line" if config.read == "text" else "the labels' probabilities after its reasoning"
    clamp = f", clamped to {config.clamp[0]:g} to {config.clamp[1]:g}" if config.clamp else ""
    return f"reasons first; the verdict is read from {source}{clamp}"


def unanswered(config: PairwiseReasonedConfig, mass: float) -> str:
    """Return the message about a judge with too little label mass."""
    if config.read == "text":
        return f"only {mass:.0%} of its replies end in a verdict"
    return f"only {mass:.0%} of its probability falls on the two labels {THINKING}"


KIND = JudgeKind(
    config=PairwiseReasonedConfig,
    logits=pairwise_logits,
    describe=describe,
    unanswered=unanswered,
    ask_pair=deliberate,
    one_token=lambda config: config.labels if config.read == "logprob" else (),
    template="deliberate",
    stand_ins=STAND_INS,
)
