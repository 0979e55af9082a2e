"""The critic puts all responses of a prompt in order under one principle: kind `listwise`.

Asked in several rotations of one drawn order, each forwards and backwards, so that of any two responses each is shown
before the other equally often.
"""

import random
import re
from collections.abc import Sequence

from rlaif.constitution import Principle
from rlaif.hashing import derive_seed
from rlaif.models.model import Answer
from rlaif.models.wire import ChatRequest
from rlaif.records import Ranking, Response
from rlaif.steps.compare import after_preamble
from rlaif.steps.comparison import Looked, Seat, Slate
from rlaif.steps.examples import user
from rlaif.tasks import together
from rlaif.templates import Templates, conversation_text, fence_tag

USUAL_LENGTH = 128
"""Tokens; a weak critic goes on and on after its ranking, or in place of one."""


async def rank(seat: Seat, templates: Templates, slate: Slate) -> Looked:
    """Return the rankings of all candidates: principles x orders."""
    seed = derive_seed(slate.run_seed, slate.prompt.id, "listwise")
    shown = orders(slate.candidates, seat.config.rotations, seed)
    shown = shown if slate.settings.orders == "both" else shown[::2]

    async def in_order(order: Sequence[Response]) -> list[tuple[Ranking, Answer]]:
        ahead, *others = slate.principles
        first = await _rank_once(seat, templates, slate, order, ahead)
        return [first, *await together(*(_rank_once(seat, templates, slate, order, p) for p in others))]

    asked = await together(*map(in_order, shown)) if slate.principles else []
    found = [one for order in asked for one in order]
    return Looked(rankings=[ranking for ranking, _ in found], answers=[answer for _, answer in found])


def orders(candidates: Sequence[Response], rotations: int, seed: int) -> list[tuple[Response, ...]]:
    """Return the orders in which the candidates are shown: rotations of a drawn one, each followed by its reverse."""
    base = random.Random(seed).sample(list(candidates), len(candidates))
    count = min(rotations, len(base) // 2 if len(base) == 2 else len(base))
    starts = [place * len(base) // count for place in range(count)]
    turned = [(*base[start:], *base[:start]) for start in starts]
    return [order for forwards in turned for order in (forwards, forwards[::-1])]


def read_ranking(text: str, count: int) -> list[int] | None:
    """Return the numbers of a ranking, best first, from 1; None unless the last line holds every one of them once."""
    lines = text.strip().splitlines()
    last = lines[-1].replace("*", "").strip() if lines else ""
    if not re.fullmatch(r"\d+(?:\s*>\s*\d+)*\.?", last):
        return None
    numbers = [int(number) for number in re.findall(r"\d+", last)]
    return numbers if sorted(numbers) == list(range(1, count + 1)) else None


async def _rank_once(
    seat: Seat, templates: Templates, slate: Slate, shown: Sequence[Response], principle: Principle
) -> tuple[Ranking, Answer]:
    texts = [response.text for response in shown]
    question = templates.render(
        "rank",
        conversation=conversation_text(slate.prompt.messages),
        responses=texts,
        question=principle.compare,
        tag=fence_tag(slate.prompt, *texts),
    )
    names = [response.id for response in shown]
    request = ChatRequest(
        messages=(user(after_preamble(seat.config.preamble, question)),),
        max_tokens=seat.config.max_tokens or USUAL_LENGTH,
        temperature=seat.config.temperature or 0.0,
        seed=derive_seed(slate.run_seed, slate.prompt.id, "rank", principle.id, *names),
    )
    answer = await seat.critic.chat(request, priority=slate.priority)
    choice = answer.reply.choices[0]
    numbers = None if choice.finish_reason == "length" else read_ranking(choice.text, len(shown))
    return Ranking(
        judge=seat.config.called,
        principle=principle.id,
        shown=tuple(names),
        ranked=None if numbers is None else tuple(names[number - 1] for number in numbers),
        reply=answer.key,
    ), answer
