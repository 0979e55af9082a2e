"""Requests without control tokens in their texts, and replies with their texts as they were (`text.control_tokens`)."""

import json
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any

from rlaif.models.backend import ChatRequest, Choice, Reply, RewardRequest
from rlaif.records import Message, ToolCall
from rlaif.text.control_tokens import candidates, neutral, restored

_TEXTS = ("content", "name", "tool_call_id", "reasoning_content")
"""Fields of a message with text of somebody's, beside its calls of tools."""


def suspicious(request: ChatRequest | RewardRequest) -> set[str]:
    """Return the parts of a request's texts that a tokenizer might take as one token, without those that are known."""
    return {part for text in _texts(request) for part in candidates(text) if neutral(part) == part}


def neutralised(request: ChatRequest, also: Collection[str]) -> ChatRequest:
    """Return a request in which no text is a control token; the same object where none was."""
    changes: dict[str, Any] = {}
    messages = neutral_messages(request.messages, also)
    if messages != request.messages:
        changes["messages"] = messages
    if request.tools is not None and (tools := neutral(request.tools, also)) != request.tools:
        changes["tools"] = tools
    return request.model_copy(update=changes) if changes else request


def neutral_messages(messages: tuple[Message, ...], also: Collection[str]) -> tuple[Message, ...]:
    """Return messages in which no text is a control token."""
    return tuple(_neutral_message(message, also) for message in messages)


def as_written(reply: Reply, also: Collection[str]) -> Reply:
    """Return the reply to a neutralised request, with what the model copied from it as it was."""

    def of(choice: Choice) -> Choice:
        reasoning = None if choice.reasoning is None else restored(choice.reasoning, also)
        return choice.model_copy(update={"text": restored(choice.text, also), "reasoning": reasoning})

    return reply.model_copy(update={"choices": tuple(map(of, reply.choices))})


def _neutral_message(message: Message, also: Collection[str]) -> Message:
    change = partial(neutral, also=also, thinking=message.role != "assistant")
    texts = ((name, text) for name in _TEXTS if (text := getattr(message, name)))
    changes: dict[str, Any] = {name: new for name, text in texts if (new := change(text)) is not text}
    if message.tool_calls:
        changes["tool_calls"] = tuple(
            ToolCall.model_validate(_changed(call.model_dump(mode="json"), change)) for call in message.tool_calls
        )
    return message.model_copy(update=changes) if changes else message


def _changed(value: Any, change: Callable[[str], str]) -> Any:  # noqa: ANN401  (JSON)
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(name): _changed(part, change) for name, part in value.items()}
    return [_changed(part, change) for part in value] if isinstance(value, list) else value


def _texts(request: ChatRequest | RewardRequest) -> Iterator[str]:
    for message in request.messages:
        yield from filter(None, (getattr(message, name) for name in _TEXTS))
        if message.tool_calls:
            yield json.dumps(message.model_dump(mode="json"), ensure_ascii=False)
    if isinstance(request, ChatRequest) and request.tools is not None:
        yield request.tools
