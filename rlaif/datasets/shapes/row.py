"""A row with its prompt and responses, the reasons why a row is refused, and the cells of which rows are made."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rlaif.datasets.conversation import response_of
from rlaif.errors import PromptsError
from rlaif.records import FileLabel, GivenResponse, Message

Row = Mapping[str, Any]
Reason = Literal[
    "not an object",
    "no prompt",
    "no responses",
    "empty response",
    "different prompts",
    "fewer than two different responses",
    "unreadable label",
    "unreadable response",
    "unreadable prompt",
    "repeated row",
]
"""Why a row is refused; a file with the refused rows says more of each."""


class RefusedRowError(Exception):
    """A row that cannot be used; the message says why, without the row's place."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class ResponseRow:
    """The responses of one row, and the turns before them."""

    responses: tuple[GivenResponse, ...]
    """As the row has them; empty ones only where at least two others differ."""
    asked: Mapping[str, Any]
    """Columns of `datasets.prompts` (prompt or messages, id, tags, checks, tools, rubric), for `prompt_of_row`."""
    id: str | None = None
    """The row's own id."""
    subset: str | None = None
    first_is_better: bool | None = None
    """Whether the better one of two responses is the first; None where the layout has no order."""


def label(by: Literal["chosen", "label", "score"], value: float | None) -> FileLabel | None:
    """Return a response's label; None for one without a score."""
    return None if value is None else FileLabel(by=by, value=value)


def score_of(column: str, value: object) -> float | None:
    """Return a score, None for an empty cell. Raises RefusedRowError."""
    if value is None or value == "":
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise RefusedRowError("unreadable label", f"`{column}` is {value!r:.60}; must be a number")
    return number


def name_of(value: object) -> str | None:
    """Return the name of a model as text; None for an empty cell."""
    return None if value is None or value == "" else str(value)


def read_response(
    column: str, value: object, *, model: str | None = None, label: FileLabel | None = None
) -> tuple[tuple[Message, ...], GivenResponse]:
    """Return (turns before a response, the response) of a cell: a text, or messages; the text may be empty.

    Raises RefusedRowError.
    """
    turns = [value] if isinstance(value, Mapping) and "role" in value else messages_in(value)
    before: tuple[Message, ...] = ()
    if isinstance(turns, str):
        text = turns
    elif isinstance(turns, list | tuple):
        before, text = _response_in(column, turns)
    else:
        raise RefusedRowError("unreadable response", f"`{column}` must be a text or messages, found {turns!r:.60}")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise RefusedRowError(
            "unreadable response", f"`{column}` contains half a surrogate pair, which no server accepts"
        )
    reasoning = turns[-1].get("reasoning_content") if isinstance(turns, list | tuple) else None
    reasoning = reasoning if isinstance(reasoning, str) and reasoning else None
    return before, GivenResponse(text=text, model=model, reasoning=reasoning, label=label)


def _response_in(column: str, turns: Sequence[Any]) -> tuple[tuple[Message, ...], str]:
    """Return (turns before the response, its text) of messages; the text is empty where the last turn says nothing."""
    empty = _is_empty_turn(turns)
    try:
        before, text = response_of("row", column, [*turns[:-1], _SOMETHING] if empty else turns)
    except PromptsError as error:
        raise RefusedRowError("unreadable response", str(error).removeprefix("row: ")) from None
    return before, "" if empty else text


_SOMETHING = {"role": "assistant", "content": "…"}
"""Stands for an empty response while the turns before it are read."""


def messages_in(value: object) -> object:
    """Return a cell, as messages where it is the JSON text of some, as CSV files have them; other JSON stays a text."""
    if isinstance(value, str) and value.lstrip().startswith("[{"):
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
        if all(isinstance(one, Mapping) and "role" in one for one in found):
            return found
    return value


def _is_empty_turn(turns: Sequence[Any]) -> bool:
    """Whether messages end with an assistant's turn that says nothing."""
    last = turns[-1] if turns else None
    if not isinstance(last, Mapping) or last.get("role") != "assistant" or last.get("tool_calls"):
        return False
    return not str(last.get("content") or "").strip()


def decoded(column: str, value: object) -> object:
    """Return a cell, decoded where it is the JSON text of a list, as CSV files have it."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise RefusedRowError("unreadable response", f"`{column}` begins like JSON, but is not") from None
    return value


def listed(row: Row, column: str) -> Sequence[Any]:
    """Return a cell that holds a list. Raises RefusedRowError."""
    value = decoded(column, row.get(column))
    if value is None:
        raise RefusedRowError("no responses", f"`{column}` is missing or empty (it has {columns_of(row)})")
    if not isinstance(value, list | tuple):
        raise RefusedRowError("unreadable response", f"`{column}` must be a list, found {type(value).__name__}")
    return value


def columns_of(row: Row) -> str:
    """Return the names of a row's columns, with those that are empty marked."""
    return ", ".join(f"{name} (empty)" if value is None else str(name) for name, value in row.items()) or "nothing"


def completed(
    row: Row,
    responses: Sequence[GivenResponse],
    turns: Sequence[tuple[Message, ...]] = (),
    *,
    prompt: object = None,
    first_is_better: bool | None = None,
) -> ResponseRow:
    """Return a row from its responses and the turns before each of them, where the responses are messages.

    `prompt` is the cell of the prompt, for layouts with a name of their own for it. Raises RefusedRowError where the
    turns differ, or the responses do not.
    """
    _refuse_alike(responses)
    before = _shared(turns)
    return ResponseRow(
        responses=tuple(responses),
        asked=_asked(row, before, prompt),
        id=name_of(row.get("id")),
        subset=name_of(row.get("subset")),
        first_is_better=first_is_better,
    )


def _shared(turns: Sequence[tuple[Message, ...]]) -> tuple[Message, ...]:
    if any(one != turns[0] for one in turns):
        raise RefusedRowError("different prompts", "the responses belong to different conversations")
    return turns[0] if turns else ()


def _refuse_alike(responses: Sequence[GivenResponse]) -> None:
    different = {one.text.strip() for one in responses if one.text.strip()}
    if len(different) >= 2:
        return
    if any(not one.text.strip() for one in responses):
        raise RefusedRowError("empty response", "a response is empty, and fewer than two different ones are left")
    what = "both responses are the same" if len(responses) == 2 else f"{len(responses)} response(s), all of them alike"
    raise RefusedRowError("fewer than two different responses", what)


def _asked(row: Row, before: tuple[Message, ...], prompt: object) -> dict[str, Any]:
    """Return the columns of the prompt; turns before the responses are the whole of it, a `prompt` often its end."""
    kept = {name: row[name] for name in ("tags", "checks", "tools", "rubric") if row.get(name) is not None}
    if before:
        return kept | {"messages": [turn.model_dump() for turn in before]}
    prompt = next((one for one in (prompt, row.get("prompt"), row.get("input")) if one is not None), None)
    prompt, messages = messages_in(prompt), row.get("messages")
    if messages is None and isinstance(prompt, list | tuple):
        messages, prompt = prompt, None
    if prompt is None and messages is None:
        raise RefusedRowError("no prompt", f"has neither `prompt` nor `messages` (it has {columns_of(row)})")
    return kept | {"prompt": prompt, "messages": messages}
