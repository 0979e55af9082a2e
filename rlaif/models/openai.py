"""One async client for OpenAI-compatible chat servers: retries, balance, bounded concurrency. Retries live here only.

A client speaks for one model, served under one or several URLs. It knows nothing of prompts, principles or
stores.
"""

import asyncio
import json
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp
from pydantic import ValidationError

from rlaif.errors import (
    EndpointError,
    ReplyError,
    RequestRejectedError,
    RetriesExhaustedError,
    UsageError,
)
from rlaif.models.config import ModelConfig
from rlaif.models.limiter import PriorityLimiter
from rlaif.models.wire import Reply, WireReply, WireReward, WireScored
from rlaif.seeds import content_hash

PASSING = {408, 409, 425, 429}
"""Statuses below 500 that may pass when asked again."""
CONNECT_TIMEOUT_S = 30
FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 30.0

Page = Literal["chat/completions", "completions", "classify"]
_READERS: dict[Page, type[WireReply] | type[WireScored] | type[WireReward]] = {
    "chat/completions": WireReply,
    "completions": WireScored,
    "classify": WireReward,
}
_WANTED: dict[Page, str] = {
    "chat/completions": "chat completion",
    "completions": "completion with scored prompt",
    "classify": "score",
}


@dataclass
class Endpoint:
    """One URL, and how busy it is."""

    url: str
    outstanding: int = 0
    slots: PriorityLimiter = field(default_factory=lambda: PriorityLimiter(1))


class _Passing(Exception):
    """A fault that may pass; the only thing that is retried."""

    def __init__(self, reason: str, *, connection: bool = False, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.connection = connection
        self.wait_s = wait_s


class ModelClient:
    """Asks one model; use as an async context manager."""

    def __init__(self, config: ModelConfig, *, api_key: str | None = None) -> None:
        self.config = config
        self.endpoints = [Endpoint(url, slots=PriorityLimiter(config.concurrency)) for url in config.url]
        self.model = config.model or ""
        self.identity = ""
        """What the model is, for the reply store: its served name and what the server says it was loaded from."""
        self.served_as = ""
        """The dtype that a server started here computes in, where it is another than that of the model's files."""
        self.died: Callable[[], Awaitable[str | None]] | None = None
        """Asked when a connection fails for good: why a managed server is gone, or None."""
        self._key = api_key or api_key_of(config)
        self._session: aiohttp.ClientSession | None = None
        self._jitter = random.Random()

    async def __aenter__(self) -> Self:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
            timeout=aiohttp.ClientTimeout(total=self.config.timeout_s, sock_connect=CONNECT_TIMEOUT_S),
            headers=headers,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def connect(self) -> None:
        """Ask every URL which models it serves; settle the model's name and identity.

        Raises EndpointError when one is not there or refuses the key, UsageError when the model is not served.
        """
        roots = [await self._served_root(endpoint) for endpoint in self.endpoints]
        if len(set(roots)) > 1:
            raise UsageError(f"the servers of {self.model} loaded different models: {', '.join(sorted(set(roots)))}")
        self.identity = self.identity_of(roots[0])

    def identity_of(self, root: str) -> str:
        """Return what this model is when it was loaded from `root`: a name of a hub, or a folder as it is now."""
        started_with = content_hash(*self.config.vllm_args) if self.config.vllm_args else ""
        return f"{self.model}<{root}{_fingerprint(Path(root))}>{started_with}{self.served_as}"

    async def ready(self) -> float:
        """Return the seconds it took to make the server ready for a question; one that runs already takes none."""
        return 0.0

    async def post(self, body: str, *, priority: int = 0, page: Page = "chat/completions") -> Reply:
        """Send one request (canonical JSON without a model's name) and return what is kept of the reply.

        Lower `priority` goes first. Raises RequestRejectedError, RetriesExhaustedError or ReplyError for this
        request alone, EndpointError when no further request can succeed either.
        """
        payload = ('{"model":' + json.dumps(self.model) + "," + body[1:]).encode()
        faults: list[_Passing] = []
        failed_at: Counter[str] = Counter()
        while True:
            # A dead server answers at once and so looks idle: a question never goes back there while others are left.
            endpoint = min(self.endpoints, key=lambda e: (failed_at[e.url], e.outstanding))
            endpoint.outstanding += 1
            try:
                async with endpoint.slots.slot(priority):
                    return await self._attempt(endpoint, payload, page)
            except _Passing as fault:
                faults.append(fault)
                failed_at[endpoint.url] += 1
                if len(faults) > self.config.retries:
                    raise await self._given_up(endpoint, faults) from None
                wait = self._wait(len(faults), fault)
            finally:
                endpoint.outstanding -= 1
            await asyncio.sleep(wait)

    async def _attempt(self, endpoint: Endpoint, payload: bytes, page: Page) -> Reply:
        assert self._session is not None
        # vLLM serves /classify beside /v1, not in it.
        url = endpoint.url.removesuffix("/v1") if page == "classify" else endpoint.url
        try:
            async with self._session.post(f"{url}/{page}", data=payload) as response:
                raw = await response.read()
                if response.status != 200:
                    raise _refusal(endpoint.url, response.status, raw, response.headers.get("Retry-After"))
        except aiohttp.ConnectionTimeoutError:
            raise _Passing(f"no connection within {CONNECT_TIMEOUT_S} s", connection=True) from None
        except TimeoutError:
            raise _Passing(f"no answer within {self.config.timeout_s:g} s") from None
        except (aiohttp.ClientError, OSError) as error:
            raise _Passing(_describe(error), connection=True) from None
        try:
            return _READERS[page].model_validate_json(raw).keep()
        except ValidationError:
            shown = raw[:200].decode("utf-8", "replace")
            raise ReplyError(f"{endpoint.url} sent a reply that is no {_WANTED[page]}: {shown!r}") from None
        except ValueError as error:
            raise ReplyError(f"{endpoint.url}: {error}") from None

    async def _given_up(self, endpoint: Endpoint, faults: list[_Passing]) -> Exception:
        last = faults[-1]
        if self.died is not None and (reason := await self.died()):
            return EndpointError(reason)
        if last.connection and not await self._anybody_there():
            return EndpointError(
                f"{endpoint.url}: {last} ({len(faults)} attempts); is the server running? "
                "What is finished is kept: start the server and run the same command again"
            )
        return RetriesExhaustedError(f"{endpoint.url}: {last} ({len(faults)} attempts)")

    async def _anybody_there(self) -> bool:
        assert self._session is not None
        for endpoint in self.endpoints:
            try:
                async with self._session.get(f"{endpoint.url}/models", timeout=aiohttp.ClientTimeout(total=10)):
                    return True
            except (aiohttp.ClientError, OSError):
                continue
        return False

    def _wait(self, attempt: int, fault: _Passing) -> float:
        """Return seconds to wait: what the server asked for, or a random part of a doubling span."""
        if fault.wait_s is not None:
            return min(fault.wait_s, LONGEST_WAIT_S * 4) + self._jitter.uniform(0, FIRST_WAIT_S)
        return self._jitter.uniform(0.5, 1.0) * min(FIRST_WAIT_S * 2.0 ** (attempt - 1), LONGEST_WAIT_S)

    async def _served_root(self, endpoint: Endpoint) -> str:
        assert self._session is not None
        try:
            async with self._session.get(f"{endpoint.url}/models", timeout=aiohttp.ClientTimeout(total=30)) as response:
                if response.status != 200:
                    raise EndpointError(_refused(endpoint.url, response.status, await response.text()))
                listing = await response.json(content_type=None)
        except (aiohttp.ClientError, OSError) as error:
            raise EndpointError(
                f"{endpoint.url}: {_describe(error)}; is the server running, and does the URL end in /v1?"
            ) from None
        except (ValueError, RecursionError):
            raise EndpointError(
                f"{endpoint.url}/models did not answer in JSON; is this an OpenAI-compatible server?"
            ) from None
        return self._settle(endpoint.url, _served_models(listing))

    def _settle(self, url: str, served: dict[str, str]) -> str:
        if not self.model and len(served) == 1:
            self.model = next(iter(served))
        if self.model in served:
            return served[self.model]
        names = ", ".join(served)
        if not served:
            raise EndpointError(f"{url} serves no model, or is no OpenAI-compatible server; does the URL end in /v1?")
        if not self.model:
            raise UsageError(f"{url} serves several models; choose one as NAME@{url}: {names}")
        raise UsageError(f"{url} does not serve a model named {self.model!r}; it serves {names}")


def api_key_of(config: ModelConfig) -> str | None:
    """Return the API key from the environment. Raises UsageError when the variable named for it is not set."""
    if config.api_key_env is None:
        return (os.environ.get("RLAIF_API_KEY") or os.environ.get("OPENAI_API_KEY") or "").strip() or None
    key = os.environ.get(config.api_key_env, "").strip()
    if not key:
        raise UsageError(f"api_key_env names {config.api_key_env}, but that environment variable is not set")
    return key


def _refusal(url: str, status: int, raw: bytes, retry_after: str | None) -> Exception:
    text = raw.decode("utf-8", "replace")
    if status in PASSING or status >= 500:
        return _Passing(f"HTTP {status}: {_server_message(text)}", wait_s=_seconds(retry_after))
    if status in {401, 403, 404, 405}:
        return EndpointError(_refused(url, status, text))
    return RequestRejectedError(f"{url} refused the request (HTTP {status}): {_server_message(text)}")


def _refused(url: str, status: int, text: str) -> str:
    if status in {401, 403}:
        return (
            f"{url} refused the API key (HTTP {status}); put the right one into the environment variable "
            "RLAIF_API_KEY, or name another one with api_key_env"
        )
    if status == 404:
        return f"{url} has no such page or model (HTTP 404): {_server_message(text)}; does the URL end in /v1?"
    return f"{url} answered HTTP {status}: {_server_message(text)}"


def _server_message(text: str) -> str:
    try:
        parsed = json.loads(text)
        found = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
        message = found.get("message", found) if isinstance(found, dict) else found
    except (ValueError, RecursionError):
        message = text
    return " ".join(str(message).split())[:300] or "no reason given"


def _served_models(listing: Any) -> dict[str, str]:  # noqa: ANN401
    """Return served name -> what it was loaded from."""
    entries = listing.get("data") if isinstance(listing, dict) else None
    models = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return {m["id"]: str(m.get("root") or m["id"]) for m in models if isinstance(m.get("id"), str)}


def _fingerprint(root: Path) -> str:
    """Return what tells two states of a local model folder apart: a retrained model keeps its path."""
    try:
        if not root.is_absolute() or not root.is_dir():
            return ""
    except OSError:  # a name no file can have
        return ""
    files = sorted(path for path in root.iterdir() if path.suffix in {".json", ".safetensors", ".bin", ".jinja"})
    stats = [(path.name, path.stat()) for path in files]
    return "#" + content_hash(*(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats))


def _seconds(retry_after: str | None) -> float | None:
    """Read a Retry-After header: seconds, or a date."""
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
