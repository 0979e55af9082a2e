"""A model as the steps see it: a request goes in, its reply comes out, from the reply store where it was given before.

Joins the client (which asks) with the reply store (which remembers), counts what happened, and reads the probabilities
of labels.
"""

import asyncio
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from rlaif.base import Record
from rlaif.errors import ReplyError
from rlaif.models.backend import (
    USUAL_LOGPROBS,
    ChatRequest,
    Reply,
    Request,
    RewardRequest,
    ScoreRequest,
    TokenLogprob,
    reply_key,
)
from rlaif.models.client import ModelClient
from rlaif.models.reply_store import ReplyStore
from rlaif.records import Message, Usage

Step = Literal["sampling", "critique", "revision", "judging"]
"""What a request to a model is for."""


@dataclass(frozen=True)
class StoredReply:
    """A reply, and the key under which it is kept."""

    reply: Reply
    key: str


class Model:
    """One model of a run: policy, critic, or a judge's own critic."""

    def __init__(
        self,
        client: ModelClient,
        store: ReplyStore,
        meter: "Meter",
        chat_template_kwargs: dict[str, Any] | None = None,
    ) -> None:
        self.client = client
        self._store = store
        self._meter = meter
        self._kwargs = chat_template_kwargs or {}
        self._open: dict[str, asyncio.Task[Reply]] = {}
        """Requests that are waiting for their reply, by key."""

    @property
    def name(self) -> str:
        """The served name."""
        return self.client.model

    async def chat(
        self, request: ChatRequest, *, priority: int = 0, labels: tuple[str, ...] = (), step: Step = "judging"
    ) -> StoredReply:
        """Return the reply to a request, asked once only. Raises what `ModelClient.post` raises.

        Of the most likely tokens only those that spell one of `labels`, and the last one, are kept.
        """
        if self._kwargs:
            request = request.model_copy(update={"chat_template_kwargs": self._kwargs})
        return await self._once(request, priority, labels=labels, step=step)

    async def choose(
        self, request: ChatRequest, labels: tuple[str, ...], *, priority: int = 0
    ) -> tuple["LabelLogprobs", StoredReply]:
        """Ask for one token and return the log-probabilities of the labels."""
        reported = self.client.config.top_logprobs or USUAL_LOGPROBS
        asked = request.model_copy(
            update={"max_tokens": 1, "logprobs": True, "top_logprobs": reported, "temperature": 0.0}
        )
        reply = await self.chat(asked, priority=priority, labels=labels)
        return read_labels(labels, reply.reply.choices[0].first_token), reply

    async def reward(self, messages: tuple[Message, ...], *, priority: int = 0) -> StoredReply:
        """Return a reward model's score of a whole conversation. Raises what `ModelClient.post` raises."""
        return await self._once(RewardRequest(messages=messages, chat_template_kwargs=self._kwargs), priority)

    async def score(self, request: ScoreRequest, *, priority: int = 0) -> StoredReply:
        """Return the log-probability of every token of a text. Raises what `ModelClient.post` raises."""
        return await self._once(request, priority)

    async def _once(
        self, request: Request, priority: int, *, labels: tuple[str, ...] = (), step: Step = "judging"
    ) -> StoredReply:
        """Return the reply in the store, that of the same request which is open now, or ask."""
        key = reply_key(self.client.identity, request.body)
        reply, stored = self._store.get(key), True
        while reply is None and (task := self._open.get(key)) is not None and not task.cancelled():
            try:
                reply = await asyncio.shield(task)
            except asyncio.CancelledError:
                if _being_cancelled():
                    raise
                # The prompt that asked first was stopped: this one asks.
        if reply is None:
            task = self._open[key] = asyncio.ensure_future(self._ask(request, priority, step))
            try:
                reply, stored = await task, False
                reply = keep_labels(reply, labels) if labels else reply
                self._store.put(key, reply)
            finally:
                self._open.pop(key, None)
        self._meter.count(reply, step, stored=stored)
        return StoredReply(reply, key)

    async def _ask(self, request: Request, priority: int, step: Step) -> Reply:
        with self._meter.waiting_for_start():
            self._meter.starting_s += await self.client.ready()
        use = self._meter.of(step)
        use.asking += 1
        try:
            reply = await self.client.post(request, priority=priority)
        finally:
            use.asking -= 1
        if isinstance(request, ChatRequest):
            self._check_complete(request, reply)
        return reply

    def _check_complete(self, request: ChatRequest, reply: Reply) -> None:
        """Raise ReplyError when the server left out what it was asked for; such a reply is not worth keeping."""
        if len(reply.choices) != request.n:
            raise ReplyError(
                f"asked for {request.n} responses, got {len(reply.choices)}: this server does not support `n`"
            )
        if request.logprobs and not reply.choices[0].first_token:
            raise ReplyError(
                f"{self.name} came without log-probabilities, so nothing it says can be a verdict; ask a server that "
                "reports them (vLLM does), or take `kind: pairwise-reasoned` or `listwise`, which are read from words"
            )


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@dataclass
class StepUse:
    """What the requests of one step took; replies from the store took nothing and are not counted."""

    asking: int = 0
    """Requests that are waiting for their reply now."""
    replies: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    def work(self, written_costs: float) -> float:
        """Return the tokens read, without cached ones, plus those written times their cost."""
        return self.prompt_tokens - self.cached_tokens + written_costs * self.completion_tokens


@dataclass
class Meter:
    """What all models of a run did so far, for the live view and the summary."""

    from_store: int = 0
    """Replies from the reply store."""
    steps: dict[Step, StepUse] = field(default_factory=dict)
    starting_s: float = 0.0
    """Seconds that servers took to start."""
    waiting: int = 0
    """Requests that wait for a server to start."""
    waiting_since: float = 0.0
    """When the first of them began to wait (monotonic clock)."""

    def of(self, step: Step) -> StepUse:
        """Return the counts of one step."""
        return self.steps.setdefault(step, StepUse())

    def count(self, reply: Reply, step: Step, *, stored: bool) -> None:
        """Add one reply; the tokens of a stored one were counted when it was new."""
        if stored:
            self.from_store += 1
            return
        use = self.of(step)
        use.replies += 1
        use.prompt_tokens += reply.usage.prompt_tokens
        use.cached_tokens += reply.usage.cached_tokens
        use.completion_tokens += reply.usage.completion_tokens

    @contextmanager
    def waiting_for_start(self) -> Iterator[None]:
        """Count a request that waits for its server to start until the block ends."""
        if self.waiting == 0:
            self.waiting_since = time.monotonic()
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

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


def total_usage(replies: list[StoredReply]) -> Usage:
    """Return the tokens of all replies together, as the servers reported them when they were new."""
    return sum((one.reply.usage for one in replies), Usage())


class LabelLogprobs(Record):
    """The probability that the first token gives to each label."""

    logprobs: tuple[float | None, ...]
    """Natural log-probability of each label, its spellings summed; None when it was not reported."""
    floor: float | None
    """Log-probability of the least likely token reported: an upper bound for a label that is None."""
    label_mass: float
    """Probability of all labels together."""


def read_labels(labels: Sequence[str], top: Sequence[TokenLogprob]) -> LabelLogprobs:
    """Sum the probabilities of the reported tokens that spell a label exactly, apart from white space around it.

    "A" and " A" spell A; "a", "A." and "Answer" do not.
    """
    masses = [sum(math.exp(t.logprob) for t in top if t.token.strip() == label.strip()) for label in labels]
    return LabelLogprobs(
        logprobs=tuple(math.log(mass) if mass > 0 else None for mass in masses),
        floor=min((entry.logprob for entry in top), default=None),
        label_mass=min(1.0, sum(masses)),
    )


def keep_labels(reply: Reply, labels: Sequence[str]) -> Reply:
    """Return a reply with the tokens that `read_labels` needs and no others: those of labels, and the least likely."""
    wanted = {label.strip() for label in labels}

    def needed(top: tuple[TokenLogprob, ...]) -> tuple[TokenLogprob, ...]:
        floor = min(top, key=lambda entry: entry.logprob)
        return (*(entry for entry in top if entry.token.strip() in wanted and entry is not floor), floor)

    choices = (
        c.model_copy(update={"first_token": needed(c.first_token)}) if c.first_token else c for c in reply.choices
    )
    return reply.model_copy(update={"choices": tuple(choices)})
