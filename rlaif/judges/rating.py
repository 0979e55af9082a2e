"""The kind `rating`: the critic rates one response under each aspect; the score is the expectation over the numbers.

The aspect comes last in the question, so that all aspects of one response share a prefix in the server's cache.
"""

import math
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, Literal

import yaml
from pydantic import Field, field_validator

from rlaif.base import Section
from rlaif.judges.base import THINKING, CandidateSet, Judge, JudgeConfigBase, JudgeKind, PointwiseResults, Reading
from rlaif.judges.pairwise import after_preamble, continued
from rlaif.models.backend import ChatRequest, user
from rlaif.models.model import StoredReply
from rlaif.preferences.logits import PrincipleLogit
from rlaif.records import Matchup, Response, Score, Scored
from rlaif.shipped import TEMPLATES
from rlaif.tasks import together
from rlaif.templates import Templates, fence_tag, prompt_text

UNLIKELY_ONE = 0.002
"""Where the token `1` is less likely than this, the probability of a 10 (written `1`, `0`) is not measured."""


SUREST = 0.999
"""Upper limit of the probability that one rating is higher: without it, log-odds could be infinite."""


class Aspect(Section):
    """One aspect of a response that a rating judge rates."""

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)
    asks: str
    """What the number measures, and what its lowest and highest values mean; shown to the critic."""
    scale: tuple[int, int] = (1, 5)
    """Lowest and highest number."""
    weight: float = Field(default=1.0, gt=0, le=1000)

    @field_validator("asks")
    @classmethod
    def _asks_something(cls, asks: str) -> str:
        if not asks.strip():
            raise ValueError("`asks` is empty; describe what the number measures")
        return asks

    @field_validator("scale")
    @classmethod
    def _scale_rises(cls, scale: tuple[int, int]) -> tuple[int, int]:
        low, high = scale
        if not (low in {0, 1} and low < high <= 10):
            raise ValueError("a scale must begin at 0 or 1 and end at 10 or below, such as [1, 5]")
        return scale


class RatingConfig(JudgeConfigBase):
    """A judge that rates each response under each aspect."""

    kind: Literal["rating"] = "rating"
    preamble: str = ""
    """Your own text before the question, such as the judge's role; none by default."""
    aspects: Literal["ultrafeedback", "helpful-harmless", "overall"] | tuple[Aspect, ...] = "ultrafeedback"
    """The aspects: those of Cui et al. 2023, those of Ji et al. 2024, one number from 1 to 10 as in Lee et al. 2023, or
    your own."""

    @field_validator("aspects")
    @classmethod
    def _aspects_differ(cls, aspects: str | tuple[Aspect, ...]) -> str | tuple[Aspect, ...]:
        if isinstance(aspects, tuple) and len({aspect.id for aspect in aspects}) < max(1, len(aspects)):
            raise ValueError("give at least one aspect, and each its own id")
        return aspects

    @property
    def rated(self) -> tuple[Aspect, ...]:
        """The aspects; the scores of an aspect are stored under the principle `JUDGE:ASPECT`."""
        return shipped_aspects()[self.aspects] if isinstance(self.aspects, str) else self.aspects

    @property
    def aspect_weights(self) -> dict[str, float]:
        """Weights of the aspects, by `JUDGE:ASPECT`."""
        return {f"{self.called}:{aspect.id}": self.weight * aspect.weight for aspect in self.rated}

    def questions(self) -> dict[str, Any]:
        """Return the options on which its requests depend; weights are not among them."""
        aspects = [aspect.model_dump(mode="json", exclude={"weight"}) for aspect in self.rated]
        return super().questions() | {"aspects": aspects}


@cache
def shipped_aspects() -> dict[str, tuple[Aspect, ...]]:
    """Return the sets of aspects in prompts/aspects.yaml, by name."""
    content = yaml.safe_load((TEMPLATES / "aspects.yaml").read_text(encoding="utf-8"))
    return {name: tuple(Aspect.model_validate(aspect) for aspect in aspects) for name, aspects in content.items()}


async def rate(judge: Judge, templates: Templates, candidates: CandidateSet) -> PointwiseResults:
    """Return the scores of all candidates under all aspects."""
    rated = await together(*(_rate_one(judge, templates, candidates, response) for response in candidates.candidates))
    scores = {
        (judge.config.called, f"{judge.config.called}:{aspect.id}"): {
            response.id: by_aspect[place][0] for response, by_aspect in zip(candidates.candidates, rated, strict=True)
        }
        for place, aspect in enumerate(judge.config.rated)
    }
    return PointwiseResults(
        scores=scores, replies=[reply for by_aspect in rated for _, replies in by_aspect for reply in replies]
    )


async def _rate_one(
    judge: Judge, templates: Templates, candidates: CandidateSet, response: Response
) -> list[tuple[Score | None, list[StoredReply]]]:
    leading, *others = judge.config.rated
    first = await _rate_aspect(judge, templates, candidates, response, leading)
    return [first, *await together(*(_rate_aspect(judge, templates, candidates, response, other) for other in others))]


async def _rate_aspect(
    judge: Judge, templates: Templates, candidates: CandidateSet, response: Response, aspect: Aspect
) -> tuple[Score | None, list[StoredReply]]:
    question = templates.render(
        "rate",
        conversation=prompt_text(candidates.prompt),
        response=response.text,
        aspect=aspect,
        tag=fence_tag(candidates.prompt, response.text),
    )
    request = ChatRequest(messages=(user(after_preamble(judge.config.preamble, question)),), max_tokens=1)
    numbers = [str(number) for number in range(aspect.scale[0], aspect.scale[1] + 1)]
    read, stored = await judge.critic.choose(request, tuple(numbers), priority=candidates.priority, one_token=False)
    masses = [0.0 if logprob is None else math.exp(logprob) for logprob in read.logprobs]
    replies = [stored]
    if "10" in numbers and not masses[-1] and masses[numbers.index("1")] > UNLIKELY_ONE:
        zero, zero_reply = await _zero_after_one(judge, request, candidates.priority)
        replies.append(zero_reply)
        one = numbers.index("1")
        masses[-1], masses[one] = masses[one] * zero, masses[one] * (1 - zero)
    return _score(masses, aspect, stored.key), replies


async def _zero_after_one(judge: Judge, request: ChatRequest, priority: int) -> tuple[float, StoredReply]:
    """Return the probability of the token `0` after the token `1`: in most tokenizers 10 is these two tokens."""
    read, stored = await judge.critic.choose(continued(request, "1"), ("0",), priority=priority)
    return read.label_mass, stored


def _score(masses: Sequence[float], aspect: Aspect, reply: str) -> Score | None:
    """Return the score from the probability of every number, lowest first; None where all are 0."""
    total = sum(masses)
    if total <= 0:
        return None
    probabilities = tuple(mass / total for mass in masses)
    value = sum((aspect.scale[0] + place) * p for place, p in enumerate(probabilities))
    return Score(value=value, probabilities=probabilities, label_mass=min(1.0, total), reply=reply)


def rating_logits(config: RatingConfig, matchup: Matchup, reading: Reading) -> Iterator[tuple[str, PrincipleLogit]]:
    """Yield (principle, log-odds that a has the higher number) of a matchup, for each aspect."""
    for scored in matchup.scores:
        if scored.judge == config.called and (p := higher(scored, reading.min_label_mass)) is not None:
            logit = math.log(p / (1 - p))
            yield scored.principle, PrincipleLogit(judge=config.called, logit=logit, position_bias=None)


def higher(scored: Scored, min_label_mass: float) -> float | None:
    """Return the probability that a has the higher number, draws counted half; None where a or b is unreadable."""
    a, b = scored.a, scored.b
    if a is None or b is None or any((score.label_mass or 0.0) < min_label_mass for score in (a, b)):
        return None
    return min(SUREST, max(1 - SUREST, beats(a.probabilities, b.probabilities)))


def beats(a: Sequence[float], b: Sequence[float]) -> float:
    """Return P(a > b) + P(a = b) / 2 for two independent distributions over the same numbers, lowest first."""
    below, p = 0.0, 0.0
    for p_a, p_b in zip(a, b, strict=True):
        p += p_a * (below + p_b / 2)
        below += p_b
    return p


def describe(config: RatingConfig) -> str:
    """Return a short description of the judge."""
    return f"rates each response ({', '.join(aspect.id for aspect in config.rated)})"


KIND = JudgeKind(
    config=RatingConfig,
    logits=rating_logits,
    describe=describe,
    unanswered=lambda _, mass: f"only {mass:.0%} of its probability falls on the numbers {THINKING}",
    ask_candidates=rate,
    template="rate",
    stand_ins={"response": "x", "aspect": {"asks": "x", "scale": (1, 5)}},
    asks_rules=False,
    has_order=False,
)
