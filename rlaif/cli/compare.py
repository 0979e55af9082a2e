"""`rlaif compare`: what does swapping the rules change?"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rlaif.cli.console import replies_line, run_stoppable, stdout_console
from rlaif.cli.dry_run import simulated_config
from rlaif.cli.format import decimals, percent
from rlaif.cli.live import LiveScreen
from rlaif.cli.options import Json, count_given, run_settings
from rlaif.compare.comparability import KINDS
from rlaif.compare.comparing import Compared, compare_async
from rlaif.compare.comparison_schema import Comparison, Matrix
from rlaif.compare.config import CompareConfig, compare_config
from rlaif.compare.directory import read_spent
from rlaif.config.run import RunConfig
from rlaif.errors import UsageError
from rlaif.testing import SimulatedServer
from rlaif.text.wording import counted

_FLAGS: dict[tuple[str, ...], str] = {
    ("prompts", "path"): "prompts",
    ("sampling", "n"): "samples",
    ("judging", "principles"): "judging-principles",
}
"""Flags of `compare` whose names differ from the settings they change."""


def compare(  # noqa: PLR0913, PLR0917  (a command line's flags)
    sources: Annotated[list[str], typer.Argument(help="Constitutions or run directories, two or more.")],
    run: Annotated[Path | None, typer.Option(help="Run file with the settings for all of them.")] = None,
    out: Annotated[Path, typer.Option(help="Directory of the comparison.")] = Path("runs/comparison"),
    prompts: Annotated[str | None, typer.Option(help="JSONL, JSON, CSV, Parquet, hub dataset id, or `seed`.")] = None,
    policy: Annotated[str | None, typer.Option(help="MODEL to start, URL to ask, or MODEL@URL.")] = None,
    critic: Annotated[str | None, typer.Option(help="The same; the policy itself by default.")] = None,
    samples: Annotated[int | None, typer.Option(help="Responses per prompt.")] = None,
    limit: Annotated[int | None, typer.Option(help="Take only the first so many prompts.")] = None,
    judging_principles: Annotated[str | None, typer.Option(help="`all`, or how many are drawn per prompt.")] = None,
    min_margin: Annotated[float | None, typer.Option(help="Smallest distance of p from one half.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Reply store; `replies.sqlite` beside --out by default.")] = None,
    floor_prompts: Annotated[int, typer.Option(min=0, help="Prompts judged twice for the noise floor; 0: none.")] = 200,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="A simulated model, 8 prompts, nothing kept.")] = False,
    json_: Json = False,
) -> None:
    """What does swapping the rules change? Several rule sets over the same responses, all judging one pool.

    SOURCES are constitutions (shipped names or YAML files), or run directories that were made with them. The policy is
    sampled once; every rule set criticises and revises by itself; then all judge the same matchups, some of them
    twice to measure the judge's own noise. Started again, it resumes.

    \b
    Examples:
      rlaif compare harmlessness directness minimal --run examples/compare.yaml --out runs/cmp
      rlaif compare mine.yaml minimal --prompts my.jsonl --policy Qwen/Qwen3-8B --out runs/mine
      rlaif compare runs/first runs/second --out runs/both        # finished runs over the same prompts
      rlaif report runs/cmp --open
    """
    flags = {
        ("prompts", "path"): prompts,
        ("prompts", "limit"): limit,
        ("policy",): policy,
        ("critic",): critic,
        ("sampling", "n"): samples,
        ("judging", "principles"): count_given(judging_principles),
        ("judging", "min_margin"): min_margin,
        ("seed",): seed,
        ("cache",): str(cache) if cache else None,
    }
    given = {place: value for place, value in flags.items() if value is not None}
    settings = None
    if run is not None or ("policy",) in given or (dry_run and given):
        if run is not None and run.is_dir():
            raise UsageError(f"--run {run} is a directory; name finished runs among SOURCES, and a run file with --run")
        given |= {("constitution",): sources[0], ("out",): str(out)}
        settings = run_settings(run, given, dry_run=dry_run)
    elif given:
        named = ", ".join("--" + _FLAGS.get(place, place[-1].replace("_", "-")) for place in given)
        raise UsageError(f"{named}: give --run or --policy, too; without them the first run's own settings hold")
    compare_job(sources, settings, out, floor_prompts, dry_run=dry_run, as_json=json_)


FLIP_CAUSES_SHOWN = 3


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
    """Compare with a simulated model over a few prompts, print the cost, and keep nothing."""
    if not all(config.made_here(rules) for rules in config.rule_sets):
        raise UsageError("--dry-run asks a simulated model by constitutions; an existing run has responses of its own")
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
        screen.say("a dry run: the model is simulated, its responses are made up, nothing is kept")
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
            decimals(rules.texts.words, ".0f"),
            percent(rules.texts.refusals),
        )
    samples = found.samples
    table.add_row(
        "(the samples)", "", "", "", "", decimals(samples.words, ".0f"), percent(samples.refusals), style="dim"
    )
    return table


def _pairs(found: Comparison) -> Table:
    columns = ("two rule sets", "labels that flip", "beyond noise", "kappa", "rank correlation", "caused by")
    table = Table(*columns, box=SIMPLE_HEAD)
    for two in found.pairs:
        causes = [f"{c.rules}/{c.principle} {c.undone.value or 0:.0%}" for c in two.guilty[:FLIP_CAUSES_SHOWN]]
        table.add_row(
            f"{two.one} / {two.other}",
            percent(two.flips),
            percent(two.beyond_noise, signed=True) if two.beyond_noise else "not known",
            decimals(two.kappa),
            decimals(two.rank_correlation),
            "\n".join(causes) or "no principle alone",
        )
    return table


def _matrix(title: str, matrix: Matrix) -> Table:
    makers = [f"revisions by {maker}" for maker in matrix.makers]
    table = Table("", *makers, box=SIMPLE_HEAD, title=title, title_justify="left")
    for judge, cells in zip(matrix.judges, matrix.cells, strict=True):
        table.add_row(f"judged under {judge}", *(percent(cell) for cell in cells))
    return table
