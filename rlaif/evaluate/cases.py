"""A critic is asked the labelled cases of every principle, both orders of each, as a run would ask it.

Comes in: a constitution and a connected critic. Goes out: one result per case, then `casereport.report`. Whether a
principle applies to a prompt's tags plays no part: each case is put to its own principle alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rlaif.checks import NamedCheck, make_ready
from rlaif.config.judging import JudgingConfig
from rlaif.constitution.schema import Case, Constitution, Principle
from rlaif.errors import UsageError
from rlaif.evaluate.asking import Asked, ask_all
from rlaif.evaluate.case_report import CaseReport, CaseResult, decide_case, report
from rlaif.judges.base import Comparison
from rlaif.judges.panel import compare_pair, judges_of
from rlaif.judges.programs import check_answers
from rlaif.models.config import ModelConfig
from rlaif.models.model import Model, StoredReply
from rlaif.models.reply_store import ReplyStore
from rlaif.models.serving import open_models
from rlaif.preferences.position import PositionBias
from rlaif.progress import Progress, Screen, Silent
from rlaif.records import Matchup, Prompt, Response
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
    todo = _todo(test.constitution)

    async def ask(critic: Model | None) -> list[Asked]:
        decide = partial(_decided, test, critic)
        return await ask_all(decide, len(todo), lambda place: _comparison(test, *todo[place], place), progress, screen)

    if all(principle.check is not None for principle in tested):
        return _reported(test, "nobody", todo, await ask(None))
    with ReplyStore(test.cache) as store:
        opened = open_models(
            test.critic, test.critic, store=store, meter=progress.meter, logs=test.logs, say=screen.say
        )
        async with opened as (_, critic):
            asked = await ask(critic)
        store.flush()
    meter = progress.meter
    screen.say(f"{meter.replies:,} answers ({meter.from_store:,} from the reply store)")
    return _reported(test, critic.name, todo, asked)


def refuse_without_cases(constitution: Constitution) -> None:
    """Raise UsageError that says how to write the first case, where there is none."""
    if not any(principle.cases for principle in constitution.principles):
        raise UsageError(
            f"constitution {constitution.name} has no cases, so there is nothing to ask; give a principle "
            '"cases:", each with prompt, better and worse'
        )


def _todo(constitution: Constitution) -> list[tuple[Principle, int, Case]]:
    return [
        (principle, number, case)
        for principle in constitution.principles
        for number, case in enumerate(principle.cases, start=1)
    ]


async def _decided(
    test: CaseTest, critic: Model | None, comparison: Comparison
) -> tuple[Matchup, Sequence[StoredReply]]:
    """Return what the critic says of a case, or the program that stands in its place."""
    (principle,) = comparison.principles
    if principle.check is None:
        assert critic is not None
        return await compare_pair(judges_of(test.judging.panel, critic), test.templates, comparison)
    named = NamedCheck(id=principle.id, check=principle.check)
    found = await check_answers([named], comparison.prompt, [comparison.a, comparison.b])
    a, b = comparison.a.id, comparison.b.id
    return Matchup(a=a, b=b, purpose="design", verdicts=(), checks=found.of(a, b)), ()


def _comparison(test: CaseTest, principle: Principle, number: int, case: Case, position: int) -> Comparison:
    return Comparison(
        prompt=Prompt(id=f"{principle.id}/{number}", messages=case.conversation),
        a=given_response("better", case.better),
        b=given_response("worse", case.worse),
        purpose="design",
        principles=[principle],
        both_orders=test.judging.orders == "both",
        priority=position,
    )


def given_response(name: str, text: str) -> Response:
    """Return an answer that no model of ours wrote."""
    return Response(id=name, text=text, origin="sample", model="a person", seed=0, finish_reason="stop", reply="")


def _reported(
    test: CaseTest, critic: str, todo: Sequence[tuple[Principle, int, Case]], asked: Sequence[Asked]
) -> CaseReport:
    """Decide every case with the critic's constant position bias taken out, as a run does."""
    matchups = [one.matchup for one in asked if one.matchup is not None]
    bias = PositionBias.measure(matchups, test.judging.min_label_mass)
    results: list[CaseResult] = [
        decide_case(principle.id, number, one.matchup, one.error, test.judging, bias)
        for (principle, number, _), one in zip(todo, asked, strict=True)
    ]
    return report(test.constitution, critic, results, bias)
