"""What the commands do, with what they print: the joint between the command line and the library."""

import asyncio
import json
import os
import secrets
import signal
import sys
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from rlaif.config import JudgingConfig, ModelConfig, RunConfig
from rlaif.datasets.export import FORMATS, export
from rlaif.errors import ServerStartError, StoppedError, UsageError
from rlaif.generation import generate_async, run_in_loop
from rlaif.models.managed import managed_server
from rlaif.models.simulated import SimulatedServer
from rlaif.runs.run import Run
from rlaif.runs.summary import Summary, summarise
from rlaif.screen import replies_line, stdout_console
from rlaif.screen.live import LiveScreen
from rlaif.screen.results import exported_rows, json_summary, judge_lines, print_summary, summary_lines
from rlaif.screen.trace import print_overview, print_trace

DRY_RUN_PROMPTS = 8

Result = TypeVar("Result")


def generate_job(config: RunConfig, *, as_json: bool) -> None:
    """Make or finish a run and print what came out."""
    with LiveScreen(quiet=as_json) as screen:
        run = run_stoppable(lambda: generate_async(config, screen=screen))
    summary = Summary.model_validate_json((run.path / "summary.json").read_bytes())
    rows = exported_rows(run.path / "dataset")
    if as_json:
        print(json_summary(run, summary, rows))
    else:
        print_summary(run, summary, rows)


def dry_run_job(config: RunConfig, *, as_json: bool) -> None:
    """Run a few prompts against a simulated model, print what would come out, and keep nothing."""
    with tempfile.TemporaryDirectory(prefix="rlaif-dry-run-") as folder, LiveScreen(quiet=as_json) as screen:
        run = run_stoppable(lambda: _simulated(config, Path(folder), screen))
        summary = summarise(run)
        if as_json:
            print(json_summary(run, summary, {}))
            return
        screen.say("a dry run: the model is simulated, its answers are made up, nothing is kept")
        for line in (*summary_lines(summary), *judge_lines(summary)):
            print(line)
        print(replies_line(summary.usage.requests, summary.traces))


def show_job(path: Path, prompt_id: str | None, *, as_json: bool) -> None:
    """Print a run's overview or one trace."""
    run = Run(path)
    console = stdout_console()
    if prompt_id is None and as_json:
        print(json_summary(run, summarise(run), exported_rows(run.path / "dataset")))
    elif prompt_id is None:
        summary = summarise(run)
        for line in (*summary_lines(summary), *judge_lines(summary)):
            console.print(line, markup=False)
        print_overview(run, console)
    elif as_json:
        trace = run.trace(prompt_id)
        conclusion = run.conclude(trace)
        print(json.dumps({"trace": trace.model_dump(mode="json"), "conclusion": conclusion.model_dump(mode="json")}))
    else:
        print_trace(run, run.trace(prompt_id), console)


def export_job(path: Path, format_: str, out: Path | None, *, as_json: bool) -> None:
    """Write a dataset and say where."""
    known = [name for name in FORMATS if name == format_]
    if not known:
        raise UsageError(f"no format {format_!r}; choose one of {', '.join(FORMATS)}")
    folder = export(Run(path), known[0], out)
    rows = exported_rows(folder)
    if not any(rows.values()):
        why = "there is no revision" if format_ == "sft" else "no pair got a label"
        print(f"! {folder} has no row: {why} in {path}; `rlaif show {path}` tells more", file=sys.stderr)
    if as_json:
        print(json.dumps({"folder": str(folder), "rows": rows}))
    else:
        print(f"{folder}   ({', '.join(f'{name} {count}' for name, count in rows.items())})")


def serve_job(model: str, port: int | None, *, eager: bool) -> None:
    """Serve a model until Ctrl-C."""
    key = os.environ.get("RLAIF_API_KEY") or secrets.token_urlsafe(24)
    log = Path("runs") / "logs" / f"serve-{model.strip('/').replace('/', '--')}.log"

    async def serve() -> None:
        with LiveScreen() as screen:
            config = ModelConfig(model=model, eager=eager)
            async with managed_server(config, log, say=screen.say, port=port, api_key=key) as server:
                print(f"url      {server.url}")
                print("key      " + ("$RLAIF_API_KEY" if os.environ.get("RLAIF_API_KEY") else key))
                print(f"log      {log}")
                print(_how_to_use(server.url, None if os.environ.get("RLAIF_API_KEY") else key), flush=True)
                await server.process.wait()
                raise ServerStartError(await server.died() or "the server ended")

    run_stoppable(serve, stopped="server stopped")


def _how_to_use(url: str, key: str | None) -> str:
    """Return what to paste into another terminal; without a key where the person has set it."""
    head = "in another terminal" + (", with the same RLAIF_API_KEY:" if key is None else ":")
    keys = [] if key is None else [f"  export RLAIF_API_KEY={key}"]
    return "\n".join([head, *keys, f"  rlaif constitution test mine.yaml --critic {url}"])


GOES_ON = "stopped; what is finished is kept, the same command goes on from there"


def run_stoppable(job: Callable[[], Coroutine[Any, Any, Result]], *, stopped: str = GOES_ON) -> Result:
    """Run a job to its end; Ctrl-C and SIGTERM both end it in order, servers and all, as StoppedError."""

    async def stoppable() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
        return await job()

    try:
        return run_in_loop(stoppable)
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise StoppedError(stopped) from None


def _by_the_critic(judging: JudgingConfig) -> JudgingConfig:
    """Return the judges with no critic of their own, and without a gate: of a stand-in there is nothing to measure."""
    judges = tuple(judge.model_copy(update={"critic": None}) for judge in judging.judges)
    return judging.model_copy(update={"judges": judges, "require": None, "recalibration": None})


async def _simulated(config: RunConfig, folder: Path, screen: LiveScreen) -> Run:
    async with SimulatedServer() as server:
        return await generate_async(simulated_config(config, server, folder), screen=screen)


def simulated_config(config: RunConfig, server: SimulatedServer, folder: Path) -> RunConfig:
    """Return the same settings for a few prompts and a simulated model, with everything in `folder`."""
    endpoint = ModelConfig(model=server.model.name, url=(server.url,))
    limit = min(config.prompts.limit or DRY_RUN_PROMPTS, DRY_RUN_PROMPTS)
    return config.model_copy(
        update={
            "policy": endpoint,
            "critic": endpoint,
            "judging": _by_the_critic(config.judging),
            "prompts": config.prompts.model_copy(update={"limit": limit}),
            "cache": None,
            "out": str(folder / "run"),
        }
    )
