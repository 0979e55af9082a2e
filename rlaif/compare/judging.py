"""All rule sets judge the pool of one prompt: their principles together, so that they share the server's prefix."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rlaif.compare.pool import JudgingPass, PooledPrompt, PoolMatchup
from rlaif.config.run import RunConfig
from rlaif.constitution.schema import Constitution, Principle
from rlaif.judges.base import Comparison, Judge
from rlaif.judges.panel import compare_pair_apart
from rlaif.judges.programs import Findings, check_answers
from rlaif.models.model import StoredReply, total_usage
from rlaif.pipeline import judging_checks, judging_principles
from rlaif.records import Matchup, Response, Verdict
from rlaif.seeds import derive_seed
from rlaif.tasks import together
from rlaif.templates import AGAIN, Templates

_MARK = "\x00"
"""Stands between rule set and principle while the principles of all rule sets are asked together."""


@dataclass(frozen=True)
class Panel:
    """Who judges, and how."""

    config: RunConfig
    constitutions: Mapping[str, Constitution]
    templates: Templates
    judges: Sequence[Judge]
    """Pairwise ones only."""
    twice: frozenset[str]
    """Ids of the prompts that are judged a second time."""


async def judge_pool(panel: Panel, pool: PooledPrompt, priority: int) -> PooledPrompt:
    """Return the pool with what every rule set said. Raises RequestError when a model call fails for good."""
    rounds = (False, True) if pool.prompt.id in panel.twice else (False,)
    sittings = await together(*(_sit(panel, pool, priority, again=again) for again in rounds))
    return pool.model_copy(update={"sittings": tuple(judging_pass for found in sittings for judging_pass in found)})


async def _sit(panel: Panel, pool: PooledPrompt, priority: int, *, again: bool) -> list[JudgingPass]:
    # Another seed in its full sense: where principles are drawn, others are.
    seed = derive_seed(panel.config.seed, "again") if again else panel.config.seed
    config = panel.config.model_copy(update={"seed": seed})
    drawn = {
        name: judging_principles(constitution, config, pool.prompt)
        for name, constitution in panel.constitutions.items()
    }
    marked = [
        principle.model_copy(update={"id": f"{name}{_MARK}{principle.id}"})
        for name, principles in drawn.items()
        for principle in principles
    ]
    found = {
        name: await check_answers(judging_checks(constitution, config, pool.prompt), pool.prompt, pool.candidates)
        for name, constitution in panel.constitutions.items()
    }
    if not marked and not any(one.checks for one in found.values()):
        return []
    asked = await together(
        *(_ask(panel, pool, matchup, marked, priority, seed if again else None) for matchup in pool.matchups)
    )
    return [_sitting(name, principles, found[name], asked, again=again) for name, principles in drawn.items()]


async def _ask(
    panel: Panel,
    pool: PooledPrompt,
    matchup: PoolMatchup,
    principles: Sequence[Principle],
    priority: int,
    seed: int | None,
) -> tuple[Matchup, list[list[StoredReply]]]:
    return await compare_pair_apart(
        panel.judges,
        panel.templates,
        Comparison(
            prompt=pool.prompt,
            a=_shown(pool, matchup.a),
            b=_shown(pool, matchup.b),
            purpose="design",
            principles=principles,
            both_orders=panel.config.judging.orders == "both",
            priority=priority,
            template="compare" if seed is None else AGAIN,
            seed=seed,
            run_seed=panel.config.seed,
        ),
    )


def _shown(pool: PooledPrompt, candidate_id: str) -> Response:
    text = pool.candidate(candidate_id).text
    return Response(id=candidate_id, text=text, origin="sample", model="", seed=0, finish_reason="stop", reply="")


def _sitting(
    name: str,
    principles: Sequence[Principle],
    found: Findings,
    asked: Sequence[tuple[Matchup, list[list[StoredReply]]]],
    *,
    again: bool,
) -> JudgingPass:
    """Pick one rule set's verdicts out of what all were asked together, and add what its programs found."""
    matchups, answers = [], []
    for matchup, given in asked:
        own: dict[str, list[Verdict]] = defaultdict(list)
        for verdict, behind in zip(matchup.verdicts, given, strict=True):
            rules, _, principle = verdict.principle.partition(_MARK)
            if rules == name:
                own[name].append(verdict.model_copy(update={"principle": principle}))
                answers += behind
        matchups.append(
            matchup.model_copy(update={"verdicts": tuple(own[name]), "checks": found.of(matchup.a, matchup.b)})
        )
    return JudgingPass(
        rules=name,
        again=again,
        judged_by=tuple(principle.id for principle in principles),
        checked_by=tuple(check.id for check in found.checks),
        matchups=tuple(matchups) if principles or found.checks else (),
        usage=total_usage(answers),
    )
