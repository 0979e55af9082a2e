"""The critic puts all responses of a prompt in order under one principle: kind `listwise`.

Asked in several rotations of one drawn order, each forwards and backwards, so that of any two responses each is shown
before the other equally often.
"""

import random
import re
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from rlaif.constitution.schema import Principle
from rlaif.judges.base import CandidateSet, Judge, JudgeConfigBase, JudgeKind, PointwiseResults, Reading
from rlaif.judges.pairwise import after_preamble
from rlaif.models.backend import ChatRequest, user
from rlaif.models.model import StoredReply
from rlaif.preferences.logits import PrincipleLogit, from_orders, ranking_logits
from rlaif.records import Matchup, Ranking, Response
from rlaif.seeds import derive_seed
from rlaif.tasks import together
from rlaif.templates import Templates, conversation_text, fence_tag

USUAL_LENGTH = 128
"""Tokens; a weak critic goes on and on after its ranking, or in place of one."""


class ListwiseConfig(JudgeConfigBase):
    """A judge that puts all candidates in order."""

    kind: Literal["listwise"] = "listwise"
    preamble: str = ""
    """Stands before the question: who the judge is, what matters. Yours; none by default."""
    temperature: float | None = Field(default=None, ge=0, le=5)
    """0 where none is given."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Longest reply, a thinking model's thoughts included; 128 where none is given."""
    rotations: int = Field(default=2, ge=1, le=16)
    """Orders in which it is shown the candidates; each is asked backwards, too."""


async def rank(judge: Judge, templates: Templates, candidates: CandidateSet) -> PointwiseResults:
    """Return the rankings of all candidates: principles x orders."""
    seed = derive_seed(candidates.run_seed, candidates.prompt.id, "listwise")
    shown = orders(candidates.candidates, judge.config.rotations, seed)
    shown = shown if candidates.both_orders else shown[::2]

    async def in_order(order: Sequence[Response]) -> list[tuple[Ranking, StoredReply]]:
        ahead, *others = candidates.principles
        first = await _rank_once(judge, templates, candidates, order, ahead)
        return [first, *await together(*(_rank_once(judge, templates, candidates, order, p) for p in others))]

    asked = await together(*map(in_order, shown)) if candidates.principles else []
    found = [one for order in asked for one in order]
    return PointwiseResults(rankings=[ranking for ranking, _ in found], replies=[reply for _, reply in found])


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
    judge: Judge, templates: Templates, candidates: CandidateSet, shown: Sequence[Response], principle: Principle
) -> tuple[Ranking, StoredReply]:
    texts = [response.text for response in shown]
    question = templates.render(
        "rank",
        conversation=conversation_text(candidates.prompt.messages),
        responses=texts,
        question=principle.compare,
        tag=fence_tag(candidates.prompt, *texts),
    )
    names = [response.id for response in shown]
    request = ChatRequest(
        messages=(user(after_preamble(judge.config.preamble, question)),),
        max_tokens=judge.config.max_tokens or USUAL_LENGTH,
        temperature=judge.config.temperature or 0.0,
        seed=derive_seed(candidates.run_seed, candidates.prompt.id, "rank", principle.id, *names),
    )
    answer = await judge.critic.chat(request, priority=candidates.priority)
    choice = answer.reply.choices[0]
    numbers = None if choice.finish_reason == "length" else read_ranking(choice.text, len(shown))
    return Ranking(
        judge=judge.config.called,
        principle=principle.id,
        shown=tuple(names),
        ranked=None if numbers is None else tuple(names[number - 1] for number in numbers),
        reply=answer.key,
    ), answer


def ranking_votes(config: ListwiseConfig, matchup: Matchup, reading: Reading) -> Iterator[tuple[str, PrincipleLogit]]:
    """Yield what the rankings say of two candidates: votes as log-odds, for each order they were shown in."""
    for ranked in matchup.rankings:
        ab, ba = ranking_logits(ranked)
        logit = from_orders(ranked.judge, ab, ba, both_needed=reading.both_orders)
        if ranked.judge == config.called and logit is not None:
            yield ranked.principle, logit


KIND = JudgeKind(
    config=ListwiseConfig,
    logits=ranking_votes,
    describe=lambda config: f"puts all answers in order, {config.rotations} rotations forwards and backwards",
    unanswered=lambda _, mass: f"only {mass:.0%} of its rankings could be read",
    ask_candidates=rank,
    template="rank",
    stand_ins={"responses": ["x", "x"], "question": "x"},
)
