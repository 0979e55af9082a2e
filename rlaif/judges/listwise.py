"""The kind `listwise`: the critic ranks all responses of a prompt under one principle.

It is asked in several rotations of one random order, each forwards and backwards: each of two responses is shown before
the other equally often.
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
from rlaif.templates import Templates, fence_tag, prompt_text

USUAL_LENGTH = 128
"""Tokens; a weak critic keeps writing after its ranking, or instead of one."""


class ListwiseConfig(JudgeConfigBase):
    """A judge that ranks all candidates."""

    kind: Literal["listwise"] = "listwise"
    preamble: str = ""
    """Your own text before the question, such as the judge's role; none by default."""
    temperature: float | None = Field(default=None, ge=0, le=5)
    """Sampling temperature; 0 by default."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Maximum tokens of a reply, a thinking model's reasoning included; 128 by default."""
    rotations: int = Field(default=2, ge=1, le=16)
    """Number of orders in which the candidates are shown; each is shown reversed, too."""


async def rank(judge: Judge, templates: Templates, candidates: CandidateSet) -> PointwiseResults:
    """Return the rankings of all candidates, one for each principle and order."""
    seed = derive_seed(candidates.run_seed, candidates.prompt.id, "listwise")
    shown = orders(candidates.candidates, judge.config.rotations, seed)
    shown = shown if candidates.both_orders else shown[::2]

    async def in_order(order: Sequence[Response]) -> list[tuple[Ranking, StoredReply]]:
        leading, *others = candidates.principles
        first = await _rank_once(judge, templates, candidates, order, leading)
        return [first, *await together(*(_rank_once(judge, templates, candidates, order, p) for p in others))]

    by_order = await together(*map(in_order, shown)) if candidates.principles else []
    results = [result for order in by_order for result in order]
    return PointwiseResults(rankings=[ranking for ranking, _ in results], replies=[reply for _, reply in results])


def orders(candidates: Sequence[Response], rotations: int, seed: int) -> list[tuple[Response, ...]]:
    """Return the orders in which the candidates are shown: rotations of a random one, each followed by its reverse."""
    base = random.Random(seed).sample(list(candidates), len(candidates))
    count = min(rotations, len(base) // 2 if len(base) == 2 else len(base))
    starts = [place * len(base) // count for place in range(count)]
    rotated = [(*base[start:], *base[:start]) for start in starts]
    return [order for forwards in rotated for order in (forwards, forwards[::-1])]


def read_ranking(text: str, count: int) -> list[int] | None:
    """Return the numbers (from 1) of a ranking, best first; None unless the last line has each of them exactly once."""
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
        conversation=prompt_text(candidates.prompt),
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
    stored = await judge.critic.chat(request, priority=candidates.priority)
    choice = stored.reply.choices[0]
    numbers = None if choice.finish_reason == "length" else read_ranking(choice.text, len(shown))
    return Ranking(
        judge=judge.config.called,
        principle=principle.id,
        shown=tuple(names),
        ranked=None if numbers is None else tuple(names[number - 1] for number in numbers),
        reply=stored.key,
    ), stored


def ranking_votes(config: ListwiseConfig, matchup: Matchup, reading: Reading) -> Iterator[tuple[str, PrincipleLogit]]:
    """Yield (principle, log-odds) of a matchup from the counts of rankings that place each response higher."""
    for ranked in matchup.rankings:
        ab, ba = ranking_logits(ranked)
        logit = from_orders(ranked.judge, ab, ba, both_needed=reading.both_orders)
        if ranked.judge == config.called and logit is not None:
            yield ranked.principle, logit


KIND = JudgeKind(
    config=ListwiseConfig,
    logits=ranking_votes,
    describe=lambda config: f"ranks all responses, in {config.rotations} rotations forwards and backwards",
    unanswered=lambda _, mass: f"only {mass:.0%} of its rankings could be read",
    ask_candidates=rank,
    template="rank",
    stand_ins={"responses": ["x", "x"], "question": "x"},
)
