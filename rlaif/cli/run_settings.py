"""From a run file or a run directory, and flags over it, to one run's configuration."""

from pathlib import Path
from typing import Any

from rlaif.config.run import RunConfig
from rlaif.errors import ConfigError, UsageError
from rlaif.runs.directory import read_config


def run_settings(source: Path | None, flags: dict[tuple[str, ...], Any], *, dry_run: bool) -> RunConfig:
    """Return the configuration that a source and flags add up to. Raises UsageError or ConfigError."""

    if source is None:
        data: dict[str, Any] = {}
    elif source.is_dir():
        data = read_config(source).model_dump(mode="json")
        if any(place[0] == "prompts" for place in flags) and ("out",) not in flags:
            raise UsageError(f"{source} has its prompts already; for others, choose a new --out (replies are reused)")
    elif source.is_file():
        data = RunConfig.load(source).model_dump(mode="json", exclude_unset=True)
    else:
        raise UsageError(f"{source}: no such run file or run directory")
    if ("policy",) in flags and data.get("critic") == data.get("policy"):
        data.pop("critic", None)  # the critic was the policy, and stays so
    for place, value in flags.items():
        *sections, key = place
        section = data
        for name in sections:
            section = section.setdefault(name, {})
        section[key] = value
    if dry_run:
        data.setdefault("out", "runs/dry-run")
        data.setdefault("policy", {"model": "simulated"})
    missing = [f"--{name}" for name in ("constitution", "prompts", "policy", "out") if name not in data]
    if missing:
        raise ConfigError(f"{', '.join(missing)} missing; give a run file, or these flags (`rlaif generate --help`)")
    return RunConfig.check(data)
