"""Metrics of responses as texts: length, refusals, hedging, boilerplate, variety of words."""

from collections.abc import Hashable

from pydantic import Field

from rlaif.base import Record
from rlaif.stats.estimates import Estimate, Tallies, Tally
from rlaif.text.diversity import mattr, word_count
from rlaif.text.hedging import hedges
from rlaif.text.refusal import refuses

VARIETY_WINDOW = 50
"""Words in the window over which variety is measured; shorter texts are left out."""


class TextMetrics(Record):
    """Metrics of the responses of one kind, such as the chosen ones; `answers` is their number."""

    answers: int
    words: Estimate
    """Mean number of words."""
    refusals: Estimate
    """Share that refuses, in whole or in part, detected by rules (English only)."""
    partial_refusals: Estimate | None = Field(default=None, exclude=True)
    """Share that refuses a part of the request; only in files of older versions, whose `refusals` leaves it out."""
    hedged: Estimate
    """Share with a hedge or a stock phrase, detected by rules (English only)."""
    hedges: Estimate
    """Epistemic hedges per 100 words."""
    boilerplate: Estimate
    """Stock phrases per 100 words."""
    variety: Estimate
    """Mean share of different words in a window of 50 words (MATTR), which does not depend on length."""


def tally_text(question: str, text: str) -> Tally:
    """Return the tally of one response.

    Its keys: answers (1), words, hundreds (of words), refusal and hedged (0 or 1), hedges, boilerplate; and, for
    responses of at least VARIETY_WINDOW words, variety (MATTR) and `long enough` (1).
    """
    length, found, variety = word_count(text), hedges(text), mattr(text, VARIETY_WINDOW)
    tally = Tally(
        {
            "answers": 1,
            "words": length,
            "hundreds": length / 100,
            "refusal": refuses(question, text),
            "hedged": bool(found.spans),
            "hedges": found.epistemic_rate * length / 100,
            "boilerplate": found.boilerplate_rate * length / 100,
        }
    )
    if variety is not None:
        tally["variety"] = variety
        tally["long enough"] = 1
    return tally


def under(kind: Hashable, tally: Tally) -> Tally:
    """Return the tally with keys ("text", kind, key), which `text_metrics` reads."""
    return Tally({("text", kind, what): count for what, count in tally.items()})


def text_metrics(tallies: Tallies, kind: Hashable) -> TextMetrics:
    """Return the metrics of one kind of responses."""

    def ratio(above: str, below: str, *, share: bool = False) -> Estimate:
        return tallies.ratio(("text", kind, above), ("text", kind, below), share=share)

    return TextMetrics(
        answers=int(tallies.total(("text", kind, "answers"))),
        words=ratio("words", "answers"),
        refusals=ratio("refusal", "answers", share=True),
        hedged=ratio("hedged", "answers", share=True),
        hedges=ratio("hedges", "hundreds"),
        boilerplate=ratio("boilerplate", "hundreds"),
        variety=ratio("variety", "long enough"),
    )
