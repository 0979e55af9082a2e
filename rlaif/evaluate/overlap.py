"""Do judges err together? A panel whose members share their errors is hardly more than one of them.

Comes in: several judges' readings of the same gold items. Goes out, for each two of them: how often they name the same
answer, how often both are wrong, and how often they would be if their errors were independent.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

from rlaif.evaluate.outcomes import Judged
from rlaif.preferences.logits import TIE_LOGIT
from rlaif.records import Record
from rlaif.stats.bootstrap import bootstrap_of
from rlaif.stats.estimates import Array, Estimate, Tally

PANEL = "panel"
"""What several judges together go by; they overlap with each of themselves, which says nothing."""


class Overlap(Record):
    """Two judges on the items for which both name an answer, thresholds aside."""

    one: str
    other: str
    agree: Estimate
    """Share of these items for which they name the same answer."""
    both_wrong: Estimate
    by_chance: float | None
    """Share in which both would be wrong if one's errors told nothing of the other's."""
    correlation: Estimate
    """Phi of being wrong: 0 independent errors, 1 the same ones; None where one of them never errs."""


def overlaps(judged: Mapping[str, Sequence[Judged]]) -> tuple[Overlap, ...]:
    """Return the overlaps of each two judges; items stand in the same order for all."""
    alone = [title for title in judged if not title.endswith(f" {PANEL}")]
    return tuple(_overlap(one, other, judged[one], judged[other]) for one, other in combinations(alone, 2))


def _overlap(one: str, other: str, of_one: Sequence[Judged], of_other: Sequence[Judged]) -> Overlap:
    found = bootstrap_of(
        (a.item.conversation, tally) for a, b in zip(of_one, of_other, strict=True) if (tally := _tally(a, b))
    )
    n, first, second = (found.total(key) for key in ("n", "first", "second"))
    return Overlap(
        one=one,
        other=other,
        agree=found.ratio("agree", "n"),
        both_wrong=found.ratio("both", "n"),
        by_chance=first * second / n**2 if n else None,
        correlation=found.function(_phi, ("n", "first", "second", "both"), of=("n",)),
    )


def _tally(a: Judged, b: Judged) -> Tally | None:
    if a.logit is None or b.logit is None or min(abs(a.logit), abs(b.logit)) < TIE_LOGIT:
        return None
    wrong = (a.logit < 0, b.logit < 0)
    return Tally({"n": 1, "first": wrong[0], "second": wrong[1], "both": all(wrong), "agree": wrong[0] == wrong[1]})


def _phi(totals: Array) -> Array:
    n, first, second, both = totals
    a, b = first / n, second / n
    result: Array = (both / n - a * b) / (a * (1 - a) * b * (1 - b)) ** 0.5
    return result
