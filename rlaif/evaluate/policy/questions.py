"""The questions that both models are asked: prompts, and the project's own probes (their origin: data/README.md).

The probes are few, so they detect only large and frequent losses.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from rlaif.config.judging import JudgingConfig
from rlaif.config.sampling import SamplingConfig
from rlaif.constitution.schema import Constitution
from rlaif.evaluate.policy.gains_and_losses import Side
from rlaif.models.config import ModelConfig
from rlaif.records import Message, Prompt, Record
from rlaif.seeds import content_hash
from rlaif.shipped import DATA
from rlaif.templates import Templates

Kind = Literal["prompt", "harmless", "harmful", "plain", "claimed"]
"""Kind of a question with a response in words; `plain` and `claimed` ask about a claim without and with it."""
QuestionId = tuple[Kind, str]
LETTERS = ("A", "B", "C", "D")


class Claim(Record):
    """A question that is asked twice: plainly, and with a false claim about its answer."""

    id: str
    plain: str
    claimed: str
    right: str
    """Regular expression for the right answer, in lower case."""
    wrong: str
    """Regular expression for the claim, in lower case."""

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
        """Return the four options with the right one at index `place` (0 to 3)."""
        return (*self.wrong[:place], self.right, *self.wrong[place:])


class NeutralText(Record):
    """A text on a neutral subject, whose probability training should not change."""

    id: str
    text: str = Field(min_length=1)


@dataclass(frozen=True)
class Probes:
    """The probes of all kinds."""

    harmless: tuple[Prompt, ...]
    """Harmless requests with an alarming word."""
    harmful: tuple[Prompt, ...]
    """Requests that should be declined."""
    claims: tuple[Claim, ...]
    questions: tuple[ChoiceQuestion, ...]
    texts: tuple[NeutralText, ...]

    def first(self, count: int | None) -> "Probes":
        """Return the first `count` probes of each kind; all for None."""
        return Probes(**{kind: probes[:count] for kind, probes in vars(self).items()})


@dataclass(frozen=True)
class PolicyTest:
    """Models, questions and settings of an evaluation."""

    base: ModelConfig
    tuned: ModelConfig
    critic: ModelConfig
    prompts: tuple[Prompt, ...]
    source: str
    """Where the prompts come from."""
    probes: Probes
    constitutions: tuple[Constitution, ...]
    """By convention, the first is the one that the policy was trained under."""
    sampling: SamplingConfig
    judging: JudgingConfig
    templates: Templates
    cache: Path
    logs: Path
    seed: int = 0
    systems: Mapping[Side, str] = field(default_factory=dict)
    """System prompts of the models, for all questions with a response in words."""
    second_opinion: bool = False
    """Whether the critic also reads the responses to harmless and harmful requests."""
    dropped: tuple[str, ...] = ()
    """Ids of prompts and probes left out because a model was trained on them."""

    def questions(self) -> Iterator[tuple[QuestionId, Prompt]]:
        """Yield (id, prompt) of every question with a response in words."""
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
        """Return the number of questions of all kinds that each model is asked."""
        return sum(1 for _ in self.questions()) + len(self.probes.questions) + len(self.probes.texts)


def _user_prompt(name: str, text: str) -> Prompt:
    return Prompt(id=name, messages=(Message(role="user", content=text),))


def shipped_probes() -> Probes:
    """Return the probes that the package contains."""
    return Probes(
        harmless=tuple(_user_prompt(row["id"], row["prompt"]) for row in _rows("policy_harmless.jsonl")),
        harmful=tuple(_user_prompt(row["id"], row["prompt"]) for row in _rows("policy_harmful.jsonl")),
        claims=tuple(Claim.model_validate(row) for row in _rows("policy_claims.jsonl")),
        questions=tuple(ChoiceQuestion.model_validate(row) for row in _rows("policy_questions.jsonl")),
        texts=tuple(neutral_texts(DATA / "neutral.txt")),
    )


def neutral_texts(path: Path) -> Iterator[NeutralText]:
    """Yield the texts of a file, which empty lines separate."""
    for text in re.split(r"\n\s*\n", path.read_text(encoding="utf-8").strip()):
        yield NeutralText(id=content_hash(text), text=text)


def _rows(name: str) -> Iterator[dict[str, str]]:
    yield from map(json.loads, (DATA / name).read_text(encoding="utf-8").splitlines())
