"""A constitution as data: validated principles with a content hash.

`rlaif.constitution.load` builds one from files that extend others. The text around the principles, such as the request
for a critique or a comparison, is in the templates.
"""

from collections import Counter
from collections.abc import Collection
from typing import Annotated, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from rlaif.checks.check import Check, NamedCheck
from rlaif.records import Message, Record
from rlaif.seeds import canonical_json, content_hash

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
Weight = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
LintCode = Annotated[str, StringConstraints(pattern=r"^C\d{3}$")]


class Example(Record):
    """A worked example of a critique and a revision, shown to the critic before the real question."""

    prompt: Text
    response: Text
    critique: Text
    revision: Text

    @model_validator(mode="before")
    @classmethod
    def _refuse_case(cls, data: object) -> object:
        if isinstance(data, dict) and {"better", "worse"} & set(data):
            raise ValueError("this looks like a case (it has better and worse); put it under `cases:`")
        return data


class Case(Record):
    """A labelled comparison that tests whether a critic understands a principle; a judge with `cases` is shown some."""

    prompt: Text | None = None
    messages: tuple[Message, ...] = ()
    """A conversation that ends with the user, instead of `prompt`."""
    better: Text
    """The response that is better under this principle."""
    worse: Text
    why: str = ""
    """The reason, for readers; never sent to a model."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.prompt is None) == (not self.messages):
            raise ValueError("a case must have either `prompt` or `messages`")
        if self.messages and self.messages[-1].role != "user":
            raise ValueError("the messages of a case must end with a user's turn")
        if self.better == self.worse:
            raise ValueError("the better and the worse response of a case are the same")
        return self

    @property
    def conversation(self) -> tuple[Message, ...]:
        """The turns before the response."""
        return self.messages or (Message(role="user", content=self.prompt or ""),)


class Principle(Record):
    """One rule: what to criticise, how to revise, and the question that compares two responses."""

    id: Slug
    why: str = ""
    """Why the rule exists; sent to a policy only whose system prompt is the constitution."""
    group: Slug | None = None
    """Aim of the rule, such as `helpful`; conflicts between groups are measured."""
    critique: Text | None = None
    """Instruction to the critic: what to look for in a response."""
    revise: Text | None = None
    """Instruction to the reviser: what to change."""
    compare: Text | None = None
    """The question put to the judge about two responses."""
    satisfies: Text | None = None
    """What the rule asks of one response, for judges of the kind `satisfies` and for rewards, such as: that it says how
    sure it is. Without it, they ask by `compare`."""
    check: Check | None = None
    """A program in place of a `compare` question: a response that passes beats one that does not."""
    weight: Weight = 1.0
    """Weight in the mean of the log-odds of its priority level."""
    priority: int = Field(default=1, ge=1, le=100)
    """Priority level, 1 is the highest: principles of level 2 decide only where those of level 1 abstain."""
    applies_to: tuple[Slug, ...] = ()
    """Tags of prompts: the principle is used only for prompts with one of them; for all prompts when empty."""
    tags: tuple[Slug, ...] = ()
    examples: tuple[Example, ...] = ()
    cases: tuple[Case, ...] = ()
    """Tests of the critic, for `rlaif constitution test`."""
    critique_only: bool = False
    """Used for critique and revision, never put to the judge."""
    compare_only: bool = False
    """Put to the judge, never used for critique and revision."""
    ignore: tuple[LintCode, ...] = ()
    """Codes of `rlaif constitution check` that are not reported for this principle."""

    @model_validator(mode="after")
    def _has_what_it_is_used_for(self) -> Self:
        if self.critique_only and self.compare_only:
            raise ValueError(f'principle "{self.id}" is critique_only and compare_only, so it is never used')
        if self.check is not None:
            self._refuse_unused_parts()
        elif not self.critique_only and self.compare is None:
            raise ValueError(
                f'principle "{self.id}" has no "compare" question, so it cannot compare responses; '
                "add one or a check, or mark it critique_only"
            )
        for part in ("critique", "revise"):
            if not self.compare_only and getattr(self, part) is None and not self._only_checks:
                raise ValueError(f'principle "{self.id}" has no "{part}" instruction; add one, or mark it compare_only')
        if self.cases and self.compare is None and self.check is None:
            raise ValueError(f'principle "{self.id}" has cases but no "compare" question to test with them')
        return self

    def _refuse_unused_parts(self) -> None:
        if self.compare is not None:
            raise ValueError(
                f'principle "{self.id}" is decided by its check, so its "compare" question would never be asked; '
                "leave one of them out (where it is inherited: `compare: null`)"
            )
        if self.critique_only:
            raise ValueError(f'principle "{self.id}" is critique_only, so its check would never be used')

    @property
    def _only_checks(self) -> bool:
        """Whether it is a check without instructions; such a principle is never drawn for a revision."""
        return self.check is not None and self.critique is None and self.revise is None

    @property
    def decides_by(self) -> str:
        """The question put to the judge, or what a program checks; empty for a critique_only one."""
        return f"a program: {self.check}" if self.check is not None else self.compare or ""

    @property
    def revises(self) -> bool:
        """Whether it is drawn for critique and revision."""
        return not self.compare_only and not self._only_checks

    def applies(self, tags: Collection[str]) -> bool:
        """Whether the principle is used for a prompt with these tags."""
        return not self.applies_to or any(tag in tags for tag in self.applies_to)


class Head(Record):
    """Name, version and description of a constitution."""

    name: Slug
    """Lower-case words with hyphens; written into every row of a dataset."""
    version: int = Field(ge=1)
    """To be increased whenever the principles change."""
    description: Text
    """One or two sentences for readers."""
    after: tuple[str, ...] = ()
    """Published work that the principles are based on."""
    ignore: tuple[LintCode, ...] = ()
    """Codes of `rlaif constitution check` that are not reported for this file."""


class Constitution(Head):
    """A named set of principles."""

    principles: tuple[Principle, ...]

    @field_validator("principles")
    @classmethod
    def _ids_are_unique(cls, principles: tuple[Principle, ...]) -> tuple[Principle, ...]:
        if not principles:
            raise ValueError("a constitution needs at least one principle")
        refuse_repeated_ids(principles)
        return principles

    @property
    def hash(self) -> str:
        """Content hash of 12 hex characters, without comments, layout, cases and lint settings."""
        content = self.model_dump(
            mode="json",
            exclude_defaults=True,
            exclude={"ignore": True, "principles": {"__all__": {"ignore": True, "cases": True}}},
        )
        return content_hash(canonical_json(content))

    @property
    def revising(self) -> tuple[Principle, ...]:
        """The principles that are drawn for critique and revision."""
        return tuple(p for p in self.principles if p.revises)

    @property
    def comparing(self) -> tuple[Principle, ...]:
        """The principles that compare responses: by a question to the judge or by a check."""
        return tuple(p for p in self.principles if not p.critique_only)

    @property
    def asked(self) -> tuple[Principle, ...]:
        """The principles that are put to the judge."""
        return tuple(p for p in self.comparing if p.check is None)

    def checks(self, tags: Collection[str]) -> tuple[NamedCheck, ...]:
        """Return the checks of the principles that apply to a prompt with these tags."""
        applied = [p for p in self.comparing if p.applies(tags)]
        return tuple(NamedCheck(id=p.id, check=p.check) for p in applied if p.check is not None)

    @property
    def weights(self) -> dict[str, float]:
        """Weight of every principle, by id."""
        return {principle.id: principle.weight for principle in self.principles}

    @property
    def priorities(self) -> dict[str, int]:
        """Priority level of every principle, by id."""
        return {principle.id: principle.priority for principle in self.principles}

    def principle(self, principle_id: str) -> Principle:
        """Return one principle by its id."""
        return next(p for p in self.principles if p.id == principle_id)


def refuse_repeated_ids(principles: Collection[Principle]) -> None:
    """Raise ValueError when two principles have the same id."""
    for name, count in Counter(principle.id for principle in principles).items():
        if count > 1:
            raise ValueError(f'principle id "{name}" is used twice')
