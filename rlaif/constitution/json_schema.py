"""The JSON Schema of a constitution file, with the fields' docstrings as descriptions: for editors.

What a schema can't express (unique ids, ids that must exist in a parent) is left to `rlaif constitution check`.
"""

import ast
import inspect
import textwrap
from typing import Any

from pydantic import BaseModel

from rlaif.checks.check import KINDS, Check
from rlaif.checks.counting import Count
from rlaif.checks.json_shape import JsonShape
from rlaif.constitution.load import ConstitutionFile, Parent, PrincipleChanges
from rlaif.constitution.schema import Case, Example, Head, Principle
from rlaif.records import Message

_DOCUMENTED: dict[type[BaseModel], tuple[type[BaseModel], ...]] = {
    ConstitutionFile: (Head, ConstitutionFile),
    PrincipleChanges: (Principle, PrincipleChanges),
    Principle: (Principle,),
    Parent: (Parent,),
    Case: (Case,),
    Example: (Example,),
    Message: (Message,),
    Check: (Check,),
    Count: (Count,),
    JsonShape: (JsonShape,),
}
"""For each definition, the classes whose docstrings describe its fields; later ones take precedence."""


def constitution_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) of constitution files."""
    schema = ConstitutionFile.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    for model, sources in _DOCUMENTED.items():
        part = schema if model is ConstitutionFile else definitions[model.__name__]
        part["description"] = inspect.cleandoc(model.__doc__ or "")
        for source in sources:
            _describe(part, model, source)
    _add_validators(schema)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "rlaif constitution"}
    return head | {key: value for key, value in schema.items() if key != "title"}


def _describe(part: dict[str, Any], model: type[BaseModel], source: type[BaseModel]) -> None:
    for name, words in _docstrings(source).items():
        if name in model.model_fields:
            key = model.model_fields[name].alias or name
            part["properties"][key]["description"] = words


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstring beneath each field, which is only in the source."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)
    found = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                found[name] = " ".join(words.split())
    return found


def _add_validators(schema: dict[str, Any]) -> None:
    """Add the rules of validators, which pydantic leaves out."""
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
    # Null counts as absent: an override removes an inherited question with it.
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
