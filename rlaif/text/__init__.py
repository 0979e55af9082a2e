"""Properties of a response that need no model: refusal, hedging, agreement with a claim, lexical diversity.

Pure functions of texts, standard library only, in time linear in the length of the text. They are rules for English and
match words, not meanings: an unusual refusal, irony and other languages are missed. Refusals were measured against
human labels (`benchmarks/README.md`); hedging and diversity are counts, not judgements. Use them to compare many
responses of two models, not to decide about a single response.
"""
