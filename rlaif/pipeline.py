"""The steps of one prompt, top to bottom: sample, critique and revise, compare.

    Prompt --sample--> Response x n --critique--> Critique --revise--> Response
                            └──────────── candidates ───────────────────┘
                                               │ matchups
                                             judge   every principle, both orders -> Verdict; programs -> Checked
                                               │
                                             Trace

Nothing is written here; judgements and pairs are computed from traces by `rlaif.preferences`.
"""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Literal

from rlaif.checks import NamedCheck
from rlaif.config.run import RunConfig
from rlaif.config.sampling import CONSTITUTION, PolicySampling
from rlaif.constitution.schema import Constitution, Principle
from rlaif.judges.base import CandidateSet, Comparison, Judge, PointwiseResults
from rlaif.judges.panel import (
    check_responses,
    compare_pair,
    compare_until_sure,
    judge_pointwise,
    judges_through,
    refuse_long_labels,
)
from rlaif.models.model import Meter, Model, StoredReply, total_usage
from rlaif.models.reply_store import ReplyStore
from rlaif.models.serving import Clients, asked_through, open_clients, policy_through
from rlaif.preferences.judgement import judge_matchup
from rlaif.preferences.pairs import pairs_seed, sides_of
from rlaif.preferences.ranking import design, rank, scores_of, wanted_pairs
from rlaif.preferences.stopping import Stopper
from rlaif.records import Critique, Dropped, Matchup, Prompt, Response, Trace, ancestors
from rlaif.seeds import derive_seed
from rlaif.steps.critique import Round, critique
from rlaif.steps.given import given_responses
from rlaif.steps.revise import revise
from rlaif.steps.sample import sample
from rlaif.tasks import together
from rlaif.templates import Templates


@dataclass(frozen=True)
class Work:
    """What all prompts of a run share: settings, templates and models."""

    config: RunConfig
    constitution: Constitution
    templates: Templates
    policies: Sequence[tuple[PolicySampling, Model]]
    """The policies, and what each is asked for a prompt."""
    critic: Model
    judges: Sequence[Judge]
    clients: Clients
    stopper: Stopper | None = None
    """Decides when a matchup needs no more verdicts; None where everything is asked."""

    def policy_of(self, response: Response) -> Model:
        """Return the policy that wrote a sample; the first one for a response of a file."""
        models = {asked.name: model for asked, model in self.policies}
        return models.get(response.policy, self.policies[0][1])


@dataclass(frozen=True)
class ModelAccess:
    """What requests to a run's models need besides its configuration."""

    store: ReplyStore
    meter: Meter
    logs: Path
    """Folder for the logs of servers that are started."""
    say: Callable[[str], None]
    """Shows the user a line, such as that a server is being started."""


@asynccontextmanager
async def open_work(
    config: RunConfig,
    constitution: Constitution,
    templates: Templates,
    access: ModelAccess,
    clients: Clients | None = None,
) -> AsyncIterator[Work]:
    """Connect the models of a run and yield what `trace_prompt` needs.

    Managed servers are started, and stopped at the end of the block. `clients` are models that are connected already.
    Raises what `open_clients` raises.
    """
    async with AsyncExitStack() as stack:
        if clients is None:
            own_critics = config.judging.own_critics
            policies = {policy.name: policy.model for policy in config.policies}
            opened = open_clients(
                config.policy,
                config.critic,
                judges=own_critics,
                policies=policies,
                logs=access.logs,
                say=access.say,
            )
            clients = await stack.enter_async_context(opened)
        policy, critic = asked_through(clients, config.policy, config.critic, access.store, access.meter)
        asked = [
            (one, policy if name is None else policy_through(clients, name, one.model, access.store, access.meter))
            for one in config.sampled_by
            for name in [one.name]
        ]
        judges = judges_through(clients, config.judging.panel, critic, access.store, access.meter)
        await refuse_long_labels(judges)
        yield Work(config, constitution, templates, asked, critic, judges, clients)


async def trace_prompt(work: Work, prompt: Prompt, priority: int) -> Trace:
    """Return the trace of one prompt. Raises RequestError when a request to a model fails for good."""
    samples, sampling_replies = await _first_responses(work, prompt, priority)
    chains = await together(*(_improve(work, prompt, response, priority) for response in samples))
    revisions = [revision for chain in chains for revision in chain.revisions]
    candidates, dropped = _candidates(work.config, samples, [chain.revisions for chain in chains])
    principles = judging_principles(work.constitution, work.config, prompt)
    parents = ancestors([*samples, *revisions], {candidate.id for candidate in candidates})
    checks = judging_checks(work.constitution, work.config, prompt)
    criteria = _Criteria(principles, checks, parents, priority)
    matchups, pointwise, judge_replies = await _judge(work, prompt, candidates, criteria)
    replies = [*sampling_replies, *(reply for chain in chains for reply in chain.replies), *judge_replies]
    return Trace(
        prompt=prompt,
        responses=(*samples, *revisions),
        critiques=tuple(critique for chain in chains for critique in chain.critiques),
        dropped=tuple(dropped),
        judged_by=tuple(principle.id for principle in principles),
        checked_by=tuple(check.id for check in checks),
        matchups=tuple(matchups),
        rankings=tuple(pointwise.rankings),
        usage=total_usage(replies),
    )


async def _first_responses(work: Work, prompt: Prompt, priority: int) -> tuple[list[Response], list[StoredReply]]:
    """Return the responses that the prompt's row brings, or else samples of the policy, and the replies behind them."""
    if prompt.given is not None:
        return given_responses(prompt), []
    starts = accumulate((asked.sampling.n for asked, _ in work.policies), initial=0)
    sampled = await together(
        *(
            sample(model, prompt, asked, work.config.seed, priority, system=_system(work, asked, prompt), first=first)
            for (asked, model), first in zip(work.policies, starts, strict=False)
        )
    )
    return [response for responses, _ in sampled for response in responses], [reply for _, reply in sampled]


def _system(work: Work, asked: PolicySampling, prompt: Prompt) -> str:
    """Return a policy's system prompt for a prompt; empty where it has none."""
    if asked.system != CONSTITUTION:
        return asked.system or ""
    principles = [principle for principle in work.constitution.principles if principle.applies(prompt.tags)]
    return work.templates.render("system", principles=principles) if principles else ""


@dataclass(frozen=True)
class _Chain:
    """The critiques and revisions of one sample, round by round, and the replies behind them."""

    critiques: list[Critique]
    revisions: list[Response]
    replies: list[StoredReply]


async def _improve(work: Work, prompt: Prompt, sampled: Response, priority: int) -> _Chain:
    """Criticise and revise one sample, round by round; an empty or copied text ends the chain, or an empty critique."""
    chain = _Chain([], [], [])
    current = sampled
    reviser = work.critic if work.config.revision.by == "critic" else work.policy_of(sampled)
    for number in range(1, work.config.revision.rounds + 1):
        principles = _draw_for_round(work, prompt, sampled, number)
        if not current.text or current.copied or current.withheld or not principles:
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
        written, critique_reply = await critique(work.critic, work.templates, turn)
        chain.critiques.append(written)
        chain.replies.append(critique_reply)
        if not written.text:
            break
        current, revision_reply = await revise(reviser, work.templates, turn, written)
        chain.revisions.append(current)
        chain.replies.append(revision_reply)
    return chain


def _draw_for_round(work: Work, prompt: Prompt, sampled: Response, number: int) -> Sequence[Principle]:
    """Return the principles drawn for one round, without repetition over the rounds until all were drawn."""
    rng = random.Random(derive_seed(work.config.seed, prompt.id, "principles", sampled.id))
    applicable = [principle for principle in work.constitution.revising if principle.applies(prompt.tags)]
    order = rng.sample(applicable, len(applicable))
    count = min(work.config.revision.principles, len(order))
    start = (number - 1) * count
    return [order[(start + place) % len(order)] for place in range(count)]


def judging_principles(constitution: Constitution, config: RunConfig, prompt: Prompt) -> Sequence[Principle]:
    """Return the principles put to the judges: the same for all matchups of a prompt, so that strengths compare."""
    if not config.judging.asks_rules:
        return ()
    principles = [principle for principle in constitution.asked if principle.applies(prompt.tags)]
    return config.judging.drawn(principles, derive_seed(config.seed, prompt.id, "judging"))


def judging_checks(constitution: Constitution, config: RunConfig, prompt: Prompt) -> Sequence[NamedCheck]:
    """Return all checks of the constitution and of the prompt; none are drawn, because they cost nothing."""
    return () if config.judging.kind == "none" else (*constitution.checks(prompt.tags), *prompt.checks)


def _candidates(
    config: RunConfig, samples: Sequence[Response], revisions: Sequence[Sequence[Response]]
) -> tuple[list[Response], list[Dropped]]:
    """Return the responses to compare, each text once, and the dropped ones with the reason."""
    wanted = list(samples)
    for chain in revisions:
        usable = [revision for revision in chain if revision.text and not revision.copied]
        wanted += chain if config.revision.candidates == "all" else (usable[-1:] or chain[-1:])
    kept: dict[str, Response] = {}
    dropped = []
    for response in wanted:
        if response.withheld:
            dropped.append(Dropped(response=response.id, reason="content filter"))
        elif not response.text:
            reason: Literal["cut off while reasoning", "empty"]
            reason = "cut off while reasoning" if response.cut_in_reasoning else "empty"
            dropped.append(Dropped(response=response.id, reason=reason))
        elif response.copied is not None:
            dropped.append(Dropped(response=response.id, reason="copied"))
        elif response.text in kept:
            dropped.append(Dropped(response=response.id, reason="identical"))
        else:
            kept[response.text] = response
    return list(kept.values()), dropped


@dataclass(frozen=True)
class _Criteria:
    """The principles and checks under which the candidates of one prompt are compared."""

    principles: Sequence[Principle]
    checks: Sequence[NamedCheck]
    parents: dict[str, str]
    """By the id of a revision: the candidate that it revises, directly or through other revisions."""
    priority: int


async def _judge(
    work: Work, prompt: Prompt, candidates: Sequence[Response], criteria: _Criteria
) -> tuple[list[Matchup], PointwiseResults, list[StoredReply]]:
    """Compare the matchups of the design, then the pairs that the ranking selects and the design did not compare."""
    rubric = prompt.rubric if work.config.judging.kind != "none" else None
    if not (criteria.principles or criteria.checks or work.config.judging.scores or rubric):
        return [], PointwiseResults(), []
    findings = await check_responses(criteria.checks, prompt, candidates)
    both_orders = work.config.judging.orders == "both"
    shown = [_as_shown(work, response) for response in candidates]
    candidate_set = CandidateSet(prompt, shown, criteria.principles, both_orders, criteria.priority, work.config.seed)
    asks_rubric = work.critic if rubric else None
    pointwise = await judge_pointwise(work.judges, work.templates, candidate_set, asks_rubric)
    by_id = {response.id: response for response in shown}
    seed = derive_seed(work.config.seed, prompt.id, "matchups")

    def comparison(a: str, b: str, purpose: Literal["design", "final"]) -> Comparison:
        return Comparison(
            prompt=prompt,
            a=by_id[a],
            b=by_id[b],
            purpose=purpose,
            principles=criteria.principles,
            both_orders=both_orders,
            priority=criteria.priority,
            checks=findings.of(a, b),
            pointwise=pointwise,
            run_seed=work.config.seed,
        )

    async def all_of(comparisons: list[Comparison]) -> list[tuple[Matchup, list[StoredReply]]]:
        return await together(*(_compared(work, one) for one in comparisons))

    designed = await all_of([comparison(a, b, "design") for a, b in design(list(by_id), criteria.parents, seed)])
    judged = {frozenset((matchup.a, matchup.b)) for matchup, _ in designed}
    lengths = {response.id: len(response.text) for response in candidates}
    sides = sides_of(candidates, work.config.pairs)
    wanted = _wanted(work, prompt, [matchup for matchup, _ in designed], criteria.parents, lengths, sides)
    final = await all_of([comparison(a, b, "final") for a, b in wanted if frozenset((a, b)) not in judged])
    compared = [*designed, *final]
    replies = [reply for _, given in compared for reply in given]
    return [matchup for matchup, _ in compared], pointwise, [*pointwise.replies, *replies]


async def _compared(work: Work, comparison: Comparison) -> tuple[Matchup, list[StoredReply]]:
    """Return (matchup, replies) of one comparison: of all questions, or of those that it needs."""
    if work.stopper is None:
        return await compare_pair(work.judges, work.templates, comparison)
    more = partial(work.stopper.next_questions, rule=work.stopper.rule.for_prompt(comparison.prompt))
    return await compare_until_sure(work.judges, work.templates, comparison, more)


def _as_shown(work: Work, response: Response) -> Response:
    """Return a candidate as the judges see it: without its reasoning, unless the run's settings ask for it."""
    if not work.config.judging.see_reasoning or not response.reasoning:
        return response
    return response.model_copy(update={"text": f"<think>\n{response.reasoning}\n</think>\n\n{response.text}"})


def _wanted(
    work: Work,
    prompt: Prompt,
    matchups: Sequence[Matchup],
    parents: dict[str, str],
    lengths: dict[str, int],
    sides: tuple[Sequence[str], Sequence[str]],
) -> list[tuple[str, str]]:
    """Return the pairs of response ids that the ranking of the design's matchups selects."""
    rules, judging = work.constitution, work.config.judging
    # Thresholds may change later without new requests, so which pairs are compared does not depend on them.
    unbounded = judging.without_thresholds.model_copy(update={"strategy": "by-priority"})
    rule = unbounded.rule(rules.weights, rules.priorities).for_prompt(prompt)
    scores = scores_of(rank([judge_matchup(matchup, rule) for matchup in matchups]))
    return wanted_pairs(scores, parents, work.config.pairs, pairs_seed(work.config.seed, prompt.id), lengths, sides)
