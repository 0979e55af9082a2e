"""JSON, and JSON of a given shape: strict, offline, in bounded time.

JSON as RFC 8259 defines it: no NaN, no comments, no code fence; a key given twice, which parsers treat differently, is
an error. Schemas are draft 2020-12 with RE2's patterns; they may not refer to other documents.
"""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from pydantic import Field, field_validator, model_validator

from rlaif.base import Record
from rlaif.checks.matching import compiled, encodable


class JsonShape(Record):
    """The shape that the JSON must have."""

    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    """A JSON Schema (draft 2020-12) that refers to nothing outside itself; without one any JSON passes."""

    @model_validator(mode="before")
    @classmethod
    def _true_is_enough(cls, shape: object) -> object:
        if shape is True:
            return {}
        if not isinstance(shape, dict | JsonShape):
            raise ValueError(  # noqa: TRY004  (pydantic takes ValueErrors)
                f"give true or {{schema: …}}, not {shape!r:.40}"
            )
        return shape

    @field_validator("schema_")
    @classmethod
    def _is_usable(cls, schema: dict[str, Any] | None) -> dict[str, Any] | None:
        if schema is not None:
            refuse_unusable_schema(schema)
        return schema


def read_json(text: str) -> Any:  # noqa: ANN401  (whatever was written)
    """Return the JSON value that a text consists of. Raises ValueError that says why it is not JSON."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=unique_keys)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at line {error.lineno}") from None
    except RecursionError:
        raise ValueError("not readable as JSON: nested too deeply") from None
    except RepeatedKeyError as error:
        raise ValueError(f"ambiguous JSON: the key {error.key[:40]!r} is given twice") from None


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the dict of an object's pairs, for `json.loads`. Raises RepeatedKeyError."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise RepeatedKeyError(key)
        found[key] = value
    return found


class RepeatedKeyError(Exception):
    """An object has one key twice, of which a JSON parser silently keeps the second."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def fault_in(value: object, schema: dict[str, Any]) -> str | None:
    """Return how a value differs from the schema, or None where it fits."""
    try:
        error = next(iter(_validator(json.dumps(schema)).iter_errors(value)), None)
    except RecursionError:
        return "nested too deeply to be compared with the schema"
    except OverflowError:
        return "has a number too large to be compared with the schema"
    return None if error is None else f"{error.json_path}: {error.message}"


def refuse_unusable_schema(schema: dict[str, Any]) -> None:
    """Raise ValueError for an invalid schema, and for one that would need a network or unbounded time."""
    import jsonschema  # noqa: PLC0415

    try:
        # Without formats: Python's own `re`, which would try the patterns, knows other ones than RE2.
        jsonschema.Draft202012Validator.check_schema(schema, format_checker=jsonschema.FormatChecker(formats=()))
        json.dumps(schema, allow_nan=False)
    except jsonschema.SchemaError as error:
        raise ValueError(f"not a JSON Schema: {error.json_path}: {error.message}") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"not a JSON Schema: {error}") from None
    for key, setting in _settings(schema):
        if key in {"$ref", "$dynamicRef"} and isinstance(setting, str) and not setting.startswith("#"):
            raise ValueError(f"the schema refers to {setting!r}; it may refer to itself only (#/$defs/…)")
        if key == "patternProperties":
            raise ValueError("the schema uses patternProperties, which is not supported; use propertyNames")
        if key == "pattern" and isinstance(setting, str):
            compiled(setting)


@lru_cache(maxsize=256)
def _validator(schema: str) -> Any:  # noqa: ANN401  (the library has no types)
    import jsonschema  # noqa: PLC0415
    import referencing  # noqa: PLC0415

    bounded = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": _pattern})
    return bounded(json.loads(schema), registry=referencing.Registry())


def _pattern(_: object, pattern: str, value: object, __: object) -> Iterator[Any]:
    import jsonschema  # noqa: PLC0415

    if isinstance(value, str) and compiled(pattern).search(encodable(value)) is None:
        yield jsonschema.ValidationError(f"{value!r} does not match {pattern!r}")


def _settings(schema: object) -> Iterator[tuple[str, object]]:
    if isinstance(schema, dict):
        for key, setting in schema.items():
            yield key, setting
            yield from _settings(setting)
    elif isinstance(schema, list):
        for part in schema:
            yield from _settings(part)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"not JSON: {name} is not a JSON value")
