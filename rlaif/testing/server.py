"""A simulated model behind a real HTTP server with the OpenAI-compatible API of vLLM.

For tests, benchmarks and `--dry-run`. It reads the fences of the shipped templates; it does not simulate a tokenizer, a
queue or a cache.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, cast, get_args

from aiohttp import web

from rlaif.seeds import canonical_json, content_hash
from rlaif.testing import critic, policy
from rlaif.testing.bad_replies import bad_reply
from rlaif.testing.request_kind import kind_of, question_of
from rlaif.testing.simulated_model import BadReply, Fault, Kind, SimulatedModel

JUDGED: Mapping[Kind, Callable[[SimulatedModel, dict[str, Any]], dict[str, Any]]] = {
    "judge": critic.verdict,
    "deliberate": critic.deliberation,
    "rate": critic.rating,
    "rank": critic.ranking,
    "choice": lambda model, body: critic.one_token(policy.letter_probabilities(model, body)),
}
"""By kind of request: the function that returns the only choice of the reply. Other kinds get text of the policy."""


@dataclass
class Asked:
    """One request that the server received."""

    kind: Kind
    key: str
    """Hash of the request."""
    received: float
    """time.time() when the request was received."""
    answered: float | None = None
    """time.time() when the reply was ready; None before that, and for a request that met a fault."""


@dataclass
class SimulatedServer:
    """A server on a loopback port; use as an async context manager."""

    model: SimulatedModel = field(default_factory=SimulatedModel)
    port: int = 0
    """0 for a free one."""
    asked: list[Asked] = field(default_factory=list)
    """All requests received so far."""
    latest: dict[Kind, dict[str, Any]] = field(default_factory=dict)
    """The body of the latest request of each kind."""
    _runner: web.AppRunner | None = None

    def __post_init__(self) -> None:
        self._attempts: Counter[str] = Counter()
        """By fault and request: how often the request came."""
        self._hits = [0] * len(self.model.faults)
        self._words: dict[int, str] = {}
        """The tokens of its replies to /tokenize, by their ids."""
        self._seen = [0] * len(self.model.faults)

    @property
    def url(self) -> str:
        """Base URL, ending in /v1."""
        return f"http://127.0.0.1:{self.port}/v1"

    def count(self, kind: Kind) -> int:
        """Return the number of requests of a kind."""
        return sum(asked.kind == kind for asked in self.asked)

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**26)
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._reply)
        app.router.add_post("/classify", self._reply)
        if self.model.tokenises:
            app.router.add_post("/tokenize", self._tokenize)
            app.router.add_post("/detokenize", self._detokenize)
        if self.model.scores:
            app.router.add_post("/v1/completions", self._reply)
        app.router.add_get("/simulated/asked", self._log)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response()

    async def _models(self, request: web.Request) -> web.Response:
        if not self._authorised(request):
            return _error(401, "invalid API key")
        settings = content_hash(self.model.model_dump_json(exclude={"faults", "latency_s", "api_key"}))
        entry = {"id": self.model.name, "object": "model", "root": f"simulated:{settings}"}
        return web.json_response({"object": "list", "data": [entry]})

    async def _tokenize(self, request: web.Request) -> web.Response:
        words = policy.tokens_of((await request.json())["prompt"], self.model.control_tokens)
        ids = [policy.token_id(word) for word in words]
        self._words.update(zip(ids, words, strict=True))
        return web.json_response({"tokens": ids, "count": len(ids), "max_model_len": 2**15})

    async def _detokenize(self, request: web.Request) -> web.Response:
        ids = (await request.json())["tokens"]
        return web.json_response({"prompt": "".join(self._words.get(token, "?") for token in ids)})

    async def _log(self, _: web.Request) -> web.Response:
        return web.json_response([vars(asked) for asked in self.asked])

    async def _reply(self, request: web.Request) -> web.StreamResponse:
        if not self._authorised(request):
            return _error(401, "invalid API key")
        try:
            body = await request.json()
        except ValueError:
            return _error(400, "the body is not JSON")
        if body.get("model") != self.model.name:
            return _error(404, f"the model {body.get('model')!r} does not exist")
        asked = Asked(kind_of(body), content_hash(canonical_json(body), digits=32), time.time())
        self.asked.append(asked)
        self.latest[asked.kind] = body
        fault = self._fault(asked.kind, body)
        if fault is not None and fault.does not in get_args(BadReply):
            return await _cause_fault(fault, request)
        if self.model.latency_s:
            await asyncio.sleep(self.model.latency_s)
        reply = self.reply_to(body)
        if fault is not None and "choices" in reply:
            return web.Response(body=bad_reply(cast(BadReply, fault.does), reply), content_type="application/json")
        asked.answered = time.time()
        return web.json_response(reply)

    def reply_to(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON of the reply to a request; a subclass may override it."""
        model, kind = self.model, kind_of(body)
        if kind == "score":
            return {"choices": [policy.scored(model, body["prompt"])]}
        tokens_read = sum(len(message["content"]) for message in body["messages"]) // 4
        if kind == "reward":
            head = {"id": "simulated", "object": "list", "model": model.name}
            return {**head, "data": [critic.reward(model, body)], "usage": {"prompt_tokens": tokens_read}}
        if kind in JUDGED:
            choices = [self._reported(JUDGED[kind](model, body), body)]
        else:
            choices = [policy.written(model, body, index) for index in range(body.get("n", 1))]
        written = sum(len(choice["message"]["content"] or "") for choice in choices) // 4
        tokens_written = 1 if kind in {"judge", "rate", "choice"} else written
        ids = {"prompt_token_ids": policy.token_ids(question_of(body))} if body.get("return_token_ids") else {}
        return {
            **ids,
            "id": "simulated",
            "object": "chat.completion",
            "model": model.name,
            "choices": [{"index": index, **choice} for index, choice in enumerate(choices)],
            "usage": {"prompt_tokens": tokens_read, "completion_tokens": tokens_written},
        }

    def _reported(self, choice: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
        """Return a choice of one token with the log-probabilities that were asked for: of named tokens, or the most
        likely ones."""
        if not choice.get("logprobs"):
            return choice
        first = choice["logprobs"]["content"][0]
        entries = {entry["token"]: entry for entry in first["top_logprobs"]}
        if self.model.tokenises and body.get("logprob_token_ids"):
            named = [self._words.get(token, "?") for token in body["logprob_token_ids"]]
            unlikely = {"logprob": critic.UNLIKELY, "bytes": None}
            asked = {word: entries.get(word, {"token": word} | unlikely) for word in (first["token"], *named)}
            top = list(asked.values())
        else:
            top = list(entries.values())[: self.model.reported] if body.get("top_logprobs") else []
        return choice | {"logprobs": {"content": [first | {"top_logprobs": top}]}}

    def _authorised(self, request: web.Request) -> bool:
        return self.model.api_key is None or request.headers.get("Authorization") == f"Bearer {self.model.api_key}"

    def _is_drawn(self, place: int, share: float, body: dict[str, Any]) -> bool:
        """Draw whether this attempt at a request has a fault; the same for every run, in whatever order they come."""
        request = content_hash(str(place), canonical_json(body))
        self._attempts[request] += 1
        return random.Random(f"{request} {self._attempts[request]}").random() < share

    def _fault(self, kind: Kind, body: dict[str, Any]) -> Fault | None:
        for place, fault in enumerate(self.model.faults):
            if fault.kind not in {"any", kind} or (fault.contains and fault.contains not in canonical_json(body)):
                continue
            self._seen[place] += 1
            if fault.share < 1 and not self._is_drawn(place, fault.share, body):
                continue
            if self._seen[place] > fault.after and (fault.times is None or self._hits[place] < fault.times):
                self._hits[place] += 1
                return fault
        return None


async def _cause_fault(fault: Fault, request: web.Request) -> web.StreamResponse:
    if fault.does == "hang":
        await asyncio.sleep(3600)
    if fault.does == "garbage":
        return web.Response(text="<html>not the reply you expected</html>", content_type="text/html")
    if fault.does == "disconnect":
        if request.transport is not None:
            request.transport.close()
        return web.Response()
    headers = {"Retry-After": fault.retry_after} if fault.retry_after is not None else None
    return _error(fault.status, fault.message, headers)


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"message": message, "code": status}}, status=status, headers=headers)
