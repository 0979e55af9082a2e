"""A constitution: the rules, as data. YAML in, checked principles with a content hash out.

Nothing here talks to a model; the words around the rules (what a critique or a comparison looks like) live
in the templates.
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from rlaif.hashing import canonical_json, content_hash
from rlaif.records import Record
from rlaif.shipped import find_constitution
from rlaif.yamlfile import read_yaml

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]


class Example(Record):
    """A worked example of a critique and a revision, shown to the critic before the real question."""

    prompt: Text
    response: Text
    critique: Text
    revision: Text


class Principle(Record):
    """One rule: what to look for, what to change, and what to ask of two answers."""

    id: Slug
    why: str = ""
    """Why the rule exists: for people, never sent to a model."""
    critique: Text | None = None
    """Tells the critic what to look for in an answer."""
    revise: Text | None = None
    """Tells the reviser what to change."""
    compare: Text | None = None
    """The question put to the judge about answer A and answer B."""
    weight: float = Field(default=1.0, gt=0, le=1000, allow_inf_nan=False)
    """Share in the weighted mean of the principles' logits."""
    tags: tuple[Slug, ...] = ()
    examples: tuple[Example, ...] = ()
    critique_only: bool = False
    """Used for critique and revision, never put to the judge."""
    compare_only: bool = False
    """Put to the judge, never used for critique and revision."""

    @model_validator(mode="after")
    def _has_what_it_is_used_for(self) -> Self:
        if self.critique_only and self.compare_only:
            raise ValueError(f'principle "{self.id}" is critique_only and compare_only, so it is used for nothing')
        if not self.critique_only and self.compare is None:
            raise ValueError(
                f'principle "{self.id}" has no "compare" question, so nothing can be ranked by it; '
                "add one, or mark it critique_only"
            )
        for part in ("critique", "revise"):
            if not self.compare_only and getattr(self, part) is None:
                raise ValueError(f'principle "{self.id}" has no "{part}" instruction; add one, or mark it compare_only')
        return self


class Constitution(Record):
    """A named set of principles."""

    name: Slug
    version: int = Field(ge=1)
    description: Text
    after: tuple[str, ...] = ()
    """Published work behind the rules."""
    principles: tuple[Principle, ...]

    @field_validator("principles")
    @classmethod
    def _ids_are_unique(cls, principles: tuple[Principle, ...]) -> tuple[Principle, ...]:
        if not principles:
            raise ValueError("a constitution needs at least one principle")
        seen: set[str] = set()
        for principle in principles:
            if principle.id in seen:
                raise ValueError(f'principle id "{principle.id}" is used twice')
            seen.add(principle.id)
        return principles

    @property
    def hash(self) -> str:
        """Twelve hex characters that name this content; comments and layout of the file do not count."""
        return content_hash(canonical_json(self.model_dump(mode="json")))

    @property
    def revising(self) -> tuple[Principle, ...]:
        """The principles that critique and revise."""
        return tuple(p for p in self.principles if not p.compare_only)

    @property
    def comparing(self) -> tuple[Principle, ...]:
        """The principles that are put to the judge."""
        return tuple(p for p in self.principles if not p.critique_only)

    def principle(self, principle_id: str) -> Principle:
        """Return one principle by its id."""
        return next(p for p in self.principles if p.id == principle_id)


def load_constitution(name_or_path: str | Path) -> Constitution:
    """Load a constitution from a YAML file, or a shipped one by its name.

    Raises UsageError when there is no such file, ConfigError with file and line when it is not as it must be.
    """
    return read_yaml(find_constitution(name_or_path), Constitution)
