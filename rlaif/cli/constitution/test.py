"""`rlaif constitution test`: a critic's accuracy on the labelled cases of a constitution."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from rlaif.cli.console import run_stoppable, stdout_console
from rlaif.cli.format import interval
from rlaif.cli.live import LiveScreen
from rlaif.cli.options import DEFAULT_CACHE, AllowPython, Json, connection_of, short_job
from rlaif.constitution.load import load_constitution
from rlaif.evaluate.case_report import UNANSWERED, CaseReport, Score
from rlaif.evaluate.case_test import CaseTest, refuse_without_cases, run_cases
from rlaif.preferences.position import PositionBias
from rlaif.templates import Templates


def constitution_test(
    name: Annotated[str, typer.Argument(help="Shipped name or YAML file.")],
    critic: Annotated[str, typer.Option(help="MODEL to start here, URL of a server, or MODEL@URL.")],
    cache: Annotated[Path | None, typer.Option(help="Reply store; runs/replies.sqlite by default.")] = None,
    allow_python: AllowPython = None,
    json_: Json = False,
) -> None:
    """Test a critic on the labelled cases of every principle, in both orders; show which principles it misjudges.

    Accuracy excludes ties, unreadable verdicts and verdicts that depend on the order, which are counted separately.
    Replies are kept in the reply store, so that the same test asks nothing again. The exit code does not depend on
    the verdicts.

    \b
    Examples:
      rlaif constitution test honesty --critic http://127.0.0.1:8000/v1
      rlaif constitution test mine.yaml --critic Qwen/Qwen3-8B --json
    """
    constitution = load_constitution(name)
    refuse_without_cases(constitution)
    store = cache or DEFAULT_CACHE
    test = CaseTest(constitution, short_job(connection_of(critic)), store, store.parent / "logs", Templates())
    with LiveScreen(quiet=json_) as screen:
        report = run_stoppable(lambda: run_cases(test, screen), say=screen.say)
    if json_:
        print(report.model_dump_json())
    else:
        _print_report(report, stdout_console())


HEADER = [
    *("principle", "cases", "right", "wrong", "neither", "accuracy (95 %)", "p(better)", "orders agree"),
    "label mass",
]


def _print_report(report: CaseReport, console: Console) -> None:
    """Print one row per principle, the totals, and the findings."""
    console.print(
        Text(f"{report.constitution} v{report.version}  {report.hash}", style="bold").append(
            f"  critic {report.critic}", style="not bold"
        )
    )
    rows = [HEADER, *([one.principle, *_cells(one.score)] for one in report.principles)]
    all_asked = "all without checks" if report.programs.cases else "all"
    rows += [[all_asked, *_cells(report.overall)]] if report.overall.cases else []
    styles = {True: "green", False: "bold yellow", None: "dim"}
    verdicts = [Text(one.verdict, style=styles[one.understood]) for one in report.principles]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row, verdict in zip(rows, [Text(), *verdicts, Text()], strict=False):
        name, *figures = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        console.print(Text("  ".join([name.strip().ljust(widths[0]), *figures, ""])).append(verdict))
    for line in _below(report):
        console.print(line, markup=False)
    for finding in report.findings:
        console.print(Text(f"! {finding}", style="bold yellow"))
    if not report.findings and report.overall.cases:
        console.print(f"{report.overall.cases} cases show nothing against this critic", markup=False)


def _cells(score: Score) -> list[str]:
    return [
        str(score.cases),
        str(score.count("right")),
        str(score.count("wrong")),
        str(score.unanswered),
        interval(score.accuracy),
        "" if score.p_better is None else f"{score.p_better:.2f}",
        "" if score.order_agreement is None else f"{score.order_agreement:.0%}",
        "" if score.label_mass is None else f"{score.label_mass:.0%}",
    ]


def _below(report: CaseReport) -> Iterator[str]:
    overall, programs = report.overall, report.programs
    if overall.cases:
        neither = [f"{outcome} {overall.count(outcome)}" for outcome in UNANSWERED if overall.count(outcome)]
        asked = " asked of the critic" if programs.cases else ""
        counts = f"{overall.count('right')} right + {overall.count('wrong')} wrong + {overall.unanswered} neither"
        yield f"{overall.cases} cases{asked} = {counts}" + (f" ({', '.join(neither)})" if neither else "")
        yield _bias(report.position_bias)
    if programs.cases:
        yield f"decided by checks: {programs.cases} cases, of these {programs.count('right')} right"
    if errors := [result.error for result in report.results if result.error]:
        yield f"first failed request: {errors[0]}"
    if report.untested:
        yield f"without cases: {', '.join(report.untested)}"


def _bias(bias: PositionBias) -> str:
    if bias.overall is None:
        return "position bias: too few cases to measure it; verdicts are not corrected"
    shown = "first" if bias.overall > 0 else "second"
    return f"position bias: {abs(bias.overall):.2f} logits for the response shown {shown}; subtracted from each verdict"
