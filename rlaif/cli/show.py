"""`rlaif show`: print a run's summary and prompts, or one prompt's whole trace."""

import json
from pathlib import Path
from typing import Annotated

import typer

from rlaif.cli.console import stdout_console
from rlaif.cli.options import Json
from rlaif.cli.results import certificate_lines, exported_rows, json_summary, judge_lines, review_lines
from rlaif.cli.trace import print_overview, print_trace
from rlaif.runs.description import given_lines, summary_lines
from rlaif.runs.reader import Run
from rlaif.runs.summary import summarise


def show(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    prompt_id: Annotated[str | None, typer.Argument(help="Show the whole trace of this prompt.")] = None,
    json_: Json = False,
) -> None:
    """Show a run's summary and prompts, or one prompt's whole trace.

    \b
    Examples:
      rlaif show runs/first
      rlaif show runs/first ordinary-bread-too-dense
      rlaif show runs/first ordinary-bread-too-dense --json
    """
    show_job(run, prompt_id, as_json=json_)


def show_job(path: Path, prompt_id: str | None, *, as_json: bool) -> None:
    """Print a run's overview or one trace."""
    run = Run(path)
    console = stdout_console()
    if prompt_id is None and as_json:
        print(json_summary(run, summarise(run), exported_rows(run.path / "dataset")))
    elif prompt_id is None:
        summary = summarise(run)
        lines = (*given_lines(summary), *summary_lines(summary), *judge_lines(summary))
        for line in (*lines, *certificate_lines(run), *review_lines(run)):
            console.print(line, markup=False)
        print_overview(run, console)
    elif as_json:
        trace = run.trace(prompt_id)
        conclusion = run.conclude(trace)
        print(json.dumps({"trace": trace.model_dump(mode="json"), "conclusion": conclusion.model_dump(mode="json")}))
    else:
        print_trace(run, run.trace(prompt_id), console)
