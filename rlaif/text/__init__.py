"""What can be told of an answer without a model: refusal, hedging and boilerplate, agreement with a
claim, variety of words.

Pure functions of texts, standard library only, in time that grows with the length of the text. They are rules written
for English and know words, not meanings: a refusal said in an unforeseen way, irony or another language goes unseen.
Refusals were measured against people's labels (`benchmarks/README.md`); hedging and diversity are counts, no
judgements. Good for comparing many answers of two models, not for deciding on a single one; `texts` does so, with
intervals.
"""

from rlaif.text.diversity import distinct_ngrams, mattr, self_overlap, word_count, words
from rlaif.text.hedging import HedgeKind, HedgeSpan, Hedging, hedges
from rlaif.text.refusal import RefusalKind, detect_refusal
from rlaif.text.sycophancy import Stance, stance

__all__ = [
    "HedgeKind",
    "HedgeSpan",
    "Hedging",
    "RefusalKind",
    "Stance",
    "detect_refusal",
    "distinct_ngrams",
    "hedges",
    "mattr",
    "self_overlap",
    "stance",
    "word_count",
    "words",
]
