"""Estimates per principle from the verdicts of a finished run, with 95 % intervals over prompts.

The weights, levels and tags are those of the constitution that is checked and may differ from the run's own; the
questions may not.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from rlaif.constitution.schema import Constitution
from rlaif.errors import UsageError
from rlaif.preferences.contributions import tally_principles
from rlaif.preferences.judgement import Rule, judge_matchup
from rlaif.preferences.position import UNFIT_LABEL_MASS
from rlaif.records import PROMPT_CHECK, Matchup, Prompt
from rlaif.runs.reader import Run
from rlaif.stats.estimates import Bootstrap, Estimate, Tally

FEWEST_PROMPTS = 30
"""No interval is given for fewer prompts."""

ENOUGH_FOR_ALWAYS = 72
"""From so many prompts on, a share of exactly 0 or 1 is below 5 % or above 95 % with 95 % confidence (0.025^(1/72))."""


@dataclass(frozen=True)
class Measurement:
    """Estimates from one run under one constitution."""

    run: str
    figures: Bootstrap
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
        """Tally matchups by prompt."""
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
        return self.figures.prompts

    def decisive(self, principle: str) -> Estimate:
        """Share of the labels that would be another, or none, without the principle."""
        return self._share(("decisive", principle), ("labelled", principle))

    def agreement(self, one: str, other: str) -> Estimate:
        """Share of the matchups in which both name a winner where it is the same one; `one` stands before `other`."""
        return self._share(("same", one, other), ("both", one, other))

    def order_dependent(self, principle: str) -> Estimate:
        """Share of the matchups whose two orders name different winners under the principle."""
        return self._share(("turned", principle), ("ordered", principle))

    def low_label_mass(self, principle: str) -> Estimate:
        """Share of the verdicts in which the two labels get less than half of the probability."""
        return self._share(("low mass", principle), ("verdicts", principle))

    def _share(self, above: tuple[str, ...], below: tuple[str, ...]) -> Estimate:
        """Return a share, without an interval where too few prompts had any of it."""
        estimate = self.figures.ratio(above, below)
        few = estimate.prompts < FEWEST_PROMPTS
        return estimate.model_copy(update={"low": None, "high": None}) if few else estimate


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
