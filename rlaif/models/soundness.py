"""Whether a reply can be what the model said: what is not is asked again, and never kept.

Servers reply with status 200 to requests that went wrong: without a text, with a reason for the end that is an error,
with log-probabilities that no probability has. Used for every new reply and for those from the reply store.
"""

import math

from rlaif.models.backend import ChatRequest, Choice, Reply, Request, TokenLogprob

FAILED = frozenset({"error", "abort", "aborted", "cancelled", "canceled"})
"""Reasons for the end of a text that say that the server failed."""
ROUNDING = 1e-3
"""Log-probabilities may be above 0 by this."""
MOST_PROBABILITY = 1.05
"""Of the tokens of one position together: more than 1, because some servers round log-probabilities to one digit."""
TOKENS_OF_NOTHING = 2
"""Tokens of a text that ends at once, which a model may really say: an empty text of more of them is a fault."""
PLACEHOLDER = -1000.0
"""Log-probabilities below this are a server's placeholder for a token without one (vLLM: -9999)."""


def repaired(request: Request, reply: Reply) -> Reply:
    """Return the reply without what was not asked for or says nothing: further choices, placeholders, repetitions."""
    if not isinstance(request, ChatRequest):
        return reply
    choices = tuple(_readable(choice) for choice in reply.choices[: request.n])
    return reply if choices == reply.choices else reply.model_copy(update={"choices": choices})


def flaw(request: Request, reply: Reply) -> str | None:
    """Return what is wrong with a reply that `repaired` returned; None for a sound one."""
    if not isinstance(request, ChatRequest):
        return None
    if len(reply.choices) < request.n:
        return f"asked for {request.n} responses, got {len(reply.choices)}; does this server support `n`?"
    failed = next((choice.finish_reason for choice in reply.choices if choice.finish_reason in FAILED), None)
    if failed is not None:
        return f"the text ended with finish_reason {failed!r}"
    if request.logprobs and not reply.choices[0].withheld:
        top = reply.choices[0].first_token
        # A server that does not know named tokens reports none; it is then asked for the most likely ones.
        return None if not top and request.logprob_token_ids else _flaw_of_logprobs(top)
    has_text = any(choice.text or choice.reasoning or choice.withheld for choice in reply.choices)
    ended_at_once = 0 < reply.usage.completion_tokens <= TOKENS_OF_NOTHING * request.n
    return None if has_text or ended_at_once or request.max_tokens == 1 else "the reply has no text"


def _readable(choice: Choice) -> Choice:
    kept = tuple(dict.fromkeys(entry for entry in choice.first_token if not entry.logprob < PLACEHOLDER))
    return choice if kept == choice.first_token else choice.model_copy(update={"first_token": kept})


def _flaw_of_logprobs(top: tuple[TokenLogprob, ...]) -> str | None:
    if not top:
        return (
            "the reply has no log-probabilities, so no verdict can be read; use a server that reports them (such as "
            "vLLM), or `kind: pairwise-reasoned` or `listwise`, which need none"
        )
    if any(math.isnan(entry.logprob) or entry.logprob > ROUNDING for entry in top):
        return "a log-probability is not a number, or above 0"
    total = sum(math.exp(entry.logprob) for entry in top)
    return (
        f"the log-probabilities of one token add up to a probability of {total:.3g}"
        if total > MOST_PROBABILITY
        else None
    )
