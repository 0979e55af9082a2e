"""What revisions (and samples) are like, as texts: length, refusals, hedging, boilerplate, variety of words."""

from rlaif.compare.pool import PooledPrompt
from rlaif.detectors import detect_refusal, hedges, mattr, word_count
from rlaif.intervals import Bootstrap, Figure, Tally
from rlaif.records import Record

VARIETY_WINDOW = 50
"""Words in the window over which variety is measured; shorter texts are left out of it."""


class TextFigures(Record):
    """The answers of one maker."""

    answers: int
    words: Figure
    """Mean number of words."""
    refusals: Figure
    """Share that refuses, by rules (English only)."""
    partial_refusals: Figure
    """Share that refuses a part."""
    hedged: Figure
    """Share with a hedge or a stock phrase in it, by rules (English only)."""
    hedges: Figure
    """Epistemic hedges per 100 words."""
    boilerplate: Figure
    """Stock phrases per 100 words."""
    variety: Figure
    """Mean share of different words in a window of 50 (MATTR): it does not depend on length."""


def tally_texts(pool: PooledPrompt) -> Tally:
    """Return counts over the answers of one prompt, under ("text", maker, what); the maker of samples is None."""
    tally: Tally = Tally()
    question = pool.prompt.messages[-1].content
    for candidate in pool.candidates:
        who, text = candidate.by, candidate.text
        words, found, variety = word_count(text), hedges(text), mattr(text, VARIETY_WINDOW)
        tally["text", who, "answers"] += 1
        tally["text", who, "words"] += words
        tally["text", who, "hundreds"] += words / 100
        tally["text", who, detect_refusal(question, text)] += 1
        tally["text", who, "hedged"] += bool(found.spans)
        tally["text", who, "hedges"] += found.epistemic_rate * words / 100
        tally["text", who, "boilerplate"] += found.boilerplate_rate * words / 100
        if variety is not None:
            tally["text", who, "variety"] += variety
            tally["text", who, "long enough"] += 1
    return tally


def text_figures(bootstrap: Bootstrap, maker: str | None) -> TextFigures:
    """Return the figures of one maker's answers; None stands for the samples."""

    def ratio(above: str, below: str, *, share: bool = False) -> Figure:
        return bootstrap.ratio(("text", maker, above), ("text", maker, below), share=share)

    return TextFigures(
        answers=int(bootstrap.total(("text", maker, "answers"))),
        words=ratio("words", "answers"),
        refusals=ratio("refusal", "answers", share=True),
        partial_refusals=ratio("partial", "answers", share=True),
        hedged=ratio("hedged", "answers", share=True),
        hedges=ratio("hedges", "hundreds"),
        boilerplate=ratio("boilerplate", "hundreds"),
        variety=ratio("variety", "long enough"),
    )
