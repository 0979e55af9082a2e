"""The backend for OpenAI-compatible servers: vLLM and others with /v1/chat/completions.

Only the fields that this project uses are read from replies; servers may add others. Scored prompts (/v1/completions
with `prompt_logprobs`) and reward models (/classify) work with vLLM only.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import AliasPath, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from rlaif.errors import EndpointError, ReplyError, RequestRejectedError
from rlaif.models.backend import (
    ChatRequest,
    Choice,
    HttpBackend,
    Reply,
    Request,
    RewardRequest,
    ScoreRequest,
    TokenLogprob,
    malformed,
    split_reasoning,
)
from rlaif.models.saturation import Load
from rlaif.records import Usage

_RUNNING, _WAITING = (
    re.compile(rf"^vllm:num_requests_{state}(?:\{{[^\n]*\}})? ([0-9.e+]+)$", re.MULTILINE)
    for state in ("running", "waiting")
)


class OpenAIBackend(HttpBackend):
    """Sends requests to one OpenAI-compatible server; its URL ends in /v1."""

    _has_metrics = True
    """Whether the server may say how many requests it has."""

    async def served(self) -> Mapping[str, str]:
        """Return the served models: name -> hub id or folder that it was loaded from, or the name where unknown."""
        listing = await self.get("models")
        entries = listing.get("data") if isinstance(listing, dict) else None
        models = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
        named = (m for m in models if isinstance(m.get("id"), str) and _can_be_written(m["id"]))
        return {m["id"]: str(m.get("root") or m["id"]).encode("utf-8", "replace").decode() for m in named}

    async def send(self, model: str, request: Request) -> Reply:
        """Send a request once and return its reply."""
        payload = ('{"model":' + json.dumps(model) + "," + request.body[1:]).encode()
        match request:
            case ChatRequest():
                return self._read(await self.post("chat/completions", payload), ChatCompletion, "chat completion")
            case ScoreRequest():
                raw = await self.post("completions", payload)
                return self._read(raw, ScoredCompletion, "completion with scored prompt")
            case RewardRequest():  # the path is /classify, not /v1/classify
                raw = await self.post("classify", payload, base=self.url.removesuffix("/v1"))
                return self._read(raw, Classification, "score")

    async def token_ids(self, model: str, text: str) -> tuple[int, ...] | None:
        """Return the ids of a text's tokens, without special ones (vLLM's /tokenize)."""
        asked = {"model": model, "prompt": text, "add_special_tokens": False}
        found = await self._about_tokens("tokenize", asked, _Tokens)
        return None if found is None else found.tokens

    async def text_of(self, model: str, ids: Sequence[int]) -> str | None:
        """Return the text of tokens (vLLM's /detokenize)."""
        found = await self._about_tokens("detokenize", {"model": model, "tokens": list(ids)}, _TextOfTokens)
        return None if found is None else found.prompt

    async def load(self) -> Load | None:
        """Return the requests in the server (vLLM's /metrics); None where it has no such page, which is asked once."""
        if not self._has_metrics:
            return None
        text = await self.text_at(f"{self.url.removesuffix('/v1')}/metrics")
        found = [[float(value) for value in gauge.findall(text or "")] for gauge in (_RUNNING, _WAITING)]
        self._has_metrics = all(found)
        return Load(*(int(sum(values)) for values in found)) if self._has_metrics else None

    async def _about_tokens(self, page: str, asked: dict[str, Any], shape: "type[Shape]") -> "Shape | None":
        """Return what a server says of tokens; None where it has no such page."""
        try:
            raw = await self.post(page, json.dumps(asked).encode(), base=self.url.removesuffix("/v1"))
            return shape.model_validate_json(raw)
        except (EndpointError, RequestRejectedError, ValidationError):
            return None

    def _read(
        self, raw: bytes, shape: "type[ChatCompletion] | type[ScoredCompletion] | type[Classification]", called: str
    ) -> Reply:
        try:
            return shape.model_validate_json(raw).reply()
        except ValidationError:
            shown = raw[:200].decode("utf-8", "replace")
            raise malformed(f"{self.url} sent a reply that is not a {called}: {shown!r}") from None
        except ValueError as error:
            raise ReplyError(f"{self.url}: {error}") from None


def _can_be_written(name: str) -> bool:
    """Whether a text is without halves of surrogate pairs, which JSON can contain and files cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


Shape = TypeVar("Shape", bound=_Loose)


class _Tokens(_Loose):
    tokens: tuple[int, ...] = Field(min_length=1)


class _TextOfTokens(_Loose):
    prompt: str


class _Usage(_Loose):
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    cached_tokens: int | None = Field(default=0, validation_alias=AliasPath("prompt_tokens_details", "cached_tokens"))

    def usage(self) -> Usage:
        return Usage(
            requests=1,
            prompt_tokens=max(0, self.prompt_tokens or 0),
            cached_tokens=max(0, self.cached_tokens or 0),
            completion_tokens=max(0, self.completion_tokens or 0),
        )


class _Top(_Loose):
    token: str
    logprob: float


class _Choice(_Loose):
    index: int = 0
    message: dict[str, object]
    content: str | None = Field(default=None, validation_alias=AliasPath("message", "content"))
    reasoning: str | None = Field(default=None, validation_alias=AliasPath("message", "reasoning"))
    reasoning_content: str | None = Field(default=None, validation_alias=AliasPath("message", "reasoning_content"))
    finish_reason: str | None = None
    first_token: tuple[_Top, ...] = Field(
        default=(), validation_alias=AliasPath("logprobs", "content", 0, "top_logprobs")
    )
    token_ids: tuple[int, ...] | None = None

    def choice(self) -> Choice:
        text, reasoning = split_reasoning(self.content or "")
        return Choice(
            text=text,
            reasoning=self.reasoning or self.reasoning_content or reasoning,
            finish_reason=self.finish_reason or "unknown",
            first_token=tuple(TokenLogprob(token=t.token, logprob=t.logprob) for t in self.first_token),
            tokens=self.token_ids or (),
        )


class ChatCompletion(_Loose):
    """The reply of /v1/chat/completions."""

    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None
    prompt_token_ids: tuple[int, ...] | None = None

    def reply(self) -> Reply:
        """Return the reply to keep."""
        return Reply(
            choices=tuple(choice.choice() for choice in sorted(self.choices, key=lambda c: c.index)),
            usage=(self.usage or _Usage()).usage(),
            prompt_tokens=self.prompt_token_ids or (),
        )


class Classification(_Loose):
    """The reply of vLLM's /classify."""

    scores: tuple[FiniteFloat, ...] = Field(min_length=1, validation_alias=AliasPath("data", 0, "probs"))
    usage: _Usage | None = None

    def reply(self) -> Reply:
        """Return the reply with the score. Raises ValueError for a classifier of several classes."""
        if len(self.scores) != 1:
            raise ValueError(f"this model has {len(self.scores)} classes; a reward model has only one")
        choice = Choice(text="", finish_reason="score", score=self.scores[0])
        return Reply(
            choices=(choice,), usage=Usage(requests=1, prompt_tokens=(self.usage or _Usage()).usage().prompt_tokens)
        )


class _Logprob(_Loose):
    logprob: FiniteFloat


class _ScoredChoice(_Loose):
    prompt_token_ids: tuple[int, ...]
    prompt_logprobs: tuple[dict[int, _Logprob] | None, ...]


class ScoredCompletion(_Loose):
    """The reply of vLLM's /v1/completions with `prompt_logprobs`."""

    choices: list[_ScoredChoice] = Field(min_length=1, max_length=1)
    usage: _Usage | None = None

    def reply(self) -> Reply:
        """Return the reply with the prompt's tokens and log-probabilities.

        Raises TemporaryFault where one is missing.
        """
        (choice,) = self.choices
        scores = []
        for token, by_token in zip(choice.prompt_token_ids, choice.prompt_logprobs, strict=False):
            if by_token is not None and token not in by_token:
                raise malformed(f"the server left out the log-probability of token {token}")
            scores.append(None if by_token is None else by_token[token].logprob)
        if len(scores) < len(choice.prompt_token_ids) or None in scores[1:]:
            raise malformed("the server left out log-probabilities of the prompt")
        return Reply(
            choices=(),
            usage=(self.usage or _Usage()).usage(),
            prompt_tokens=choice.prompt_token_ids,
            prompt_logprobs=tuple(scores),
        )
