"""The input of the linter's rules: a constitution, the tags of prompts, and the measurements of a finished run.

Weights, levels and tags are those of the constitution that is linted, and may differ from the run's; the questions must
be the same.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from rlaif.stats.estimates import Estimate, Tallies, Tally

FEWEST_PROMPTS = 30
"""Least number of prompts for an interval."""

ENOUGH_FOR_ALWAYS = 72
"""With this many prompts, a share of exactly 0 or 1 is below 5 % or above 95 % with 95 % confidence (0.025^(1/72))."""


@dataclass(frozen=True)
class PromptTags:
    """The tags of a set of prompts."""

    source: str
    prompts: int
    tags: frozenset[str]
    given: bool
    """Whether the user named these prompts; otherwise they are the seed prompts, and a missing tag is only a note."""

    @classmethod
    def read(cls, path: str | None = None) -> Self:
        """Return the tags of a prompts file, by default of the project's seed prompts. Raises PromptsError."""
        prompts = read_prompts(PromptsConfig(path=path or SEED_PROMPTS)).prompts
        return cls.of(prompts, path or "the project's seed prompts", given=path is not None)

    @classmethod
    def of(cls, prompts: Sequence[Prompt], source: str, *, given: bool = True) -> Self:
        """Return the tags of these prompts."""
        return cls(source, len(prompts), frozenset(tag for prompt in prompts for tag in prompt.tags), given)


@dataclass(frozen=True)
class Measurement:
    """Estimates from the matchups of one run, with the weights and levels of one constitution."""

    run: str
    tallies: Tallies
    matchups: int

    @classmethod
    def of(cls, run: Run, constitution: Constitution) -> Self:
        """Return the measurement of a run. Raises UsageError when it has other questions, or no verdicts."""
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
        """Return the measurement of the matchups of each prompt; `run` names their source."""
        tallies, count = [], 0
        for prompt, matchups in judged:
            used = [p.id for p in constitution.comparing if p.applies(prompt.tags)]
            tally: Tally = Tally()
            for matchup in matchups:
                count += 1
                tally.add(_tally(matchup, used, rule))
            tallies.append(tally)
        return cls(run, Tallies(tallies), count)

    @property
    def prompts(self) -> int:
        """Number of prompts with matchups."""
        return self.tallies.prompts

    def decisive(self, principle: str) -> Estimate:
        """Share of the labels that would change or be missing without the principle."""
        return self._share(("decisive", principle), ("labelled", principle))

    def agreement(self, one: str, other: str) -> Estimate:
        """Share with the same winner, of the matchups where both principles name one; `one` is earlier in the file."""
        return self._share(("same", one, other), ("both", one, other))

    def order_dependent(self, principle: str) -> Estimate:
        """Share of the matchups whose two orders name different winners under the principle."""
        return self._share(("turned", principle), ("ordered", principle))

    def low_label_mass(self, principle: str) -> Estimate:
        """Share of the verdicts in which the two labels get less than half of the probability."""
        return self._share(("low mass", principle), ("verdicts", principle))

    def _share(self, above: tuple[str, ...], below: tuple[str, ...]) -> Estimate:
        """Return the share of two counts, without an interval for fewer than FEWEST_PROMPTS prompts."""
        estimate = self.tallies.ratio(above, below)
        few = estimate.prompts < FEWEST_PROMPTS
        return estimate.model_copy(update={"low": None, "high": None}) if few else estimate


@dataclass(frozen=True)
class Subject:
    """The constitution that is linted, its prompts' tags, and measurements of a run."""

    constitution: Constitution
    sources: Mapping[str, str]
    """By principle id: the file that defines it."""
    own: frozenset[str]
    """Ids of principles whose wording is in the linted file, not in one that it extends."""
    prompts: PromptTags
    measured: Measurement | None = None

    @classmethod
    def of(cls, resolved: Resolved, prompts: PromptTags, measured: Measurement | None = None) -> Self:
        """Return the subject of a resolved constitution."""
        sources = {name: origin.file for name, origin in resolved.origins.items()}
        reworded = {name for name, change in resolved.file.override.items() if change.model_fields_set & _WORDS}
        written = {principle.id for principle in resolved.file.principles}
        return cls(resolved.constitution, sources, frozenset(reworded | written), prompts, measured)

    @property
    def english(self) -> tuple[Principle, ...]:
        """The principles worded in English, the only language of the rules about wording."""
        return tuple(principle for principle in self.constitution.principles if is_english(*words_of(principle)))

    @property
    def worded(self) -> tuple[Principle, ...]:
        """The English principles whose wording is in the linted file."""
        return tuple(principle for principle in self.english if principle.id in self.own)

    @property
    def questions(self) -> Iterator[tuple[str, str]]:
        """Yield (principle id, compare question) of the linted file's own questions to the judge."""
        for principle in self.worded:
            if principle.compare is not None and not principle.critique_only:
                yield principle.id, principle.compare


_WORDS = {"critique", "revise", "compare", "critique_only", "compare_only"}


def words_of(principle: Principle) -> list[str]:
    """Return the texts of a principle that are sent to a model."""
    return [text for text in (principle.critique, principle.revise, principle.compare) if text]


def refuse_other_questions(run: Run, constitution: Constitution) -> None:
    """Raise UsageError where a question of the constitution was not asked in the run."""
    asked = {principle.id: principle.decides_by for principle in run.constitution.comparing}
    for principle in constitution.comparing:
        if principle.id not in asked:
            raise UsageError(
                f'{run.path} was made without principle "{principle.id}", so it has no measurement of it; its '
                f"principles are {', '.join(asked) or 'none'}"
            )
        if principle.decides_by != asked[principle.id]:
            raise UsageError(
                f'{run.path} was made with another question for "{principle.id}" ("{asked[principle.id]}"), so its '
                "measurements do not apply; make a new run (it reuses the responses), or check the constitution in "
                f"{run.path}"
            )


def _tally(matchup: Matchup, used: list[str], rule: Rule) -> Tally:
    """Return the counts of one matchup, under the principles in `used` only."""
    known = [verdict for verdict in matchup.verdicts if verdict.principle in used]
    verdicts = tuple(sorted(known, key=lambda verdict: used.index(verdict.principle)))
    checks = tuple(c for c in matchup.checks if c.principle in used or c.principle.startswith(PROMPT_CHECK))
    rankings = tuple(ranked for ranked in matchup.rankings if ranked.principle in used)
    matchup = matchup.model_copy(update={"verdicts": verdicts, "checks": checks, "rankings": rankings})
    tally = tally_principles(judge_matchup(matchup, rule), rule)
    for verdict in verdicts:
        tally["verdicts", verdict.principle] += 1
        tally["low mass", verdict.principle] += verdict.label_mass < UNFIT_LABEL_MASS
    return tally
