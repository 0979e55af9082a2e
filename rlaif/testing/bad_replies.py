"""Replies of status 200 that are not what the model said, as broken servers and proxies send them."""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from rlaif.testing.simulated_model import BadReply

Json = dict[str, Any]


def bad_reply(kind: BadReply, sound: Json) -> bytes:
    """Return the body of a reply that has one fault, made of a sound one."""
    reply = deepcopy(sound)
    if kind in _CHANGES:
        _CHANGES[kind](reply)
    body = json.dumps(reply).encode()
    if kind == "truncated":
        return body[: len(body) // 2]
    return body[:-20] + b"\xff\xfe" + body[-20:] if kind == "not-utf8" else body


def _texts(text: str | None) -> Callable[[Json], None]:
    def change(reply: Json) -> None:
        for choice in reply["choices"]:
            choice["message"]["content"] = text
            choice.pop("logprobs", None)

    return change


def _logprobs(value: float) -> Callable[[Json], None]:
    def change(reply: Json) -> None:
        for entry in _top(reply):
            entry["logprob"] = value

    return change


def _top(reply: Json) -> list[Json]:
    first = reply["choices"][0].get("logprobs")
    return first["content"][0]["top_logprobs"] if first else []


def _ended(reason: str) -> Callable[[Json], None]:
    def change(reply: Json) -> None:
        for choice in reply["choices"]:
            choice["finish_reason"] = reason

    return change


def _more_choices(reply: Json) -> None:
    reply["choices"] += [{**reply["choices"][-1], "index": len(reply["choices"])} for _ in range(3)]


def _negative_usage(reply: Json) -> None:
    reply["usage"] = {"prompt_tokens": -5, "completion_tokens": -7}


_CHANGES: Mapping[BadReply, Callable[[Json], None]] = {
    "nan": _logprobs(float("nan")),
    "placeholder": _logprobs(-9999.0),
    "positive": _logprobs(3.0),
    "huge": _logprobs(1e6),
    "repeated": lambda reply: _top(reply).extend(deepcopy(_top(reply))),
    "no-choices": lambda reply: reply.update(choices=[]),
    "too-many-choices": _more_choices,
    "empty-text": _texts(""),
    "null-text": _texts(None),
    "error": _ended("error"),
    "content-filter": _ended("content_filter"),
    "negative-usage": _negative_usage,
}
