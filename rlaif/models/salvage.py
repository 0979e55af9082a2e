"""Reuse of replies under a larger limit: what ended by itself stays, only what was cut off or is missing is asked.

A limit of tokens does not change what a model writes before it, so a text that ended by itself is what the model would
have written under any larger limit. A text that was cut off is asked again with its own seed: choice i of a request
with seed s is asked as the only one of a request with seed s + i, which is how vLLM seeds several choices. A server
that keeps to seeds then writes the same text and goes on; another one draws a new text, often a shorter one, so that a
run with many of those has fewer long responses than the model writes. Each is marked as what it is (`Choice.again`).

Replies of larger limits are not cut to smaller ones: where a cut would fall is not known.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rlaif.models.backend import ChatRequest, Choice, Reply

ENDED = {"stop", "tool_calls", "function_call"}
"""Reasons of a text that ended by itself."""


@dataclass(frozen=True, order=True)
class Limits:
    """The limits of a request for texts."""

    n: int
    max_tokens: int


@dataclass(frozen=True)
class Salvage:
    """A kept reply to the same question under other limits, and what has to be asked besides it."""

    request: ChatRequest
    reply: Reply
    kept: tuple[int, ...]
    """Places of its choices that are kept."""

    @classmethod
    def of(cls, request: ChatRequest, reply: Reply, max_tokens: int) -> "Salvage":
        """Return what of a reply under `max_tokens` is kept for a request of at least that limit."""
        choices = reply.choices[: request.n]
        whole = max_tokens == request.max_tokens
        kept = (place for place, choice in enumerate(choices) if whole or choice.finish_reason in ENDED)
        return cls(request, reply, tuple(kept))

    @property
    def keeps_nothing(self) -> bool:
        """Whether the only choice was cut off, so that the request is sent as it is."""
        return self.request.n == 1 and not self.kept

    def rest(self) -> dict[int, ChatRequest]:
        """Return the requests for the other choices, by the place of the first choice of each."""
        seed, given = self.request.seed or 0, min(self.request.n, len(self.reply.choices))
        rest = {
            place: self.request.model_copy(update={"n": 1, "seed": seed + place})
            for place in range(given)
            if place not in self.kept
        }
        if given < self.request.n:
            rest[given] = self.request.model_copy(update={"n": self.request.n - given, "seed": seed + given})
        return rest

    def with_rest(self, replies: dict[int, Reply]) -> Reply:
        """Return the whole reply, with the replies to `rest`; its usage is that of all requests behind it."""
        choices = list(self.reply.choices[: self.request.n])
        for place in sorted(replies):
            asked = replies[place].choices
            marked = (self.marked(place, asked[0]),) if place < len(self.reply.choices) else asked
            choices[place : place + len(asked)] = marked
        usage = sum((reply.usage for reply in replies.values()), self.reply.usage)
        return self.reply.model_copy(update={"choices": tuple(choices), "usage": usage})

    def marked(self, place: int, choice: Choice) -> Choice:
        """Return a choice that was asked again, marked by whether it begins with the text that was cut off."""
        again: Literal["repeated", "redrawn"]
        again = "repeated" if _written(choice).startswith(_written(self.reply.choices[place])) else "redrawn"
        return choice.model_copy(update={"again": again})


def _written(choice: Choice) -> str:
    """Return the reasoning and text, without the part of a character at which a text may be cut off."""
    return f"{choice.reasoning or ''}{choice.text}".rstrip("\N{REPLACEMENT CHARACTER}")


def smaller(request: ChatRequest, earlier: Collection[Limits]) -> Iterator[ChatRequest]:
    """Yield the same request under earlier limits, of those whose replies can be of use to it, the best first."""
    own = Limits(request.n, request.max_tokens)
    useful = [limits for limits in earlier if limits != own and limits.max_tokens <= own.max_tokens]
    if request.seed is None:  # several choices without a seed would be the same ones again
        useful = [limits for limits in useful if limits.n == own.n == 1]
    for limits in sorted(useful, key=lambda one: (one.max_tokens, one.n), reverse=True):
        yield request.model_copy(update={"n": limits.n, "max_tokens": limits.max_tokens})


def best(found: Sequence[Salvage]) -> Salvage | None:
    """Return the one that keeps the most choices; the first of several, None of none."""
    return max(found, key=lambda one: len(one.kept), default=None)
