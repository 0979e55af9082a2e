"""What goes over the wire to an OpenAI-compatible chat server, and what is kept of what comes back.

Only the fields this project uses. Requests are strict; replies ignore what they do not know, because servers
add fields freely.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from rlaif.errors import ReplyError
from rlaif.records import Message, Record, Usage
from rlaif.seeds import canonical_json, content_hash

USUAL_LOGPROBS = 20
"""vLLM's default limit of `top_logprobs` (--max-logprobs)."""


class ChatRequest(Record):
    """One chat completion to be asked for, without the model's name."""

    messages: tuple[Message, ...]
    max_tokens: int
    n: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool | None = None
    top_logprobs: int | None = None
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)
    continue_final_message: bool | None = None
    """Go on with the last message, an assistant's, in place of beginning an answer (vLLM; others may not know it)."""
    add_generation_prompt: bool | None = None
    """Must be false where the last message is to be continued."""
    return_token_ids: bool | None = None
    """Have the ids of all tokens sent along (vLLM); servers that don't know this leave them out."""

    def body(self) -> str:
        """Return the canonical JSON of the request; what is unset or empty is left out."""
        values = self.model_dump(mode="json", exclude_none=True)
        return canonical_json({key: value for key, value in values.items() if value not in ([], {}, ())})


class RewardRequest(Record):
    """A whole conversation to be scored by a reward model (vLLM's /classify), without the model's name."""

    messages: tuple[Message, ...]
    use_activation: bool = False
    """The raw score is asked for: a difference of two is then log-odds, as reward models are trained."""
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)

    def body(self) -> str:
        """Return the canonical JSON of the request."""
        values = self.model_dump(mode="json")
        return canonical_json({key: value for key, value in values.items() if value != {}})


class ScoreRequest(Record):
    """A text whose tokens are to be scored: how likely was each, given those before it? Without the model's name."""

    prompt: str | tuple[int, ...]
    """A text, or the ids of its tokens: what a model wrote is scored as the very tokens it drew."""

    def body(self) -> str:
        """Return the canonical JSON of the request; one token is generated, because none cannot be asked for."""
        asked = {"max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0, "return_token_ids": True}
        return canonical_json({"prompt": self.prompt, **asked})


class TokenLogprob(Record):
    """One of the likeliest tokens at a place, with its natural log-probability."""

    token: str
    logprob: float


class Choice(Record):
    """One of the answers in a reply."""

    text: str
    reasoning: str | None = None
    finish_reason: str
    first_token: tuple[TokenLogprob, ...] = ()
    """The likeliest first tokens, likeliest first, where log-probabilities were asked for."""
    score: float | None = None
    """Of a reward model; it has no text."""
    tokens: tuple[int, ...] = ()
    """Ids of what was generated, where they were asked for."""


class Reply(Record):
    """What is kept of a server's reply."""

    choices: tuple[Choice, ...]
    usage: Usage
    prompt_tokens: tuple[int, ...] = ()
    """Ids of the prompt's tokens, where they were asked for."""
    prompt_logprobs: tuple[float | None, ...] = ()
    """Natural log-probability of each of them given those before it, where that was asked for; None for the first."""


def user(text: str) -> Message:
    """Return a user's turn."""
    return Message(role="user", content=text)


def reply_key(identity: str, body: str) -> str:
    """Return the content address of a question: what was asked (`body`) of whom (`identity`)."""
    return content_hash(identity, body, digits=32)


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _WireTop(_Loose):
    token: str
    logprob: FiniteFloat


class _WireToken(_Loose):
    top_logprobs: tuple[_WireTop, ...] = ()


class _WireLogprobs(_Loose):
    content: tuple[_WireToken, ...] | None = None


class _WireMessage(_Loose):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _WireChoice(_Loose):
    index: int = 0
    message: _WireMessage
    finish_reason: str | None = None
    logprobs: _WireLogprobs | None = None
    token_ids: tuple[int, ...] | None = None


class _WireDetails(_Loose):
    cached_tokens: int | None = None


class _WireUsage(_Loose):
    prompt_tokens: int = 0
    completion_tokens: int | None = 0
    prompt_tokens_details: _WireDetails | None = None


class WireReply(_Loose):
    """A chat completion as servers send it."""

    choices: list[_WireChoice] = Field(min_length=1)
    usage: _WireUsage | None = None
    prompt_token_ids: tuple[int, ...] | None = None

    def keep(self) -> Reply:
        """Return the part of the reply that is kept."""
        return Reply(
            choices=tuple(_keep(choice) for choice in sorted(self.choices, key=lambda c: c.index)),
            usage=_spent(self.usage),
            prompt_tokens=self.prompt_token_ids or (),
        )


class _WireScore(_Loose):
    probs: tuple[FiniteFloat, ...] = Field(min_length=1)


class WireReward(_Loose):
    """A classification as vLLM sends it."""

    data: list[_WireScore] = Field(min_length=1)
    usage: _WireUsage | None = None

    def keep(self) -> Reply:
        """Return the score. Raises ValueError for a classifier of several classes: it is no reward model."""
        scores = self.data[0].probs
        if len(scores) != 1:
            raise ValueError(f"this model tells {len(scores)} classes apart; a reward model has one score")
        tokens = self.usage.prompt_tokens if self.usage else 0
        choice = Choice(text="", finish_reason="score", score=scores[0])
        return Reply(choices=(choice,), usage=Usage(requests=1, prompt_tokens=tokens))


class _WireLogprob(_Loose):
    logprob: FiniteFloat


class _WireScoredChoice(_Loose):
    prompt_token_ids: tuple[int, ...]
    prompt_logprobs: tuple[dict[int, _WireLogprob] | None, ...]


class WireScored(_Loose):
    """A completion with the log-probabilities of its prompt, as vLLM sends it."""

    choices: list[_WireScoredChoice] = Field(min_length=1, max_length=1)
    usage: _WireUsage | None = None

    def keep(self) -> Reply:
        """Return the prompt's tokens and scores. Raises ReplyError where a score is missing."""
        (choice,) = self.choices
        scores = []
        for token, found in zip(choice.prompt_token_ids, choice.prompt_logprobs, strict=False):
            if found is not None and token not in found:
                raise ReplyError(f"the server left out the log-probability of token {token}")
            scores.append(None if found is None else found[token].logprob)
        if len(scores) < len(choice.prompt_token_ids) or None in scores[1:]:
            raise ReplyError("the server left out log-probabilities of the prompt")
        return Reply(
            choices=(),
            usage=_spent(self.usage),
            prompt_tokens=choice.prompt_token_ids,
            prompt_logprobs=tuple(scores),
        )


def _spent(usage: _WireUsage | None) -> Usage:
    usage = usage or _WireUsage()
    details = usage.prompt_tokens_details
    return Usage(
        requests=1,
        prompt_tokens=usage.prompt_tokens,
        cached_tokens=(details.cached_tokens or 0) if details else 0,
        completion_tokens=usage.completion_tokens or 0,
    )


def _keep(choice: _WireChoice) -> Choice:
    message = choice.message
    text, reasoning = split_reasoning(message.content or "")
    tokens = choice.logprobs.content if choice.logprobs else None
    top = tokens[0].top_logprobs if tokens else ()
    return Choice(
        text=text,
        reasoning=message.reasoning or message.reasoning_content or reasoning,
        finish_reason=choice.finish_reason or "unknown",
        first_token=tuple(TokenLogprob(token=t.token, logprob=t.logprob) for t in top),
        tokens=choice.token_ids or (),
    )


def split_reasoning(text: str) -> tuple[str, str | None]:
    """Part a model's thinking from its answer: (answer, reasoning or None).

    The thought stands between `<think>` and `</think>` at the beginning; models whose chat template opens it in the
    prompt send only its end, on a line of its own. A thought opened in the text that never ends leaves an empty answer.
    """
    stripped = text.strip()
    before, end, after = stripped.partition("</think>")
    opened_in_the_prompt = end and "<think>" not in before and (not before or before[-1] == "\n") and after[:1] in "\n"
    if not stripped.startswith("<think>") and not opened_in_the_prompt:
        return stripped, None
    reasoning, _, answer = stripped.removeprefix("<think>").partition("</think>")
    return answer.strip(), reasoning.strip()
