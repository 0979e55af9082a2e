"""Properties of a response that need no model: refusal, hedging, agreement with a claim, variety of words.

Pure functions of texts, standard library only, in time linear in the length of the text. They are rules for English and
match words, not meanings: an unusual refusal, irony or another language is missed. Refusals were measured against human
labels (`benchmarks/README.md`); hedging and diversity are counts, not judgements. Good for comparing many responses of
two models, not for deciding about a single one.
"""
