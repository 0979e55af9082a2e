"""The judges compare two responses under every principle, in both orders.

The principle stands last in the question, so that all principles of one order share one prefix in the
server's cache; the first of them goes ahead and fills it.
"""

from collections.abc import Sequence

from rlaif.models.model import Answer
from rlaif.records import Matchup, Order
from rlaif.steps.compare import compare
from rlaif.steps.comparison import Comparison, Given, Looked, Seat
from rlaif.steps.deliberate import deliberate
from rlaif.tasks import together
from rlaif.templates import Templates

_PAIRWISE = {"pairwise-logprob": compare, "pairwise-reasoned": deliberate}


async def judge(seats: Sequence[Seat], templates: Templates, comparison: Comparison) -> tuple[Matchup, list[Answer]]:
    """Return the matchup with its verdicts: judges x orders x principles; none where only programs decide."""
    matchup, given = await judge_each(seats, templates, comparison)
    return matchup, [answer for answers in given for answer in answers]


async def judge_each(
    seats: Sequence[Seat], templates: Templates, comparison: Comparison
) -> tuple[Matchup, list[list[Answer]]]:
    """Return the same, with the replies behind each verdict apart."""
    orders: tuple[Order, ...] = ("ab", "ba") if comparison.settings.orders == "both" else ("ab",)
    pairwise = [seat for seat in seats if seat.config.kind in _PAIRWISE]
    asked = await together(*(_one_order(seat, templates, comparison, order) for seat in pairwise for order in orders))
    given = [one for order in asked for one in order]
    a, b = comparison.a.id, comparison.b.id
    return Matchup(
        a=a,
        b=b,
        purpose=comparison.purpose,
        verdicts=tuple(verdict for verdict, _ in given),
        checks=comparison.checks,
        scores=comparison.looked.scores_of(a, b),
        rankings=comparison.looked.rankings_of(a, b),
    ), [answers for _, answers in given]


async def _one_order(seat: Seat, templates: Templates, comparison: Comparison, order: Order) -> list[Given]:
    if not comparison.principles:
        return []
    ask = _PAIRWISE[seat.config.kind]
    ahead, *siblings = comparison.principles
    first = await ask(seat, templates, comparison, order, ahead)
    return [first, *await together(*(ask(seat, templates, comparison, order, p) for p in siblings))]


__all__ = ["Comparison", "Looked", "Seat", "judge", "judge_each"]
