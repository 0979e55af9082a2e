"""Read YAML into a strict pydantic model; every error names file and line.

The safe subset of YAML only. Repeated keys, which YAML parsers silently accept, are errors here.
"""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rlaif.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)
Location = tuple[int | str, ...]

PATTERNS = {r"^[a-z0-9]+(-[a-z0-9]+)*$": "small letters, digits and hyphens, such as too-short"}
"""Descriptions of patterns, for messages."""

MOST_VALUES = 100_000
"""Limit after aliases are expanded: they can make 43 million values out of 400 bytes."""

_UNBUILDABLE = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError)
"""What PyYAML raises for values that contradict their tag, such as a KeyError for `!!bool x`."""


@dataclass(frozen=True)
class Lines:
    """The line number of each value in a file, for the messages of errors that are found later."""

    name: str
    lines: dict[Location, int] = field(default_factory=dict)

    def at(self, *location: int | str) -> str:
        """Return `FILE:LINE` of a value, or of the nearest one around it."""
        return f"{self.name}:{self.line(*location)}"

    def line(self, *location: int | str) -> int:
        """Return the line of a value, or of the nearest one around it."""
        return self.lines.get(location[: self.depth(location)], 1)

    def depth(self, location: Location) -> int:
        """Return the number of leading steps of a location that exist in the file."""
        return max((n for n in range(len(location) + 1) if location[:n] in self.lines), default=0)


Complete = Callable[[dict[str, Any]], dict[str, Any]]
"""Returns the content of a file with what it may lack."""


def read_yaml(path: Path, model: type[Model], *, complete: Complete = dict) -> Model:
    """Read `path`, complete it, and validate it as `model`.

    Raises ConfigError, `FILE:LINE: what is wrong`, for unreadable files, invalid YAML, repeated or unknown keys, and
    values that are not valid.
    """
    return parse_yaml_lines(read_text(path), model, name=str(path), complete=complete)[0]


def read_yaml_lines(path: Path, model: type[Model]) -> tuple[Model, Lines]:
    """Return what `read_yaml` returns, and the line of every value."""
    return parse_yaml_lines(read_text(path), model, name=str(path))


def parse_yaml(text: str, model: type[Model], *, name: str) -> Model:
    """Validate YAML text as `model`; `name` stands for the file in messages. Raises ConfigError."""
    return parse_yaml_lines(text, model, name=name)[0]


def parse_yaml_lines(text: str, model: type[Model], *, name: str, complete: Complete = dict) -> tuple[Model, Lines]:
    """Return what `parse_yaml` returns, and the line of every value."""
    root = _compose(text, name)
    lines = Lines(name)
    _note_lines(root, (), lines)
    try:
        data = yaml.constructor.SafeConstructor().construct_document(root)
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{name}:{_line_of(error)}: {error.problem or error.context}") from None
    except _UNBUILDABLE as error:
        raise ConfigError(f"{name}:{root.start_mark.line + 1}: {_one_line(error)}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{name}:1: expected `key: value` lines, found {_kind(data)}")
    try:
        return model.model_validate(complete(data)), lines
    except ValidationError as error:
        raise ConfigError(_explain(error, model, lines)) from None


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file. Raises ConfigError with the line of a byte that is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None


def refuse_mistaken(data: object, own: set[str], other: set[str], message: str) -> None:
    """Raise ValueError(message) for a file of another kind: it has keys in `other` and none in `own`."""
    given = data.keys() if isinstance(data, dict) else set()
    if given & other and not given & own:
        raise ValueError(message)


def explain_validation(error: ValidationError, model: type[BaseModel]) -> str:
    """Return the first error of a validation in one line, without file and line number."""
    detail = error.errors()[0]
    # Leaves out pydantic's names of union members.
    where = ".".join(step for step in map(str, detail["loc"]) if step.replace("_", "").isalnum())
    return f"{where}: {_message(detail, model)}" if where else _message(detail, model)


def shortened(text: str) -> str:
    """Return a text for quoting in a message, cut to 60 characters."""
    return text if len(text) <= 60 else text[:57] + "…"


def _compose(text: str, name: str) -> yaml.Node:
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        problem = error.problem or error.context or ""
        hint = next((advice for part, advice in _ADVICE.items() if part in problem), "")
        raise ConfigError(f"{name}:{_line_of(error)}: not valid YAML: {problem}{hint}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{name}:{line}: not valid YAML: {error.reason}: {chr(error.character)!r}") from None
    except RecursionError:
        raise ConfigError(f"{name}:1: not valid YAML: nested too deeply") from None
    except _UNBUILDABLE as error:
        raise ConfigError(f"{name}:1: not valid YAML: {_one_line(error)}") from None
    if root is None:
        raise ConfigError(f"{name}:1: the file is empty")
    return root


_ADVICE = {
    "'?'": "; within { } and [ ], put quotes around text that holds a ?",
    "mapping values are not allowed": '; where a text holds ": ", put the text in quotes',
}
"""By a part of the parser's message: what is added to it."""


def _line_of(error: yaml.MarkedYAMLError) -> int:
    return error.problem_mark.line + 1 if error.problem_mark else 1


def _note_lines(node: yaml.Node, location: Location, lines: Lines) -> None:
    here = f"{lines.name}:{node.start_mark.line + 1}"
    lines.lines.setdefault(location, node.start_mark.line + 1)
    if len(lines.lines) > MOST_VALUES:
        raise ConfigError(f"{here}: more than {MOST_VALUES} values, repetitions by aliases included")
    if len(location) > 50:
        raise ConfigError(f"{here}: nested too deeply")
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise ConfigError(f"{lines.name}:{line}: a key must be plain text")
            if key.value in seen:
                raise ConfigError(f"{lines.name}:{line}: key {key.value!r} is given twice")
            seen.add(key.value)
            if key.tag != "tag:yaml.org,2002:merge":
                _check_scalar(key, lines.name)
            lines.lines[(*location, key.value)] = line
            _note_lines(value, (*location, key.value), lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _note_lines(value, (*location, index), lines)
    else:
        _check_scalar(node, lines.name)


def _check_scalar(node: yaml.Node, name: str) -> None:
    """Raise ConfigError with the line of a value that PyYAML cannot construct, such as the 45th of a month."""
    try:
        repr(yaml.constructor.SafeConstructor().construct_document(node))  # fails for very long whole numbers
    except _UNBUILDABLE as error:
        reason = _one_line(error) if isinstance(error, ValueError) else f"is not a valid {node.tag.rpartition(':')[2]}"
        problem = getattr(error, "problem", None) or reason
        raise ConfigError(f"{name}:{node.start_mark.line + 1}: {problem}") from None


def _explain(error: ValidationError, model: type[BaseModel], lines: Lines) -> str:
    errors = error.errors()
    for detail in errors:
        detail["loc"] = _untagged(detail["loc"], lines)
    details = [detail for group in _by_union(errors, lines) for detail in _reported(group)]
    messages = []
    for detail in details[:3]:
        where, message = ".".join(map(str, _written(detail["loc"], lines))), _message(detail, model)
        key = f"{where}: " if where and "`" not in message else ""
        messages.append(f"{lines.at(*detail['loc'])}: {key}{message}")
    if len(details) > 3:
        messages.append(f"and {len(details) - 3} more")
    return "; ".join(messages)


def _untagged(location: Location, lines: Lines) -> Location:
    """Return an error's location without the tags that pydantic adds for the chosen model of a union."""
    kept: Location = ()
    for place, step in enumerate(location):
        following = location[place + 1 : place + 2]
        tag = isinstance(step, str) and "[" not in step  # `_by_union` handles a shape such as tuple[int, ...]
        if tag and (*kept, step) not in lines.lines and following and (*kept, *following) in lines.lines:
            continue
        kept = (*kept, step)
    return kept


def _by_union(details: list[ErrorDetails], lines: Lines) -> list[list[ErrorDetails]]:
    """Group the errors of one value that pydantic found by trying the members of a union."""
    groups: dict[Location, list[ErrorDetails]] = {}
    for number, detail in enumerate(details):
        where = _written(detail["loc"], lines)
        tried = detail["loc"][len(where) :]
        groups.setdefault((*where, "union") if tried else (*where, number), []).append(detail)
    return list(groups.values())


def _reported(group: list[ErrorDetails]) -> list[ErrorDetails]:
    """Return the errors to report for one value: for the closest member of the union, or all in one message."""
    plain = [detail for detail in group if detail["type"] == "literal_error"]
    if not plain or len(plain) == len(group) == 1:
        return group
    others = [detail for detail in group if detail["type"] != "literal_error"]
    if not isinstance(plain[0]["input"], str):
        return others or plain[:1]
    numbers = [detail for detail in others if _UNPARSED.search(detail["msg"])]
    messages = [detail["msg"] for detail in (*plain, *numbers)]
    joined = ", or ".join([messages[0], *(text.removeprefix("Input should be ") for text in messages[1:])])
    return [{**plain[0], "msg": _UNPARSED.sub("", joined)}]


def _written(location: Location, lines: Lines) -> Location:
    """Return the part of an error's location that exists in the file, with the key that is missing there, if any."""
    length = lines.depth(location)
    missing = location[length:]
    is_key = len(missing) == 1 and str(missing[0]).isidentifier() and missing[0] not in {"int", "str", "float", "bool"}
    return location if length and is_key else location[:length]


def _message(detail: ErrorDetails, model: type[BaseModel]) -> str:
    key = shortened(str(detail["loc"][-1])) if detail["loc"] else ""
    match detail["type"]:
        case "extra_forbidden":
            near = [one for one in difflib.get_close_matches(key, _all_keys(model), n=1) if one != key]
            return f"unknown key `{key}`" + (f"; did you mean `{near[0]}`?" if near else "")
        case "missing":
            return f"key `{key}` is missing"
        case "string_pattern_mismatch" if (pattern := detail["ctx"]["pattern"]) in PATTERNS:
            return f"must be {PATTERNS[pattern]}, not {shortened(repr(detail['input']))}"
        case "value_error":
            return detail["msg"].removeprefix("Value error, ")
        case _:
            message = _SHAPES.sub(lambda found: _SHAPE[found[1]], detail["msg"][:1].lower() + detail["msg"][1:])
            return f"{message}, not {shortened(repr(detail['input']))}"


_UNPARSED = re.compile(r", unable to parse string as an? (number|integer)$")
_SHAPE = {"tuple": "a list", "list": "a list", "dictionary": "lines of key: value"}
_SHAPES = re.compile(r"a valid (tuple|list|dictionary)( or instance of \w+)?")
"""Pydantic's names of the types in `_SHAPE`."""


def _all_keys(model: type[BaseModel]) -> list[str]:
    keys: list[str] = []
    for key, info in model.model_fields.items():
        keys.append(info.alias or key)
        for inner in (info.annotation, *getattr(info.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel) and inner is not model:
                keys.extend(_all_keys(inner))
    return keys


def _kind(data: object) -> str:
    return {"list": "a list", "str": "a text", "NoneType": "nothing"}.get(type(data).__name__, type(data).__name__)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
