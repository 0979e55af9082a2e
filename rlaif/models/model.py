"""A model as the steps see it: ask it something, get the reply it gave, now or at any time before.

Joins the client (asks) with the reply store (remembers) and counts what happened.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from rlaif.errors import ReplyError
from rlaif.models.labels import LabelLogprobs, keep_labels, read_labels
from rlaif.models.openai import ModelClient, Page
from rlaif.models.reply_store import ReplyStore
from rlaif.models.wire import USUAL_LOGPROBS, ChatRequest, Reply, RewardRequest, ScoreRequest, reply_key
from rlaif.records import Message, Usage


@dataclass(frozen=True)
class StoredReply:
    """A reply, and the key under which it is kept."""

    reply: Reply
    key: str


Step = Literal["sampling", "critique", "revision", "judging"]
"""What a question to a model is for."""


@dataclass
class StepUse:
    """What the questions of one step took; replies from the store took nothing and are not counted."""

    asking: int = 0
    """Questions that are waiting for their reply now."""
    replies: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    def work(self, written_costs: float) -> float:
        """Return the tokens read, without cached ones, and those written at their cost."""
        return self.prompt_tokens - self.cached_tokens + written_costs * self.completion_tokens


@dataclass
class Meter:
    """What all models of a run did so far, for the live view and the summary."""

    from_store: int = 0
    steps: dict[Step, StepUse] = field(default_factory=dict)
    starting_s: float = 0.0
    """Seconds that servers took to start."""
    waiting: int = 0
    """Questions that wait for a server to start."""
    waiting_since: float = 0.0
    """When the first of them began to wait (monotonic clock)."""

    def of(self, step: Step) -> StepUse:
        """Return the counts of one step."""
        return self.steps.setdefault(step, StepUse())

    def count(self, reply: Reply, step: Step, *, stored: bool) -> None:
        """Add one reply; the tokens of a stored one were paid for earlier and do not count."""
        if stored:
            self.from_store += 1
            return
        use = self.of(step)
        use.replies += 1
        use.prompt_tokens += reply.usage.prompt_tokens
        use.cached_tokens += reply.usage.cached_tokens
        use.completion_tokens += reply.usage.completion_tokens

    @property
    def fresh(self) -> int:
        """Replies that came from a server."""
        return sum(use.replies for use in self.steps.values())

    @property
    def replies(self) -> int:
        """All replies, those from the store included."""
        return self.fresh + self.from_store

    @property
    def prompt_tokens(self) -> int:
        """Prompt tokens of all fresh replies."""
        return sum(use.prompt_tokens for use in self.steps.values())

    @property
    def cached_tokens(self) -> int:
        """Of these, the ones a server had in its prefix cache."""
        return sum(use.cached_tokens for use in self.steps.values())

    @property
    def completion_tokens(self) -> int:
        """Tokens that models wrote."""
        return sum(use.completion_tokens for use in self.steps.values())

    def work(self, written_costs: float) -> float:
        """Return the work behind all fresh replies, in tokens read."""
        return sum(use.work(written_costs) for use in self.steps.values())


class Model:
    """One model: policy or critic."""

    def __init__(
        self,
        client: ModelClient,
        store: ReplyStore,
        meter: Meter,
        chat_template_kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.client = client
        self._store = store
        self._meter = meter
        self._kwargs = chat_template_kwargs or {}
        self._asked: dict[str, asyncio.Task[Reply]] = {}

    @property
    def name(self) -> str:
        """The served name."""
        return self.client.model

    async def chat(
        self, request: ChatRequest, *, priority: int = 0, labels: tuple[str, ...] = (), step: Step = "judging"
    ) -> StoredReply:
        """Ask, unless this very question was answered before. Raises what `ModelClient.post` raises.

        Of the likeliest tokens only those that spell one of `labels`, and the last one, are kept.
        """
        if self._kwargs:
            request = request.model_copy(update={"chat_template_kwargs": self._kwargs})
        body = request.body()
        key = reply_key(self.client.identity, body)
        kept = self._store.get(key)
        if kept is not None:
            self._meter.count(kept, step, stored=True)
            return StoredReply(kept, key)
        running = self._asked.get(key)
        if running is not None:
            try:
                reply = await asyncio.shield(running)
            except asyncio.CancelledError:
                if _being_cancelled():
                    raise
                # Whoever asked first was stopped: ask ourselves.
                return await self.chat(request, priority=priority, labels=labels, step=step)
            self._meter.count(reply, step, stored=True)
            return StoredReply(reply, key)
        return StoredReply(await self._ask(key, body, priority, request, labels, step), key)

    async def reward(self, messages: tuple[Message, ...], *, priority: int = 0) -> StoredReply:
        """Ask a reward model what a whole conversation is worth. Raises what `ModelClient.post` raises."""
        body = RewardRequest(messages=messages, chat_template_kwargs=self._kwargs).body()
        return await self._once(body, priority, "classify")

    async def choose(
        self, request: ChatRequest, labels: tuple[str, ...], *, priority: int = 0
    ) -> tuple[LabelLogprobs, StoredReply]:
        """Ask for one token and return how much probability it gives to each label."""
        reported = self.client.config.top_logprobs or USUAL_LOGPROBS
        asked = request.model_copy(
            update={"max_tokens": 1, "logprobs": True, "top_logprobs": reported, "temperature": 0.0}
        )
        answer = await self.chat(asked, priority=priority, labels=labels)
        return read_labels(labels, answer.reply.choices[0].first_token), answer

    async def score(self, request: ScoreRequest, *, priority: int = 0) -> StoredReply:
        """Return how likely every token of a text is, unless that was asked before. Raises what `post` raises."""
        return await self._once(request.body(), priority, "completions")

    async def _once(self, body: str, priority: int, page: Page) -> StoredReply:
        """Ask what is no chat, unless that was asked before."""
        key = reply_key(self.client.identity, body)
        reply = self._store.get(key)
        stored = reply is not None
        if reply is None:
            reply = await self._post(body, priority, page)
            self._store.put(key, reply)
        self._meter.count(reply, "judging", stored=stored)
        return StoredReply(reply, key)

    async def _ask(
        self, key: str, body: str, priority: int, request: ChatRequest, labels: tuple[str, ...], step: Step
    ) -> Reply:
        task = asyncio.ensure_future(self._post(body, priority, step=step))
        self._asked[key] = task
        try:
            reply = await task
            _check_obeyed(request, reply, self.name)
            reply = keep_labels(reply, labels) if labels else reply
            self._store.put(key, reply)
        finally:
            del self._asked[key]
        self._meter.count(reply, step, stored=False)
        return reply

    async def _post(self, body: str, priority: int, page: Page = "chat/completions", step: Step = "judging") -> Reply:
        if self._meter.waiting == 0:
            self._meter.waiting_since = time.monotonic()
        self._meter.waiting += 1
        try:
            self._meter.starting_s += await self.client.ready()
        finally:
            self._meter.waiting -= 1
        use = self._meter.of(step)
        use.asking += 1
        try:
            return await self.client.post(body, priority=priority, page=page)
        finally:
            use.asking -= 1


def _check_obeyed(request: ChatRequest, reply: Reply, name: str) -> None:
    """Raise ReplyError when the server left out what it was asked for; such a reply is not worth keeping."""
    if len(reply.choices) != request.n:
        raise ReplyError(f"asked for {request.n} answers, got {len(reply.choices)}: this server does not know `n`")
    if request.logprobs and not reply.choices[0].first_token:
        raise ReplyError(
            f"{name} came without log-probabilities, so nothing it says can be a verdict; ask a server that "
            "reports them (vLLM does), or take `kind: pairwise-reasoned` or `listwise`, which are read from words"
        )


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def total_usage(answers: list[StoredReply]) -> Usage:
    """Return the tokens of all answers together, as the servers reported them when they were first given."""
    total = Usage()
    for answer in answers:
        total += answer.reply.usage
    return total
