"""The JSON Schema of constitution files for editors, with the fields' docstrings as descriptions.

Conditions that a schema cannot express (unique ids, ids that must exist in a parent) are checked by `rlaif constitution
check`.
"""

import ast
import inspect
import textwrap
from typing import Any

from rlaif.checks.check import KINDS, Check
from rlaif.checks.counting import Count
from rlaif.checks.json_shape import JsonShape
from rlaif.constitution.load import ConstitutionFile, Parent, PrincipleChanges
from rlaif.constitution.schema import Case, Example, Principle
from rlaif.records import Message, Record

_DESCRIBED = (ConstitutionFile, Principle, PrincipleChanges, Parent, Case, Example, Message, Check, Count, JsonShape)
"""Models whose docstrings become descriptions."""


def constitution_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) of constitution files."""
    schema = ConstitutionFile.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    for model in _DESCRIBED:
        _describe(schema if model is ConstitutionFile else definitions[model.__name__], model)
    _add_validators(schema)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "rlaif constitution"}
    return head | {key: value for key, value in schema.items() if key != "title"}


def _describe(part: dict[str, Any], model: type[Record]) -> None:
    """Add the docstrings of a model and its fields to its schema; PrincipleChanges takes those of Principle."""
    part["description"] = inspect.cleandoc(model.__doc__ or "")
    sources: list[type[Record]] = [Principle] if model is PrincipleChanges else []
    for source in [*sources, *(source for source in reversed(model.__mro__) if issubclass(source, Record))]:
        for name, text in _docstrings(source).items():
            if name in model.model_fields:
                part["properties"][model.model_fields[name].alias or name]["description"] = text


def _docstrings(model: type[Record]) -> dict[str, str]:
    """Return the docstring beneath each field, by field name, from the source code."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = " ".join(text.split())
    return found


def _add_validators(schema: dict[str, Any]) -> None:
    """Add the conditions of validators, which pydantic's schema lacks."""
    properties, definitions = schema["properties"], schema["$defs"]
    parent = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/Parent"}]}
    several = {"type": "array", "items": parent}
    described = {"description": properties["extends"]["description"]}
    properties["extends"] = described | {"anyOf": [*parent["anyOf"], several]}
    schema["anyOf"] = [
        {"required": ["extends"]},
        {"required": ["principles"], "properties": {"principles": {"minItems": 1}}},
    ]
    unless = {"critique_only": ["compare"], "compare_only": ["critique", "revise"]}
    # Null counts as absent: with null, an override removes an inherited question.
    program = {"properties": {"check": {"type": "object"}}, "required": ["check"]}
    definitions["Principle"]["allOf"] = [
        {
            "if": {"anyOf": [{"properties": {flag: {"const": True}}, "required": [flag]}, program]},
            "then": True,
            "else": {"required": needed},
        }
        for flag, needed in unless.items()
    ]
    definitions["Principle"]["allOf"].append(
        {"if": program, "then": {"properties": {"compare": {"type": "null"}, "critique_only": {"const": False}}}}
    )
    _add_short_forms(definitions)
    definitions["Case"]["oneOf"] = [{"required": ["prompt"]}, {"required": ["messages"]}]


def _add_short_forms(definitions: dict[str, Any]) -> None:
    """Allow a number, `true` or a single word in place of the long form; a check has exactly one kind."""
    for name, short in (("Count", {"type": "integer", "minimum": 0}), ("JsonShape", {"const": True})):
        definitions[f"{name}InFull"] = definitions[name]
        definitions[name] = {"anyOf": [{"$ref": f"#/$defs/{name}InFull"}, short]}
    check = definitions["Check"]
    for kind in ("contains", "forbids"):
        check["properties"][kind]["anyOf"].append({"type": "string"})
    check["oneOf"] = [{"properties": {kind: {"not": {"type": "null"}}}, "required": [kind]} for kind in KINDS]
