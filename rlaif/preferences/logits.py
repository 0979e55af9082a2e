"""The log-odds of one judge under one principle: what every kind of judge (`rlaif.judges`) hands over.

The arithmetic above does not know which kind of judge they came from.
"""

import math
from collections.abc import Sequence

from rlaif.records import Ranked, Record

TIE_LOGIT = 1e-3
"""Log-odds nearer to zero than this are a tie: servers report log-probabilities in single precision."""

HALF_VOTE = 0.5
"""Added to both sides of a vote count, so that unanimous votes have finite log-odds (Haldane 1955, Anscombe 1956)."""


class PrincipleLogit(Record):
    """The log-odds of one judge under one principle."""

    judge: str
    logit: float
    """Log-odds that a is better, averaged over the orders."""
    position_bias: float | None
    """Log-odds for being shown first; None where only one order was asked, or where the judge sees one response."""


def from_orders(judge: str, ab: float | None, ba: float | None, *, both_needed: bool) -> PrincipleLogit | None:
    """Combine the log-odds for the response shown first, with a first (`ab`) and b first (`ba`).

    None where a needed order was not readable.
    """
    if both_needed:
        if ab is None or ba is None:
            return None
        return PrincipleLogit(judge=judge, logit=(ab - ba) / 2, position_bias=(ab + ba) / 2)
    logit = ab if ba is None else -ba if ab is None else (ab - ba) / 2
    return None if logit is None else PrincipleLogit(judge=judge, logit=logit, position_bias=None)


def ranking_logits(ranked: Ranked) -> tuple[float | None, float | None]:
    """Return the log-odds for the response shown first: where that was a, and where that was b; None where never."""
    return _votes(*ranked.a_first), _votes(*reversed(ranked.b_first))


def weighted_mean(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return the weighted mean of (weight, value) pairs; None for no pairs."""
    total = sum(weight for weight, _ in pairs)
    return sum(weight * value for weight, value in pairs) / total if pairs else None


def _votes(wins: int, losses: int) -> float | None:
    return math.log((wins + HALF_VOTE) / (losses + HALF_VOTE)) if wins + losses else None
