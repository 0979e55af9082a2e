"""Options that several commands share, and the run configuration from a run file or directory and flags."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import ValidationError

from rlaif.config.overrides import overrides_of, validated, with_overrides
from rlaif.config.run import RunConfig
from rlaif.errors import ConfigError, UsageError
from rlaif.evaluate.gold import FIELDS
from rlaif.models.config import BASE_URL, ModelConfig, model_from_text, url_of_environment
from rlaif.models.managed import on_gpu
from rlaif.models.model_files import SMOLLM2
from rlaif.runs.directory import read_config
from rlaif.shipped import complete_constitution
from rlaif.yaml_file import Location, explain_validation, read_text

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Named = Annotated[str | None, typer.Option(autocompletion=complete_constitution, help="Shipped name or YAML file.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="KEY.PATH=VALUE sets any setting of the file, such as sampling.top_p=0.9; repeatable."),
]


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


def one_source(positional: Path | None, config: Path | None) -> Path | None:
    """Return the run file or directory that was given by position or with --config. Raises UsageError for two."""
    if positional is not None and config is not None and positional.resolve() != config.resolve():
        raise UsageError(f"{positional} and --config {config} are two sources of settings; give one of them")
    return positional or config


def server_of_environment(role: str) -> str | None:
    """Return the URL in OPENAI_BASE_URL for a role that no setting names, and say so on stderr; None where unset."""
    url = url_of_environment()
    if url is not None:
        print(f"{role}: the server at {url} ({BASE_URL})", file=sys.stderr)
    return url


def run_settings(
    source: Path | None,
    flags: dict[tuple[str, ...], Any],
    *,
    dry_run: bool,
    settings: Sequence[str] | None = None,
) -> RunConfig:
    """Return the configuration of a run file or run directory with the flags, then `settings`, set over it.

    `settings` are KEY.PATH=VALUE entries. Raises UsageError or ConfigError.
    """
    overrides = overrides_of(settings)
    data = _settings_of(source, {*flags, *(override.place for override in overrides)})
    if ("policy",) in flags and data.get("critic") == data.get("policy"):
        data.pop("critic", None)  # the critic was the policy; the new policy is the critic again
    for place, value in flags.items():
        *sections, key = place
        section = data
        for name in sections:
            section = section.setdefault(name, {})
        section[key] = value
    data = with_overrides(data, overrides)
    if dry_run:
        data.setdefault("out", "runs/dry-run")
        data.setdefault("policy", {"model": "simulated"})
    elif "policy" not in data and (url := server_of_environment("policy")):
        data["policy"] = {"url": url}
    missing = [f"--{name}" for name in ("constitution", "prompts", "policy", "out") if name not in data]
    if missing:
        raise ConfigError(f"{', '.join(missing)} missing; give a run file or these flags (see `rlaif generate --help`)")
    return validated(RunConfig, data, overrides)


def _settings_of(source: Path | None, changed: set[Location]) -> dict[str, Any]:
    """Return the settings of a run file or directory; `changed` are the settings that will be set over them."""
    if source is None:
        return {}
    if source.is_dir():
        if any(place[0] == "prompts" for place in changed) and ("out",) not in changed:
            raise UsageError(
                f"{source} already has its prompts; for other prompts choose a new --out (replies are reused)"
            )
        return read_config(source).model_dump(mode="json")
    if not source.is_file():
        raise UsageError(f"{source}: no such run file or run directory")
    data = _RunFile.load(source).model_dump(mode="json", exclude_unset=True)
    if not _names_policy(source):
        data.pop("policy", None)  # it came from the environment
    return data


class _RunFile(RunConfig):
    """A run file that may leave the policy to a flag or to the environment."""

    policy: ModelConfig = ModelConfig(model="unnamed")


def _names_policy(source: Path) -> bool:
    return "policy" in yaml.safe_load(read_text(source))


def loaded(source: Path, settings: Sequence[str] | None) -> RunConfig:
    """Return the configuration of a run file with KEY.PATH=VALUE entries set over it. Raises ConfigError."""
    overrides = overrides_of(settings)
    config = RunConfig.load(source)
    if not _names_policy(source) and all(override.place[0] != "policy" for override in overrides):
        server_of_environment("policy")
    if not overrides:
        return config
    data = config.model_dump(mode="json", exclude_unset=True)
    return validated(RunConfig, with_overrides(data, overrides), overrides)
