"""The client of one model: load balancing, bounded concurrency and retries, for all backends. Nothing else retries.

A client sends requests to one model, served at one or several URLs. It does not depend on prompts, principles or the
reply store.
"""

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias

import aiohttp

from rlaif.drain import open_call
from rlaif.errors import EndpointError, RetriesExhaustedError, UsageError
from rlaif.models.backend import Backend, Reply, Request, TemporaryFault, malformed
from rlaif.models.config import ModelConfig
from rlaif.models.label_tokens import tokens_of_labels
from rlaif.models.limiter import PriorityLimiter
from rlaif.models.model_files import fingerprint
from rlaif.models.openai import OpenAIBackend
from rlaif.models.saturation import FIRST, Saturation
from rlaif.models.soundness import flaw, repaired
from rlaif.seeds import content_hash

OpenBackend: TypeAlias = Callable[[str, aiohttp.ClientSession, str | None, float], Backend]
"""From (URL, HTTP session, API key, seconds that one attempt may take) to a backend."""

BACKENDS: Mapping[str, OpenBackend] = {
    "openai": OpenAIBackend,
}
"""By the name before `+` in a URL, as in `openai+http://HOST:PORT/v1`; a URL without one means `openai`."""

MOST_PARTS = 5000
"""Most parts of texts that a server is asked about, whether they are one token each."""
FIRST_WAIT_S, LONGEST_WAIT_S = 0.25, 30.0


def backend_of(url: str) -> tuple[OpenBackend, str]:
    """Return (backend, URL without the backend's name). Raises UsageError for an unknown backend."""
    scheme, separator, address = url.partition("://")
    name, _, protocol = scheme.rpartition("+")
    if (name or "openai") not in BACKENDS:
        raise UsageError(f"{url}: there is no backend named {name!r}; the backends are: {', '.join(BACKENDS)}")
    return BACKENDS[name or "openai"], protocol + separator + address


@dataclass
class Endpoint:
    """One URL and its load."""

    backend: Backend
    slots: PriorityLimiter
    saturation: Saturation
    outstanding: int = 0
    """Requests that are waiting or in flight."""
    root: str = ""
    """Hub id or folder that its model was loaded from."""
    has_replied: bool = False
    was_away: bool = False
    """Whether the server could not be reached, so that it may have come back with another model."""

    @property
    def url(self) -> str:
        """The URL, for messages."""
        return self.backend.url

    async def send(self, model: str, request: Request, priority: int) -> Reply:
        """Send a request once, when its turn comes, and return the reply if it is sound.

        Raises what `Backend.send` raises. What a server refuses although it has replied before (a page, a key) may
        pass.
        """
        async with self.slots.slot(priority), open_call():
            began = time.monotonic()
            try:
                reply = repaired(request, await self.backend.send(model, request))
            except EndpointError as error:
                if self.has_replied:
                    raise TemporaryFault(str(error), final=error) from None
                raise
            if wrong := flaw(request, reply):
                raise malformed(f"{self.url}: {wrong}")
            self.saturation.replies += 1
            self.saturation.seconds += time.monotonic() - began
            self.has_replied = True
            return reply


class ModelClient:
    """Sends requests to one model; use as an async context manager."""

    def __init__(self, config: ModelConfig, *, api_key: str | None = None) -> None:
        self.config = config
        self.endpoints: list[Endpoint] = []
        self.model = config.model or ""
        self.identity = ""
        """The model's identity in reply keys: its served name and what the server loaded, see `identity_of`."""
        self.served_as = ""
        """`+DTYPE` of a managed server, where it differs from the dtype of the model's files; else empty."""
        self.died: Callable[[], Awaitable[str | None]] | None = None
        """Called when a request fails for good; returns why a managed server ended, or None."""
        for url in config.url:
            backend_of(url)  # refuses an unknown backend before any connection
        self.reports_labels: bool | None = None
        """Whether its servers report the log-probabilities of named tokens; None until a reply shows it."""
        self._labels: dict[tuple[str, ...], asyncio.Future[Mapping[str, tuple[int, ...]] | None]] = {}
        self._single: dict[str, asyncio.Future[bool]] = {}
        """By part of a text: whether it is one token."""
        self._tokenises: bool | None = None
        """Whether its first server can be asked about tokens; None until one was."""
        self._key = api_key or api_key_of(config)
        self._session: aiohttp.ClientSession | None = None
        self._jitter = random.Random()
        self._following: list[asyncio.Future[None]] = []
        """Tasks that adjust the limits of the endpoints."""

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300))
        self.endpoints = [self.endpoint(url) for url in self.config.url]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    def endpoint(self, url: str) -> Endpoint:
        """Return a new endpoint for a URL."""
        assert self._session is not None
        open_backend, address = backend_of(url)
        backend = open_backend(address, self._session, self._key, self.config.timeout_s)
        fixed = self.config.concurrency
        slots = PriorityLimiter(FIRST if fixed == "auto" else fixed)
        endpoint = Endpoint(backend, slots, Saturation(slots))
        if fixed == "auto":
            self._following.append(asyncio.ensure_future(endpoint.saturation.follow(backend)))
        return endpoint

    async def connect(self) -> None:
        """Request the list of served models from every URL, and set the model's name and identity.

        Raises EndpointError when a server cannot be reached or refuses the key, UsageError when the model is not
        served.
        """
        for endpoint in self.endpoints:
            endpoint.root = self._root(endpoint.url, await endpoint.backend.served())
        roots = sorted({endpoint.root for endpoint in self.endpoints})
        if len(roots) > 1:
            raise UsageError(f"the servers of {self.model} loaded different models: {', '.join(roots)}")
        self.identity = self.identity_of(roots[0])

    def _root(self, url: str, served: Mapping[str, str]) -> str:
        """Return the hub id or folder that the model was loaded from, and set the name of a server's only model."""
        if not self.model and len(served) == 1:
            self.model = next(iter(served))
        if self.model in served:
            return served[self.model]
        names = ", ".join(served)
        if not served:
            raise EndpointError(
                f"{url} serves no model, or is not an OpenAI-compatible server; does the URL end in /v1?"
            )
        if not self.model:
            raise UsageError(f"{url} serves several models; choose one as NAME@{url}: {names}")
        raise UsageError(f"{url} does not serve a model named {self.model!r}; it serves {names}")

    def identity_of(self, root: str) -> str:
        """Return the identity of this model when loaded from `root`: a hub id, or a folder in its present state."""
        started_with = content_hash(*self.config.vllm_args) if self.config.vllm_args else ""
        return f"{self.model}<{root}{fingerprint(root)}>{started_with}{self.served_as}"

    @property
    def room(self) -> int:
        """Requests that its servers have room for, the waiting ones taken off; less than 0 where more are waiting."""
        return self.most_open - sum(endpoint.outstanding for endpoint in self.endpoints)

    @property
    def most_open(self) -> int:
        """Requests that may be open at its servers together."""
        return sum(endpoint.slots.limit for endpoint in self.endpoints)

    @property
    def is_ready(self) -> bool:
        """Whether requests can be sent without waiting for a server to start."""
        return bool(self.endpoints)

    async def ready(self) -> float:
        """Return the seconds that the server took to start; 0 for one that runs already."""
        return 0.0

    async def label_tokens(self, labels: tuple[str, ...]) -> Mapping[str, tuple[int, ...]] | None:
        """Return for each label the ids of the tokens that spell it; None where no server can say. Asked only once."""
        if labels not in self._labels and self.endpoints:
            asked = tokens_of_labels(self.endpoints[0].backend, self.model, labels)
            self._labels[labels] = asyncio.ensure_future(asked)
        try:
            return await asyncio.shield(self._labels[labels]) if labels in self._labels else None
        except TemporaryFault:  # asked again with the next question, whose own retries tell what is wrong
            self._labels.pop(labels, None)
            return None

    async def refuse_long_labels(self, labels: tuple[str, ...]) -> None:
        """Raise UsageError for a label that is more than one token, where a server that runs can say so."""
        for label, tokens in (await self.label_tokens(labels) or {}).items():
            if not tokens:
                raise UsageError(
                    f"the label {label!r} is more than one token for {self.model}, so its probability cannot be read; "
                    "choose other `labels`, such as [A, B]"
                )

    async def control_tokens(self, parts: Collection[str]) -> frozenset[str]:
        """Return those parts of texts that the model's tokenizer has as one token each; none where it cannot be asked.

        Each part is asked about once.
        """
        if not self.endpoints:
            return frozenset()
        for part in sorted(parts):
            if part not in self._single and len(self._single) < MOST_PARTS:
                self._single[part] = asyncio.ensure_future(self._is_one_token(part))
        found = [(part, await asyncio.shield(self._single[part])) for part in parts if part in self._single]
        return frozenset(part for part, single in found if single)

    async def _is_one_token(self, part: str) -> bool:
        if self._tokenises is False:
            return False
        try:
            tokens = await self.endpoints[0].backend.token_ids(self.model, part)
        except TemporaryFault:
            self._single.pop(part, None)  # asked again with the next text that has it
            return False
        self._tokenises = self._tokenises or tokens is not None
        return tokens is not None and len(tokens) == 1

    async def post(self, request: Request, *, priority: int = 0) -> Reply:
        """Send one request, with retries after temporary faults, and return its reply.

        Requests with a lower `priority` are sent first. Raises RequestRejectedError, RetriesExhaustedError or
        ReplyError for this request alone, EndpointError when no further request can succeed either.
        """
        faults: list[TemporaryFault] = []
        failed_at: Counter[str] = Counter()
        while True:
            # A dead server fails at once and so seems idle: a retry goes to the URLs with the fewest failures first.
            endpoint = min(self.endpoints, key=lambda e: (failed_at[e.url], e.outstanding))
            endpoint.outstanding += 1
            try:
                if endpoint.was_away:
                    await self._refuse_other_model(endpoint)
                return await endpoint.send(self.model, request, priority)
            except TemporaryFault as fault:
                endpoint.saturation.refused += fault.overload
                endpoint.was_away |= fault.connection
                faults.append(fault)
                failed_at[endpoint.url] += 1
                if len(faults) > self.config.retries:
                    raise await self._given_up(endpoint, faults) from None
                wait = self._wait(len(faults), fault)
            finally:
                endpoint.outstanding -= 1
            await asyncio.sleep(wait)

    async def _refuse_other_model(self, endpoint: Endpoint) -> None:
        """Raise EndpointError where a server that was away came back with another model, TemporaryFault while it is."""
        try:
            served = await endpoint.backend.served()
        except EndpointError as error:
            raise TemporaryFault(str(error), connection=True) from None
        root = served.get(self.model)
        if root is None:
            gone = EndpointError(f"{endpoint.url} does not serve {self.model} any more; it serves {', '.join(served)}")
            raise TemporaryFault(str(gone), final=gone)
        if root != endpoint.root:
            raise EndpointError(
                f"{endpoint.url} was away and came back with another model: {root}, before {endpoint.root}. Start it "
                "with the same model and run the same command again, or choose another --out"
            )
        endpoint.was_away = False

    def _wait(self, attempt: int, fault: TemporaryFault) -> float:
        """Return the seconds to wait: as the server asks, or exponential backoff with jitter."""
        if fault.wait_s is not None:
            return min(fault.wait_s, LONGEST_WAIT_S * 4) + self._jitter.uniform(0, FIRST_WAIT_S)
        return self._jitter.uniform(0.5, 1.0) * min(FIRST_WAIT_S * 2.0 ** (attempt - 1), LONGEST_WAIT_S)

    async def _given_up(self, endpoint: Endpoint, faults: list[TemporaryFault]) -> Exception:
        last = faults[-1]
        if self.died is not None and (reason := await self.died()):
            return EndpointError(reason)
        if last.connection and not await self._any_server_responds():
            return EndpointError(
                f"{endpoint.url}: {last} ({len(faults)} attempts); is the server running? "
                "Finished work is kept: start the server and run the same command again"
            )
        return last.final or RetriesExhaustedError(f"{endpoint.url}: {last} ({len(faults)} attempts)")

    async def _any_server_responds(self) -> bool:
        assert self._session is not None
        for endpoint in self.endpoints:
            try:
                async with self._session.get(endpoint.url, timeout=aiohttp.ClientTimeout(total=10)):
                    return True
            except (aiohttp.ClientError, OSError):
                continue
        return False


def api_key_of(config: ModelConfig) -> str | None:
    """Return the API key from the environment, or None. Raises UsageError when the variable `api_key_env` is unset."""
    if config.api_key_env is None:
        return (os.environ.get("RLAIF_API_KEY") or os.environ.get("OPENAI_API_KEY") or "").strip() or None
    key = os.environ.get(config.api_key_env, "").strip()
    if not key:
        raise UsageError(f"api_key_env names {config.api_key_env}, but that environment variable is not set")
    return key
