"""What each judge says about one matchup under each principle, as log-odds that a is better.

Comes in: verdicts, ratings and rankings as they were given. Goes out: one `Voice` for every judge and principle that
could be read; what can't be read has no voice.
"""

import math
from collections.abc import Mapping, Sequence

from rlaif.judgeconfig import JudgingConfig
from rlaif.records import Matchup, Order, Ranked, Record, Score, Scored, Verdict

TIE_LOGIT = 1e-3
"""Servers report log-probabilities in single precision: what is nearer to zero than this is rounding."""

SUREST = 0.999
"""Two ratings that leave no doubt which is higher are still no certainty."""

HALF_VOTE = 0.5
"""Added to both sides of a count of votes, so unanimous ones have finite log-odds (Haldane 1955, Anscombe 1956)."""


class Voice(Record):
    """What one judge says under one principle."""

    judge: str
    logit: float
    """Log-odds that a is better, averaged over the orders."""
    position_bias: float | None
    """Log-odds given for being shown first; None where only one order was asked, or where answers are seen alone."""


def voices_of(matchup: Matchup, judging: JudgingConfig) -> dict[str, tuple[Voice, ...]]:
    """Return the voices that could be read, under their principles."""
    found: dict[str, tuple[Voice, ...]] = {}

    def add(principle: str, voice: Voice | None) -> None:
        if voice is not None:
            found[principle] = (*found.get(principle, ()), voice)

    for (judge, principle), verdicts in matchup.by_voice().items():
        add(principle, pairwise_voice(judge, verdicts, judging))
    for ranked in matchup.rankings:
        add(ranked.principle, _ranking_voice(ranked, judging))
    for scored in matchup.scores:
        add(scored.principle, _score_voice(scored, judging))
    return found


def readable(verdict: Verdict, min_label_mass: float) -> bool:
    """Whether a verdict may be used: a label was found, and the labels got enough probability."""
    return verdict.logit() is not None and verdict.label_mass >= min_label_mass


def pairwise_voice(judge: str, verdicts: Mapping[Order, Verdict], judging: JudgingConfig) -> Voice | None:
    """Return what the verdicts of one judge under one principle say; None where they can't be read."""
    logits = {order: v.logit() for order, v in verdicts.items() if readable(v, judging.min_label_mass)}
    ab, ba = logits.get("ab"), logits.get("ba")
    if judging.orders == "both":
        if ab is None or ba is None:
            return None
        # A label too rare to be reported only bounds its logit, towards zero. Where the bound points away from what
        # both orders say together, the truth may point the other way.
        sides = [(verdicts["ab"], ab), (verdicts["ba"], -ba)]
        if any(verdict.bounded and side * (ab - ba) <= 0 for verdict, side in sides):
            return None
        return Voice(judge=judge, logit=(ab - ba) / 2, position_bias=(ab + ba) / 2)
    if ab is not None:
        return Voice(judge=judge, logit=ab, position_bias=None)
    if ba is not None:
        return Voice(judge=judge, logit=-ba, position_bias=None)
    return None


def shown_logits(ranked: Ranked) -> tuple[float | None, float | None]:
    """Return the log-odds for the answer shown first, where that was a and where that was b; None where never so."""
    return _votes(*ranked.a_first), _votes(*reversed(ranked.b_first))


def beats(a: Sequence[float], b: Sequence[float]) -> float:
    """Return P(a's number is higher) + P(they are the same) / 2 of two distributions over the same numbers."""
    below, p = 0.0, 0.0
    for of_a, of_b in zip(a, b, strict=True):
        p += of_a * (below + of_b / 2)
        below += of_b
    return p


def weighted_mean(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return the mean of (weight, value) pairs; None of none."""
    total = sum(weight for weight, _ in pairs)
    return sum(weight * value for weight, value in pairs) / total if pairs else None


def _votes(wins: int, losses: int) -> float | None:
    return math.log((wins + HALF_VOTE) / (losses + HALF_VOTE)) if wins + losses else None


def _ranking_voice(ranked: Ranked, judging: JudgingConfig) -> Voice | None:
    ab, ba = shown_logits(ranked)
    if judging.orders == "both":
        if ab is None or ba is None:
            return None
        return Voice(judge=ranked.judge, logit=(ab - ba) / 2, position_bias=(ab + ba) / 2)
    logit = ab if ba is None else -ba if ab is None else (ab - ba) / 2
    return None if logit is None else Voice(judge=ranked.judge, logit=logit, position_bias=None)


def _score_voice(scored: Scored, judging: JudgingConfig) -> Voice | None:
    a, b = scored.a, scored.b
    if a is None or b is None or not (_answered(a, judging) and _answered(b, judging)):
        return None
    if a.probabilities:
        p = min(SUREST, max(1 - SUREST, beats(a.probabilities, b.probabilities)))
        logit = math.log(p / (1 - p))
    else:
        logit = a.value - b.value
    return Voice(judge=scored.judge, logit=logit, position_bias=None)


def _answered(score: Score, judging: JudgingConfig) -> bool:
    return score.label_mass is None or score.label_mass >= judging.min_label_mass
