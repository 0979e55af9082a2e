"""Read the conversations in the cells of rows: a text, messages, or messages that end with the response; and tools.

Messages have the shape of OpenAI's API and of TRL: roles, `tool_calls`, `tool_call_id`, `name`, `reasoning_content`.
Several parts of text in one message are joined by line breaks, as vLLM does for templates that take a text. What this
project cannot carry to the models and into the dataset (an image, a part of a response that is not text) is refused.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from rlaif.errors import PromptsError
from rlaif.records import Message

CARRIED = ("role", "content", "tool_calls", "tool_call_id", "name", "reasoning_content")
REFUSED = {
    "function_call": "write it as `tool_calls`",
    "audio": "only text can be carried",
    "images": "only text can be carried",
    "refusal": "write it as `content`",
    "thinking": "write it as `reasoning_content`",
}
"""Keys of a message with content that would be lost, and what to do; keys that no chat template reads are ignored."""


def conversation_of(where: str, value: object, column: str = "prompt") -> tuple[Message, ...]:
    """Return a prompt's turns; a text is one turn of the user. Raises PromptsError that begins with `where`."""
    turns = _turns(where, column, value, role="user")
    if not turns or turns[-1].role not in {"user", "tool"}:
        raise PromptsError(f"{where}: the prompt's last message must be the user's or a tool's")
    if not turns[-1].content.strip():
        raise PromptsError(f"{where}: the prompt has no text")
    return turns


def response_of(where: str, column: str, value: object) -> tuple[tuple[Message, ...], str]:
    """Return (turns before the response, often none; the response). Raises PromptsError that begins with `where`."""
    turns = _turns(where, column, value, role="assistant")
    if not turns or turns[-1].role != "assistant":
        raise PromptsError(f"{where}: the last message of `{column}` must be the assistant's")
    if turns[-1].tool_calls:
        raise PromptsError(f"{where}: `{column}` ends with a call of a tool; a response must be text")
    if not turns[-1].content.strip():
        raise PromptsError(f"{where}: `{column}` has no text")
    return turns[:-1], turns[-1].content


def reasoning_of(value: object) -> str | None:
    """Return the `reasoning_content` of a response that `response_of` accepts; None for none."""
    last = value[-1] if isinstance(value, list | tuple) and value else None
    reasoning = last.get("reasoning_content") if isinstance(last, dict) else None
    return str(reasoning) if reasoning else None


def tools_of(where: str, value: object) -> str | None:
    """Return a row's tools as JSON text, None for none. Raises PromptsError that begins with `where`."""
    tools = _decoded(where, value, "tools")
    if not tools:
        return None
    if not isinstance(tools, list | tuple):
        raise PromptsError(f"{where}: `tools` must be a list of functions, found {type(tools).__name__}")
    return json.dumps([_tool(where, number, tool) for number, tool in enumerate(tools, start=1)], ensure_ascii=False)


def _tool(where: str, number: int, tool: object) -> dict[str, Any]:
    """Return one tool in the shape {"type": "function", "function": …}; a bare function is put into it."""
    function = tool.get("function", tool) if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise PromptsError(
            f'{where}: tool {number} must be an object such as {{"type": "function", "function": {{"name": …}}}}'
        )
    return {"type": "function", "function": _without_nulls(function)}


def _turns(where: str, column: str, value: object, *, role: str) -> tuple[Message, ...]:
    if value is None:
        raise PromptsError(f"{where}: has no `{column}`")
    if isinstance(value, str):
        value = [{"role": role, "content": value}]
    if not isinstance(value, list | tuple):
        raise PromptsError(f"{where}: `{column}` must be a text or a list of messages")
    try:
        return tuple(Message.model_validate(_message(where, column, turn)) for turn in value)
    except ValidationError as error:
        detail = error.errors()[0]
        part = detail["loc"][0] if detail["loc"] else "shape"
        raise PromptsError(f"{where}: the {part} of a message in `{column}` is wrong: {detail['msg']}") from None


def _message(where: str, column: str, turn: object) -> object:
    if not isinstance(turn, dict):
        return turn
    for key, advice in REFUSED.items():
        if turn.get(key):
            raise PromptsError(f"{where}: a message in `{column}` has `{key}`, which cannot be carried; {advice}")
    carried = {key: turn[key] for key in CARRIED if turn.get(key) is not None}
    calls = carried.pop("tool_calls", None)
    if calls:
        carried["tool_calls"] = [_call(where, call) for call in calls]
    content = carried.get("content", "" if calls else None)
    return carried | {"content": _text(where, column, content) if isinstance(content, list | tuple) else content}


def _text(where: str, column: str, parts: list[Any] | tuple[Any, ...]) -> str:
    """Return the text of a message that has several parts."""
    texts = []
    for part in parts:
        text = part.get("text") if isinstance(part, Mapping) and part.get("type") == "text" else part
        if not isinstance(text, str):
            kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
            raise PromptsError(
                f"{where}: a message in `{column}` has a part of type {kind!r}; only text can be carried"
            )
        texts.append(text)
    return "\n".join(texts)


def _call(where: str, call: object) -> dict[str, Any]:
    """Return one call of a tool; its arguments may be JSON text."""
    function = call.get("function", call) if isinstance(call, dict) else None
    if not isinstance(call, dict) or not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise PromptsError(f"{where}: one of the `tool_calls` has no function with a name")
    arguments = _decoded(where, function.get("arguments"), "arguments of a tool call") or {}
    if not isinstance(arguments, dict):
        raise PromptsError(f"{where}: the arguments of {function['name']!r} must be an object")
    called = {"function": {"name": function["name"], "arguments": _without_nulls(arguments)}}
    return called | {key: call[key] for key in ("id", "type") if call.get(key) is not None}


def _decoded(where: str, value: object, what: str) -> object:
    """Return a value, decoded if it is JSON text."""
    if not isinstance(value, str) or not value.strip():
        return value or None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise PromptsError(f"{where}: the {what} are a text, but not JSON") from None


def _without_nulls(value: Any) -> Any:  # noqa: ANN401
    """Return a value without nulls in its objects: columnar files have a null under every key that any row has."""
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list | tuple) else value
