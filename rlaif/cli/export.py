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
from rlaif.runs.description import people_words
from rlaif.runs.reader import Run
from rlaif.runs.reviewed import ReviewedRun


def export_command(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    format_: Annotated[str, typer.Option("--format", help=f"{', '.join(FORMATS)}.")] = "trl",
    out: Annotated[Path | None, typer.Option(help="Folder to write to; by default inside the run directory.")] = None,
    certified: Annotated[
        bool, typer.Option("--certified", help="Only the pairs that the run's certificate keeps (rlaif certify).")
    ] = False,
    people: Annotated[
        bool,
        typer.Option("--people", help="People's labels instead of the critic's where they reviewed (rlaif review)."),
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
      rlaif export runs/first --people
    """
    if certified and people:
        raise UsageError("--certified and --people: a certificate is about the critic's labels; choose one of them")
    kind = CertifiedRun if certified else ReviewedRun if people else Run
    export_job(kind(run), format_, out, as_json=json_)


def export_job(run: Run, format_: str, out: Path | None, *, as_json: bool) -> None:
    """Write a dataset and print its folder."""
    known = [name for name in FORMATS if name == format_]
    if not known:
        raise UsageError(f"unknown format {format_!r}; choose one of {', '.join(FORMATS)}")
    folder = export(run, known[0], out)
    rows = exported_rows(folder)
    if not any(rows.values()):
        reason = "it has no revision" if format_ == "sft" else "none of its pairs has a label"
        print(
            f"! {folder} has no rows, because {run.path} has none: {reason}; see `rlaif show {run.path}`",
            file=sys.stderr,
        )
    if as_json:
        print(json.dumps({"folder": str(folder), "rows": rows}))
        return
    print(f"{folder}   ({', '.join(f'{name} {count}' for name, count in rows.items())})")
    if isinstance(run, ReviewedRun):
        print(f"people   {people_words(run.people)}")
