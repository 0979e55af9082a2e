"""Parse JSON and validate it by a JSON Schema: strict, offline, in bounded time.

JSON is that of RFC 8259: no NaN, no comments, no code fence. A repeated key, which parsers treat differently, is an
error. Schemas are draft 2020-12 with RE2 patterns, and must not refer to other documents.
"""

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from pydantic import Field, field_validator, model_validator

from rlaif.base import Record
from rlaif.checks.matching import compiled, encodable


class JsonShape(Record):
    """The schema that the JSON must match."""

    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    """A JSON Schema (draft 2020-12) without references to other documents; without a schema any JSON passes."""

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
    """Return the JSON value of a text. Raises ValueError with the reason why it is not JSON."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=unique_keys)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at line {error.lineno}") from None
    except RecursionError:
        raise ValueError("not readable as JSON: nested too deeply") from None
    except RepeatedKeyError as error:
        raise ValueError(f"ambiguous JSON: the key {error.key[:40]!r} is given twice") from None


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the dict of an object's (key, value) pairs, for `json.loads`. Raises RepeatedKeyError."""
    unique: dict[str, Any] = {}
    for key, value in pairs:
        if key in unique:
            raise RepeatedKeyError(key)
        unique[key] = value
    return unique


class RepeatedKeyError(Exception):
    """A JSON object has the same key twice; `json.loads` alone would silently keep the second value."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def fault_in(value: object, schema: dict[str, Any]) -> str | None:
    """Return the first violation of the schema by a value, or None."""
    try:
        error = next(iter(_validator(json.dumps(schema)).iter_errors(value)), None)
    except RecursionError:
        return "nested too deeply to be validated"
    except OverflowError:
        return "contains a number too large to be validated"
    return None if error is None else f"{error.json_path}: {error.message}"


def refuse_unusable_schema(schema: dict[str, Any]) -> None:
    """Raise ValueError for a schema that is invalid, refers to other documents, or could take unbounded time."""
    import jsonschema  # noqa: PLC0415

    try:
        # No format checks: they would compile patterns with Python's `re`, whose syntax differs from RE2's.
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
    """Yield all (key, value) pairs of a schema, nested ones included."""
    if isinstance(schema, dict):
        for key, setting in schema.items():
            yield key, setting
            yield from _settings(setting)
    elif isinstance(schema, list):
        for part in schema:
            yield from _settings(part)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"not JSON: {name} is not a JSON value")
