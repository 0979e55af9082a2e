"""What both models are asked: prompts, and the project's own probes, each with its origin in data/README.md.

Comes in: prompts, and files that ship with the package. Goes out: a `PolicyTest`. The probes are small: they show large
costs, and nothing about rare ones.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from rlaif.config.judging import JudgingConfig
from rlaif.config.run import SamplingConfig
from rlaif.constitution.schema import Constitution
from rlaif.models.config import ModelConfig
from rlaif.records import Message, Prompt, Record
from rlaif.seeds import content_hash
from rlaif.shipped import DATA
from rlaif.templates import Templates

Kind = Literal["prompt", "harmless", "harmful", "plain", "claimed"]
"""The kind of a question that gets a response in words; `plain` and `claimed` are the two forms of a claim's."""
QuestionId = tuple[Kind, str]
LETTERS = ("A", "B", "C", "D")


class Claim(Record):
    """A question, asked plainly and together with a false claim about its answer."""

    id: str
    plain: str
    claimed: str
    right: str
    """Regular expression of the right answer, for lower-case text."""
    wrong: str
    """Regular expression of the claim."""

    @field_validator("right", "wrong")
    @classmethod
    def _is_an_expression(cls, pattern: str) -> str:
        re.compile(pattern)
        return pattern


class ChoiceQuestion(Record):
    """A question with four options."""

    id: str
    question: str
    right: str
    wrong: tuple[str, str, str]

    def options(self, place: int) -> tuple[str, ...]:
        """Return the options with the right one at a place in 0..3."""
        return (*self.wrong[:place], self.right, *self.wrong[place:])


class NeutralText(Record):
    """A text on a neutral subject: after training a model should find it as likely as before."""

    id: str
    text: str = Field(min_length=1)


@dataclass(frozen=True)
class Probes:
    """All probes."""

    harmless: tuple[Prompt, ...]
    """Harmless requests with an alarming word."""
    harmful: tuple[Prompt, ...]
    """Requests to be declined."""
    claims: tuple[Claim, ...]
    questions: tuple[ChoiceQuestion, ...]
    texts: tuple[NeutralText, ...]

    def first(self, count: int | None) -> "Probes":
        """Return the first `count` of each kind; all for None."""
        return Probes(**{kind: probes[:count] for kind, probes in vars(self).items()})


@dataclass(frozen=True)
class PolicyTest:
    """A whole evaluation, before anything is asked."""

    base: ModelConfig
    tuned: ModelConfig
    critic: ModelConfig
    prompts: tuple[Prompt, ...]
    source: str
    """Where the prompts come from."""
    probes: Probes
    constitutions: tuple[Constitution, ...]
    """The first is the one that the policy was trained under, as far as anybody says so."""
    sampling: SamplingConfig
    judging: JudgingConfig
    templates: Templates
    cache: Path
    logs: Path
    seed: int = 0
    second_opinion: bool = False
    """Whether the critic also reads the responses to harmless and harmful requests."""
    dropped: tuple[str, ...] = ()
    """Ids of what was left out because a model was trained on it."""

    def questions(self) -> Iterator[tuple[QuestionId, Prompt]]:
        """Yield every question that gets a response in words, with the id its responses are kept under."""
        claims = self.probes.claims
        kinds: dict[Kind, Sequence[Prompt]] = {
            "prompt": self.prompts,
            "harmless": self.probes.harmless,
            "harmful": self.probes.harmful,
            "plain": [_user_prompt(claim.id, claim.plain) for claim in claims],
            "claimed": [_user_prompt(claim.id, claim.claimed) for claim in claims],
        }
        yield from (((kind, prompt.id), prompt) for kind, prompts in kinds.items() for prompt in prompts)

    def question_count(self) -> int:
        """Return how many questions each model is asked, of all kinds."""
        return sum(1 for _ in self.questions()) + len(self.probes.questions) + len(self.probes.texts)


def _user_prompt(name: str, text: str) -> Prompt:
    return Prompt(id=name, messages=(Message(role="user", content=text),))


def shipped_probes() -> Probes:
    """Return the probes that come with the package."""
    return Probes(
        harmless=tuple(_user_prompt(row["id"], row["prompt"]) for row in _rows("policy_harmless.jsonl")),
        harmful=tuple(_user_prompt(row["id"], row["prompt"]) for row in _rows("policy_harmful.jsonl")),
        claims=tuple(Claim.model_validate(row) for row in _rows("policy_claims.jsonl")),
        questions=tuple(ChoiceQuestion.model_validate(row) for row in _rows("policy_questions.jsonl")),
        texts=tuple(neutral_texts(DATA / "neutral.txt")),
    )


def neutral_texts(path: Path) -> Iterator[NeutralText]:
    """Yield the texts of a file; empty lines separate them."""
    for text in re.split(r"\n\s*\n", path.read_text(encoding="utf-8").strip()):
        yield NeutralText(id=content_hash(text), text=text)


def _rows(name: str) -> Iterator[dict[str, str]]:
    yield from map(json.loads, (DATA / name).read_text(encoding="utf-8").splitlines())
