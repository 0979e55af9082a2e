"""What the rules of the linter look at, and what they say.

A rule is a function from a `Subject` to hits; it knows nothing of files, codes, severities or suppression.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from rlaif.config.run import PromptsConfig
from rlaif.constitution.load import Resolved
from rlaif.constitution.schema import Constitution, Principle
from rlaif.datasets.prompts import read_prompts
from rlaif.lint.vocabulary import is_english
from rlaif.records import Prompt
from rlaif.shipped import SEED_PROMPTS

if TYPE_CHECKING:
    from rlaif.lint.measure import Measurement


@dataclass(frozen=True)
class PromptTags:
    """The tags that prompts carry."""

    source: str
    prompts: int
    tags: frozenset[str]
    given: bool
    """Whether a person named these prompts; the project's own stand in otherwise, and what they lack is no fault."""

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
    """One constitution, and what else is known about its use."""

    constitution: Constitution
    sources: Mapping[str, str]
    """For every principle the file that it comes from."""
    own: frozenset[str]
    """Principles whose words stand in the file that is checked; the others' are that other file's business."""
    prompts: PromptTags
    measured: "Measurement | None" = None

    @classmethod
    def of(cls, resolved: Resolved, prompts: PromptTags, measured: "Measurement | None" = None) -> Self:
        """Collect what rules look at."""
        sources = {name: origin.file for name, origin in resolved.origins.items()}
        reworded = {name for name, change in resolved.file.override.items() if change.model_fields_set & _WORDS}
        written = {principle.id for principle in resolved.file.principles}
        return cls(resolved.constitution, sources, frozenset(reworded | written), prompts, measured)

    @property
    def english(self) -> tuple[Principle, ...]:
        """The principles whose wording can be read here: all rules about words are rules about English."""
        return tuple(principle for principle in self.constitution.principles if is_english(*words_of(principle)))

    @property
    def worded(self) -> tuple[Principle, ...]:
        """Of these, the ones whose words stand in this file."""
        return tuple(principle for principle in self.english if principle.id in self.own)

    @property
    def questions(self) -> Iterator[tuple[str, str]]:
        """Yield (principle id, compare question) of what this file puts to the judge in its own words."""
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
    """The key it stands under, for the line."""
    note: bool = False
    """Less than the code's own severity: worth knowing, no fault."""
    case: int | None = None
    """Place of a case among the principle's, from 0, for the line; `part` is then `cases`."""


Rule = Callable[[Subject], Iterator[Hit]]

_WORDS = {"critique", "revise", "compare", "critique_only", "compare_only"}


def words_of(principle: Principle) -> list[str]:
    """Return the texts of a principle that a model gets to read."""
    return [text for text in (principle.critique, principle.revise, principle.compare) if text]
