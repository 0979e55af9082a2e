"""Base against tuned, judged under a constitution: the first answer of each to every prompt, in both orders.

Comes in: both models' answers and a critic. Goes out: duels with what the critic says of them, thresholds as in a run.
Two answers that are the same are a tie that nobody is asked about. The arithmetic is that of a run, the critic's
position bias measured over all duels first.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from rlaif.checks import Check, make_ready
from rlaif.config.judging import JudgingConfig
from rlaif.constitution.schema import Constitution, Principle
from rlaif.evaluate.asking import Asked, ask_all
from rlaif.evaluate.cases import given_response
from rlaif.evaluate.policy.asking import Spoken
from rlaif.judges.base import Comparison
from rlaif.judges.panel import judge_pair, judges_of
from rlaif.judges.programs import check_answers
from rlaif.models.model import Model, StoredReply
from rlaif.preferences.judgement import judge_matchup
from rlaif.preferences.logits import TIE_LOGIT
from rlaif.preferences.position import PositionBias
from rlaif.progress import Progress, Screen
from rlaif.records import Matchup, Prompt
from rlaif.seeds import derive_seed
from rlaif.templates import Templates

TUNED, BASE = "tuned", "base"
"""Ids of the two answers."""

Outcome = Literal["tuned", "base", "same", "tie", "too close", "order noise", "conflict", "unreadable", "failed"]
"""Who won, or why nobody did; `same`: both gave the same answer."""


@dataclass(frozen=True)
class Duel:
    """Two answers to one prompt."""

    prompt: Prompt
    base: str
    tuned: str

    @property
    def same(self) -> bool:
        """Whether there is nothing to judge."""
        return self.base.strip() == self.tuned.strip()

    @property
    def length_ratio(self) -> float:
        """Return ln(length of the tuned answer / length of the base's), in characters, of an empty one as of one."""
        return math.log(max(1, len(self.tuned)) / max(1, len(self.base)))


@dataclass(frozen=True)
class Judged:
    """A duel and what came of it under one constitution."""

    duel: Duel
    outcome: Outcome
    logit: float | None
    """Log-odds for the tuned answer, averaged over orders and principles, thresholds aside; None where unreadable."""
    p: float | None
    """Probability of the tuned answer, as a run would report it."""


@dataclass(frozen=True)
class WinRates:
    """All duels under one constitution."""

    constitution: Constitution
    judged: tuple[Judged, ...]
    bias: PositionBias
    error: str | None
    """The first that failed, if any did."""


def duels_of(answers: Sequence[tuple[Prompt, Spoken, Spoken]]) -> list[Duel]:
    """Return the duels of the first answers; comes in: (prompt, the base's answers, the tuned model's)."""
    return [Duel(prompt, base.texts[0], tuned.texts[0]) for prompt, base, tuned in answers]


async def fight(
    critic: Model,
    templates: Templates,
    constitution: Constitution,
    judging: JudgingConfig,
    duels: Sequence[Duel],
    progress: Progress,
    screen: Screen,
) -> WinRates:
    """Let a critic judge all duels under one constitution. Raises what `ask_all` raises."""
    fought = [duel for duel in duels if not duel.same]
    judges = judges_of(judging.panel, critic)

    async def decide(comparison: Comparison) -> tuple[Matchup, Sequence[StoredReply]]:
        matchup, answers = await judge_pair(judges, templates, comparison)
        checks = (*constitution.checks(comparison.prompt.tags), *comparison.prompt.checks)
        found = await check_answers(checks, comparison.prompt, (comparison.a, comparison.b))
        return matchup.model_copy(update={"checks": found.of(matchup.a, matchup.b)}), answers

    await asyncio.to_thread(make_ready, [check for duel in fought for check in _programs(constitution, duel)])
    make = partial(_comparison, constitution, judging, fought)
    asked = await ask_all(decide, len(fought), make, progress, screen) if fought else []
    matchups = [one.matchup for one in asked if one.matchup is not None]
    bias = PositionBias.measure(matchups, judging.min_label_mass)
    answered = iter(asked)
    judged = [
        Judged(duel, "same", 0.0, 0.5) if duel.same else _judged(duel, next(answered), constitution, judging, bias)
        for duel in duels
    ]
    return WinRates(constitution, tuple(judged), bias, next((one.error for one in asked if one.error), None))


def _programs(constitution: Constitution, duel: Duel) -> list[Check]:
    own = (one.check for one in duel.prompt.checks)
    return [*(p.check for p in constitution.comparing if p.check is not None), *own]


def _comparison(constitution: Constitution, judging: JudgingConfig, duels: Sequence[Duel], place: int) -> Comparison:
    duel = duels[place]
    tuned, base = given_response(TUNED, duel.tuned), given_response(BASE, duel.base)
    # Which one is `a` is drawn: asked in one order only, the tuned one must not always be shown first.
    turned = derive_seed(0, duel.prompt.id, "which is a") % 2
    a, b = (base, tuned) if turned else (tuned, base)
    return Comparison(
        prompt=duel.prompt,
        a=a,
        b=b,
        purpose="design",
        principles=_principles(constitution, judging, duel),
        both_orders=judging.orders == "both",
        priority=place,
    )


def _principles(constitution: Constitution, judging: JudgingConfig, duel: Duel) -> Sequence[Principle]:
    """Return the principles put to the critic, drawn by the prompt's id where not all are."""
    principles = [one for one in constitution.asked if one.applies(duel.prompt.tags)]
    return judging.drawn(principles, derive_seed(0, duel.prompt.id, "judging"))


def _judged(duel: Duel, asked: Asked, constitution: Constitution, judging: JudgingConfig, bias: PositionBias) -> Judged:
    if asked.matchup is None:
        return Judged(duel, "failed", None, None)
    weights, levels = constitution.weights, constitution.priorities
    read = judge_matchup(asked.matchup, judging.without_thresholds.rule(weights, levels))
    sign = 1 if read.a == TUNED else -1
    logit = None if read.logit is None else sign * read.logit
    judgement = judge_matchup(asked.matchup, judging.rule(weights, levels, bias))
    p = judgement.p_of(TUNED)
    if judgement.abstention is not None or p is None:
        return Judged(duel, judgement.abstention or "unreadable", logit, p)
    if logit is not None and abs(logit) < TIE_LOGIT:
        return Judged(duel, "tie", logit, p)
    return Judged(duel, "tuned" if p > 0.5 else "base", logit, p)
