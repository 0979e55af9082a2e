"""Requests, replies, and the protocol of a backend, which sends the one and reads the other.

A backend implements one API for one URL: it sends a request once and reads the reply, or raises an error. Retries, load
balancing and limits on concurrency are the same for all backends and are in `client.py`, with the table of backends.
`HttpBackend` is the base class of backends over HTTP.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, Literal, Protocol, Self, TypeAlias

import aiohttp
from pydantic import Field

from rlaif.base import Record
from rlaif.errors import EndpointError, ReplyError, RequestRejectedError
from rlaif.models.saturation import Load
from rlaif.records import Message, Usage
from rlaif.seeds import canonical_json, content_hash

USUAL_LOGPROBS = 20
"""vLLM's default limit of `top_logprobs` (--max-logprobs)."""
TEMPORARY = {408, 409, 425, 429}
"""HTTP statuses below 500 after which the same request may succeed."""
OVERLOAD = {429, 503}
"""HTTP statuses of a server that has too many requests."""
REDIRECTS = range(300, 400)
CONNECT_TIMEOUT_S = 30


class ModelRequest(Record):
    """Base of requests. `body` is computed once, and used for the reply key and for every attempt to send."""

    def __copy__(self) -> Self:
        """Return a copy without the cached body, because `model_copy` may change fields of the copy."""
        copied = super().__copy__()
        copied.__dict__.pop("body", None)
        return copied


class ChatRequest(ModelRequest):
    """A chat completion, without the model's name."""

    messages: tuple[Message, ...]
    tools: str | None = None
    """Tools that the model may write calls of, as JSON text; the server is not asked to parse the calls, so that they
    stay in the reply's text as the model wrote them."""
    max_tokens: int
    n: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logprob_token_ids: tuple[int, ...] = ()
    """Tokens whose log-probabilities are reported, however rare they are, in place of the most likely ones (vLLM; other
    servers ignore it or refuse it)."""
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)
    continue_final_message: bool | None = None
    """Whether the reply continues the last message, an assistant's (vLLM; other servers may not support it)."""
    add_generation_prompt: bool | None = None
    """Must be false with `continue_final_message`."""
    return_token_ids: bool | None = None
    """Whether the reply contains the ids of all tokens (vLLM; other servers ignore it)."""
    extra: dict[str, Any] = Field(default_factory=dict)
    """Further fields of the body, other than those above."""

    @cached_property
    def body(self) -> str:
        """The OpenAI body as canonical JSON without unset and empty fields. Reply keys are hashes of it."""
        values = self.model_dump(mode="json", exclude_none=True, exclude={"messages"})
        values["messages"] = openai_messages(self.messages)
        tools, extra = values.pop("tools", None), values.pop("extra")
        if tools is not None:
            values["tool_choice"] = "none"
        body = canonical_json({key: value for key, value in values.items() if value not in ([], {}, ())})
        # Tools keep the order of their keys, in which a chat template writes them, and a schema that of its properties,
        # in which they are generated.
        ordered = {key: json.dumps(value, ensure_ascii=False) for key, value in extra.items()}
        ordered |= {} if tools is None else {"tools": tools}
        return body[:-1] + "".join(f",{json.dumps(key)}:{text}" for key, text in ordered.items()) + "}"


class RewardRequest(ModelRequest):
    """A request to a reward model for the score of a conversation (vLLM's /classify), without the model's name."""

    messages: tuple[Message, ...]
    use_activation: bool = False
    """False requests the raw score: the difference of two is then log-odds, as reward models are trained."""
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)

    @cached_property
    def body(self) -> str:
        """The body of /classify as canonical JSON. Reply keys are hashes of it."""
        values = self.model_dump(mode="json") | {"messages": openai_messages(self.messages)}
        return canonical_json({key: value for key, value in values.items() if value != {}})


class ScoreRequest(ModelRequest):
    """A request for the log-probability of each token of a text given those before it, without the model's name."""

    prompt: str | tuple[int, ...]
    """A text, or the ids of its tokens: a generated text is scored as the tokens that were sampled."""

    @cached_property
    def body(self) -> str:
        """The body of /completions as canonical JSON; one token is generated, because zero is not allowed."""
        asked = {"max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0, "return_token_ids": True}
        return canonical_json({"prompt": self.prompt, **asked})


Request: TypeAlias = ChatRequest | RewardRequest | ScoreRequest


class TokenLogprob(Record):
    """One of the most likely tokens at a position, with its natural log-probability."""

    token: str
    logprob: float


class Choice(Record):
    """One of the completions in a reply."""

    text: str
    reasoning: str | None = None
    finish_reason: str
    first_token: tuple[TokenLogprob, ...] = ()
    """The most likely first tokens, most likely first; empty unless log-probabilities were requested."""
    score: float | None = None
    """The score of a reward model, which has no text."""
    tokens: tuple[int, ...] = ()
    """Ids of the generated tokens; empty unless requested."""
    again: Literal["repeated", "redrawn"] | None = None
    """For a text that was asked again because it was cut off under a smaller limit: whether it begins with that text,
    or is another one."""

    @property
    def withheld(self) -> bool:
        """Whether the server's content filter withheld the text, or a part of it."""
        return self.finish_reason == "content_filter"


class Reply(Record):
    """The part of a server's reply that is kept."""

    choices: tuple[Choice, ...]
    usage: Usage
    prompt_tokens: tuple[int, ...] = ()
    """Ids of the prompt's tokens; empty unless requested."""
    prompt_logprobs: tuple[float | None, ...] = ()
    """Natural log-probability of each prompt token given those before it, None for the first; empty unless
    requested."""


def reply_key(identity: str, body: str) -> str:
    """Return the key of a reply: a hash of the request (`body`) and of the model it was sent to (`identity`)."""
    return content_hash(identity, body, digits=32)


def openai_messages(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Return messages as OpenAI's API takes them: the arguments of calls as JSON text."""
    turns = [message.model_dump(mode="json") for message in messages]
    for turn in turns:
        for call in turn.get("tool_calls", ()):
            call["function"]["arguments"] = json.dumps(call["function"]["arguments"], ensure_ascii=False)
    return turns


def user(text: str) -> Message:
    """Return a user's turn."""
    return Message(role="user", content=text)


def split_reasoning(text: str) -> tuple[str, str | None]:
    """Split a model's text into (response, reasoning or None).

    The reasoning is between `<think>` and `</think>` at the beginning; models whose chat template puts `<think>` into
    the prompt send only `</think>`, on a line of its own. Reasoning without an end leaves an empty response.
    """
    stripped = text.strip()
    before, end, after = stripped.partition("</think>")
    opened_in_the_prompt = end and "<think>" not in before and (not before or before[-1] == "\n") and after[:1] in "\n"
    if not stripped.startswith("<think>") and not opened_in_the_prompt:
        return stripped, None
    reasoning, _, response = stripped.removeprefix("<think>").partition("</think>")
    return response.strip(), reasoning.strip()


class TemporaryFault(Exception):
    """A fault after which the same request may succeed; only these are retried."""

    def __init__(
        self,
        reason: str,
        *,
        connection: bool = False,
        overload: bool = False,
        wait_s: float | None = None,
        final: Exception | None = None,
    ) -> None:
        super().__init__(reason)
        self.final = final
        """The error to raise after the last attempt, where there is a better one than that all attempts failed."""
        self.overload = overload
        """Whether the server had too many requests, or did not reply in time."""
        self.connection = connection
        """Whether the server could not be reached, or closed the connection."""
        self.wait_s = wait_s
        """Seconds that the server asks the client to wait."""


def malformed(reason: str) -> TemporaryFault:
    """Return the fault of a reply that cannot be read: a ReplyError if it persists; there is no reason to wait long."""
    return TemporaryFault(reason, wait_s=0, final=ReplyError(reason))


class Backend(Protocol):
    """One API at one URL."""

    url: str

    async def served(self) -> Mapping[str, str]:
        """Return the served models: name -> hub id or folder that it was loaded from, which is part of reply keys.

        Raises EndpointError when the server cannot be reached or refuses the API key.
        """

    async def send(self, model: str, request: Request) -> Reply:
        """Send a request once and return its reply.

        Raises TemporaryFault when another attempt may succeed, also after a reply that cannot be read;
        RequestRejectedError for a request that the server or the API refuses, ReplyError for what this API never
        replies, EndpointError when no request can succeed.
        """

    async def token_ids(self, model: str, text: str) -> tuple[int, ...] | None:
        """Return the ids of a text's tokens, without special ones; None where the API cannot say."""

    async def text_of(self, model: str, ids: Sequence[int]) -> str | None:
        """Return the text of tokens; None where the API cannot say."""

    async def load(self) -> Load | None:
        """Return the requests in the server; None where it does not say."""


class HttpBackend:
    """Base of backends over HTTP: one request to one URL, where every failure becomes one of the errors above."""

    async def token_ids(self, model: str, text: str) -> tuple[int, ...] | None:
        """Return the ids of a text's tokens; None, as here, where the API cannot say."""
        return None

    async def text_of(self, model: str, ids: Sequence[int]) -> str | None:
        """Return the text of tokens; None, as here, where the API cannot say."""
        return None

    async def load(self) -> Load | None:
        """Return the requests in the server; None, as here, where it does not say."""
        return None

    def __init__(self, url: str, session: aiohttp.ClientSession, api_key: str | None, timeout_s: float) -> None:
        self.url, self.api_key, self._session = url, api_key, session
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_TIMEOUT_S)

    def headers(self) -> dict[str, str]:
        """Return the headers of every request."""
        authorization = {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}
        return {"Content-Type": "application/json", **authorization}

    async def get(self, path: str) -> Any:  # noqa: ANN401
        """Return the JSON at a path below the URL. Raises EndpointError."""
        timeout = aiohttp.ClientTimeout(total=30)
        try:
            async with self._session.get(
                f"{self.url}/{path}", headers=self.headers(), timeout=timeout, allow_redirects=False
            ) as response:
                raw = self._without_key(await response.read())
                if response.status != 200:
                    raise EndpointError(_refused(self.url, response.status, raw.decode("utf-8", "replace")))
                return json.loads(raw)
        except (aiohttp.ClientError, OSError) as error:
            raise EndpointError(
                f"{self.url}: {_describe(error)}; is the server running, and does the URL end in /v1?"
            ) from None
        except (ValueError, RecursionError):
            raise EndpointError(
                f"{self.url}/{path} did not reply with JSON; is this an OpenAI-compatible server?"
            ) from None

    async def text_at(self, url: str) -> str | None:
        """Return the text of a page; None where there is none, or where the server does not reply soon."""
        timeout = aiohttp.ClientTimeout(total=5)
        try:
            async with self._session.get(url, headers=self.headers(), timeout=timeout, allow_redirects=False) as reply:
                return await reply.text(errors="replace") if reply.status == 200 else None
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None

    async def post(self, path: str, payload: bytes, *, base: str | None = None) -> bytes:
        """Return the body of the reply to one POST below the URL, or below another base. Raises what `send` raises."""
        url = f"{base or self.url}/{path}"
        try:
            async with self._session.post(
                url, data=payload, headers=self.headers(), timeout=self._timeout, allow_redirects=False
            ) as response:
                raw = self._without_key(await response.read())
                if response.status != 200:
                    raise _refusal(self.url, response.status, raw, response.headers.get("Retry-After"))
                return raw
        except aiohttp.ConnectionTimeoutError:
            raise TemporaryFault(f"no connection within {CONNECT_TIMEOUT_S} s", connection=True) from None
        except TimeoutError:
            raise TemporaryFault(f"no reply within {self._timeout.total:g} s", overload=True) from None
        except (aiohttp.ClientError, OSError) as error:
            raise TemporaryFault(_describe(error), connection=True) from None

    def _without_key(self, raw: bytes) -> bytes:
        """Return a server's reply without the key, which some quote, so that it is neither kept nor shown."""
        return raw.replace(self.api_key.encode(), b"[API key]") if self.api_key else raw


def _refusal(url: str, status: int, raw: bytes, retry_after: str | None) -> Exception:
    text = raw.decode("utf-8", "replace")
    if status in TEMPORARY or status >= 500:
        reason = f"HTTP {status}: {_server_message(text)}"
        return TemporaryFault(reason, overload=status in OVERLOAD, wait_s=_seconds(retry_after))
    if status in {401, 403, 404, 405} or status in REDIRECTS:
        return EndpointError(_refused(url, status, text))
    return RequestRejectedError(f"{url} refused the request (HTTP {status}): {_server_message(text)}")


def _refused(url: str, status: int, text: str) -> str:
    if status in {401, 403}:
        return (
            f"{url} refused the API key (HTTP {status}); set the environment variable RLAIF_API_KEY to the right key, "
            "or name another variable with api_key_env"
        )
    if status in REDIRECTS:
        return f"{url} refers to another address (HTTP {status}), where prompts and key are not sent; give that address"
    if status == 404:
        return f"{url} has no such page or model (HTTP 404): {_server_message(text)}; does the URL end in /v1?"
    return f"{url} replied with HTTP {status}: {_server_message(text)}"


def _server_message(text: str) -> str:
    try:
        parsed = json.loads(text)
        error = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
        message = error.get("message", error) if isinstance(error, dict) else error
    except (ValueError, RecursionError):
        message = text
    return " ".join(str(message).split())[:300] or "no reason given"


def _seconds(retry_after: str | None) -> float | None:
    """Return the seconds to wait according to a Retry-After header: a number, or a date."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


def _describe(error: BaseException) -> str:
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "the server closed the connection"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect ({error.os_error.strerror or error.os_error})"
    return " ".join(str(error).split()) or type(error).__name__
