"""Load constitution files and resolve `extends`, `drop`, `override` and `weights`; write one as a single file.

    extends: [harmlessness, {from: honesty, only: [admits-doubt]}, ../mine.yaml]
    drop: [speaks-with-respect]
    override: {admits-doubt: {compare: "Which answer …?"}}
    weights: {declines-with-a-way-forward: 3}
    principles: [...]                   # its own, after the inherited ones

Inherited principles keep the order of `extends`; a principle that is inherited twice counts once. A cycle, two
different principles with the same id, and an unknown id are a ConfigError with file and line.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import yaml
from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator

from rlaif.checks.check import Check
from rlaif.constitution.schema import (
    Case,
    Constitution,
    Example,
    Head,
    LintCode,
    Principle,
    Slug,
    Text,
    Weight,
    refuse_repeated_ids,
)
from rlaif.errors import ConfigError
from rlaif.records import Record
from rlaif.shipped import CONSTITUTIONS, constitution_names, find_constitution
from rlaif.yaml_file import Lines, explain_validation, parse_yaml, read_yaml_lines, refuse_mistaken, shortened

DEEPEST = 50
"""Maximum levels of `extends`, below Python's limit of recursion."""


class Parent(Record):
    """One constitution that a file extends."""

    from_: str = Field(alias="from")
    """A shipped name, or a path relative to the file that names it."""
    only: tuple[Slug, ...] = ()
    """Ids of the principles to inherit; all when empty."""
    drop: tuple[Slug, ...] = ()
    """Ids of principles not to inherit."""


class PrincipleChanges(Record):
    """The fields of an inherited principle that an `override` changes; all other fields stay."""

    why: str | None = None
    group: Slug | None = None
    critique: Text | None = None
    revise: Text | None = None
    compare: Text | None = None
    check: Check | None = None
    weight: Weight | None = None
    priority: int | None = None
    applies_to: tuple[Slug, ...] | None = None
    tags: tuple[Slug, ...] | None = None
    examples: tuple[Example, ...] | None = None
    cases: tuple[Case, ...] | None = None
    critique_only: bool | None = None
    compare_only: bool | None = None
    ignore: tuple[LintCode, ...] | None = None


class ConstitutionFile(Head):
    """A constitution as written in one file."""

    extends: tuple[Parent, ...] = ()
    """Constitutions whose principles are inherited, in this order: shipped names, or paths relative to this file."""
    drop: tuple[Slug, ...] = ()
    """Ids of inherited principles that are left out."""
    override: dict[Slug, PrincipleChanges] = Field(default={})
    """Changes of inherited principles, by id."""
    weights: dict[Slug, Weight] = Field(default={})
    """New weights of inherited principles, by id."""
    principles: tuple[Principle, ...] = ()
    """The file's own principles; they come after the inherited ones."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_run_file(cls, data: object) -> object:
        message = "this is a run file, not a constitution; a constitution lists its principles under `principles:`"
        refuse_mistaken(data, {"principles", "extends"}, {"constitution", "prompts"}, message)
        return data

    @field_validator("extends", mode="before")
    @classmethod
    def _a_name_is_enough(cls, extends: object) -> object:
        entries = [extends] if isinstance(extends, str | dict) else extends
        return [{"from": e} if isinstance(e, str) else e for e in entries] if isinstance(entries, list) else entries

    @field_validator("principles")
    @classmethod
    def _ids_are_unique(cls, principles: tuple[Principle, ...], info: ValidationInfo) -> tuple[Principle, ...]:
        if not principles and not info.data.get("extends", True):  # `extends` is absent here when it is invalid
            raise ValueError("a constitution needs at least one principle")
        refuse_repeated_ids(principles)
        return principles

    @model_validator(mode="after")
    def _has_something_to_change(self) -> Self:
        if not self.principles and not self.extends:
            raise ValueError("key `principles` is missing")
        if not self.extends and (self.drop or self.override or self.weights):
            raise ValueError(
                "drop, override and weights change inherited principles, and nothing is inherited: add `extends`"
            )
        return self


@dataclass(frozen=True)
class Origin:
    """The place where a principle of a resolved constitution is defined."""

    file: str
    """A path as it was given, or a shipped name."""
    line: int
    changed_in: str | None = None
    """`FILE:LINE` of the last override or new weight."""

    def __str__(self) -> str:
        """Return `FILE:LINE`, with `changed_in` if it was changed."""
        return f"{self.file}:{self.line}" + (f" (changed in {self.changed_in})" if self.changed_in else "")


@dataclass(frozen=True)
class Resolved:
    """A constitution with its inherited principles, and the origin of each principle."""

    constitution: Constitution
    origins: Mapping[str, Origin]
    lines: Lines
    """Line numbers of the file itself."""
    file: ConstitutionFile


def load_constitution(name_or_path: str | Path) -> Constitution:
    """Load a constitution from a YAML file, or a shipped one by its name, with all that it inherits.

    Raises UsageError when there is no such file, ConfigError with file and line when it is not valid.
    """
    return resolve_constitution(name_or_path).constitution


def resolve_constitution(name_or_path: str | Path) -> Resolved:
    """Load a constitution with the origin of each principle. Raises what `load_constitution` raises."""
    return _resolve(find_constitution(name_or_path), (), {})


def flat_yaml(constitution: Constitution, comment: str = "") -> str:
    """Return the constitution as YAML text without `extends`, below a comment of one or more lines."""
    content = constitution.model_dump(mode="json", exclude_defaults=True)
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
    return "".join(f"# {line}\n" for line in comment.splitlines()) + text


def from_flat(text: str, name: str) -> Constitution:
    """Return the constitution of such YAML text; `name` stands for the file in messages. Raises ConfigError."""
    file = parse_yaml(text, ConstitutionFile, name=name)
    return Constitution(**{field: getattr(file, field) for field in Constitution.model_fields})


def _resolve(path: Path, above: tuple[Path, ...], known: dict[Path, Resolved]) -> Resolved:
    """Resolve a file; `above` are the files that extend it, `known` the files already resolved."""
    file, lines = read_yaml_lines(path, ConstitutionFile)
    here = (*above, path.resolve())
    inherited: dict[str, tuple[Principle, Origin]] = {}
    after: list[str] = []
    for place, parent in enumerate(file.extends):
        resolved = _parent(path, parent, lines.at("extends", place), here, known)
        after += resolved.constitution.after
        _inherit(inherited, parent, resolved, lines.at("extends", place))
    for place, dropped in enumerate(file.drop):
        _refuse_unknown(dropped, inherited, lines.at("drop", place), file)
        del inherited[dropped]
    _change(inherited, file, lines)
    _add_own(inherited, file, lines, path)
    if not inherited:
        where = lines.at("drop") if file.drop else lines.at("extends")
        raise ConfigError(f"{where}: every principle is dropped; a constitution needs at least one")
    head = {field: getattr(file, field) for field in Head.model_fields}
    head["after"] = tuple(dict.fromkeys([*file.after, *after]))
    constitution = Constitution(**head, principles=tuple(principle for principle, _ in inherited.values()))
    return Resolved(constitution, {name: origin for name, (_, origin) in inherited.items()}, lines, file)


def _parent(path: Path, parent: Parent, where: str, here: tuple[Path, ...], known: dict[Path, Resolved]) -> Resolved:
    file = _find_parent(path, parent, where)
    key = file.resolve()
    if key == here[-1]:
        raise ConfigError(f"{where}: this file extends itself")
    if key in here:
        raise ConfigError(f"{where}: extends {parent.from_}, which itself extends this file: a cycle; remove one")
    if key not in known:
        if len(here) > DEEPEST:
            raise ConfigError(f"{where}: more than {DEEPEST} levels of extends; merge some of the files")
        known[key] = _resolve(file, here, known)
    return known[key]


def _find_parent(path: Path, parent: Parent, where: str) -> Path:
    """Return the parent's file, relative to the file `path`, or the shipped one of that name."""
    try:
        beside = path.parent / parent.from_
        if beside.is_file():
            return beside
        if parent.from_ in constitution_names():
            return find_constitution(CONSTITUTIONS / f"{parent.from_}.yaml")
    except OSError as error:
        raise ConfigError(f"{where}: extends {shortened(repr(parent.from_))}: {error.strerror}") from None
    folder = f"relative to {path.parent}/" if beside.name != parent.from_ else f"beside {path.name}"
    raise ConfigError(
        f"{where}: extends {shortened(repr(parent.from_))}, but there is no such file {folder}, "
        f"and the shipped ones are {', '.join(constitution_names())}"
    )


def _inherit(inherited: dict[str, tuple[Principle, Origin]], parent: Parent, resolved: Resolved, where: str) -> None:
    """Add the principles of a parent that `only` and `drop` select."""
    theirs = {principle.id: principle for principle in resolved.constitution.principles}
    for name in (*parent.only, *parent.drop):
        _refuse_unknown(name, theirs, where)
    for name, principle in theirs.items():
        if name in parent.drop or (parent.only and name not in parent.only):
            continue
        if name in inherited and inherited[name][0] != principle:
            raise ConfigError(
                f'{where}: principle "{name}" comes from {inherited[name][1]} and from {resolved.origins[name]}, '
                f"and they differ; write {{from: {parent.from_}, drop: [{name}]}} to keep the first"
            )
        inherited.setdefault(name, (principle, resolved.origins[name]))


def _change(inherited: dict[str, tuple[Principle, Origin]], file: ConstitutionFile, lines: Lines) -> None:
    """Apply overrides and new weights."""
    for name in file.weights:
        if name in file.override and file.override[name].weight is not None:
            raise ConfigError(f'{lines.at("weights", name)}: the weight of "{name}" is also given under `override`')
    changes = [("override", name, c.model_dump(mode="json", exclude_unset=True)) for name, c in file.override.items()]
    changes += [("weights", name, {"weight": weight}) for name, weight in file.weights.items()]
    for key, name, change in changes:
        where = lines.at(key, name)
        _refuse_unknown(name, inherited, where, file)
        principle, origin = inherited[name]
        try:
            changed = Principle.model_validate(principle.model_dump(mode="json") | change)
        except ValidationError as error:
            raise ConfigError(f"{where}: {explain_validation(error, Principle)}") from None
        inherited[name] = (changed, Origin(origin.file, origin.line, changed_in=where))


def _add_own(inherited: dict[str, tuple[Principle, Origin]], file: ConstitutionFile, lines: Lines, path: Path) -> None:
    """Add the file's own principles."""
    shown = path.stem if path.parent == CONSTITUTIONS else str(path)
    for place, principle in enumerate(file.principles):
        if principle.id in inherited:
            raise ConfigError(
                f'{lines.at("principles", place)}: principle "{principle.id}" is inherited from '
                f"{inherited[principle.id][1].file}; change it under `override`, or name it under `drop` to replace it"
            )
        inherited[principle.id] = (principle, Origin(shown, lines.line("principles", place)))


def _refuse_unknown(name: str, known: Iterable[str], where: str, file: ConstitutionFile | None = None) -> None:
    known = list(known)
    if name not in known:
        if file is not None and any(principle.id == name for principle in file.principles):
            raise ConfigError(f'{where}: principle "{name}" is not inherited but defined in this file; change it there')
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"inherited are {', '.join(known) or 'none'}"
        raise ConfigError(f'{where}: no inherited principle "{name}"; {hint}')
