"""A rule of the linter: a function from a `Subject` to hits, registered under its code by `rule`.

Files, severities and suppression are for `check`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from rlaif.config.run import PromptsConfig
from rlaif.constitution.load import Resolved
from rlaif.constitution.schema import Constitution, Principle
from rlaif.datasets.prompts import read_prompts
from rlaif.lint.measurement import Measurement
from rlaif.lint.vocabulary import is_english
from rlaif.records import Prompt
from rlaif.shipped import SEED_PROMPTS


@dataclass(frozen=True)
class PromptTags:
    """The tags that prompts carry."""

    source: str
    prompts: int
    tags: frozenset[str]
    given: bool
    """Whether a person named these prompts. Otherwise they are the project's own, and a missing tag is only a note."""

    @classmethod
    def read(cls, path: str | None = None) -> Self:
        """Read a prompts file, the project's seed prompts by default. Raises PromptsError."""
        prompts = read_prompts(PromptsConfig(path=path or SEED_PROMPTS)).prompts
        return cls.of(prompts, path or "the project's seed prompts", given=path is not None)

    @classmethod
    def of(cls, prompts: list[Prompt], source: str, *, given: bool = True) -> Self:
        """Collect the tags of prompts."""
        return cls(source, len(prompts), frozenset(tag for prompt in prompts for tag in prompt.tags), given)


@dataclass(frozen=True)
class Subject:
    """One constitution, and how it is used."""

    constitution: Constitution
    sources: Mapping[str, str]
    """For every principle the file that it comes from."""
    own: frozenset[str]
    """Principles whose wording is in the file that is checked and not in one that it extends."""
    prompts: PromptTags
    measured: Measurement | None = None

    @classmethod
    def of(cls, resolved: Resolved, prompts: PromptTags, measured: Measurement | None = None) -> Self:
        """Collect what rules read."""
        sources = {name: origin.file for name, origin in resolved.origins.items()}
        reworded = {name for name, change in resolved.file.override.items() if change.model_fields_set & _WORDS}
        written = {principle.id for principle in resolved.file.principles}
        return cls(resolved.constitution, sources, frozenset(reworded | written), prompts, measured)

    @property
    def english(self) -> tuple[Principle, ...]:
        """The principles worded in English, the only language that the rules about wording can read."""
        return tuple(principle for principle in self.constitution.principles if is_english(*words_of(principle)))

    @property
    def worded(self) -> tuple[Principle, ...]:
        """Those of them whose wording is in this file."""
        return tuple(principle for principle in self.english if principle.id in self.own)

    @property
    def questions(self) -> Iterator[tuple[str, str]]:
        """Yield (principle id, compare question) of what this file itself puts to the judge."""
        for principle in self.worded:
            if principle.compare is not None and not principle.critique_only:
                yield principle.id, principle.compare


@dataclass(frozen=True)
class Hit:
    """Something a rule found."""

    message: str
    principle: str | None = None
    """None when it concerns the whole constitution."""
    part: str | None = None
    """The key that it is about, for the line."""
    note: bool = False
    """Report it as a note, whatever the severity of its code."""
    case: int | None = None
    """Index of a case of the principle, for the line; `part` is then `cases`."""


Rule = Callable[[Subject], Iterator[Hit]]

RULES: dict[str, Rule] = {}
"""By code. C001 and C002 are about the suppression of these."""


def rule(code: str) -> Callable[[Rule], Rule]:
    """Register a function as the rule that finds a code; codes.yaml explains the code."""

    def register(function: Rule) -> Rule:
        RULES[code] = function
        return function

    return register


_WORDS = {"critique", "revise", "compare", "critique_only", "compare_only"}


def words_of(principle: Principle) -> list[str]:
    """Return the texts of a principle that a model gets to read."""
    return [text for text in (principle.critique, principle.revise, principle.compare) if text]
