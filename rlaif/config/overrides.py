"""Single settings over those of a file: `KEY.PATH=VALUE` entries, as `--set` takes them.

Whether a key exists is left to the settings' own model, so that a wrong one is reported with the nearest key.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from rlaif.errors import ConfigError
from rlaif.models.config import model_from_text
from rlaif.yaml_file import Location, explain_validation

Settings = TypeVar("Settings", bound=BaseModel)


@dataclass(frozen=True)
class Override:
    """One entry: the place of a value, and the value."""

    entry: str
    """As it was written, for messages."""
    place: Location
    value: Any


def overrides_of(entries: Sequence[str] | None) -> list[Override]:
    """Return KEY.PATH=VALUE entries with values read as YAML. Raises ConfigError."""
    overrides = []
    for entry in entries or ():
        key, equals, text = entry.partition("=")
        steps = key.strip().split(".")
        if not equals or not all(steps):
            raise ConfigError(f"--set {entry}: must be KEY.PATH=VALUE, such as sampling.top_p=0.9")
        try:
            value = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError) as error:
            problem = getattr(error, "problem", None) or " ".join(str(error).split())
            raise ConfigError(f"--set {entry}: the value is not valid YAML: {problem}") from None
        overrides.append(Override(entry, tuple(int(step) if step.isdecimal() else step for step in steps), value))
    return overrides


def with_overrides(data: Mapping[str, Any], overrides: Sequence[Override]) -> dict[str, Any]:
    """Return the settings with each override in its place. Raises ConfigError for a place that cannot exist.

    Short forms (a prompts file, MODEL@URL) become sections where a key inside them is set. A critic that is not set
    starts as the policy, and one that is the same as the policy follows it.
    """
    changed = copy.deepcopy(dict(data))
    roots = {override.place[0] for override in overrides}
    if "policy" in roots and changed.get("critic") == changed.get("policy"):
        changed.pop("critic", None)
    for override in sorted(overrides, key=lambda override: override.place[0] == "critic"):
        if override.place[0] == "critic" and len(override.place) > 1 and "critic" not in changed:
            changed["critic"] = copy.deepcopy(changed.get("policy", {}))
        _put(changed, override)
    return changed


def _put(data: dict[str, Any], override: Override) -> None:
    here: Any = data
    *sections, last = override.place
    for depth, step in enumerate(sections):
        key = _key(here, step, depth, override)
        inner = here[key] if isinstance(here, list) else here.get(key)
        here[key] = {} if inner is None else _section_of(str(step), inner)
        here = here[key]
    here[_key(here, last, len(sections), override)] = override.value


def _key(here: Any, step: int | str, depth: int, override: Override) -> Any:  # noqa: ANN401
    """Return the key of one step into a section or list. Raises ConfigError for anything else."""
    where = ".".join(map(str, override.place[:depth]))
    if isinstance(here, list):
        _check_index(here, step, where, override)
        return step
    if not isinstance(here, dict):
        raise ConfigError(f"--set {override.entry}: {where} has no parts to set: it is {here!r}")
    return str(step)


def _check_index(entries: list[Any], step: int | str, where: str, override: Override) -> None:
    """Raise ConfigError for a step into a list that is not the number of one of its entries."""
    if not isinstance(step, int) or step >= len(entries):
        numbers = f"its entries are 0 to {len(entries) - 1}" if entries else "it is empty"
        raise ConfigError(
            f"--set {override.entry}: {where} is a list, and {numbers}; set one by its number, or the whole list"
        )


def _section_of(key: str, value: Any) -> Any:  # noqa: ANN401
    """Return the section that a short form stands for; every other value unchanged."""
    if not isinstance(value, str):
        return list(value) if isinstance(value, tuple) else value
    return {"path": value} if key == "prompts" else model_from_text(value) if key in {"policy", "critic"} else value


def validated(model: type[Settings], data: Mapping[str, Any], overrides: Sequence[Override]) -> Settings:
    """Return the settings as `model`. Raises ConfigError, which names the override that is not valid, if one is."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        where = error.errors()[0]["loc"]
        blamed = next((f"--set {one.entry}: " for one in overrides if _concerns(one.place, where)), "")
        raise ConfigError(blamed + explain_validation(error, model)) from None


def _concerns(place: Location, where: Location) -> bool:
    """Whether an error is at a place or below it; pydantic's locations have names of union members in between."""
    steps = iter(where)
    found = [any(step == one for one in steps) for step in place]
    return bool(where) and (all(found) or (len(place) > 1 and where == place[: len(where)]))
