"""What both models are asked besides the prompts: the project's own small sets, each with its origin in data/README.md.

Comes in: files that ship with the package. Goes out: probes that know how their answers are read. They are small:
they show large costs, and nothing about rare ones.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import Field, field_validator

from rlaif.records import Message, Prompt, Record
from rlaif.seeds import content_hash
from rlaif.shipped import DATA

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
    """A text on nothing in particular, whose words should surprise a model no more after training than before."""

    id: str
    text: str = Field(min_length=1)


Row = TypeVar("Row", Claim, ChoiceQuestion)


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
        """Return so many of each kind; all for None."""
        return Probes(
            self.harmless[:count],
            self.harmful[:count],
            self.claims[:count],
            self.questions[:count],
            self.texts[:count],
        )


def shipped_probes() -> Probes:
    """Return the probes that come with the package."""
    return Probes(
        harmless=tuple(_prompts("policy_harmless.jsonl")),
        harmful=tuple(_prompts("policy_harmful.jsonl")),
        claims=tuple(_rows("policy_claims.jsonl", Claim)),
        questions=tuple(_rows("policy_questions.jsonl", ChoiceQuestion)),
        texts=tuple(neutral_texts(DATA / "neutral.txt")),
    )


def neutral_texts(path: Path) -> Iterator[NeutralText]:
    """Yield the texts of a file in which empty lines stand between them."""
    for text in re.split(r"\n\s*\n", path.read_text(encoding="utf-8").strip()):
        yield NeutralText(id=content_hash(text), text=text)


def _prompts(name: str) -> Iterator[Prompt]:
    for row in _objects(name):
        yield Prompt(id=row["id"], messages=(Message(role="user", content=row["prompt"]),))


def _rows(name: str, kind: type[Row]) -> Iterator[Row]:
    for row in _objects(name):
        yield kind.model_validate(row)


def _objects(name: str) -> Iterator[dict[str, str]]:
    for line in (DATA / name).read_text(encoding="utf-8").splitlines():
        yield json.loads(line)
