"""`rlaif compare`: the table at the end."""

import tempfile
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rlaif.compare.comparison import Comparison, Matrix
from rlaif.compare.config import CompareConfig, compare_config
from rlaif.compare.job import Compared, compare_async, read_spent
from rlaif.compare.words import KINDS
from rlaif.config import RunConfig
from rlaif.errors import UsageError
from rlaif.intervals import Figure
from rlaif.models.simulated import SimulatedServer
from rlaif.screen import counted, replies_line, stdout_console
from rlaif.screen.jobs import run_stoppable, simulated_config
from rlaif.screen.live import LiveScreen

GUILTY_SHOWN = 3


def compare_job(
    sources: list[str], settings: RunConfig | None, out: Path, floor_prompts: int, *, dry_run: bool, as_json: bool
) -> None:
    """Make or finish a comparison and print what came out."""
    config = compare_config(sources, settings, str(out), floor_prompts)
    if dry_run:
        _dry_run(sources, config, as_json=as_json)
        return
    with LiveScreen(quiet=as_json) as screen:
        done = run_stoppable(lambda: compare_async(config, screen=screen))
    if as_json:
        print(done.comparison.model_dump_json())
    else:
        print_comparison(done.path, done.comparison, stdout_console())


def _dry_run(sources: list[str], config: CompareConfig, *, as_json: bool) -> None:
    """Compare a few prompts' answers of a simulated model, print what it would cost, and keep nothing."""
    if not all(config.made_here(rules) for rules in config.rule_sets):
        raise UsageError("--dry-run asks a simulated model by constitutions; a run that exists has answers of its own")
    with tempfile.TemporaryDirectory(prefix="rlaif-dry-run-") as folder, LiveScreen(quiet=as_json) as screen:

        async def compare_simulated() -> Compared:
            async with SimulatedServer() as server:
                settings = simulated_config(config.run, server, Path(folder))
                tried = compare_config(sources, settings, str(Path(folder) / "run"), config.floor_prompts)
                return await compare_async(tried, screen=screen)

        done = run_stoppable(compare_simulated)
        if as_json:
            print(done.comparison.model_dump_json())
            return
        screen.say("a dry run: the model is simulated, its answers are made up, nothing is kept")
        spent = read_spent(done.path).values()
    asked = sum(session.get("replies", 0) - session.get("from_store", 0) for session in spent)
    found = done.comparison
    print(f"{counted(found.prompts, 'prompt')}, {counted(found.matchups, 'matchup')}")
    print(replies_line(asked, found.prompts))


def print_comparison(path: Path, found: Comparison, console: Console) -> None:
    """Print a comparison in a few short tables."""
    kinds = " + ".join(f"{count:,} {KINDS[kind]}" for kind, count in found.matchups_by_kind.items())
    console.print(
        f"{counted(found.prompts, 'prompt')} · {counted(found.matchups, 'matchup')} = {kinds} "
        f"({found.identical} more left out as identical) · noise floor from "
        f"{counted(found.judged_twice, 'prompt')} · intervals 95 %, over prompts",
        markup=False,
    )
    tables = [_rule_sets(found), _pairs(found)]
    tables.append(_matrix("how often a revision beats its sample (mean probability)", found.over_parent))
    if any(cell.value is not None for row in found.rivals.cells for cell in row):
        tables.append(_matrix("how often a revision beats the other rule sets' revisions", found.rivals))
    for table in tables:
        for column in table.columns:  # on a narrow terminal: a figure cut short is another figure
            column.overflow = "fold"
        console.print(table)
    for warning in found.warnings:
        console.print(Text(f"! {warning}", style="bold yellow"))
    console.print(f"figures  {path / 'comparison.json'}, matchups.parquet, principles.parquet", markup=False)
    console.print(f"next     rlaif report {path}", markup=False)


def _rule_sets(found: Comparison) -> Table:
    columns = ("rule set", "labelled", "flips on asking again", "orders agree", "label mass", "words", "refuses")
    table = Table(*columns, box=SIMPLE_HEAD)
    for rules in found.rule_sets:
        table.add_row(
            rules.name,
            percent(rules.labelled),
            percent(rules.noise_floor) if rules.noise_floor else "not asked",
            percent(rules.order_agreement),
            percent(rules.label_mass),
            number(rules.texts.words),
            percent(rules.texts.refusals),
        )
    samples = found.samples
    table.add_row("(the samples)", "", "", "", "", number(samples.words), percent(samples.refusals), style="dim")
    return table


def _pairs(found: Comparison) -> Table:
    columns = ("two rule sets", "labels that flip", "beyond noise", "kappa", "rank correlation", "made by")
    table = Table(*columns, box=SIMPLE_HEAD)
    for two in found.pairs:
        guilty = [f"{g.rules}/{g.principle} {g.undone.value or 0:.0%}" for g in two.guilty[:GUILTY_SHOWN]]
        table.add_row(
            f"{two.one} / {two.other}",
            percent(two.flips),
            percent(two.beyond_noise, signed=True) if two.beyond_noise else "not known",
            decimals(two.kappa),
            decimals(two.rank_correlation),
            "\n".join(guilty) or "no principle alone",
        )
    return table


def _matrix(title: str, matrix: Matrix) -> Table:
    makers = [f"revisions by {maker}" for maker in matrix.makers]
    table = Table("", *makers, box=SIMPLE_HEAD, title=title, title_justify="left")
    for judge, cells in zip(matrix.judges, matrix.cells, strict=True):
        table.add_row(f"judged under {judge}", *(percent(cell) for cell in cells))
    return table


def percent(figure: Figure, *, signed: bool = False) -> str:
    """Return a share with its interval, such as `30 % (21–40)`."""
    if figure.value is None:
        return "–"
    sign = "+" if signed else ""
    ends = "" if figure.low is None or figure.high is None else f" ({_whole(figure.low)} to {_whole(figure.high)})"
    return f"{figure.value * 100:{sign}.0f} %{ends}"


def decimals(figure: Figure) -> str:
    """Return a coefficient with its interval, such as `0.41 (0.20 to 0.58)`."""
    if figure.value is None:
        return "–"
    return f"{figure.value:.2f}{figure.ends('.2f')}"


def number(figure: Figure) -> str:
    """Return a mean with its interval, such as `83 (71 to 96)`."""
    if figure.value is None:
        return "–"
    return f"{figure.value:.0f}{figure.ends('.0f')}"


def _whole(share: float) -> str:
    return f"{share * 100:.0f}"
