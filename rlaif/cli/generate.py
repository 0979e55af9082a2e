"""`rlaif generate`: make a preference dataset, or continue one."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from rlaif.cli.console import replies_line, run_stoppable
from rlaif.cli.dry_run import simulated_config
from rlaif.cli.live import LiveScreen
from rlaif.cli.options import AllowPython, Constitution, Json, SetValues, columns_given, count_given
from rlaif.cli.results import exported_rows, json_summary, judge_lines, print_summary
from rlaif.cli.run_settings import one_source, run_settings
from rlaif.config.run import RunConfig
from rlaif.constitution.load import load_constitution
from rlaif.evaluate.gate import gate_of
from rlaif.generation import generate_async
from rlaif.runs.description import given_lines, summary_lines
from rlaif.runs.reader import Run
from rlaif.runs.summary import Summary, summarise
from rlaif.testing import SimulatedServer


def generate(  # noqa: PLR0913, PLR0917  (a command line's flags)
    source: Annotated[Path | None, typer.Argument(help="Run file or run directory.")] = None,
    constitution: Constitution = None,
    prompts: Annotated[str | None, typer.Option(help="JSONL, JSON, CSV, Parquet, hub dataset id, or `seed`.")] = None,
    policy: Annotated[str | None, typer.Option(help="MODEL to start here, URL of a server, or MODEL@URL.")] = None,
    critic: Annotated[str | None, typer.Option(help="As for --policy; by default the policy itself.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run directory.")] = None,
    samples: Annotated[int | None, typer.Option(help="Responses per prompt.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Sampling temperature of the responses.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longest response or revision, in tokens.")] = None,
    rounds: Annotated[int | None, typer.Option(help="Rounds of critique and revision.")] = None,
    judge: Annotated[list[str] | None, typer.Option(help="Kind of judge; give several for a panel.")] = None,
    judging_principles: Annotated[str | None, typer.Option(help="`all`, or the number drawn per prompt.")] = None,
    select: Annotated[str | None, typer.Option(help="best-vs-worst, best-vs-random or revision-vs-parent.")] = None,
    min_margin: Annotated[float | None, typer.Option(help="Smallest |p - 0.5| that gives a label.")] = None,
    shortcuts: Annotated[
        str | None,
        typer.Option(help="`run` or a shortcuts.json: subtract what surface features are worth to the judges."),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Use only the first LIMIT prompts.")] = None,
    max_pairs: Annotated[int | None, typer.Option(help="Stop at exactly so many pairs.")] = None,
    max_total_tokens: Annotated[
        int | None, typer.Option(help="Start no prompt beyond so many prompt and generated tokens, of this start.")
    ] = None,
    max_hours: Annotated[
        float | None, typer.Option(help="Start no prompt that would not be finished by then, in this start.")
    ] = None,
    column: Annotated[list[str] | None, typer.Option(help="FIELD=NAME, such as prompt=instruction.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Reply store; `replies.sqlite` beside the run by default.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Try it with a simulated model on 8 prompts; keep nothing.")
    ] = False,
    config_file: Annotated[Path | None, typer.Option("--config", help="The same as SOURCE.")] = None,
    set_values: SetValues = None,
    allow_python: AllowPython = None,
    json_: Json = False,
) -> None:
    """Make a preference dataset: sample, criticise, revise, judge in both orders, pair.

    SOURCE is a run file (YAML) or a run directory to continue. Flags override the run file, and --set any setting
    of it. Without --policy, the server that the environment variable OPENAI_BASE_URL names is used, if it is set;
    MODEL@OPENAI_BASE_URL names a model there.

    \b
    Examples:
      rlaif generate examples/demo.yaml
      rlaif generate --constitution harmlessness --prompts my.jsonl --policy Qwen/Qwen3-8B \\
                     --critic http://127.0.0.1:8000/v1 --samples 4 --out runs/first
      rlaif generate runs/first                      # continues where it was stopped
      rlaif generate RUN.yaml --max-pairs 1000 --max-hours 8       # what is reached first; continues likewise
      rlaif generate examples/demo.yaml --constitution honesty --out runs/second
      rlaif generate --config examples/demo.yaml --set sampling.top_k=20 --set critic.timeout_s=60
      rlaif generate examples/demo.yaml --dry-run    # uses a simulated model and keeps nothing
    """
    flags = {
        ("constitution",): constitution,
        ("prompts", "path"): prompts,
        ("prompts", "limit"): limit,
        ("prompts", "columns"): columns_given(column),
        ("policy",): policy,
        ("critic",): critic,
        ("out",): str(out) if out else None,
        ("sampling", "n"): samples,
        ("sampling", "temperature"): temperature,
        ("sampling", "max_tokens"): max_tokens,
        ("revision", "max_tokens"): max_tokens,
        ("revision", "rounds"): rounds,
        ("judging", "judges"): judge or None,
        ("judging", "principles"): count_given(judging_principles),
        ("judging", "min_margin"): min_margin,
        ("judging", "shortcuts"): shortcuts,
        ("pairs", "select"): select,
        ("max_pairs",): max_pairs,
        ("max_total_tokens",): max_total_tokens,
        ("max_minutes",): None if max_hours is None else max_hours * 60,
        ("seed",): seed,
        ("cache",): str(cache) if cache else None,
    }
    config = run_settings(
        one_source(source, config_file),
        {place: value for place, value in flags.items() if value is not None},
        dry_run=dry_run,
        set_values=set_values,
    )
    (dry_run_job if dry_run else generate_job)(config, as_json=json_)


def generate_job(config: RunConfig, *, as_json: bool) -> None:
    """Make or finish a run and print its summary."""
    if config.private:
        os.umask(0o077)
    with LiveScreen(quiet=as_json) as screen:
        run = run_stoppable(lambda: generate_async(config, screen=screen, make_gate=gate_of), say=screen.say)
    summary = Summary.model_validate_json((run.path / "summary.json").read_bytes())
    rows = exported_rows(run.path / "dataset")
    if as_json:
        print(json_summary(run, summary, rows))
    else:
        print_summary(run, summary, rows)


def dry_run_job(config: RunConfig, *, as_json: bool) -> None:
    """Run a few prompts against a simulated model, print the summary and the cost, and keep nothing.

    The gate does not measure the simulated critic, but is refused where it has too few labelled pairs for any.
    """
    gate_of(config, load_constitution(config.constitution))
    with tempfile.TemporaryDirectory(prefix="rlaif-dry-run-") as folder, LiveScreen(quiet=as_json) as screen:
        run = run_stoppable(lambda: _simulated(config, Path(folder), screen), say=screen.say)
        summary = summarise(run)
        if as_json:
            print(json_summary(run, summary, {}))
            return
        what = "labels" if config.responses else "responses"
        screen.say(f"dry run: the model is simulated, its {what} mean nothing, and nothing is kept")
        for line in (*given_lines(summary), *summary_lines(summary), *judge_lines(summary)):
            print(line)
        print(replies_line(summary.usage.requests, summary.traces))


async def _simulated(config: RunConfig, folder: Path, screen: LiveScreen) -> Run:
    async with SimulatedServer() as server:
        return await generate_async(simulated_config(config, server, folder), screen=screen)
