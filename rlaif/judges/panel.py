"""The judges of a run: how they are asked about one prompt's candidates, and their log-odds; checks beside them.

The principle stands last in a question, so that all principles of one order share one prefix in the server's cache; the
first of them goes ahead and fills it. Checks run once per response, in a thread, because a user's own may be slow.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from rlaif.checks import CheckResult, NamedCheck, run_check
from rlaif.judges import KINDS, JudgeConfig
from rlaif.judges.base import CandidateSet, Comparison, Given, Judge, PointwiseResults, Reading
from rlaif.models.model import Meter, Model, StoredReply
from rlaif.models.reply_store import ReplyStore
from rlaif.models.serving import Clients
from rlaif.preferences.logits import PrincipleLogit
from rlaif.records import Checked, Matchup, Order, Prompt
from rlaif.tasks import together
from rlaif.templates import Templates


class Text(Protocol):
    """A response."""

    @property
    def id(self) -> str:
        """Its id among the prompt's responses."""

    @property
    def text(self) -> str:
        """Its text."""


@dataclass(frozen=True)
class Findings:
    """Results of the checks of one prompt on its responses."""

    checks: Sequence[NamedCheck]
    results: Mapping[tuple[str, str], CheckResult]
    """By (check id, response id)."""

    def of(self, a: str, b: str) -> tuple[Checked, ...]:
        """Return the results for two of the responses."""
        return tuple(
            Checked(principle=check.id, a=self.results[check.id, a], b=self.results[check.id, b])
            for check in self.checks
        )


async def check_responses(checks: Sequence[NamedCheck], prompt: Prompt, answers: Sequence[Text]) -> Findings:
    """Return the result of every check on every response. Raises CheckError when a user's own check fails."""

    def run() -> dict[tuple[str, str], CheckResult]:
        return {(one.id, answer.id): run_check(one.check, answer.text, prompt) for one in checks for answer in answers}

    return Findings(checks, await asyncio.to_thread(run) if checks else {})


def judges_through(
    clients: Clients, panel: Sequence[JudgeConfig], critic: Model, store: ReplyStore, meter: Meter
) -> tuple[Judge, ...]:
    """Return the judges with their models: the run's critic where they have none of their own."""

    def model_of(judge: JudgeConfig) -> Model:
        if judge.critic is None:
            return critic
        return Model(clients.judges[judge.called], store, meter, judge.critic.chat_template_kwargs)

    return tuple(Judge(judge, model_of(judge)) for judge in panel)


def judges_of(panel: Sequence[JudgeConfig], critic: Model) -> tuple[Judge, ...]:
    """Return the judges with one model for all of them."""
    return tuple(Judge(judge, critic) for judge in panel)


def logits_of(
    matchup: Matchup, panel: Sequence[JudgeConfig], reading: Reading
) -> dict[str, tuple[PrincipleLogit, ...]]:
    """Return the readable log-odds of all judges, by principle."""
    found: dict[str, tuple[PrincipleLogit, ...]] = {}
    for judge in sorted(panel, key=lambda judge: _READ_FIRST.index(judge.kind)):
        for principle, logit in KINDS[judge.kind].logits(judge, matchup, reading):
            found[principle] = (*found.get(principle, ()), logit)
    return found


_READ_FIRST = sorted(KINDS, key=lambda name: (KINDS[name].ask_pair is None, not KINDS[name].asks_rules))
"""Kinds in the order of their log-odds under a principle."""


async def judge_pointwise(judges: Sequence[Judge], templates: Templates, candidates: CandidateSet) -> PointwiseResults:
    """Ask the judges that see responses one by one or all at once; empty with fewer than two candidates."""
    asks = [(judge, ask) for judge in judges if (ask := KINDS[judge.config.kind].ask_candidates) is not None]
    if len(candidates.candidates) < 2:
        return PointwiseResults()
    found = await together(*(ask(judge, templates, candidates) for judge, ask in asks))
    return PointwiseResults(
        scores={key: scores for one in found for key, scores in one.scores.items()},
        rankings=[ranking for one in found for ranking in one.rankings],
        replies=[reply for one in found for reply in one.replies],
    )


async def judge_pair(
    judges: Sequence[Judge], templates: Templates, comparison: Comparison
) -> tuple[Matchup, list[StoredReply]]:
    """Ask all judges about two responses that are not part of a larger set."""
    c = comparison
    pair = CandidateSet(c.prompt, (c.a, c.b), c.principles, c.both_orders, c.priority, c.run_seed)
    pointwise = await judge_pointwise(judges, templates, pair)
    matchup, replies = await compare_pair(judges, templates, replace(comparison, pointwise=pointwise))
    return matchup, [*pointwise.replies, *replies]


async def compare_pair(
    judges: Sequence[Judge], templates: Templates, comparison: Comparison
) -> tuple[Matchup, list[StoredReply]]:
    """Return the matchup with its verdicts (judges x orders x principles) and the replies behind them."""
    matchup, given = await compare_pair_apart(judges, templates, comparison)
    return matchup, [reply for replies in given for reply in replies]


async def compare_pair_apart(
    judges: Sequence[Judge], templates: Templates, comparison: Comparison
) -> tuple[Matchup, list[list[StoredReply]]]:
    """Return the same, with the replies grouped by verdict."""
    orders: tuple[Order, ...] = ("ab", "ba") if comparison.both_orders else ("ab",)
    pairwise = [judge for judge in judges if KINDS[judge.config.kind].ask_pair is not None]
    asked = await together(*(_one_order(judge, templates, comparison, order) for judge in pairwise for order in orders))
    given = [one for order in asked for one in order]
    a, b = comparison.a.id, comparison.b.id
    return Matchup(
        a=a,
        b=b,
        purpose=comparison.purpose,
        verdicts=tuple(verdict for verdict, _ in given),
        checks=comparison.checks,
        scores=comparison.pointwise.scores_of(a, b),
        rankings=comparison.pointwise.rankings_of(a, b),
    ), [replies for _, replies in given]


async def _one_order(judge: Judge, templates: Templates, comparison: Comparison, order: Order) -> list[Given]:
    ask = KINDS[judge.config.kind].ask_pair
    if not comparison.principles or ask is None:
        return []
    ahead, *siblings = comparison.principles
    first = await ask(judge, templates, comparison, order, ahead)
    return [first, *await together(*(ask(judge, templates, comparison, order, p) for p in siblings))]
