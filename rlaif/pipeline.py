"""The way of one prompt, top to bottom: sample, critique and revise, compare, done.

    Prompt --sample--> Response x n --critique--> Critique --revise--> Response
                            └──────────── candidates ───────────────────┘
                                               │ matchups
                                             judge   every principle, both orders -> Verdict; programs -> Checked
                                               │
                                             Trace

Nothing is mutated and nothing is written here; what a trace means is for `rlaif.preferences`.
"""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rlaif.checks import NamedCheck
from rlaif.config.run import RunConfig
from rlaif.constitution.schema import Constitution, Principle
from rlaif.judges.base import CandidateSet, Comparison, Judge, PointwiseResults
from rlaif.judges.panel import check_responses, compare_pair, judge_pointwise, judges_through
from rlaif.models.model import Meter, Model, StoredReply, total_usage
from rlaif.models.reply_store import ReplyStore
from rlaif.models.serving import Clients, asked_through, open_clients
from rlaif.preferences.judgement import judge_matchup
from rlaif.preferences.pairs import pairs_seed
from rlaif.preferences.ranking import design, rank, scores_of, wanted_pairs
from rlaif.records import Critique, Dropped, Matchup, Prompt, Response, Trace, ancestors
from rlaif.seeds import derive_seed
from rlaif.steps.critique import Round, critique
from rlaif.steps.revise import revise
from rlaif.steps.sample import sample
from rlaif.tasks import together
from rlaif.templates import Templates


@dataclass(frozen=True)
class Work:
    """What every prompt of a run shares."""

    config: RunConfig
    constitution: Constitution
    templates: Templates
    policy: Model
    critic: Model
    judges: Sequence[Judge]
    clients: Clients


@dataclass(frozen=True)
class ModelAccess:
    """How the models of a run are reached, beside what its configuration says."""

    store: ReplyStore
    meter: Meter
    logs: Path
    """Folder for the logs of servers that are started."""
    say: Callable[[str], None]
    """Takes a line for people, such as that a server is being started."""


@asynccontextmanager
async def open_work(
    config: RunConfig,
    constitution: Constitution,
    templates: Templates,
    access: ModelAccess,
    clients: Clients | None = None,
) -> AsyncIterator[Work]:
    """Connect the models of a run and yield what `trace_prompt` needs; the only way from a configuration to that.

    Servers that `rlaif` manages are started, and stopped on leaving. `clients` are models that are connected already.
    Raises what `open_clients` raises.
    """
    async with AsyncExitStack() as stack:
        if clients is None:
            judges = config.judging.own_critics
            opened = open_clients(config.policy, config.critic, judges=judges, logs=access.logs, say=access.say)
            clients = await stack.enter_async_context(opened)
        policy, critic = asked_through(clients, config.policy, config.critic, access.store, access.meter)
        asked = judges_through(clients, config.judging.panel, critic, access.store, access.meter)
        yield Work(config, constitution, templates, policy, critic, asked, clients)


async def trace_prompt(work: Work, prompt: Prompt, priority: int) -> Trace:
    """Take one prompt through all steps. Raises RequestError when a model call fails for good."""
    samples, asked = await sample(work.policy, prompt, work.config.sampling, work.config.seed, priority)
    chains = await together(*(_improve(work, prompt, response, priority) for response in samples))
    revisions = [revision for chain in chains for revision in chain.revisions]
    candidates, dropped = _candidates(work.config, samples, [chain.revisions for chain in chains])
    principles = judging_principles(work.constitution, work.config, prompt)
    parents = ancestors([*samples, *revisions], {candidate.id for candidate in candidates})
    checks = judging_checks(work.constitution, work.config, prompt)
    panel = _Panel(principles, checks, parents, priority)
    matchups, pointwise, verdict_answers = await _judge(work, prompt, candidates, panel)
    answers = [asked, *(answer for chain in chains for answer in chain.answers), *verdict_answers]
    return Trace(
        prompt=prompt,
        responses=(*samples, *revisions),
        critiques=tuple(critique for chain in chains for critique in chain.critiques),
        dropped=tuple(dropped),
        judged_by=tuple(principle.id for principle in principles),
        checked_by=tuple(check.id for check in checks),
        matchups=tuple(matchups),
        rankings=tuple(pointwise.rankings),
        usage=total_usage(answers),
    )


@dataclass(frozen=True)
class _Chain:
    """The critiques and revisions that one sample went through."""

    critiques: list[Critique]
    revisions: list[Response]
    answers: list[StoredReply]


async def _improve(work: Work, prompt: Prompt, sampled: Response, priority: int) -> _Chain:
    """Criticise and revise one sample, round after round; an empty text ends the chain."""
    chain = _Chain([], [], [])
    current = sampled
    reviser = work.critic if work.config.revision.by == "critic" else work.policy
    for number in range(1, work.config.revision.rounds + 1):
        principles = _draw_for_round(work, prompt, sampled, number)
        if not current.text or current.copied or not principles:
            break
        turn = Round(
            prompt=prompt,
            response=current,
            number=number,
            principles=principles,
            settings=work.config.revision,
            run_seed=work.config.seed,
            priority=priority,
        )
        found, criticised = await critique(work.critic, work.templates, turn)
        current, revised = await revise(reviser, work.templates, turn, found)
        chain.critiques.append(found)
        chain.revisions.append(current)
        chain.answers.extend((criticised, revised))
    return chain


def _draw_for_round(work: Work, prompt: Prompt, sampled: Response, number: int) -> Sequence[Principle]:
    """Draw the principles of one round: others than in the rounds before, as long as there are others."""
    rng = random.Random(derive_seed(work.config.seed, prompt.id, "principles", sampled.id))
    apt = [principle for principle in work.constitution.revising if principle.applies(prompt.tags)]
    order = rng.sample(apt, len(apt))
    count = min(work.config.revision.principles, len(order))
    start = (number - 1) * count
    return [order[(start + place) % len(order)] for place in range(count)]


def judging_principles(constitution: Constitution, config: RunConfig, prompt: Prompt) -> Sequence[Principle]:
    """Return the principles put to the judge, the same for all matchups of a prompt so that scores compare."""
    if not config.judging.asks_rules:
        return ()
    principles = [principle for principle in constitution.asked if principle.applies(prompt.tags)]
    return config.judging.drawn(principles, derive_seed(config.seed, prompt.id, "judging"))


def judging_checks(constitution: Constitution, config: RunConfig, prompt: Prompt) -> Sequence[NamedCheck]:
    """Return the programs that decide beside the judge, all of them: they cost nothing, so none are drawn."""
    return () if config.judging.kind == "none" else (*constitution.checks(prompt.tags), *prompt.checks)


def _candidates(
    config: RunConfig, samples: Sequence[Response], revisions: Sequence[Sequence[Response]]
) -> tuple[list[Response], list[Dropped]]:
    """Return the answers to be compared, each text once, and those left out with the reason."""
    wanted = list(samples)
    for chain in revisions:
        usable = [revision for revision in chain if revision.text and not revision.copied]
        wanted += chain if config.revision.candidates == "all" else (usable[-1:] or chain[-1:])
    kept: dict[str, Response] = {}
    dropped = []
    for response in wanted:
        if not response.text:
            dropped.append(Dropped(response=response.id, reason="empty"))
        elif response.copied is not None:
            dropped.append(Dropped(response=response.id, reason="copied"))
        elif response.text in kept:
            dropped.append(Dropped(response=response.id, reason="identical"))
        else:
            kept[response.text] = response
    return list(kept.values()), dropped


@dataclass(frozen=True)
class _Panel:
    """By what the candidates of one prompt are compared."""

    principles: Sequence[Principle]
    checks: Sequence[NamedCheck]
    parents: dict[str, str]
    """The candidate that a revision goes back to."""
    priority: int


async def _judge(
    work: Work, prompt: Prompt, candidates: Sequence[Response], panel: _Panel
) -> tuple[list[Matchup], PointwiseResults, list[StoredReply]]:
    """Compare the candidates as designed, then those the ranking wants to pair and the design left apart."""
    if not panel.principles and not panel.checks and not work.config.judging.scores:
        return [], PointwiseResults(), []
    found = await check_responses(panel.checks, prompt, candidates)
    both_orders = work.config.judging.orders == "both"
    candidate_set = CandidateSet(prompt, candidates, panel.principles, both_orders, panel.priority, work.config.seed)
    pointwise = await judge_pointwise(work.judges, work.templates, candidate_set)
    by_id = {response.id: response for response in candidates}
    seed = derive_seed(work.config.seed, prompt.id, "matchups")

    def comparison(a: str, b: str, purpose: Literal["design", "final"]) -> Comparison:
        return Comparison(
            prompt=prompt,
            a=by_id[a],
            b=by_id[b],
            purpose=purpose,
            principles=panel.principles,
            both_orders=both_orders,
            priority=panel.priority,
            checks=found.of(a, b),
            pointwise=pointwise,
            run_seed=work.config.seed,
        )

    async def all_of(comparisons: list[Comparison]) -> list[tuple[Matchup, list[StoredReply]]]:
        return await together(*(compare_pair(work.judges, work.templates, one) for one in comparisons))

    designed = await all_of([comparison(a, b, "design") for a, b in design(list(by_id), panel.parents, seed)])
    judged = {frozenset((matchup.a, matchup.b)) for matchup, _ in designed}
    lengths = {response.id: len(response.text) for response in candidates}
    wanted = _wanted(work, prompt, [matchup for matchup, _ in designed], panel.parents, lengths)
    final = await all_of([comparison(a, b, "final") for a, b in wanted if frozenset((a, b)) not in judged])
    everything = [*designed, *final]
    answers = [answer for _, answers in everything for answer in answers]
    return [matchup for matchup, _ in everything], pointwise, [*pointwise.replies, *answers]


def _wanted(
    work: Work, prompt: Prompt, matchups: Sequence[Matchup], parents: dict[str, str], lengths: dict[str, int]
) -> list[tuple[str, str]]:
    rules, judging = work.constitution, work.config.judging
    # Thresholds may change later without asking anything, so they have no say in what is asked.
    unbounded = judging.without_thresholds.model_copy(update={"strategy": "by-priority"})
    rule = unbounded.rule(rules.weights, rules.priorities)
    scores = scores_of(rank([judge_matchup(matchup, rule) for matchup in matchups]))
    return wanted_pairs(scores, parents, work.config.pairs, pairs_seed(work.config.seed, prompt.id), lengths)
