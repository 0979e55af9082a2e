"""The run configuration of a command: a run file or run directory, changed by flags and by `--set`."""

import functools
import os
import sys
from pathlib import Path
from typing import Any

import yaml

from rlaif.config.run import RunConfig
from rlaif.errors import ConfigError, UsageError
from rlaif.models.config import BASE_URL, model_from_text
from rlaif.runs.directory import read_config

Settings = dict[str, Any]

_NEEDED = {("constitution",), ("prompts", "path"), ("responses", "path"), ("policy",), ("critic",), ("out",)}
"""What a run file must say where no flag does."""


def one_source(source: Path | None, config: Path | None) -> Path | None:
    """Return the run file that was given by its place or with --config. Raises UsageError for two different ones."""
    if source is not None and config is not None and source != config:
        raise UsageError(f"{source} and --config {config}: give one run file or run directory")
    return source or config


def run_settings(
    source: Path | None,
    flags: dict[tuple[str, ...], Any],
    *,
    dry_run: bool,
    set_values: list[str] | None = None,
    command: str = "generate",
) -> RunConfig:
    """Return the configuration of a run file or run directory with the flags, then `set_values`, set over it.

    Raises UsageError or ConfigError.
    """
    data = _of_source(source, flags, dry_run=dry_run)
    if ("policy",) in flags and data.get("critic") == data.get("policy"):
        data.pop("critic", None)  # the critic was the policy; the new policy is the critic again
    with_responses = "responses" in data or ("responses", "path") in flags
    if with_responses and ("critic",) in flags and data.get("critic") == data.get("policy"):
        data.pop("policy", None)  # without prompts the critic stands in for the policy
    for place, value in flags.items():
        *sections, key = place
        section = data
        for name in sections:
            section = section.setdefault(name, {})
        section[key] = value
    data |= _default_model(data, with_responses=with_responses, dry_run=dry_run)
    for entry in set_values or []:
        set_value(data, entry)
    if dry_run:
        data.setdefault("out", "runs/dry-run")
    model = "policy" if with_responses and "policy" in data else "critic"
    needed = ("constitution", model, "out") if with_responses else ("constitution", "prompts", "policy", "out")
    missing = [f"--{name}" for name in needed if name not in data]
    if missing:
        raise ConfigError(
            f"{', '.join(missing)} missing; give a run file or these flags (see `rlaif {command} --help`)"
        )
    return RunConfig.check(data)


def _of_source(source: Path | None, flags: dict[tuple[str, ...], Any], *, dry_run: bool) -> Settings:
    if source is None:
        return {}
    if source.is_dir():
        for given in ("prompts", "responses"):
            if any(place[0] == given for place in flags) and ("out",) not in flags:
                raise UsageError(
                    f"{source} already has its {given}; for other {given} choose a new --out (replies are reused)"
                )
        return read_config(source).model_dump(mode="json")
    if source.is_file():
        complete = functools.partial(_completed, flags, dry_run=dry_run)
        return RunConfig.load(source, complete=complete).model_dump(mode="json", exclude_unset=True)
    raise UsageError(f"{source}: no such run file or run directory")


def _completed(flags: dict[tuple[str, ...], Any], file: Settings, *, dry_run: bool) -> Settings:
    """Return a run file with what it needs and a flag gives; the flags are set over it later, too."""
    given = {place[0]: value for place, value in flags.items() if place in _NEEDED}
    with_responses = "responses" in file | given
    if with_responses:
        given.pop("prompts", None)
    given |= _default_model(file | given, with_responses=with_responses, dry_run=dry_run)
    return ({"out": "runs/dry-run"} if dry_run else {}) | given | file


def _default_model(settings: Settings, *, with_responses: bool, dry_run: bool) -> Settings:
    """Return the policy or critic where none is named: the server that OPENAI_BASE_URL names, if it names one."""
    if settings.keys() & ({"policy", "critic"} if with_responses else {"policy", "policies"}):
        return {}
    name = "critic" if with_responses else "policy"
    if url := os.environ.get(BASE_URL):
        print(f"{name}: the server of {BASE_URL}", file=sys.stderr)
        return {name: model_from_text(url)}
    return {name: {"model": "simulated"}} if dry_run else {}


def set_value(data: Settings, entry: str) -> None:
    """Set one setting, given as KEY.PATH=VALUE, where the value is YAML. Raises UsageError.

    Whether there is such a setting is checked later, with all others.
    """
    path, equals, text = entry.partition("=")
    *sections, key = path.strip().split(".")
    if not equals or not all([*sections, key]):
        raise UsageError(f"--set {entry}: must be KEY.PATH=VALUE, such as sampling.top_k=20")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {entry}: the value is not YAML: {getattr(error, 'problem', error)}") from None
    section: Any = data
    for place, name in enumerate(sections):
        _write_out(section, name, place == 0)
        section = section[_step(section, name, entry)]
    section[_step(section, key, entry)] = value


def _write_out(section: Any, name: str, top: bool) -> None:  # noqa: ANN401
    """Turn the short form of a section into a mapping, so that a setting within it can be set."""
    if not isinstance(section, dict):
        return
    if top and name == "critic" and section.get("critic") is None:
        section["critic"] = section.get("policy")  # which it is by default
    found = section.get(name)
    if isinstance(found, str) and name in {"policy", "critic"}:
        section[name] = model_from_text(found)
    elif isinstance(found, str) and top and name == "prompts":
        section[name] = {"path": found}
    elif found is None:
        section[name] = {}
    elif isinstance(found, dict):
        section[name] = dict(found)


def _step(section: Any, name: str, entry: str) -> str | int:  # noqa: ANN401
    """Return the key or the index of a step. Raises UsageError where there is nothing to step into."""
    if isinstance(section, dict):
        return name
    if not isinstance(section, list):
        raise UsageError(f"--set {entry}: {section!r} has no settings, so {name!r} cannot be set in it")
    if not name.isdecimal() or int(name) >= len(section):
        raise UsageError(f"--set {entry}: {name!r} is not the place of one of {len(section)} entries, counted from 0")
    return int(name)
