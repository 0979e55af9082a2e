"""The columns of a table, from the class of its rows: their Arrow types and their documentation."""

from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel

from rlaif.runs.rows import Row

_SCALARS = {str: "string", float: "float64", int: "int64", bool: "bool"}


def features(table: type[BaseModel]) -> Any:  # noqa: ANN401
    """Return the `datasets.Features` of a table; types guessed from values would differ between splits."""
    from datasets import Features, Value  # noqa: PLC0415

    def feature(kind: Any) -> Any:  # noqa: ANN401
        kind = _bare(kind)
        if get_origin(kind) in {list, tuple}:
            return [feature(get_args(kind)[0])]
        if issubclass(kind, BaseModel):
            return {name: feature(field.annotation) for name, field in kind.model_fields.items()}
        return Value(_SCALARS[kind])

    return Features({name: feature(field.annotation) for name, field in table.model_fields.items()})


def column_table(table: type[Row]) -> str:
    """Return the documentation of a table's columns in Markdown: name, type, meaning."""
    lines = ["| column | type | meaning |", "|---|---|---|"]
    for name, field in table.model_fields.items():
        meaning = " ".join((field.description or "").split()).replace("|", r"\|")
        lines.append(f"| `{name}` | {_type_name(field.annotation)} | {meaning} |")
    return "\n".join(lines)


def _type_name(kind: Any) -> str:  # noqa: ANN401
    kind = _bare(kind)
    if get_origin(kind) in {list, tuple}:
        return f"list of {_type_name(get_args(kind)[0])}"
    return _SCALARS.get(kind) or f"{{{', '.join(kind.model_fields)}}}"


def _bare(kind: Any) -> Any:  # noqa: ANN401
    """Return a type without what Arrow does not represent: optionality, constraints, literal values."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) is Literal:
        return type(get_args(kind)[0])
    inner = [member for member in get_args(kind) if member is not NoneType]
    return _bare(inner[0]) if NoneType in get_args(kind) else kind
