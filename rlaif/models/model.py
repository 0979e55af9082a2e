"""A model as the steps use it: a request in, its reply out, from the reply store if it is there.

Combines the client and the reply store, counts replies and tokens, and reads the probabilities of labels.
"""

import asyncio
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from rlaif.base import Record
from rlaif.errors import RequestRejectedError
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
from rlaif.models.neutral import as_written, neutral_messages, neutralised, suspicious
from rlaif.models.reply_store import ReplyStore
from rlaif.models.salvage import Salvage, best, smaller
from rlaif.models.soundness import flaw, repaired
from rlaif.records import Message, Usage
from rlaif.tasks import together

Step = Literal["sampling", "critique", "revision", "judging"]
"""The purpose of a request to a model."""


@dataclass(frozen=True)
class StoredReply:
    """A reply and its key in the reply store."""

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
        """Requests in flight, by key."""

    @property
    def name(self) -> str:
        """The served name."""
        return self.client.model

    async def chat(
        self, request: ChatRequest, *, priority: int = 0, labels: tuple[str, ...] = (), step: Step = "judging"
    ) -> StoredReply:
        """Return the reply to a request, which is sent only once. Raises what `ModelClient.post` raises.

        Nothing in its texts is a control token for the server, and what the model copied of them is as it was.

        With `labels`, of the most likely tokens only those that spell a label, and the least likely one, are kept.
        """
        if self._kwargs:
            request = request.model_copy(update={"chat_template_kwargs": self._kwargs})
        also = await self._control_tokens(request)
        sent = neutralised(request, also)
        stored = await self._once(sent, priority, labels=labels, step=step)
        return stored if sent is request else StoredReply(as_written(stored.reply, also), stored.key)

    async def choose(
        self, request: ChatRequest, labels: tuple[str, ...], *, priority: int = 0, one_token: bool = True
    ) -> tuple["LabelLogprobs", StoredReply]:
        """Return (log-probabilities of the labels as the first token, reply).

        They are exact where the server reports named tokens; else a label may be too rare to be among the most likely.
        With `one_token`, raises UsageError for a label that is known to be several tokens.
        """
        reported = self.client.config.top_logprobs or USUAL_LOGPROBS
        asked = request.model_copy(
            update={"max_tokens": 1, "logprobs": True, "top_logprobs": reported, "temperature": 0.0}
        )
        reply = await self.chat(asked, priority=priority, labels=labels)
        if one_token:
            await self.client.refuse_long_labels(labels)
        return read_labels(labels, reply.reply.choices[0].first_token), reply

    async def reward(self, messages: tuple[Message, ...], *, priority: int = 0) -> StoredReply:
        """Return the reply with a reward model's score of a conversation. Raises what `ModelClient.post` raises."""
        request = RewardRequest(messages=messages, chat_template_kwargs=self._kwargs)
        neutral = neutral_messages(messages, await self._control_tokens(request))
        return await self._once(request.model_copy(update={"messages": neutral}), priority)

    async def score(self, request: ScoreRequest, *, priority: int = 0) -> StoredReply:
        """Return the reply with the log-probability of every token. Raises what `ModelClient.post` raises."""
        return await self._once(request, priority)

    async def _control_tokens(self, request: ChatRequest | RewardRequest) -> frozenset[str]:
        """Return what in a request's texts is one token for this model, beside the control tokens of all families."""
        parts = suspicious(request)
        if not parts:
            return frozenset()
        await self._started()
        return await self.client.control_tokens(parts)

    async def _started(self) -> None:
        if self.client.is_ready:
            return
        with self._meter.waiting_for_start():
            self._meter.starting_s += await self.client.ready()

    async def _once(
        self, request: Request, priority: int, *, labels: tuple[str, ...] = (), step: Step = "judging"
    ) -> StoredReply:
        """Return the reply from the store, from the same request in flight, or from a new request."""
        key = reply_key(self.client.identity, request.body)
        reply, stored = self._stored(request, key), True
        while reply is None and (task := self._open.get(key)) is not None and not task.cancelled():
            try:
                reply = await asyncio.shield(task)
            except asyncio.CancelledError:
                if _being_cancelled():
                    raise
                # The prompt that sent the request was cancelled, so it is sent again here.
        salvage = self._salvage(request, step) if reply is None else None
        if salvage is not None and not salvage.keeps_nothing:
            return await self._salvaged(salvage, key, priority, step)
        if reply is None:
            task = self._open[key] = asyncio.ensure_future(self._ask(request, priority, step, labels))
            try:
                reply, stored = await task, False
                reply = keep_labels(reply, labels) if labels else reply
                if salvage is not None:
                    reply = reply.model_copy(update={"choices": (salvage.marked(0, reply.choices[0]),)})
                self._store.put(key, reply)
            finally:
                self._open.pop(key, None)
        self._meter.count(reply, step, stored=stored)
        return StoredReply(reply, key)

    def _stored(self, request: Request, key: str) -> Reply | None:
        """Return the reply from the store; one that is not sound is deleted there, and asked again."""
        reply = self._store.get(key)
        if reply is None:
            return None
        reply = repaired(request, reply)
        if flaw(request, reply) is None:
            return reply
        self._store.delete(key)
        return None

    def _salvage(self, request: Request, step: Step) -> Salvage | None:
        """Return the reply of most use among those to the same question under earlier, smaller limits."""
        earlier = self._store.earlier.get(step)
        if not earlier or not isinstance(request, ChatRequest):
            return None
        found = []
        for asked in smaller(request, earlier):
            reply = self._store.get(reply_key(self.client.identity, asked.body))
            if reply is not None:
                found.append(Salvage.of(request, reply, asked.max_tokens))
        return best(found)

    async def _salvaged(self, salvage: Salvage, key: str, priority: int, step: Step) -> StoredReply:
        """Return what is kept of a reply together with new replies for the rest, and store it as one."""
        self._meter.count(salvage.reply, step, stored=True)
        rest = salvage.rest()
        asked = await together(*(self._once(request, priority, step=step) for request in rest.values()))
        reply = salvage.with_rest({place: one.reply for place, one in zip(rest, asked, strict=True)})
        self._store.put(key, reply)
        return StoredReply(reply, key)

    async def _ask(self, request: Request, priority: int, step: Step, labels: tuple[str, ...]) -> Reply:
        await self._started()
        use = self._meter.of(step)
        use.asking += 1
        try:
            if labels and isinstance(request, ChatRequest):
                reply = await self._label_reply(request, labels, priority)
            else:
                reply = await self.client.post(request, priority=priority)
        finally:
            use.asking -= 1
        return reply if step in {"sampling", "revision"} else _without_withheld(reply)

    async def _label_reply(self, request: ChatRequest, labels: tuple[str, ...], priority: int) -> Reply:
        """Return a reply with the exact log-probabilities of the labels, or with the most likely tokens.

        Both answer the same question, and are kept under the same key. A label of several tokens (the number 10) has no
        exact log-probability. The first replies show whether the server reports named tokens.
        """
        client = self.client
        tokens = await client.label_tokens(labels) if client.reports_labels is not False else None
        ids = tuple(token for of_label in (tokens or {}).values() for token in of_label)
        if tokens is None or not ids:
            return await client.post(request, priority=priority)
        exact = request.model_copy(update={"top_logprobs": None, "logprob_token_ids": ids})
        try:
            reply = await client.post(exact, priority=priority)
            if reply.choices[0].withheld:
                return reply
            reported = {entry.token.strip() for entry in reply.choices[0].first_token}
        except RequestRejectedError:  # for another reason, or by a server that knows /tokenize, but not the field
            if client.reports_labels:
                raise
            reported = set()
        if reported.issuperset(label.strip() for label in labels if tokens[label]):
            client.reports_labels = True
            return reply
        reply = await client.post(request, priority=priority)
        client.reports_labels = client.reports_labels or False
        return reply


def _without_withheld(reply: Reply) -> Reply:
    """Return a reply of the critic in which what a content filter withheld is empty: no critique, and no verdict."""
    if not any(choice.withheld for choice in reply.choices):
        return reply
    empty = {"text": "", "first_token": ()}
    choices = (choice.model_copy(update=empty) if choice.withheld else choice for choice in reply.choices)
    return reply.model_copy(update={"choices": tuple(choices)})


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@dataclass
class StepUse:
    """Replies and tokens of one step; replies from the store are not counted."""

    asking: int = 0
    """Requests in flight."""
    replies: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    def add(self, usage: Usage) -> None:
        """Count a reply."""
        self.replies += 1
        self.prompt_tokens += usage.prompt_tokens
        self.cached_tokens += usage.cached_tokens
        self.completion_tokens += usage.completion_tokens

    def work(self, written_costs: float) -> float:
        """Return the prompt tokens without cached ones, plus `written_costs` times the generated tokens."""
        return self.prompt_tokens - self.cached_tokens + written_costs * self.completion_tokens


@dataclass
class Meter:
    """The counts of all models of a run so far, for the live view and the summary."""

    from_store: int = 0
    """Replies from the reply store."""
    steps: dict[Step, StepUse] = field(default_factory=dict)
    with_stored: dict[Step, StepUse] = field(default_factory=dict)
    """The same counts with the replies from the store, as if they had been asked for."""
    starting_s: float = 0.0
    """Seconds that servers took to start."""
    waiting: int = 0
    """Requests that are waiting for a server to start."""
    waiting_since: float = 0.0
    """Start of the wait of the first of them (monotonic clock)."""

    def of(self, step: Step) -> StepUse:
        """Return the counts of one step."""
        return self.steps.setdefault(step, StepUse())

    def count(self, reply: Reply, step: Step, *, stored: bool) -> None:
        """Count one reply; one from the store not among the fresh ones."""
        self.with_stored.setdefault(step, StepUse()).add(reply.usage)
        if stored:
            self.from_store += 1
        else:
            self.of(step).add(reply.usage)

    @contextmanager
    def waiting_for_start(self) -> Iterator[None]:
        """Count a request that is waiting for its server to start, until the block ends."""
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
        """Prompt tokens that were in a server's prefix cache."""
        return sum(use.cached_tokens for use in self.steps.values())

    @property
    def completion_tokens(self) -> int:
        """Generated tokens of all fresh replies."""
        return sum(use.completion_tokens for use in self.steps.values())

    @property
    def tokens(self) -> int:
        """Prompt tokens, cached ones included, and generated tokens of all fresh replies."""
        return self.prompt_tokens + self.completion_tokens

    def work(self, written_costs: float) -> float:
        """Return the work of all fresh replies, in prompt tokens."""
        return sum(use.work(written_costs) for use in self.steps.values())


def total_usage(replies: list[StoredReply]) -> Usage:
    """Return the sum of the replies' tokens, as the servers reported them."""
    return sum((stored.reply.usage for stored in replies), Usage())


class LabelLogprobs(Record):
    """The probabilities of labels as the first token of a reply."""

    logprobs: tuple[float | None, ...]
    """Natural log-probability of each label, summed over its spellings; None when none was reported."""
    floor: float | None
    """Log-probability of the least likely token reported: an upper bound for a label that is None."""
    label_mass: float
    """Probability of all labels together."""


def read_labels(labels: Sequence[str], top: Sequence[TokenLogprob]) -> LabelLogprobs:
    """Return the labels' log-probabilities: each the sum over the reported tokens that spell the label exactly.

    White space around a token is ignored: "A" and " A" spell A; "a", "A." and "Answer" do not.
    """
    masses = [sum(math.exp(t.logprob) for t in top if t.token.strip() == label.strip()) for label in labels]
    return LabelLogprobs(
        logprobs=tuple(math.log(mass) if mass > 0 else None for mass in masses),
        floor=min((entry.logprob for entry in top), default=None),
        label_mass=min(1.0, sum(masses)),
    )


def keep_labels(reply: Reply, labels: Sequence[str]) -> Reply:
    """Return a reply with only those first tokens that `read_labels` needs: labels, and the least likely token."""
    wanted = {label.strip() for label in labels}

    def needed(top: tuple[TokenLogprob, ...]) -> tuple[TokenLogprob, ...]:
        floor = min(top, key=lambda entry: entry.logprob)
        return (*(entry for entry in top if entry.token.strip() in wanted and entry is not floor), floor)

    choices = (
        c.model_copy(update={"first_token": needed(c.first_token)}) if c.first_token else c for c in reply.choices
    )
    return reply.model_copy(update={"choices": tuple(choices)})
