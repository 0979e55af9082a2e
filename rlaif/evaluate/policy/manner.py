"""What both models' answers to the prompts are like as texts: refusals, length, stock phrases, variety.

The names counted for each model and prompt: answers, words, hundreds (of words), refused (in whole or in part), empty,
cut, hedges, boilerplate, varied (sum of MATTR) of long (answers long enough for it), overlap (mean over all pairs of a
prompt's answers) of resampled (prompts with two answers to overlap), one (prompts whose answers are all the same) of
prompts with several answers.
"""

from collections.abc import Sequence

from rlaif.evaluate.policy.asking import Spoken
from rlaif.evaluate.policy.lines import Line, What, line
from rlaif.stats.estimates import Bootstrap, Tally
from rlaif.text import detect_refusal, hedges, mattr, self_overlap, word_count, words

VARIETY_WINDOW = 50


def tally_manner(question: str, spoken: Spoken) -> Tally:
    """Return what one model's answers to one prompt count for."""
    tally = Tally()
    for text, cut in zip(spoken.texts, spoken.cut, strict=True):
        count, found, varied = word_count(text), hedges(text), mattr(text, VARIETY_WINDOW)
        tally["answers"] += 1
        tally["words"] += count
        tally["hundreds"] += count / 100
        tally["refused"] += detect_refusal(question, text) != "compliance"
        tally["empty"] += not text.strip()
        tally["cut"] += cut
        tally["hedges"] += found.epistemic_rate * count / 100
        tally["boilerplate"] += found.boilerplate_rate * count / 100
        if varied is not None:
            tally["varied"] += varied
            tally["long"] += 1
    tally.add(_tally_resamples(spoken.texts))
    return tally


def _tally_resamples(texts: Sequence[str]) -> Tally:
    tally = Tally()
    if len(texts) < 2:
        return tally
    tally["several"] = 1
    tally["one"] = len({tuple(words(text)) for text in texts}) == 1
    overlap = self_overlap(texts)
    if overlap is not None:
        tally["overlap"] = overlap
        tally["resampled"] = 1
    return tally


REFUSED = What("refused", "manner", "answers that refuse, in whole or in part")
EMPTY = What("empty", "manner", "empty answers", "lower")
CUT = What("cut", "manner", "answers cut at the largest length")
WORDS = What("words", "manner", "words an answer", unit="number")
HEDGES = What("hedges", "manner", "hedges in 100 words", unit="number")
BOILERPLATE = What("boilerplate", "manner", "stock phrases in 100 words", "lower", "number")
OVERLAP = What("overlap", "variety", "overlap of the answers to one prompt (word pairs in common)", "lower", "number")
ONE_ANSWER = What("one-answer", "variety", "prompts with one and the same answer every time", "lower")
VARIETY = What("variety", "variety", f"different words among {VARIETY_WINDOW} in a row", "higher", "number")


def manner_lines(found: Bootstrap) -> list[Line]:
    """Return the lines of both models' answers to the prompts."""
    return [
        line(found, REFUSED, "refused", "answers"),
        line(found, EMPTY, "empty", "answers"),
        line(found, CUT, "cut", "answers"),
        line(found, WORDS, "words", "answers"),
        line(found, HEDGES, "hedges", "hundreds"),
        line(found, BOILERPLATE, "boilerplate", "hundreds"),
        line(found, OVERLAP, "overlap", "resampled"),
        line(found, ONE_ANSWER, "one", "several"),
        line(found, VARIETY, "varied", "long"),
    ]
