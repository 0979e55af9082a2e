"""All judges of a run: how they are asked about one prompt's candidates, and their log-odds; and how checks are run.

The principle comes last in a question, so that all principles of one order share a prefix in the server's cache: the
request for the first principle is sent alone and fills it. Checks run once per response, in a thread, because a user's
own may be slow.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

from rlaif.checks import CheckResult, NamedCheck, run_check
from rlaif.constitution.schema import Principle
from rlaif.judges import KINDS, JudgeConfig
from rlaif.judges.base import CandidateSet, Comparison, Given, Judge, PointwiseResults, Reading
from rlaif.judges.satisfies import ask_rubric, logits_called
from rlaif.models.model import Meter, Model, StoredReply
from rlaif.models.reply_store import ReplyStore
from rlaif.models.serving import Clients
from rlaif.preferences.logits import PrincipleLogit
from rlaif.records import Checked, Matchup, Order, Prompt
from rlaif.rubric import RUBRIC
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


MoreQuestions: TypeAlias = Callable[[Matchup, Sequence[str]], Sequence[tuple[str, str]]]
"""From (matchup so far, ids of its principles) to the questions to be asked next, (judge, principle); empty to stop."""


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


async def check_responses(checks: Sequence[NamedCheck], prompt: Prompt, responses: Sequence[Text]) -> Findings:
    """Return the result of every check on every response. Raises CheckError when a user's own check fails."""

    def run() -> dict[tuple[str, str], CheckResult]:
        return {
            (named.id, response.id): run_check(named.check, response.text, prompt)
            for named in checks
            for response in responses
        }

    return Findings(checks, await asyncio.to_thread(run) if checks else {})


def judges_through(
    clients: Clients, panel: Sequence[JudgeConfig], critic: Model, store: ReplyStore, meter: Meter
) -> tuple[Judge, ...]:
    """Return the judges with their models; `critic` is the run's critic, for judges without one of their own."""

    def model_of(judge: JudgeConfig) -> Model:
        if judge.critic is None:
            return critic
        return Model(clients.judges[judge.called], store, meter, judge.critic.chat_template_kwargs)

    return tuple(Judge(judge, model_of(judge)) for judge in panel)


async def refuse_long_labels(judges: Sequence[Judge]) -> None:
    """Raise UsageError for a label that must be one token and is more, where a server that runs already can say so."""
    for judge in judges:
        if labels := KINDS[judge.config.kind].one_token(judge.config):
            await judge.critic.client.refuse_long_labels(labels)


def judges_of(panel: Sequence[JudgeConfig], critic: Model) -> tuple[Judge, ...]:
    """Return the judges with one model for all."""
    return tuple(Judge(judge, critic) for judge in panel)


def logits_of(
    matchup: Matchup, panel: Sequence[JudgeConfig], reading: Reading
) -> dict[str, tuple[PrincipleLogit, ...]]:
    """Return the readable log-odds of a matchup from all judges, by principle."""
    by_principle: dict[str, tuple[PrincipleLogit, ...]] = {}
    for judge in sorted(panel, key=lambda judge: _KINDS_IN_ORDER.index(judge.kind)):
        for principle, logit in KINDS[judge.kind].logits(judge, matchup, reading):
            by_principle[principle] = (*by_principle.get(principle, ()), logit)
    by_principle |= {item: (logit,) for item, logit in logits_called(RUBRIC, matchup, reading)}
    return by_principle


_KINDS_IN_ORDER = sorted(KINDS, key=lambda name: (KINDS[name].ask_pair is None, not KINDS[name].asks_rules))
"""The order in which the log-odds of several judges under one principle are listed."""


async def judge_pointwise(
    judges: Sequence[Judge], templates: Templates, candidates: CandidateSet, asks_rubric: Model | None = None
) -> PointwiseResults:
    """Return scores and rankings from the judges that have them, and of `asks_rubric` under the prompt's rubric.

    Empty with fewer than two candidates.
    """
    if len(candidates.candidates) < 2:
        return PointwiseResults()
    asks = [(judge, ask) for judge in judges if (ask := KINDS[judge.config.kind].ask_candidates) is not None]
    asked = [ask(judge, templates, candidates) for judge, ask in asks]
    if asks_rubric is not None:
        asked.append(ask_rubric(asks_rubric, templates, candidates))
    by_judge = await together(*asked)
    return PointwiseResults(
        scores={key: scores for results in by_judge for key, scores in results.scores.items()},
        rankings=[ranking for results in by_judge for ranking in results.rankings],
        replies=[reply for results in by_judge for reply in results.replies],
    )


async def judge_pair(
    judges: Sequence[Judge], templates: Templates, comparison: Comparison
) -> tuple[Matchup, list[StoredReply]]:
    """Return (matchup, replies) from all judges, for two responses that are not part of a larger set of candidates."""
    c = comparison
    pair = CandidateSet(c.prompt, (c.a, c.b), c.principles, c.both_orders, c.priority, c.run_seed)
    pointwise = await judge_pointwise(judges, templates, pair)
    matchup, replies = await compare_pair(judges, templates, replace(comparison, pointwise=pointwise))
    return matchup, [*pointwise.replies, *replies]


async def compare_pair(
    judges: Sequence[Judge], templates: Templates, comparison: Comparison
) -> tuple[Matchup, list[StoredReply]]:
    """Return (matchup, replies): one verdict for each pairwise judge, order and principle."""
    matchup, given = await compare_pair_apart(judges, templates, comparison)
    return matchup, [reply for replies in given for reply in replies]


async def compare_pair_apart(
    judges: Sequence[Judge], templates: Templates, comparison: Comparison
) -> tuple[Matchup, list[list[StoredReply]]]:
    """Return (matchup, replies) like `compare_pair`, with the replies grouped by verdict."""
    orders: tuple[Order, ...] = ("ab", "ba") if comparison.both_orders else ("ab",)
    pairwise = [judge for judge in judges if KINDS[judge.config.kind].ask_pair is not None]
    by_order = await together(
        *(_one_order(judge, templates, comparison, order) for judge in pairwise for order in orders)
    )
    given = [verdict_and_replies for order in by_order for verdict_and_replies in order]
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


async def compare_until_sure(
    judges: Sequence[Judge], templates: Templates, comparison: Comparison, more: MoreQuestions
) -> tuple[Matchup, list[StoredReply]]:
    """Return (matchup, replies) like `compare_pair`, with the questions that `more` asks for, until it asks for none.

    A question is one judge under one principle, in all orders.
    """
    orders: tuple[Order, ...] = ("ab", "ba") if comparison.both_orders else ("ab",)
    by_name = {judge.config.called: judge for judge in judges}
    principles = {principle.id: principle for principle in comparison.principles}
    given: dict[tuple[str, str, Order], Given] = {}
    nothing, replies = await compare_pair((), templates, comparison)
    matchup = nothing
    while questions := more(matchup, list(principles)):
        places = [(judge, name, order) for judge, name in questions for order in orders]
        asked = await together(
            *(_ask(by_name[judge], templates, comparison, order, principles[name]) for judge, name, order in places)
        )
        given |= dict(zip(places, asked, strict=True))
        wanted = [(judge, name, order) for judge in by_name for order in orders for name in principles]
        verdicts = tuple(given[place][0] for place in wanted if place in given)
        matchup = nothing.model_copy(update={"verdicts": verdicts})
    return matchup, [*replies, *(reply for _, found in given.values() for reply in found)]


async def _ask(judge: Judge, templates: Templates, comparison: Comparison, order: Order, principle: Principle) -> Given:
    ask = KINDS[judge.config.kind].ask_pair
    assert ask is not None
    return await ask(judge, templates, comparison, order, principle)


async def _one_order(judge: Judge, templates: Templates, comparison: Comparison, order: Order) -> list[Given]:
    ask = KINDS[judge.config.kind].ask_pair
    if not comparison.principles or ask is None:
        return []
    leading, *others = comparison.principles
    first = await ask(judge, templates, comparison, order, leading)
    return [first, *await together(*(ask(judge, templates, comparison, order, p) for p in others))]
