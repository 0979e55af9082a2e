"""Build the common pool of a prompt from its traces under every rule set, and judge it under all of them.

A pool has the responses, the verdicts of every rule set, and matchups of three kinds:

    samples    two samples of the policy                    do the rule sets agree on unrevised responses?
    parent     a revision and the sample that it revises    does revising help, under its own and under other rules?
    rivals     two rule sets' revisions of the same sample  whose revisions win under whose rules?

Two responses with the same text are counted, not compared. The principles of all rule sets are asked together, so that
they share the server's prefix cache.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from rlaif.config.run import RunConfig
from rlaif.constitution.schema import Constitution, Principle
from rlaif.judges.base import Comparison, Judge
from rlaif.judges.panel import Findings, check_responses, compare_pair_apart
from rlaif.models.model import StoredReply, total_usage
from rlaif.pipeline import judging_checks, judging_principles
from rlaif.preferences.ranking import design
from rlaif.records import Matchup, Prompt, Record, Response, Trace, Usage, Verdict
from rlaif.seeds import derive_seed
from rlaif.tasks import together
from rlaif.templates import AGAIN, Templates

Kind = Literal["samples", "parent", "rivals"]


class Candidate(Record):
    """One response in the pool."""

    id: str
    """`s0` for a sample that all runs share, `RULES/s0` for one of a single run, `RULES/s0.r1` for a revision."""
    text: str
    by: str | None = None
    """Name of the rule set that made the revision; None for a sample."""
    parent: str | None = None
    """Id of the sample that a revision revises; None for a sample."""
    principles: tuple[str, ...] = ()
    """Principles drawn for the critique that led to a revision."""
    critique: str = ""


class PoolMatchup(Record):
    """Two responses of the pool; which one is `a` is drawn at random."""

    a: str
    b: str
    kind: Kind


class JudgingPass(Record):
    """One rule set's verdicts on all matchups of a prompt, in one pass."""

    rules: str
    again: bool = False
    """Whether it is the second pass, with another seed and another wording, from which the noise floor is measured."""
    judged_by: tuple[str, ...]
    checked_by: tuple[str, ...] = ()
    """Ids of the principles that a program decided, and of the prompt's own checks."""
    matchups: tuple[Matchup, ...]
    """In the order of the pool's matchups; empty when no principle of the rule set applies."""
    usage: Usage = Usage()


class PooledPrompt(Record):
    """A prompt, its pool, and the verdicts of every rule set."""

    prompt: Prompt
    candidates: tuple[Candidate, ...]
    matchups: tuple[PoolMatchup, ...]
    identical: int
    """Matchups left out because both responses are the same text."""
    sittings: tuple[JudgingPass, ...] = ()

    def candidate(self, candidate_id: str) -> Candidate:
        """Return one response by its id."""
        return next(c for c in self.candidates if c.id == candidate_id)

    def judging_pass(self, rules: str, *, again: bool = False) -> JudgingPass | None:
        """Return the first or second pass of a rule set; None when there is none."""
        return next((s for s in self.sittings if s.rules == rules and s.again == again), None)


def build_pool(traces: Mapping[str, Trace], seed: int) -> PooledPrompt:
    """Return the pool of one prompt, from its traces by rule set, without verdicts."""
    prompt = next(iter(traces.values())).prompt
    samples = _samples(traces)
    revisions = _revisions(traces, samples)
    sample_ids = list(dict.fromkeys(sample.id for sample in samples.values()))
    wanted: list[tuple[str, str, Kind]] = [
        *((a, b, "samples") for a, b in design(sample_ids, {}, derive_seed(seed, prompt.id, "pool samples"))),
        *((revision.id, revision.parent or "", "parent") for revision in revisions),
        *_rivals(revisions, samples),
    ]
    candidates = {candidate.id: candidate for candidate in (*samples.values(), *revisions)}
    differing = [(a, b, kind) for a, b, kind in wanted if candidates[a].text != candidates[b].text]
    rng = random.Random(derive_seed(seed, prompt.id, "pool"))
    shuffled = [(b, a, kind) if rng.random() < 0.5 else (a, b, kind) for a, b, kind in differing]
    return PooledPrompt(
        prompt=prompt,
        candidates=tuple(candidates.values()),
        matchups=tuple(PoolMatchup(a=a, b=b, kind=kind) for a, b, kind in shuffled),
        identical=len(wanted) - len(differing),
    )


def _samples(traces: Mapping[str, Trace]) -> dict[tuple[str, str], Candidate]:
    """Return the samples by (rule set, id in its run); a sample that all runs share is one candidate."""
    found: dict[tuple[str, str], Candidate] = {}
    texts = [{response.id: response.text for response in trace.responses} for trace in traces.values()]
    for rules, trace in traces.items():
        for response in trace.responses:
            if response.origin == "sample" and response.text:
                shared = all(run.get(response.id) == response.text for run in texts)
                name = response.id if shared else f"{rules}/{response.id}"
                found[rules, response.id] = Candidate(id=name, text=response.text)
    return found


def _revisions(traces: Mapping[str, Trace], samples: Mapping[tuple[str, str], Candidate]) -> list[Candidate]:
    """Return the last revision of every sample under every rule set; empty and copied ones are left out."""
    found = []
    for rules, trace in traces.items():
        last: dict[str, Response] = {}
        for response in trace.responses:
            if response.origin == "revision" and response.text and response.copied is None:
                last[response.id.partition(".")[0]] = response
        for sample, response in last.items():
            if (rules, sample) in samples:
                critique = next((c for c in trace.critiques if c.of == response.parent), None)
                found.append(
                    Candidate(
                        id=f"{rules}/{response.id}",
                        text=response.text,
                        by=rules,
                        parent=samples[rules, sample].id,
                        principles=critique.principles if critique else (),
                        critique=critique.text if critique else "",
                    )
                )
    return found


def _rivals(revisions: list[Candidate], samples: Mapping[tuple[str, str], Candidate]) -> list[tuple[str, str, Kind]]:
    """Return matchups of revisions by different rule sets of the same sample, or of samples with the same number."""
    numbers = {candidate.id: number for (_, number), candidate in samples.items()}
    return [
        (one.id, other.id, "rivals")
        for one, other in combinations(revisions, 2)
        if one.by != other.by and numbers[one.parent or ""] == numbers[other.parent or ""]
    ]


_MARK = "\x00"
"""Separates rule set and principle in an id while the principles of all rule sets are asked together."""


@dataclass(frozen=True)
class PoolJudging:
    """What is needed to judge the pool: settings, rule sets, templates and judges."""

    config: RunConfig
    constitutions: Mapping[str, Constitution]
    templates: Templates
    judges: Sequence[Judge]
    """Only pairwise judges."""
    twice: frozenset[str]
    """Ids of the prompts that are judged a second time."""


async def judge_pool(judging: PoolJudging, pool: PooledPrompt, priority: int) -> PooledPrompt:
    """Return the pool with the verdicts of every rule set. Raises RequestError when a call fails after all retries."""
    rounds = (False, True) if pool.prompt.id in judging.twice else (False,)
    passes = await together(*(_judge_once(judging, pool, priority, again=again) for again in rounds))
    return pool.model_copy(update={"sittings": tuple(judging_pass for found in passes for judging_pass in found)})


async def _judge_once(judging: PoolJudging, pool: PooledPrompt, priority: int, *, again: bool) -> list[JudgingPass]:
    # With another seed, other principles are drawn, too.
    seed = derive_seed(judging.config.seed, "again") if again else judging.config.seed
    config = judging.config.model_copy(update={"seed": seed})
    drawn = {
        name: judging_principles(constitution, config, pool.prompt)
        for name, constitution in judging.constitutions.items()
    }
    marked = [
        principle.model_copy(update={"id": f"{name}{_MARK}{principle.id}"})
        for name, principles in drawn.items()
        for principle in principles
    ]
    found = {
        name: await check_responses(judging_checks(constitution, config, pool.prompt), pool.prompt, pool.candidates)
        for name, constitution in judging.constitutions.items()
    }
    if not marked and not any(one.checks for one in found.values()):
        return []
    asked = await together(
        *(_ask(judging, pool, matchup, marked, priority, seed if again else None) for matchup in pool.matchups)
    )
    return [_judging_pass(name, principles, found[name], asked, again=again) for name, principles in drawn.items()]


async def _ask(
    judging: PoolJudging,
    pool: PooledPrompt,
    matchup: PoolMatchup,
    principles: Sequence[Principle],
    priority: int,
    seed: int | None,
) -> tuple[Matchup, list[list[StoredReply]]]:
    return await compare_pair_apart(
        judging.judges,
        judging.templates,
        Comparison(
            prompt=pool.prompt,
            a=_shown(pool, matchup.a),
            b=_shown(pool, matchup.b),
            purpose="design",
            principles=principles,
            both_orders=judging.config.judging.orders == "both",
            priority=priority,
            template="compare" if seed is None else AGAIN,
            seed=seed,
            run_seed=judging.config.seed,
        ),
    )


def _shown(pool: PooledPrompt, candidate_id: str) -> Response:
    text = pool.candidate(candidate_id).text
    return Response(id=candidate_id, text=text, origin="sample", model="", seed=0, finish_reason="stop", reply="")


def _judging_pass(
    name: str,
    principles: Sequence[Principle],
    found: Findings,
    asked: Sequence[tuple[Matchup, list[list[StoredReply]]]],
    *,
    again: bool,
) -> JudgingPass:
    """Return one rule set's pass: its part of the verdicts asked together, and the results of its checks."""
    matchups, replies = [], []
    for matchup, given in asked:
        own: list[Verdict] = []
        for verdict, behind in zip(matchup.verdicts, given, strict=True):
            rules, _, principle = verdict.principle.partition(_MARK)
            if rules == name:
                own.append(verdict.model_copy(update={"principle": principle}))
                replies += behind
        checks = found.of(matchup.a, matchup.b)
        matchups.append(matchup.model_copy(update={"verdicts": tuple(own), "checks": checks}))
    return JudgingPass(
        rules=name,
        again=again,
        judged_by=tuple(principle.id for principle in principles),
        checked_by=tuple(check.id for check in found.checks),
        matchups=tuple(matchups) if principles or found.checks else (),
        usage=total_usage(replies),
    )
