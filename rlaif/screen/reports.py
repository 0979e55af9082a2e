"""`rlaif report`: one HTML file out of a run or a comparison."""

import webbrowser
from pathlib import Path

from rlaif.compare.job import SETTINGS
from rlaif.report.comparison_page import write_comparison_report
from rlaif.report.page import refuse_strangers
from rlaif.report.run_page import Written, write_run_report
from rlaif.runs.run import Run


def report_job(path: Path, out: Path | None, *, open_it: bool, as_json: bool) -> None:
    """Write the report of a run or a comparison, and say where it is."""
    file = out or path / "report.html"
    if (path / SETTINGS).is_file():
        refuse_strangers(file)
        written = write_comparison_report(path, file)
    else:
        run = Run(path)
        refuse_strangers(file)
        written = write_run_report(run, file)
    print(written.model_dump_json() if as_json else _line(written))
    if open_it and not webbrowser.open(file.resolve().as_uri()):
        print(f"no browser could be started; open {file.resolve()} by hand")


def _line(written: Written) -> str:
    some = f"{written.traces_shown:,}" + (f" of {written.traces:,}" if written.traces_shown < written.traces else "")
    return f"{written.file}   ({written.bytes / 1e6:.1f} MB, {some} traces to browse)"
