"""The command line: parse, load the configuration, call one function, print. Everything heavy is imported inside."""

import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from rlaif.cli_constitution import Json, constitution_app
from rlaif.cli_evaluate_policy import evaluate_app
from rlaif.cli_train import train_app
from rlaif.errors import ConfigError, RlaifError, UsageError

if TYPE_CHECKING:
    from rlaif.config import RunConfig

app = typer.Typer(
    name="rlaif",
    help="Constitutional AI / RLAIF preference data, from rules to a trained model, that people can trust.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(constitution_app, name="constitution")
app.add_typer(evaluate_app, name="evaluate")
app.add_typer(train_app, name="train")

INTERRUPTED = 130
"""Typer's exit code for Ctrl-C."""

GENERATE_HELP = """Make a preference dataset: sample, criticise, revise, judge in both orders, pair.

SOURCE is a run file (YAML) or a run directory to go on with. Flags override the run file.

\b
Examples:
  rlaif generate examples/demo.yaml
  rlaif generate --constitution harmlessness --prompts my.jsonl --policy Qwen/Qwen3-8B \\
                 --critic http://127.0.0.1:8000/v1 --samples 4 --out runs/first
  rlaif generate runs/first                      # goes on where it was stopped
  rlaif generate examples/demo.yaml --constitution honesty --out runs/second
  rlaif generate examples/demo.yaml --dry-run    # a simulated model, nothing kept
"""


@app.command(help=GENERATE_HELP)
def generate(  # noqa: D103, PLR0913, PLR0917  (its help stands above)
    source: Annotated[Path | None, typer.Argument(help="Run file or run directory.")] = None,
    constitution: Annotated[str | None, typer.Option(help="Shipped name or YAML file.")] = None,
    prompts: Annotated[str | None, typer.Option(help="JSONL, JSON, CSV, Parquet, hub dataset id, or `seed`.")] = None,
    policy: Annotated[str | None, typer.Option(help="MODEL to start, URL to ask, or MODEL@URL.")] = None,
    critic: Annotated[str | None, typer.Option(help="The same; the policy itself by default.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run directory.")] = None,
    samples: Annotated[int | None, typer.Option(help="Answers to each prompt.")] = None,
    temperature: Annotated[float | None, typer.Option(help="Of the policy's answers.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longest answer and revision, in tokens.")] = None,
    rounds: Annotated[int | None, typer.Option(help="Rounds of critique and revision.")] = None,
    judge: Annotated[list[str] | None, typer.Option(help="Kind of judge; give several for a panel.")] = None,
    judging_principles: Annotated[str | None, typer.Option(help="`all`, or how many are drawn per prompt.")] = None,
    select: Annotated[str | None, typer.Option(help="best-vs-worst, best-vs-random or revision-vs-parent.")] = None,
    min_margin: Annotated[float | None, typer.Option(help="Smallest distance of p from one half.")] = None,
    limit: Annotated[int | None, typer.Option(help="Take only the first so many prompts.")] = None,
    column: Annotated[list[str] | None, typer.Option(help="FIELD=NAME, such as prompt=instruction.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Reply store; `replies.sqlite` beside the run by default.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="A simulated model, 8 prompts, nothing kept.")] = False,
    json_: Json = False,
) -> None:
    flags = {
        ("constitution",): constitution,
        ("prompts", "path"): prompts,
        ("prompts", "limit"): limit,
        ("prompts", "columns"): _columns(column),
        ("policy",): policy,
        ("critic",): critic,
        ("out",): str(out) if out else None,
        ("sampling", "n"): samples,
        ("sampling", "temperature"): temperature,
        ("sampling", "max_tokens"): max_tokens,
        ("revision", "max_tokens"): max_tokens,
        ("revision", "rounds"): rounds,
        ("judging", "judges"): judge or None,
        ("judging", "principles"): _count(judging_principles),
        ("judging", "min_margin"): min_margin,
        ("pairs", "select"): select,
        ("seed",): seed,
        ("cache",): str(cache) if cache else None,
    }
    config = _run_config(source, {place: value for place, value in flags.items() if value is not None}, dry_run=dry_run)
    from rlaif.screen.jobs import dry_run_job, generate_job  # noqa: PLC0415

    (dry_run_job if dry_run else generate_job)(config, as_json=json_)


_FLAGS: dict[tuple[str, ...], str] = {
    ("prompts", "path"): "prompts",
    ("sampling", "n"): "samples",
    ("judging", "principles"): "judging-principles",
}
"""Flags of `compare` that are called otherwise than what they set."""

COMPARE_HELP = """What does swapping the rules change? Several rule sets over the same answers, all judging one pool.

SOURCES are constitutions (shipped names or YAML files), or run directories that were made with them. The policy is
sampled once; every rule set criticises and revises its own way; then all judge the same matchups, some of them twice
to measure the judge's own noise. Started again, it goes on where it was stopped.

\b
Examples:
  rlaif compare harmlessness directness minimal --run examples/compare.yaml --out runs/cmp
  rlaif compare mine.yaml minimal --prompts my.jsonl --policy Qwen/Qwen3-8B --out runs/mine
  rlaif compare runs/first runs/second --out runs/both        # finished runs over the same prompts
  rlaif report runs/cmp --open
"""


@app.command(help=COMPARE_HELP)
def compare(  # noqa: D103, PLR0913, PLR0917  (its help stands above)
    sources: Annotated[list[str], typer.Argument(help="Constitutions or run directories, two or more.")],
    run: Annotated[Path | None, typer.Option(help="Run file with the settings for all of them.")] = None,
    out: Annotated[Path, typer.Option(help="Directory of the comparison.")] = Path("runs/comparison"),
    prompts: Annotated[str | None, typer.Option(help="JSONL, JSON, CSV, Parquet, hub dataset id, or `seed`.")] = None,
    policy: Annotated[str | None, typer.Option(help="MODEL to start, URL to ask, or MODEL@URL.")] = None,
    critic: Annotated[str | None, typer.Option(help="The same; the policy itself by default.")] = None,
    samples: Annotated[int | None, typer.Option(help="Answers to each prompt.")] = None,
    limit: Annotated[int | None, typer.Option(help="Take only the first so many prompts.")] = None,
    judging_principles: Annotated[str | None, typer.Option(help="`all`, or how many are drawn per prompt.")] = None,
    min_margin: Annotated[float | None, typer.Option(help="Smallest distance of p from one half.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every random choice.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Reply store; `replies.sqlite` beside --out by default.")] = None,
    floor_prompts: Annotated[int, typer.Option(min=0, help="Prompts judged twice for the noise floor; 0: none.")] = 200,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="A simulated model, 8 prompts, nothing kept.")] = False,
    json_: Json = False,
) -> None:
    flags = {
        ("prompts", "path"): prompts,
        ("prompts", "limit"): limit,
        ("policy",): policy,
        ("critic",): critic,
        ("sampling", "n"): samples,
        ("judging", "principles"): _count(judging_principles),
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
        settings = _run_config(run, given, dry_run=dry_run)
    elif given:
        named = ", ".join("--" + _FLAGS.get(place, place[-1].replace("_", "-")) for place in given)
        raise UsageError(f"{named}: give --run or --policy, too; without them the first run's own settings hold")
    from rlaif.screen.comparison import compare_job  # noqa: PLC0415

    compare_job(sources, settings, out, floor_prompts, dry_run=dry_run, as_json=json_)


@app.command()
def show(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    prompt_id: Annotated[str | None, typer.Argument(help="One prompt, whole.")] = None,
    json_: Json = False,
) -> None:
    """Show a run's summary and prompts, or one prompt's whole trace.

    \b
    Examples:
      rlaif show runs/first
      rlaif show runs/first ordinary-bread-too-dense
      rlaif show runs/first ordinary-bread-too-dense --json
    """
    from rlaif.screen.jobs import show_job  # noqa: PLC0415

    show_job(run, prompt_id, as_json=json_)


EXPORT_FORMATS = "trl, sft, ultrafeedback, jsonl, kto, reward, ranking, openrlhf or nemo-rl."


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    format_: Annotated[str, typer.Option("--format", help=EXPORT_FORMATS)] = "trl",
    out: Annotated[Path | None, typer.Option(help="Folder to write; inside the run by default.")] = None,
    json_: Json = False,
) -> None:
    """Write a run's dataset in one of several layouts.

    \b
    Examples:
      rlaif export runs/first --format trl
      rlaif export runs/first --format ultrafeedback --out data/uf
      rlaif export runs/first --format nemo-rl        # also kto, reward, ranking, openrlhf: docs/training.md
    """
    from rlaif.screen.jobs import export_job  # noqa: PLC0415

    export_job(run, format_, out, as_json=json_)


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="A run, a comparison, or an evaluation of a policy.")],
    out: Annotated[Path | None, typer.Option(help="The file to write; report.html in the run by default.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the web browser.")] = False,
    json_: Json = False,
) -> None:
    """Write one HTML file to read and to send: counts, plots, warnings, and a browser of the traces.

    It works without a network and without this program. Of a run with more than 1,000 prompts it holds a sample of
    the traces; counts and plots are always of the whole run.

    \b
    Examples:
      rlaif report runs/first --open
      rlaif report runs/first --out first.html
      rlaif report runs/ev        # what `rlaif evaluate policy --out runs/ev` found, as a page
    """
    from rlaif.screen.reports import report_job  # noqa: PLC0415

    report_job(run, out, open_it=open_, as_json=json_)


@app.command()
def serve(
    model: Annotated[str, typer.Argument(help="smollm2, a folder or a hub id.")],
    port: Annotated[int | None, typer.Option(help="A free one by default.", min=1, max=65535)] = None,
    eager: Annotated[bool, typer.Option("--eager", help="No compilation: ready sooner, slower after.")] = False,
) -> None:
    """Run a managed vLLM server in the foreground, until Ctrl-C.

    Its API key is $RLAIF_API_KEY, or a random one that is printed.

    \b
    Examples:
      rlaif serve smollm2
      rlaif serve Qwen/Qwen3-8B --port 8000
    """
    from rlaif.screen.jobs import serve_job  # noqa: PLC0415

    serve_job(model, port, eager=eager)


@app.command()
def doctor(
    model: Annotated[str, typer.Option(help="The model that the machine is held against.")] = "smollm2",
    start: Annotated[bool, typer.Option("--start", help="Also start a server with it and ask it something.")] = False,
    json_: Json = False,
) -> None:
    """Tell what is installed, what this machine can compute, whether a model fits and how fast it will write.

    \b
    Examples:
      rlaif doctor
      rlaif doctor --model Qwen/Qwen3-8B     # fits? how many tokens a second?
      rlaif doctor --start                   # starts a server, measures it, stops it
    """
    from rlaif.doctor import doctor_job  # noqa: PLC0415

    doctor_job(model, start=start, as_json=json_)


def _version(value: bool) -> None:
    if value:
        from rlaif import __version__  # noqa: PLC0415

        typer.echo(f"rlaif {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Hold the options that stand before any command."""


def main() -> NoReturn:
    """Run the command line; a person's mistake is one line on stderr, never a traceback."""
    _mend_streams()
    try:
        try:
            app(standalone_mode=True)
        finally:
            sys.stdout.flush()
    except RlaifError as error:
        from rlaif.screen import visible  # noqa: PLC0415

        print(f"rlaif: {visible(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # Ctrl-C where nothing was going on that could be gone on with
            print("rlaif: stopped", file=sys.stderr)
        raise
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except OSError as error:
        print(f"rlaif: {error.filename or 'input/output'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)


def _mend_streams() -> None:
    """Make standard streams that are closed, or cannot spell what is printed, no reason to fail."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _run_config(source: Path | None, flags: dict[tuple[str, ...], Any], *, dry_run: bool) -> "RunConfig":
    from rlaif.config import RunConfig  # noqa: PLC0415
    from rlaif.runs.directory import read_config  # noqa: PLC0415

    if source is None:
        data: dict[str, Any] = {}
    elif source.is_dir():
        data = read_config(source).model_dump(mode="json")
        if any(place[0] == "prompts" for place in flags) and ("out",) not in flags:
            raise UsageError(f"{source} has its prompts already; for others, choose a new --out (replies are reused)")
    elif source.is_file():
        data = RunConfig.load(source).model_dump(mode="json", exclude_unset=True)
    else:
        raise UsageError(f"{source}: no such run file or run directory")
    if ("policy",) in flags and data.get("critic") == data.get("policy"):
        data.pop("critic", None)  # the critic was the policy, and stays so
    for place, value in flags.items():
        *sections, key = place
        section = data
        for name in sections:
            section = section.setdefault(name, {})
        section[key] = value
    if dry_run:
        data.setdefault("out", "runs/dry-run")
        data.setdefault("policy", {"model": "simulated"})
    missing = [f"--{name}" for name in ("constitution", "prompts", "policy", "out") if name not in data]
    if missing:
        raise ConfigError(f"{', '.join(missing)} missing; give a run file, or these flags (`rlaif generate --help`)")
    return RunConfig.check(data)


def _columns(entries: list[str] | None) -> dict[str, str] | None:
    if not entries:
        return None
    columns = {}
    for entry in entries:
        field, equals, name = entry.partition("=")
        if not equals or field not in {"prompt", "messages", "id", "tags"}:
            raise UsageError(f"--column {entry}: must be FIELD=NAME with prompt, messages, id or tags as the field")
        columns[field] = name
    return columns


def _count(text: str | None) -> str | int | None:
    return int(text) if text is not None and text.isdecimal() else text
