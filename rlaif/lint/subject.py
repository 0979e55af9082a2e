"""What the linter's rules read: a constitution, the tags of prompts, and what a finished run measured.

The weights, levels and tags are those of the constitution that is checked and may differ from the run's own; the
questions may not.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from rlaif.config.run import PromptsConfig
from rlaif.constitution.load import Resolved
from rlaif.constitution.schema import Constitution, Principle
from rlaif.datasets.prompts import read_prompts
from rlaif.errors import UsageError
from rlaif.lint.vocabulary import is_english
from rlaif.preferences.contributions import tally_principles
from rlaif.preferences.judgement import Rule, judge_matchup
from rlaif.preferences.position import UNFIT_LABEL_MASS
from rlaif.records import PROMPT_CHECK, Matchup, Prompt
from rlaif.runs.reader import Run
from rlaif.shipped import SEED_PROMPTS
from rlaif.stats.estimates import Bootstrap, Estimate, Tally

FEWEST_PROMPTS = 30
"""No interval is given for fewer prompts."""

ENOUGH_FOR_ALWAYS = 72
"""With this many prompts, a share of exactly 0 or 1 is below 5 % or above 95 % with 95 % confidence (0.025^(1/72))."""


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
class Measurement:
    """Estimates from one run under one constitution."""

    run: str
    bootstrap: Bootstrap
    matchups: int

    @classmethod
    def of(cls, run: Run, constitution: Constitution) -> Self:
        """Measure a run. Raises UsageError when it was made with other questions, or has no verdicts."""
        refuse_other_questions(run, constitution)
        rule = run.config.judging.rule(constitution.weights, constitution.priorities, run.position_bias)
        judged = [(trace.prompt, trace.matchups) for trace in run.traces() if trace.matchups]
        measured = cls.of_matchups(str(run.path), judged, constitution, rule)
        if not measured.matchups:
            raise UsageError(f"{run.path} has compared no responses yet; there is nothing to measure")
        return measured

    @classmethod
    def of_matchups(
        cls, run: str, judged: Iterable[tuple[Prompt, Iterable[Matchup]]], constitution: Constitution, rule: Rule
    ) -> Self:
        """Measure the matchups of each prompt; `run` names their source."""
        tallies, count = [], 0
        for prompt, matchups in judged:
            used = [p.id for p in constitution.comparing if p.applies(prompt.tags)]
            tally: Tally = Tally()
            for matchup in matchups:
                count += 1
                tally.add(_tally(matchup, used, rule))
            tallies.append(tally)
        return cls(run, Bootstrap(tallies), count)

    @property
    def prompts(self) -> int:
        """Number of prompts with matchups."""
        return self.bootstrap.prompts

    def decisive(self, principle: str) -> Estimate:
        """Share of the labels that would be another, or none, without the principle."""
        return self._share(("decisive", principle), ("labelled", principle))

    def agreement(self, one: str, other: str) -> Estimate:
        """Share of the matchups with two winners in which they are the same; `one` precedes `other` in the file."""
        return self._share(("same", one, other), ("both", one, other))

    def order_dependent(self, principle: str) -> Estimate:
        """Share of the matchups whose two orders name different winners under the principle."""
        return self._share(("turned", principle), ("ordered", principle))

    def low_label_mass(self, principle: str) -> Estimate:
        """Share of the verdicts in which the two labels get less than half of the probability."""
        return self._share(("low mass", principle), ("verdicts", principle))

    def _share(self, above: tuple[str, ...], below: tuple[str, ...]) -> Estimate:
        """Return a share, without an interval where too few prompts had any of it."""
        estimate = self.bootstrap.ratio(above, below)
        few = estimate.prompts < FEWEST_PROMPTS
        return estimate.model_copy(update={"low": None, "high": None}) if few else estimate


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


_WORDS = {"critique", "revise", "compare", "critique_only", "compare_only"}


def words_of(principle: Principle) -> list[str]:
    """Return the texts of a principle that a model gets to read."""
    return [text for text in (principle.critique, principle.revise, principle.compare) if text]


def refuse_other_questions(run: Run, constitution: Constitution) -> None:
    """Raise UsageError where the run did not ask this constitution's questions."""
    asked = {principle.id: principle.decides_by for principle in run.constitution.comparing}
    for principle in constitution.comparing:
        if principle.id not in asked:
            raise UsageError(
                f'{run.path} was made without principle "{principle.id}", so nothing was measured of it; it knows '
                f"{', '.join(asked) or 'none'}"
            )
        if principle.decides_by != asked[principle.id]:
            raise UsageError(
                f'{run.path} was made with another question for "{principle.id}" ("{asked[principle.id]}"), so it '
                "measured something else; make a new run (it reuses the responses), or check the constitution in "
                f"{run.path}"
            )


def _tally(matchup: Matchup, used: list[str], rule: Rule) -> Tally:
    known = [verdict for verdict in matchup.verdicts if verdict.principle in used]
    verdicts = tuple(sorted(known, key=lambda verdict: used.index(verdict.principle)))
    checks = tuple(one for one in matchup.checks if one.principle in used or one.principle.startswith(PROMPT_CHECK))
    rankings = tuple(one for one in matchup.rankings if one.principle in used)
    matchup = matchup.model_copy(update={"verdicts": verdicts, "checks": checks, "rankings": rankings})
    tally = tally_principles(judge_matchup(matchup, rule), rule)
    for verdict in verdicts:
        tally["verdicts", verdict.principle] += 1
        tally["low mass", verdict.principle] += verdict.label_mass < UNFIT_LABEL_MASS
    return tally
