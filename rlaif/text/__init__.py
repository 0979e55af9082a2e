"""Properties of a response that need no model: refusal, hedging, agreement with a claim, variety of words.

Pure functions of texts, standard library only, in time linear in the length of the text. They are rules for English and
match words, not meanings: an unusual refusal, irony or another language is missed. Refusals were measured against human
labels (`benchmarks/README.md`); hedging and diversity are counts, not judgements. Good for comparing many responses of
two models, not for deciding about a single one.
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
