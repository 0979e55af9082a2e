"""`rlaif report`: a run, a comparison or an evaluation of a policy as one HTML file."""

import json
import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from rlaif.cli.options import Json
from rlaif.compare.directory import SETTINGS
from rlaif.errors import UsageError
from rlaif.evaluate.output_files import EVALUATION
from rlaif.evaluate.policy.policy_report import PolicyEvaluation
from rlaif.report.comparison_page import write_comparison_report
from rlaif.report.html_page import refuse_to_overwrite
from rlaif.report.policy_page import write_policy_report
from rlaif.report.run_page import Written, write_run_report
from rlaif.runs.reader import Run


def report(
    run: Annotated[Path, typer.Argument(help="Directory of a run, a comparison, or an evaluation of a policy.")],
    out: Annotated[Path | None, typer.Option(help="File to write; by default report.html in that directory.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the web browser.")] = False,
    json_: Json = False,
) -> None:
    """Write one HTML file with counts, plots, warnings, and a browser of the traces.

    The file needs no network and no installation. For a run with more than 1,000 prompts it contains a sample of the
    traces; counts and plots always cover the whole run.

    \b
    Examples:
      rlaif report runs/first --open
      rlaif report runs/first --out first.html
      rlaif report runs/ev        # the results of `rlaif evaluate policy --out runs/ev`
    """
    report_job(run, out, open_it=open_, as_json=json_)


def report_job(path: Path, out: Path | None, *, open_it: bool, as_json: bool) -> None:
    """Write the report of a run, a comparison or a policy's evaluation, and print its path and size."""
    file = out or path / "report.html"
    if (path / EVALUATION).is_file():
        data, shown = _evaluation(path / EVALUATION, file)
    else:
        written = _traces(path, file)
        data, shown = written.model_dump_json(), _line(written)
    print(data if as_json else shown)
    if open_it and not webbrowser.open(file.resolve().as_uri()):
        print(f"no web browser could be started; open {file.resolve()} yourself")


def _evaluation(figures: Path, file: Path) -> tuple[str, str]:
    """Write the page of an evaluation; return the output as JSON and as text."""
    try:
        found = PolicyEvaluation.model_validate_json(figures.read_bytes())
    except ValidationError:
        raise UsageError(
            f"{figures}: this version of `rlaif evaluate policy` did not write it, and no other evaluation has a page"
        ) from None
    refuse_to_overwrite(file)
    size = write_policy_report(found, file)
    return json.dumps({"file": str(file), "bytes": size}), f"{file}   ({size / 1e6:.1f} MB)"


def _traces(path: Path, file: Path) -> Written:
    if (path / SETTINGS).is_file():
        refuse_to_overwrite(file)
        return write_comparison_report(path, file)
    run = Run(path)
    refuse_to_overwrite(file)
    return write_run_report(run, file)


def _line(written: Written) -> str:
    some = f"{written.traces_shown:,}" + (f" of {written.traces:,}" if written.traces_shown < written.traces else "")
    return f"{written.file}   ({written.bytes / 1e6:.1f} MB, {some} traces to browse)"
