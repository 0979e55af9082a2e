"""A critic is asked the labelled cases of every principle, both orders of each, as a run would ask it.

Comes in: a constitution and a connected critic. Goes out: one result per case, then `casereport.report`. Whether a
principle applies to a prompt's tags plays no part: each case is put to its own principle alone.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rlaif.authoring.casereport import CaseReport, CaseResult, decide_case, report
from rlaif.checks import NamedCheck, make_ready
from rlaif.config import JudgingConfig, ModelConfig
from rlaif.constitution import Case, Constitution, Principle
from rlaif.errors import CheckError, RequestError, UsageError
from rlaif.generation import Progress, Screen, Silent
from rlaif.models.model import Model
from rlaif.models.replies import ReplyStore
from rlaif.models.serving import open_models
from rlaif.preferences.position import PositionBias
from rlaif.records import Matchup, Prompt, Response
from rlaif.steps.check import check_answers
from rlaif.steps.judge import Comparison, judge
from rlaif.tasks import together
from rlaif.templates import Templates

JUDGING = JudgingConfig(min_margin=0)
"""A verdict is read as a run reads it; how far it is from one half is reported, not judged."""


@dataclass(frozen=True)
class CaseTest:
    """What is to be asked of whom."""

    constitution: Constitution
    critic: ModelConfig
    cache: Path
    """The reply store: what was asked before is not asked again."""
    logs: Path
    templates: Templates
    judging: JudgingConfig = JUDGING


@dataclass(frozen=True)
class _Asked:
    """One case and the critic's answer to it."""

    principle: Principle
    number: int
    case: Case
    matchup: Matchup | None
    error: str | None = None


async def run_cases(test: CaseTest, screen: Screen | None = None) -> CaseReport:
    """Ask everything, or take it from the reply store, and return what came of it.

    Raises UsageError when there are no cases, and what `open_models` raises; a case whose own request fails for good
    is counted as failed, unless all do: then the first error is raised. Where programs decide all, no critic is needed.
    """
    screen = screen or Silent()
    refuse_without_cases(test.constitution)
    tested = [principle for principle in test.constitution.principles if principle.cases]
    make_ready(principle.check for principle in tested if principle.check is not None)
    progress = Progress(unit="cases")
    if all(principle.check is not None for principle in tested):
        return _reported(test, "nobody", await _ask_all(test, None, progress, screen))
    with ReplyStore(test.cache) as store:
        opened = open_models(
            test.critic, test.critic, store=store, meter=progress.meter, logs=test.logs, say=screen.say
        )
        async with opened as (_, critic):
            asked = await _ask_all(test, critic, progress, screen)
        store.flush()
    meter = progress.meter
    screen.say(f"{meter.replies:,} answers ({meter.from_store:,} from the reply store)")
    return _reported(test, critic.name, asked)


def refuse_without_cases(constitution: Constitution) -> None:
    """Raise UsageError that says how to write the first case, where there is none."""
    if not any(principle.cases for principle in constitution.principles):
        raise UsageError(
            f"constitution {constitution.name} has no cases, so there is nothing to ask; give a principle "
            '"cases:", each with prompt, better and worse'
        )


async def _ask_all(test: CaseTest, critic: Model | None, progress: Progress, screen: Screen) -> list[_Asked]:
    todo = [
        (principle, number, case)
        for principle in test.constitution.principles
        for number, case in enumerate(principle.cases, start=1)
    ]
    progress.prompts = len(todo)
    errors: list[RequestError | CheckError] = []

    async def ask(position: int, principle: Principle, number: int, case: Case) -> _Asked:
        comparison = _comparison(test, principle, number, case, position)
        try:
            matchup = await _decided(test, critic, principle, comparison)
        except (RequestError, CheckError) as error:
            errors.append(error)
            progress.failed += 1
            return _Asked(principle, number, case, None, f"{type(error).__name__}: {error}")
        progress.done += 1
        screen.show(progress)
        return _Asked(principle, number, case, matchup)

    ticker = asyncio.create_task(_show_often(progress, screen))
    try:
        asked = await together(*(ask(position, *one) for position, one in enumerate(todo)))
    finally:
        ticker.cancel()
    screen.show(progress)
    if len(errors) == len(todo):
        raise errors[0]
    return asked


async def _decided(test: CaseTest, critic: Model | None, principle: Principle, comparison: Comparison) -> Matchup:
    """Return what the critic says of a case, or the program that stands in its place."""
    if principle.check is None:
        assert critic is not None
        matchup, _ = await judge(critic, test.templates, comparison)
        return matchup
    named = NamedCheck(id=principle.id, check=principle.check)
    found = await check_answers([named], comparison.prompt, [comparison.a, comparison.b])
    a, b = comparison.a.id, comparison.b.id
    return Matchup(a=a, b=b, purpose="design", verdicts=(), checks=found.of(a, b))


async def _show_often(progress: Progress, screen: Screen) -> None:
    while True:
        screen.show(progress)
        await asyncio.sleep(0.25)


def _comparison(test: CaseTest, principle: Principle, number: int, case: Case, position: int) -> Comparison:
    return Comparison(
        prompt=Prompt(id=f"{principle.id}/{number}", messages=case.conversation),
        a=_response("better", case.better),
        b=_response("worse", case.worse),
        purpose="design",
        principles=[principle],
        settings=test.judging,
        priority=position,
    )


def _response(name: str, text: str) -> Response:
    return Response(id=name, text=text, origin="sample", model="a person", seed=0, finish_reason="stop", reply="")


def _reported(test: CaseTest, critic: str, asked: Sequence[_Asked]) -> CaseReport:
    """Decide every case with the critic's constant position bias taken out, as a run does."""
    matchups = [one.matchup for one in asked if one.matchup is not None]
    bias = PositionBias.measure(matchups, test.judging.min_label_mass)
    results: list[CaseResult] = [
        decide_case(one.principle.id, one.number, one.matchup, one.error, test.judging, bias) for one in asked
    ]
    return report(test.constitution, critic, results, bias)
