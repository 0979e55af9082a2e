"""The judges of a run: who they are, how they are asked about one prompt's candidates, and what they said as log-odds.

The principle stands last in a question, so that all principles of one order share one prefix in the server's cache; the
first of them goes ahead and fills it.
"""

from collections.abc import Sequence
from dataclasses import replace

from rlaif.judges import KINDS, JudgeConfig
from rlaif.judges.base import CandidateSet, Comparison, Given, Judge, PointwiseResults, Reading
from rlaif.models.model import Meter, Model, StoredReply
from rlaif.models.reply_store import ReplyStore
from rlaif.models.serving import Clients
from rlaif.preferences.logits import PrincipleLogit
from rlaif.records import Matchup, Order
from rlaif.tasks import together
from rlaif.templates import Templates


def judges_through(
    clients: Clients, panel: Sequence[JudgeConfig], critic: Model, store: ReplyStore, meter: Meter
) -> tuple[Judge, ...]:
    """Return the judges with the models that speak for them: the critic where they have none of their own."""

    def model_of(judge: JudgeConfig) -> Model:
        if judge.critic is None:
            return critic
        return Model(clients.judges[judge.called], store, meter, judge.critic.chat_template_kwargs)

    return tuple(Judge(judge, model_of(judge)) for judge in panel)


def judges_of(panel: Sequence[JudgeConfig], critic: Model) -> tuple[Judge, ...]:
    """Return the judges with one model that speaks for all of them."""
    return tuple(Judge(judge, critic) for judge in panel)


def logits_of(
    matchup: Matchup, panel: Sequence[JudgeConfig], reading: Reading
) -> dict[str, tuple[PrincipleLogit, ...]]:
    """Return what every judge said that could be read, under the principles."""
    found: dict[str, tuple[PrincipleLogit, ...]] = {}
    for judge in sorted(panel, key=lambda judge: _READ_FIRST.index(judge.kind)):
        for principle, logit in KINDS[judge.kind].logits(judge, matchup, reading):
            found[principle] = (*found.get(principle, ()), logit)
    return found


_READ_FIRST = sorted(KINDS, key=lambda name: (KINDS[name].ask_pair is None, not KINDS[name].asks_rules))
"""Kinds in the order in which their log-odds stand under a principle."""


async def judge_pointwise(judges: Sequence[Judge], templates: Templates, candidates: CandidateSet) -> PointwiseResults:
    """Ask the judges that see responses one by one, or all at once; nothing where there are no two to tell apart."""
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
    """Ask all judges about two responses that stand alone, those that see one at a time among them."""
    c = comparison
    pair = CandidateSet(c.prompt, (c.a, c.b), c.principles, c.both_orders, c.priority, c.run_seed)
    pointwise = await judge_pointwise(judges, templates, pair)
    matchup, replies = await compare_pair(judges, templates, replace(comparison, pointwise=pointwise))
    return matchup, [*pointwise.replies, *replies]


async def compare_pair(
    judges: Sequence[Judge], templates: Templates, comparison: Comparison
) -> tuple[Matchup, list[StoredReply]]:
    """Return the matchup with its verdicts: judges x orders x principles; none where only programs decide."""
    matchup, given = await compare_pair_apart(judges, templates, comparison)
    return matchup, [reply for replies in given for reply in replies]


async def compare_pair_apart(
    judges: Sequence[Judge], templates: Templates, comparison: Comparison
) -> tuple[Matchup, list[list[StoredReply]]]:
    """Return the same, with the replies behind each verdict apart."""
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
