"""`rlaif evaluate verdicts`: measure verdicts from another source."""

from pathlib import Path
from typing import Annotated, cast

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from rlaif.cli.console import plain, stdout_console
from rlaif.cli.format import OVER_ITEMS, interval
from rlaif.cli.options import Json, columns_of
from rlaif.errors import UsageError
from rlaif.evaluate.collected_verdicts import Names, VerdictReport, evaluate_verdicts, read_verdicts
from rlaif.evaluate.output_files import check_verdicts_file, write_verdict_report
from rlaif.stats.estimates import Estimate


def verdicts_command(
    file: Annotated[Path, typer.Argument(help="Verdicts: JSONL, JSON or CSV (each also .gz), or Parquet.")],
    by: Annotated[list[str] | None, typer.Option(help="Also group by this column; can be given several times.")] = None,
    column: Annotated[list[str] | None, typer.Option(help="FIELD=NAME, such as winner_original=first_pass.")] = None,
    names: Annotated[
        str, typer.Option(help="What a winner of 1 means: `answer` (response 1) or `position` (shown first).")
    ] = "answer",
    out: Annotated[Path | None, typer.Option(help="File to write: .csv, .parquet or .json.")] = None,
    json_: Json = False,
) -> None:
    """Measure verdicts from another source: order agreement, accuracy, share of the first position, abstentions.

    One row per item: label (1 or 2), winner_original (response 1 shown first) and winner_swapped (response 2 shown
    first), each 1, 2, tie or null. Optional: p_original and p_swapped (probability that response 1 is better), judge,
    strategy, subset and idx. Ties and unreadable verdicts are counted separately. No model is asked.

    \b
    Examples:
      rlaif evaluate verdicts verdicts.jsonl.gz
      rlaif evaluate verdicts verdicts.jsonl --by subset --out figures.csv
      rlaif evaluate verdicts mine.csv --column winner_original=ab --column winner_swapped=ba --names position --json
    """
    if names not in {"answer", "position"}:
        raise UsageError(f"--names {names}: must be answer or position")
    if out is not None:
        check_verdicts_file(out, file)
    grouped = by or []
    report = evaluate_verdicts(str(file), read_verdicts(file, columns_of(column), grouped, cast(Names, names)), grouped)
    if out is not None:
        write_verdict_report(out, report)
    if json_:
        print(report.model_dump_json())
        return
    print_verdicts(report, stdout_console())
    if out is not None:
        print(f"figures  {out}")


COLUMNS = {
    "orders agree": "order_agreement",
    "right": "accuracy",
    "right, original": "accuracy_original",
    "right, swapped": "accuracy_swapped",
    "right where agreed": "accuracy_agreed",
    "agreed": "agreed",
    "shown first": "first",
    "unreadable": "unreadable",
    "ties": "ties",
}
"""Maps a column's heading to the metric in it."""


def print_verdicts(report: VerdictReport, console: Console) -> None:
    """Print one row per group, and what the columns are measured on."""
    console.print(
        f"{report.file}: {report.rows:,} rows, each judged in both orders · {OVER_ITEMS}",
        markup=False,
    )
    table = Table("judge", "strategy", box=SIMPLE_HEAD)
    for column in report.by:
        table.add_column(plain(column))
    for heading in ("n", *COLUMNS):
        table.add_column(heading, justify="right")
    briers = any(group.brier.value is not None for group in report.groups)
    if briers:
        table.add_column("Brier", justify="right")
    for group in report.groups:
        names = map(plain, (group.judge, group.strategy, *group.by.values()))
        shares = [interval(getattr(group, metric)) for metric in COLUMNS.values()]
        table.add_row(*names, str(group.rows), *shares, *([brier(group.brier)] if briers else []))
    console.print(table)
    for line in _below(report):
        console.print(line, markup=False)


def brier(estimate: Estimate) -> str:
    """Return a Brier score with its interval, such as `0.18 (0.15–0.21)`; a dash where there is none."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "–" if estimate.value is None else f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} ({estimate.low:.2f}–{estimate.high:.2f})"


def _below(report: VerdictReport) -> list[str]:
    shares = [group.baselines.first_original.value for group in report.groups]
    known = [share for share in shares if share is not None]
    lines = [
        "orders agree, right, shown first: shares of the verdicts that name a winner; ties and unreadable verdicts are "
        "neither right nor wrong",
        "agreed: share of all rows whose two orders name the same response",
    ]
    if known:
        spread = f"{min(known):.0%}" if max(known) - min(known) < 0.005 else f"{min(known):.0%} to {max(known):.0%}"
        lines.append(
            f'baselines: "the response shown first wins" is right in {spread} in the original order and in 50% over '
            "both orders; a coin is right in 50%, and its orders agree in 50%"
        )
    unlabelled = sum(group.unlabelled for group in report.groups)
    if unlabelled:
        lines.append(f"{unlabelled:,} rows have no label: they count only for order agreement")
    return lines
