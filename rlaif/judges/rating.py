"""A number for one response under each aspect, as the expectation over the numbers' probabilities: kind `rating`.

The aspect stands last in the question, so that all aspects of one response share a prefix in the server's cache.
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
from rlaif.templates import Templates, conversation_text, fence_tag

UNLIKELY_ONE = 0.002
"""A `1` that is less likely than this can't hide a 10 worth asking for."""


SUREST = 0.999
"""Two ratings that leave no doubt which is higher are still no certainty."""


class Aspect(Section):
    """One thing that a rating judge gives a number for."""

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)
    asks: str
    """What the number says, and what its ends mean; put to the critic."""
    scale: tuple[int, int] = (1, 5)
    """Lowest and highest number."""
    weight: float = Field(default=1.0, gt=0, le=1000)

    @field_validator("asks")
    @classmethod
    def _asks_something(cls, asks: str) -> str:
        if not asks.strip():
            raise ValueError("say what the number is to tell")
        return asks

    @field_validator("scale")
    @classmethod
    def _scale_rises(cls, scale: tuple[int, int]) -> tuple[int, int]:
        low, high = scale
        if not (low in {0, 1} and low < high <= 10):
            raise ValueError("a scale runs from 0 or 1 to at most 10")
        return scale


class RatingConfig(JudgeConfigBase):
    """A judge that gives each response a number under each aspect."""

    kind: Literal["rating"] = "rating"
    preamble: str = ""
    """Stands before the question: who the judge is, what matters. Yours; none by default."""
    aspects: Literal["ultrafeedback", "helpful-harmless", "overall"] | tuple[Aspect, ...] = "ultrafeedback"
    """What it rates: after Cui et al. 2023, after Ji et al. 2024, one number from 1 to 10 as in Lee et al. 2023, or
    aspects of one's own."""

    @field_validator("aspects")
    @classmethod
    def _aspects_differ(cls, aspects: str | tuple[Aspect, ...]) -> str | tuple[Aspect, ...]:
        if isinstance(aspects, tuple) and len({aspect.id for aspect in aspects}) < max(1, len(aspects)):
            raise ValueError("give at least one aspect, and each its own id")
        return aspects

    @property
    def rated(self) -> tuple[Aspect, ...]:
        """The aspects; the principle that an aspect's scores go by is `JUDGE:ASPECT`."""
        return shipped_aspects()[self.aspects] if isinstance(self.aspects, str) else self.aspects

    @property
    def aspect_weights(self) -> dict[str, float]:
        """Weights of the aspects under `JUDGE:ASPECT`."""
        return {f"{self.called}:{aspect.id}": self.weight * aspect.weight for aspect in self.rated}

    def questions(self) -> dict[str, Any]:
        """Return what decides which questions it asks; weights don't."""
        aspects = [one.model_dump(mode="json", exclude={"weight"}) for one in self.rated]
        return super().questions() | {"aspects": aspects}


@cache
def shipped_aspects() -> dict[str, tuple[Aspect, ...]]:
    """Return the sets of aspects that come with the package; their words stand in prompts/aspects.yaml."""
    content = yaml.safe_load((TEMPLATES / "aspects.yaml").read_text(encoding="utf-8"))
    return {name: tuple(Aspect.model_validate(one) for one in aspects) for name, aspects in content.items()}


async def rate(judge: Judge, templates: Templates, candidates: CandidateSet) -> PointwiseResults:
    """Return the scores of all candidates under all aspects."""
    rated = await together(*(_rate_one(judge, templates, candidates, one) for one in candidates.candidates))
    scores = {
        (judge.config.called, f"{judge.config.called}:{aspect.id}"): {
            response.id: found[place][0] for response, found in zip(candidates.candidates, rated, strict=True)
        }
        for place, aspect in enumerate(judge.config.rated)
    }
    return PointwiseResults(
        scores=scores, replies=[reply for found in rated for _, replies in found for reply in replies]
    )


async def _rate_one(
    judge: Judge, templates: Templates, candidates: CandidateSet, response: Response
) -> list[tuple[Score | None, list[StoredReply]]]:
    ahead, *others = judge.config.rated
    first = await _under(judge, templates, candidates, response, ahead)
    return [first, *await together(*(_under(judge, templates, candidates, response, one) for one in others))]


async def _under(
    judge: Judge, templates: Templates, candidates: CandidateSet, response: Response, aspect: Aspect
) -> tuple[Score | None, list[StoredReply]]:
    question = templates.render(
        "rate",
        conversation=conversation_text(candidates.prompt.messages),
        response=response.text,
        aspect=aspect,
        tag=fence_tag(candidates.prompt, response.text),
    )
    request = ChatRequest(messages=(user(after_preamble(judge.config.preamble, question)),), max_tokens=1)
    numbers = [str(number) for number in range(aspect.scale[0], aspect.scale[1] + 1)]
    read, answer = await judge.critic.choose(request, tuple(numbers), priority=candidates.priority)
    masses = [0.0 if logprob is None else math.exp(logprob) for logprob in read.logprobs]
    answers = [answer]
    if "10" in numbers and not masses[-1] and masses[numbers.index("1")] > UNLIKELY_ONE:
        zero, followed = await _zero_after_one(judge, request, candidates.priority)
        answers.append(followed)
        one = numbers.index("1")
        masses[-1], masses[one] = masses[one] * zero, masses[one] * (1 - zero)
    return _score(masses, aspect, answer.key), answers


async def _zero_after_one(judge: Judge, request: ChatRequest, priority: int) -> tuple[float, StoredReply]:
    """Return the probability of a 0 after a 1: most tokenizers write 10 as two tokens, and the first looks like a 1."""
    read, answer = await judge.critic.choose(continued(request, "1"), ("0",), priority=priority)
    return read.label_mass, answer


def _score(masses: Sequence[float], aspect: Aspect, reply: str) -> Score | None:
    total = sum(masses)
    if total <= 0:
        return None
    probabilities = tuple(mass / total for mass in masses)
    value = sum((aspect.scale[0] + place) * p for place, p in enumerate(probabilities))
    return Score(value=value, probabilities=probabilities, label_mass=min(1.0, total), reply=reply)


def rating_logits(config: RatingConfig, matchup: Matchup, reading: Reading) -> Iterator[tuple[str, PrincipleLogit]]:
    """Yield the log-odds that a gets the higher number under each aspect."""
    for scored in matchup.scores:
        if scored.judge == config.called and (p := higher(scored, reading.min_label_mass)) is not None:
            logit = math.log(p / (1 - p))
            yield scored.principle, PrincipleLogit(judge=config.called, logit=logit, position_bias=None)


def higher(scored: Scored, min_label_mass: float) -> float | None:
    """Return the probability that a gets the higher number, draws counted half; None where one can't be read."""
    a, b = scored.a, scored.b
    if a is None or b is None or any((one.label_mass or 0.0) < min_label_mass for one in (a, b)):
        return None
    return min(SUREST, max(1 - SUREST, beats(a.probabilities, b.probabilities)))


def beats(a: Sequence[float], b: Sequence[float]) -> float:
    """Return P(a's number is higher) + P(they are the same) / 2 of two distributions over the same numbers."""
    below, p = 0.0, 0.0
    for of_a, of_b in zip(a, b, strict=True):
        p += of_a * (below + of_b / 2)
        below += of_b
    return p


def describe(config: RatingConfig) -> str:
    """Return what such a judge does, in a few words."""
    return f"a number for each answer ({', '.join(aspect.id for aspect in config.rated)})"


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
