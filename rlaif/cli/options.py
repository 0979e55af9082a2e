"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from rlaif.checks import allow
from rlaif.checks.own_functions import VARIABLE
from rlaif.datasets.shapes.known import COLUMNS
from rlaif.datasets.shapes.recognition import OTHERS
from rlaif.errors import ConfigError, UsageError
from rlaif.evaluate.gold import FIELDS
from rlaif.models.config import ModelConfig, model_from_text, without_secrets
from rlaif.models.managed import on_gpu
from rlaif.models.model_files import SMOLLM2
from rlaif.shipped import constitution_names
from rlaif.yaml_file import explain_validation

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
AllowPython = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODULE:FUNCTION",
        help=f"Let checks call this function of yours on responses; also {VARIABLE}.",
        callback=lambda given: allow(given or []),
    ),
]
SetValues = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY.PATH=VALUE", help="Any setting of a run file, such as sampling.top_k=20."),
]


def shipped_constitutions(incomplete: str) -> list[str]:
    """Return the names of shipped constitutions that begin so, for the shell's completion."""
    return [name for name in constitution_names() if name.startswith(incomplete)]


Constitution = Annotated[
    str | None, typer.Option(help="Shipped name or YAML file.", autocompletion=shipped_constitutions)
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
        raise ConfigError(f"--critic {without_secrets(text)}: {explain_validation(error, ModelConfig)}") from None


def columns_of(entries: list[str] | None, fields: tuple[str, ...] = FIELDS) -> dict[str, str]:
    """Return --column FIELD=NAME entries as {FIELD: NAME}. Raises UsageError."""
    columns = {}
    for entry in entries or []:
        field, equals, name = entry.partition("=")
        if not equals or field not in fields:
            raise UsageError(f"--column {entry}: must be FIELD=NAME with one of {', '.join(fields)} as the field")
        columns[field] = name
    return columns
