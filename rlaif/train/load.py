"""From a training file and flags to one checked configuration; what is wrong is said with file and line."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from rlaif.errors import ConfigError
from rlaif.train.config import CaiConfig, DpoConfig, RewardConfig, SftConfig, Stage, Where, stage_of
from rlaif.train.options import check_options
from rlaif.yaml_file import Lines, explain_validation, read_yaml_lines

Config = TypeVar("Config", bound=Where)
Flags = Mapping[tuple[str, ...], Any]
"""Where a value belongs in the file, and the value."""


def load_config(kind: type[Config], file: Path | None, flags: Flags) -> Config:
    """Return the file's settings with the flags over them. Raises ConfigError, UsageError."""
    data: dict[str, Any] = {}
    lines = None
    if file is not None:
        read, lines = read_yaml_lines(file, kind)
        data = read.model_dump(mode="json", exclude_unset=True)
    _refuse_bad_options(kind, data, _in_file(lines))
    for place, value in flags.items():
        _put(data, place, value)
    try:
        config = kind.model_validate(data)
    except ValidationError as error:
        raise ConfigError(explain_validation(error, kind)) from None
    _refuse_missing(config)
    return config.model_copy(update=_checked(config))


def trl_flags(entries: list[str] | None) -> dict[str, Any]:
    """Read NAME=VALUE entries, the values as YAML. Raises ConfigError."""
    options = {}
    for entry in entries or []:
        name, equals, value = entry.partition("=")
        if not equals or not name:
            raise ConfigError(f"--trl {entry}: must be NAME=VALUE, such as loss_type=ipo")
        try:
            options[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigError(f"--trl {entry}: the value is no YAML") from None
    return options


def _put(data: dict[str, Any], place: tuple[str, ...], value: Any) -> None:  # noqa: ANN401
    *sections, key = place
    for name in sections:
        data = data.setdefault(name, {})
    data[key] = value


def _refuse_missing(config: Where) -> None:
    missing = [name for name in ("data", "model", "out") if not getattr(config, name)]
    if missing:
        spelled = ", ".join("the run or dataset" if name == "data" else f"--{name}" for name in missing)
        raise ConfigError(f"{spelled} missing; give a flag, or say it in the file given with --config")


def _refuse_bad_options(kind: type[Where], data: Mapping[str, Any], place: Callable[..., str]) -> None:
    for stage, section in _stages(kind):
        given = _at(data, section).get("trl", {})
        check_options(stage, given, lambda name, section=section: place(*section, "trl", name))  # type: ignore[misc]


def _checked(config: Where) -> dict[str, Any]:
    """Return what checking changes of a configuration: TRL's options, their values read as TRL's types."""
    if isinstance(config, CaiConfig):
        return {
            "sft": config.sft.model_copy(update={"trl": check_options("sft", config.sft.trl, _flag)}),
            "dpo": config.dpo.model_copy(update={"trl": check_options("dpo", config.dpo.trl, _flag)}),
        }
    assert isinstance(config, SftConfig | DpoConfig | RewardConfig)
    return {"trl": check_options(stage_of(config), config.trl, _flag)}


def _stages(kind: type[Where]) -> list[tuple[Stage, tuple[str, ...]]]:
    if kind is CaiConfig:
        return [("sft", ("sft",)), ("dpo", ("dpo",))]
    names: dict[type[Where], Stage] = {SftConfig: "sft", DpoConfig: "dpo", RewardConfig: "reward"}
    return [(names[kind], ())]


def _at(data: Mapping[str, Any], section: tuple[str, ...]) -> Mapping[str, Any]:
    for name in section:
        data = data.get(name, {})
    return data


def _in_file(lines: Lines | None) -> Callable[..., str]:
    return lines.at if lines is not None else _flag


def _flag(*place: str) -> str:
    return f"--trl {place[-1]}"
