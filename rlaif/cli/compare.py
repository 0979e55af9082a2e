"""`rlaif compare`: what changes in labels and revisions when the constitution changes."""

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
from rlaif.cli.format import OVER_PROMPTS, decimals, percent
from rlaif.cli.live import LiveScreen
from rlaif.cli.options import AllowPython, Json, SetValues, count_given
from rlaif.cli.run_settings import run_settings
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
    run: Annotated[
        Path | None, typer.Option("--run", "--config", help="Run file with the settings of all rule sets.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Directory to write the comparison to.")] = Path("runs/comparison"),
    prompts: Annotated[str | None, typer.Option(help="JSONL, JSON, CSV, Parquet, hub dataset id, or `seed`.")] = None,
    policy: Annotated[str | None, typer.Option(help="MODEL to start here, URL of a server, or MODEL@URL.")] = None,
    critic: Annotated[str | None, typer.Option(help="As for --policy; by default the policy itself.")] = None,
    samples: Annotated[int | None, typer.Option(help="Responses per prompt.")] = None,
    limit: Annotated[int | None, typer.Option(help="Use only the first LIMIT prompts.")] = None,
    judging_principles: Annotated[str | None, typer.Option(help="`all`, or the number drawn per prompt.")] = None,
    min_margin: Annotated[float | None, typer.Option(help="Smallest |p - 0.5| that gives a label.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Reply store; `replies.sqlite` beside --out by default.")] = None,
    floor_prompts: Annotated[
        int, typer.Option(min=0, help="Prompts to judge twice, for the noise floor; 0: none.")
    ] = 200,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Try it with a simulated model on 8 prompts; keep nothing.")
    ] = False,
    set_values: SetValues = None,
    allow_python: AllowPython = None,
    json_: Json = False,
) -> None:
    """Compare constitutions: each revises the same responses, then all of them judge the same pool of matchups.

    SOURCES are constitutions (shipped names or YAML files), or run directories that were made with them. The policy is
    sampled once. Each rule set makes its own critiques and revisions. Then all rule sets judge the same matchups, some
    of them twice to measure the judge's own noise. The same command continues a comparison that was stopped.

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
            raise UsageError(f"--run {run} is a directory; give finished runs as SOURCES, and a run file with --run")
        given |= {("constitution",): sources[0], ("out",): str(out)}
        settings = run_settings(run, given, dry_run=dry_run, set_values=set_values)
    elif given or set_values:
        flags_given = ["--" + _FLAGS.get(place, place[-1].replace("_", "-")) for place in given]
        named = ", ".join([*flags_given, *(["--set"] if set_values else [])])
        raise UsageError(f"{named}: also give --run or --policy; without them, the settings of the first run are used")
    compare_job(sources, settings, out, floor_prompts, dry_run=dry_run, as_json=json_)


FLIP_CAUSES_SHOWN = 3


def compare_job(
    sources: list[str], settings: RunConfig | None, out: Path, floor_prompts: int, *, dry_run: bool, as_json: bool
) -> None:
    """Make or finish a comparison and print its metrics."""
    config = compare_config(sources, settings, str(out), floor_prompts)
    if dry_run:
        _dry_run(sources, config, as_json=as_json)
        return
    with LiveScreen(quiet=as_json) as screen:
        done = run_stoppable(lambda: compare_async(config, screen=screen), say=screen.say)
    if as_json:
        print(done.comparison.model_dump_json())
    else:
        print_comparison(done.path, done.comparison, stdout_console())


def _dry_run(sources: list[str], config: CompareConfig, *, as_json: bool) -> None:
    """Compare with a simulated model over a few prompts, print the cost, and keep nothing."""
    if not all(config.made_here(rules) for rules in config.rule_sets):
        raise UsageError("--dry-run works with constitutions only; an existing run already has its responses")
    with tempfile.TemporaryDirectory(prefix="rlaif-dry-run-") as folder, LiveScreen(quiet=as_json) as screen:

        async def compare_simulated() -> Compared:
            async with SimulatedServer() as server:
                settings = simulated_config(config.run, server, Path(folder))
                simulated = compare_config(sources, settings, str(Path(folder) / "run"), config.floor_prompts)
                return await compare_async(simulated, screen=screen)

        done = run_stoppable(compare_simulated)
        if as_json:
            print(done.comparison.model_dump_json())
            return
        screen.say("dry run: the model is simulated, its responses mean nothing, and nothing is kept")
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
        f"({found.identical} more left out: both responses identical) · noise floor from "
        f"{counted(found.judged_twice, 'prompt')} · {OVER_PROMPTS} · refusals by rules for English",
        markup=False,
    )
    tables = [_rule_sets(found), _pairs(found)]
    tables.append(_matrix("how often a revision beats its sample (mean probability)", found.over_parent))
    if any(cell.value is not None for row in found.rivals.cells for cell in row):
        tables.append(_matrix("how often a revision beats the other rule sets' revisions", found.rivals))
    for table in tables:
        for column in table.columns:  # fold on a narrow terminal: a truncated number would be a wrong number
            column.overflow = "fold"
        console.print(table)
    for warning in found.warnings:
        console.print(Text(f"! {warning}", style="bold yellow"))
    console.print(f"figures  {path / 'comparison.json'}, matchups.parquet, principles.parquet", markup=False)
    console.print(f"next     rlaif report {path}", markup=False)


def _rule_sets(found: Comparison) -> Table:
    columns = ("rule set", "labelled", "flips when asked again", "orders agree", "label mass", "words", "refuses")
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
