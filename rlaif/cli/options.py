"""Options that several commands share, and the run configuration from a run file or directory and flags."""

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from rlaif.config.run import RunConfig
from rlaif.datasets.shapes.known import COLUMNS
from rlaif.datasets.shapes.recognition import OTHERS
from rlaif.errors import ConfigError, UsageError
from rlaif.evaluate.gold import FIELDS
from rlaif.models.config import ModelConfig, model_from_text
from rlaif.models.managed import on_gpu
from rlaif.models.model_files import SMOLLM2
from rlaif.runs.directory import read_config
from rlaif.yaml_file import explain_validation

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def columns_given(entries: list[str] | None) -> dict[str, str] | None:
    """Return FIELD=NAME entries as {FIELD: NAME}; None where there are none. Raises UsageError."""
    if not entries:
        return None
    columns = {}
    for entry in entries:
        field, equals, name = entry.partition("=")
        if not equals or field not in {"prompt", "messages", "id", "tags"}:
            raise UsageError(f"--column {entry}: must be FIELD=NAME with prompt, messages, id or tags as the field")
        columns[field] = name
    return columns


def label_columns(entries: list[str] | None) -> dict[str, str] | None:
    """Return FIELD=NAME entries for a file of responses as {FIELD: NAME}; None for none. Raises UsageError."""
    return columns_of(entries, (*COLUMNS, *OTHERS)) if entries else None


def count_given(text: str | None) -> str | int | None:
    """Return the text as an int where it has only digits; otherwise unchanged."""
    return int(text) if text is not None and text.isdecimal() else text


DEFAULT_CACHE = Path("runs") / "replies.sqlite"
"""The reply store that runs in `runs/` use, too."""


def short_job(critic: ModelConfig) -> ModelConfig:
    """Return a critic's configuration for few questions: smollm2 on a CPU is not compiled, which would take longer."""
    return critic.model_copy(update={"eager": True}) if critic.model == SMOLLM2 and not on_gpu() else critic


def connection_of(text: str) -> ModelConfig:
    """Return the model configuration of --critic (MODEL, URL or MODEL@URL). Raises ConfigError."""
    try:
        return ModelConfig.model_validate(model_from_text(text))
    except ValidationError as error:
        raise ConfigError(f"--critic {text}: {explain_validation(error, ModelConfig)}") from None


def columns_of(entries: list[str] | None, fields: tuple[str, ...] = FIELDS) -> dict[str, str]:
    """Return --column FIELD=NAME entries as {FIELD: NAME}. Raises UsageError."""
    columns = {}
    for entry in entries or []:
        field, equals, name = entry.partition("=")
        if not equals or field not in fields:
            raise UsageError(f"--column {entry}: must be FIELD=NAME with one of {', '.join(fields)} as the field")
        columns[field] = name
    return columns


def run_settings(
    source: Path | None, flags: dict[tuple[str, ...], Any], *, dry_run: bool, command: str = "generate"
) -> RunConfig:
    """Return the configuration of a run file or run directory with the flags set over it.

    Raises UsageError or ConfigError.
    """
    if source is None:
        data: dict[str, Any] = {}
    elif source.is_dir():
        data = read_config(source).model_dump(mode="json")
        for given in ("prompts", "responses"):
            if any(place[0] == given for place in flags) and ("out",) not in flags:
                raise UsageError(
                    f"{source} already has its {given}; for other {given} choose a new --out (replies are reused)"
                )
    elif source.is_file():
        data = RunConfig.load(source).model_dump(mode="json", exclude_unset=True)
    else:
        raise UsageError(f"{source}: no such run file or run directory")
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
    if dry_run:
        data.setdefault("out", "runs/dry-run")
        data.setdefault("critic" if with_responses else "policy", {"model": "simulated"})
    model = "policy" if with_responses and "policy" in data else "critic"
    needed = ("constitution", model, "out") if with_responses else ("constitution", "prompts", "policy", "out")
    missing = [f"--{name}" for name in needed if name not in data]
    if missing:
        raise ConfigError(
            f"{', '.join(missing)} missing; give a run file or these flags (see `rlaif {command} --help`)"
        )
    return RunConfig.check(data)
