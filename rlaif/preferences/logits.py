"""What judges say about one matchup, as log-odds that a is better: the shape in which a judge hands it over.

Every kind of judge makes these from its own facts (`rlaif.judges`); nothing here knows what kind it was.
"""

import math
from collections.abc import Sequence

from rlaif.records import Ranked, Record

TIE_LOGIT = 1e-3
"""Servers report log-probabilities in single precision: what is nearer to zero than this is rounding."""

HALF_VOTE = 0.5
"""Added to both sides of a count of votes, so unanimous ones have finite log-odds (Haldane 1955, Anscombe 1956)."""


class PrincipleLogit(Record):
    """What one judge says under one principle."""

    judge: str
    logit: float
    """Log-odds that a is better, averaged over the orders."""
    position_bias: float | None
    """Log-odds given for being shown first; None where only one order was asked, or where responses are seen alone."""


def from_orders(judge: str, ab: float | None, ba: float | None, *, both_needed: bool) -> PrincipleLogit | None:
    """Return what log-odds for the response shown first say, a first (`ab`) and b first (`ba`).

    None where an order could not be read that is needed.
    """
    if both_needed:
        if ab is None or ba is None:
            return None
        return PrincipleLogit(judge=judge, logit=(ab - ba) / 2, position_bias=(ab + ba) / 2)
    logit = ab if ba is None else -ba if ab is None else (ab - ba) / 2
    return None if logit is None else PrincipleLogit(judge=judge, logit=logit, position_bias=None)


def ranking_logits(ranked: Ranked) -> tuple[float | None, float | None]:
    """Return the log-odds for the response shown first, where that was a and where that was b; None where never so."""
    return _votes(*ranked.a_first), _votes(*reversed(ranked.b_first))


def weighted_mean(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return the mean of (weight, value) pairs; None of none."""
    total = sum(weight for weight, _ in pairs)
    return sum(weight * value for weight, value in pairs) / total if pairs else None


def _votes(wins: int, losses: int) -> float | None:
    return math.log((wins + HALF_VOTE) / (losses + HALF_VOTE)) if wins + losses else None
