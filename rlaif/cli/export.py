"""`rlaif export`: write a run's dataset in one of several formats."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from rlaif.cli.options import Json
from rlaif.cli.results import exported_rows
from rlaif.datasets.export import export
from rlaif.datasets.formats import FORMATS
from rlaif.errors import UsageError
from rlaif.runs.certified import CertifiedRun
from rlaif.runs.reader import Run


def export_command(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    format_: Annotated[str, typer.Option("--format", help=f"{', '.join(FORMATS)}.")] = "trl",
    out: Annotated[Path | None, typer.Option(help="Folder to write to; by default inside the run directory.")] = None,
    certified: Annotated[
        bool, typer.Option("--certified", help="Only the pairs that the run's certificate keeps (rlaif certify).")
    ] = False,
    reasoning: Annotated[
        bool, typer.Option("--reasoning", help="Write a thinking model's reasoning as reasoning_content, too.")
    ] = False,
    json_: Json = False,
) -> None:
    """Write a run's dataset in the format of a trainer or library.

    \b
    Examples:
      rlaif export runs/first --format trl
      rlaif export runs/first --format ultrafeedback --out data/uf
      rlaif export runs/first --format nemo-rl        # for which trainer: docs/training.md
      rlaif export runs/first --format kto --certified
    """
    export_job(run, format_, out, certified=certified, reasoning=reasoning, as_json=json_)


def export_job(
    path: Path, format_: str, out: Path | None, *, certified: bool, as_json: bool, reasoning: bool = False
) -> None:
    """Write a dataset and print its folder."""
    known = [name for name in FORMATS if name == format_]
    if not known:
        raise UsageError(f"unknown format {format_!r}; choose one of {', '.join(FORMATS)}")
    opened = CertifiedRun(path) if certified else Run(path)
    if reasoning:
        if not FORMATS[known[0]].has_messages:
            raise UsageError(f"format {format_} has no messages, so it cannot have reasoning; leave --reasoning out")
        pairs = opened.config.pairs.model_copy(update={"reasoning": True})
        opened.config = opened.config.model_copy(update={"pairs": pairs})
    folder = export(opened, known[0], out)
    rows = exported_rows(folder)
    if not any(rows.values()):
        reason = "it has no revision" if format_ == "sft" else "none of its pairs has a label"
        print(f"! {folder} has no rows, because {path} has none: {reason}; see `rlaif show {path}`", file=sys.stderr)
    if as_json:
        print(json.dumps({"folder": str(folder), "rows": rows}))
    else:
        print(f"{folder}   ({', '.join(f'{name} {count}' for name, count in rows.items())})")
