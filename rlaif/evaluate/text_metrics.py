"""How responses read as texts: length, refusals, hedging, boilerplate, variety of words."""

from collections.abc import Hashable

from rlaif.records import Record
from rlaif.stats.estimates import Bootstrap, Estimate, Tally
from rlaif.text.diversity import mattr, word_count
from rlaif.text.hedging import hedges
from rlaif.text.refusal import detect_refusal

VARIETY_WINDOW = 50
"""Words in the window over which variety is measured; shorter texts are left out of it."""


class TextMetrics(Record):
    """The responses of one kind, such as the chosen ones."""

    answers: int
    words: Estimate
    """Mean number of words."""
    refusals: Estimate
    """Share that refuses, by rules (English only)."""
    partial_refusals: Estimate
    """Share that refuses a part."""
    hedged: Estimate
    """Share with a hedge or a stock phrase in it, by rules (English only)."""
    hedges: Estimate
    """Epistemic hedges per 100 words."""
    boilerplate: Estimate
    """Stock phrases per 100 words."""
    variety: Estimate
    """Mean share of different words in a window of 50 (MATTR): it does not depend on length."""


def tally_text(question: str, text: str) -> Tally:
    """Return the counts of one response: answers, words, hundreds (of words), and what is counted in them.

    Its refusal kind (`refusal`, `partial` or `compliance`), hedged, hedges, boilerplate; variety (MATTR) of those that
    are long enough for it.
    """
    length, found, variety = word_count(text), hedges(text), mattr(text, VARIETY_WINDOW)
    tally = Tally(
        {
            "answers": 1,
            "words": length,
            "hundreds": length / 100,
            detect_refusal(question, text): 1,
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
    """Return the counts under ("text", kind, name), as `text_metrics` reads them."""
    return Tally({("text", kind, what): count for what, count in tally.items()})


def text_metrics(bootstrap: Bootstrap, kind: Hashable) -> TextMetrics:
    """Return the metrics of one kind of responses."""

    def ratio(above: str, below: str, *, share: bool = False) -> Estimate:
        return bootstrap.ratio(("text", kind, above), ("text", kind, below), share=share)

    return TextMetrics(
        answers=int(bootstrap.total(("text", kind, "answers"))),
        words=ratio("words", "answers"),
        refusals=ratio("refusal", "answers", share=True),
        partial_refusals=ratio("partial", "answers", share=True),
        hedged=ratio("hedged", "answers", share=True),
        hedges=ratio("hedges", "hundreds"),
        boilerplate=ratio("boilerplate", "hundreds"),
        variety=ratio("variety", "long enough"),
    )
