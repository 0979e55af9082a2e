"""The columns of a table, from the class of its rows: their Arrow types and their documentation."""

from collections.abc import Collection, Iterable, Mapping
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel

from rlaif.records import Message
from rlaif.runs.rows import Row

OF_TOOLS: Mapping[type[BaseModel], set[str]] = {Message: {"tool_calls", "tool_call_id", "name", "reasoning_content"}}
"""Fields of a message that are written only into datasets where some turn has one."""
SOMETIMES = {"conversation", "given_label", "chosen_policy", "rejected_policy", "rubric"}
"""Columns that are written only into datasets where some row has a value."""
_SCALARS = {str: "string", float: "float64", int: "int64", bool: "bool"}


def column_names(table: type[BaseModel], *, tools: bool = False, also: Collection[str] = ()) -> list[str]:
    """Return the names of a table's columns, or of a message's fields: those for tools only where any are used.

    `also` are those of SOMETIMES that have a value.
    """
    left_out = SOMETIMES - set(also) | (set() if tools else OF_TOOLS.get(table, {"tools"}))
    return [name for name in table.model_fields if name not in left_out]


def columns_used(rows: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Return which of SOMETIMES have a value in some row."""
    return frozenset(name for row in rows for name in SOMETIMES if row.get(name) is not None)


def uses_tools(row: Mapping[str, Any]) -> bool:
    """Whether a row has tools, or a turn with more than a role and a text."""
    return bool(row.get("tools")) or any(
        OF_TOOLS[Message] & turn.keys() for cell in row.values() for turn in _turns(cell)
    )


def with_empty_calls(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows whose turns without calls of tools have an empty list of them.

    pyarrow cannot flatten a list of JSON values with nulls, and `datasets` does so whenever it saves.
    """

    def completed(cell: Any) -> Any:  # noqa: ANN401
        return [{"tool_calls": []} | turn for turn in _turns(cell)] or cell

    return [{name: completed(cell) for name, cell in row.items()} for row in rows]


def _turns(cell: object) -> list[dict[str, Any]]:
    """Return the messages of a cell; empty for a cell that holds something else."""
    return [turn for turn in cell if isinstance(turn, dict) and "role" in turn] if isinstance(cell, list) else []


def features(table: type[BaseModel], *, tools: bool = False, also: Collection[str] = ()) -> Any:  # noqa: ANN401
    """Return the `datasets.Features` of a table; types guessed from values would differ between splits."""
    from datasets import Features, Json, Value  # noqa: PLC0415

    def feature(kind: Any) -> Any:  # noqa: ANN401
        kind = _bare(kind)
        if get_origin(kind) in {list, tuple}:
            return [feature(get_args(kind)[0])]
        if get_origin(kind) is dict:
            return Json()
        if issubclass(kind, BaseModel):
            return {name: feature(kind.model_fields[name].annotation) for name in column_names(kind, tools=tools)}
        return Value(_SCALARS[kind])

    return Features(
        {name: feature(table.model_fields[name].annotation) for name in column_names(table, tools=tools, also=also)}
    )


def column_table(table: type[Row], *, tools: bool = False, also: Collection[str] = ()) -> str:
    """Return the documentation of a table's columns in Markdown: name, type, meaning."""
    lines = ["| column | type | meaning |", "|---|---|---|"]
    for name in column_names(table, tools=tools, also=also):
        field = table.model_fields[name]
        meaning = " ".join((field.description or "").split()).replace("|", r"\|")
        lines.append(f"| `{name}` | {_type_name(field.annotation, tools=tools)} | {meaning} |")
    return "\n".join(lines)


def _type_name(kind: Any, *, tools: bool) -> str:  # noqa: ANN401
    kind = _bare(kind)
    if get_origin(kind) in {list, tuple}:
        return f"list of {_type_name(get_args(kind)[0], tools=tools)}"
    return _SCALARS.get(kind) or f"{{{', '.join(column_names(kind, tools=tools))}}}"


def _bare(kind: Any) -> Any:  # noqa: ANN401
    """Return a type without what Arrow does not represent: optionality, constraints, literal values."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return type(get_args(kind)[0])
    inner = [member for member in get_args(kind) if member is not NoneType]
    return _bare(inner[0]) if NoneType in get_args(kind) else kind
