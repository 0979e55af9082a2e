"""Test a critic on the labelled cases of every principle, in both orders, with a run's questions.

The input is a constitution and a critic, the result a `CaseReport` with one result per case. Each case is judged only
under its own principle, and tags are ignored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rlaif.checks import NamedCheck, make_ready
from rlaif.config.judging import JudgingConfig
from rlaif.constitution.schema import Case, Constitution, Principle
from rlaif.errors import UsageError
from rlaif.evaluate.case_report import CaseReport, case_report, decide_case
from rlaif.evaluate.comparisons import Compared, compare_all, given_response
from rlaif.judges.base import Comparison
from rlaif.judges.panel import check_responses, compare_pair, judges_of
from rlaif.models.config import ModelConfig
from rlaif.models.model import Model, StoredReply
from rlaif.models.reply_store import ReplyStore
from rlaif.models.serving import open_models
from rlaif.preferences.position import PositionBias
from rlaif.progress import Progress, Screen, Silent
from rlaif.records import Matchup, Prompt
from rlaif.templates import Templates

NumberedCase = tuple[Principle, int, Case]

JUDGING = JudgingConfig(min_margin=0)
"""A run's judging, without a least margin: the probability is reported instead."""


@dataclass(frozen=True)
class CaseTest:
    """The constitution whose cases are judged, and the critic."""

    constitution: Constitution
    critic: ModelConfig
    cache: Path
    """File of the reply store, from which questions asked before are answered."""
    logs: Path
    templates: Templates
    judging: JudgingConfig = JUDGING


async def run_cases(test: CaseTest, screen: Screen | None = None) -> CaseReport:
    """Ask the critic all cases and return the report.

    Raises UsageError when there are no cases, and what `open_models` raises. A case whose request fails after all
    retries is counted as failed; if all fail, the first error is raised. If checks decide all cases, no critic is used.
    """
    screen = screen or Silent()
    refuse_without_cases(test.constitution)
    tested = [principle for principle in test.constitution.principles if principle.cases]
    make_ready(principle.check for principle in tested if principle.check is not None)
    progress = Progress(unit="cases")
    cases = [(principle, number, case) for principle in tested for number, case in enumerate(principle.cases, start=1)]
    if all(principle.check is not None for principle in tested):
        return _report(test, "none (checks only)", cases, await _ask(test, None, cases, progress, screen))
    with ReplyStore(test.cache) as store:
        opened = open_models(
            test.critic, test.critic, store=store, meter=progress.meter, logs=test.logs, say=screen.say
        )
        async with opened as (_, critic):
            compared = await _ask(test, critic, cases, progress, screen)
        store.flush()
    meter = progress.meter
    screen.say(f"{meter.replies:,} replies ({meter.from_store:,} from the reply store)")
    return _report(test, critic.name, cases, compared)


def refuse_without_cases(constitution: Constitution) -> None:
    """Raise UsageError, which says how to write a case, where the constitution has none."""
    if not any(principle.cases for principle in constitution.principles):
        raise UsageError(
            f"constitution {constitution.name} has no cases to judge; add `cases:` to a principle, each with prompt, "
            "better and worse"
        )


async def _ask(
    test: CaseTest, critic: Model | None, cases: Sequence[NumberedCase], progress: Progress, screen: Screen
) -> list[Compared]:
    """Return the results of all cases, in order, from the critic or from a principle's check."""

    async def compare(comparison: Comparison) -> tuple[Matchup, Sequence[StoredReply]]:
        (principle,) = comparison.principles
        if principle.check is None:
            assert critic is not None
            return await compare_pair(judges_of(test.judging.panel, critic), test.templates, comparison)
        named = NamedCheck(id=principle.id, check=principle.check)
        found = await check_responses([named], comparison.prompt, [comparison.a, comparison.b])
        a, b = comparison.a.id, comparison.b.id
        return Matchup(a=a, b=b, purpose="design", verdicts=(), checks=found.of(a, b)), ()

    comparisons = [_comparison(test, *case, place) for place, case in enumerate(cases)]
    return await compare_all(compare, comparisons, progress, screen)


def _comparison(test: CaseTest, principle: Principle, number: int, case: Case, priority: int) -> Comparison:
    return Comparison(
        prompt=Prompt(id=f"{principle.id}/{number}", messages=case.conversation),
        a=given_response("better", case.better),
        b=given_response("worse", case.worse),
        purpose="design",
        principles=[principle],
        both_orders=test.judging.orders == "both",
        priority=priority,
    )


def _report(test: CaseTest, critic: str, cases: Sequence[NumberedCase], compared: Sequence[Compared]) -> CaseReport:
    """Decide every case after subtracting the critic's constant position bias, as a run does."""
    matchups = [one.matchup for one in compared if one.matchup is not None]
    bias = PositionBias.measure(matchups, test.judging.min_label_mass)
    results = [
        decide_case(principle.id, number, one.matchup, one.error, test.judging, bias)
        for (principle, number, _), one in zip(cases, compared, strict=True)
    ]
    return case_report(test.constitution, critic, results, bias)
