"""How far the tuned model is from the base: how much neutral texts surprise both, and the divergence of their answers.

Perplexity: exp of the mean negative log-probability of a text's tokens but the first. Divergence: the tuned model's own
answers, drawn at temperature 1, scored by both; the mean of ln p_tuned - ln p_base is an unbiased estimate of
KL(tuned || base) a token (Monte Carlo; the whole distribution is never asked for). Both need the two models to
cut texts into the same tokens, which is seen by what they made of the neutral texts; characters compare always.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from rlaif.evaluate.policy.asking import Scored
from rlaif.evaluate.policy.lines import SIDES, Line, Side, What, concluded, line, line_of, not_measured, paired
from rlaif.stats.estimates import Array, Bootstrap, Tally

PERPLEXITY = What("perplexity", "drift", "perplexity of neutral texts", "lower", "number")
SURPRISE = What("surprise", "drift", "surprise at neutral texts, nats a character", "lower", "nats")
DIVERGENCE = What("divergence", "drift", "divergence from the base, nats a token", unit="nats")
DIVERGENCE_ANSWER = What("divergence-answer", "drift", "divergence from the base, nats an answer", unit="nats")
OTHER_TOKENS = "the two models cut texts into different tokens"


def same_tokens(asked: Sequence[Mapping[Side, Scored]]) -> bool:
    """Whether both models cut all texts into the same tokens."""
    return all(both["base"].tokens == both["tuned"].tokens for both in asked)


def surprise_lines(asked: Sequence[Mapping[Side, Scored]]) -> list[Line]:
    """Return the lines of neutral texts that both models scored."""
    found = paired([{side: _tally_surprise(both[side]) for side in SIDES} for both in asked])

    def perplexity(totals: Array) -> Array:
        result: Array = np.exp(totals[0] / totals[1])
        return result

    return [
        line_of(found, PERPLEXITY, perplexity, ["nats", "tokens"], of="tokens")
        if same_tokens(asked)
        else not_measured(PERPLEXITY, OTHER_TOKENS),
        line(found, SURPRISE, "nats", "letters"),
    ]


def _tally_surprise(scored: Scored) -> Tally:
    known = [one for one in scored.logprobs if one is not None]
    return Tally({"nats": -sum(known), "tokens": len(known), "letters": scored.letters})


def divergence_lines(asked: Sequence[Mapping[Side, Scored]]) -> list[Line]:
    """Return the lines of the tuned model's answers, which both models scored."""
    found = Bootstrap([_tally_divergence(both) for both in asked])
    return [
        concluded(DIVERGENCE, None, None, found.ratio("apart", "tokens", share=False)),
        concluded(DIVERGENCE_ANSWER, None, None, found.ratio("apart", "answers", share=False)),
    ]


def _tally_divergence(both: Mapping[Side, Scored]) -> Tally:
    pairs = [
        tuned - base
        for tuned, base in zip(both["tuned"].logprobs, both["base"].logprobs, strict=True)
        if tuned is not None and base is not None
    ]
    return Tally({"apart": sum(pairs), "tokens": len(pairs), "answers": 1})
