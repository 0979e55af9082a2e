"""Generate a run: a configuration in, a finished run directory out.

Each prompt goes through `pipeline.trace_prompt`, a bounded number at a time; a finished trace is written at once.
Starting the same configuration again finishes the prompts that are left.
"""

import asyncio
import contextlib
import json
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from rlaif.budget import Budget, open_prompts, prompts_for
from rlaif.checks import NamedCheck, functions_called, make_ready
from rlaif.config.run import RunConfig
from rlaif.constitution.load import load_constitution
from rlaif.constitution.schema import Constitution
from rlaif.datasets.prompt_file import PromptFile
from rlaif.datasets.prompts import read_prompts
from rlaif.datasets.responses import read_responses
from rlaif.errors import RlaifError, RunError
from rlaif.executor import ALL_FAIL_LIMIT, Failed, execute
from rlaif.forecast import WorkForecast, plan_prompt, plan_words
from rlaif.models.reply_store import ReplyStore
from rlaif.models.serving import Clients, expected_speed, launches_of
from rlaif.pipeline import ModelAccess, Work, open_work, trace_prompt
from rlaif.progress import Progress, Screen, Silent
from rlaif.records import Failure, Prompt, PromptSet, Trace
from rlaif.runs.calibrate import COPY, recalibrator_at
from rlaif.runs.certificate import CERTIFICATE
from rlaif.runs.directory import (
    TRACES,
    ServedModels,
    locked,
    prepare,
    read_manifest,
    read_text,
    settle_models,
    write_json,
    write_text,
)
from rlaif.runs.earlier_limits import earlier_limits
from rlaif.runs.file_labels import FLIPS, LABELS
from rlaif.runs.given import given_files, json_lines
from rlaif.runs.reader import Run
from rlaif.runs.shortcuts import COPY as EFFECTS_COPY
from rlaif.runs.shortcuts import EFFECTS, effects_at
from rlaif.runs.stopping import STOPPING, measure_stopping, pilot_of, stopper_of, stopping_at
from rlaif.runs.store import TraceReader, TraceWriter
from rlaif.runs.summary import Summary, summarise
from rlaif.seeds import content_hash
from rlaif.templates import Templates
from rlaif.text.wording import counted
from rlaif.version import __version__

RESULTS = "results.json"
"""The hash of what summary and dataset of a run directory were made from."""

Gate: TypeAlias = Callable[[Templates, Clients, ReplyStore, Screen], Awaitable[object]]
"""Measures the judges once the models are connected; raises UnfitJudgeError where they do not reach `require`."""
MakeGate: TypeAlias = Callable[[RunConfig, Constitution], Gate | None]
"""Returns the gate of a run, or None without `require`; raises where there are no gold labels to measure on."""


async def generate_async(
    config: RunConfig,
    *,
    screen: Screen | None = None,
    clients: Clients | None = None,
    make_gate: MakeGate | None = None,
) -> Run:
    """Generate or finish a run like `generate`, in the caller's event loop; `clients` are models already connected."""
    screen = screen or Silent()
    path = Path(config.out)
    resumed = (path / "manifest.json").is_file()
    constitution = load_constitution(config.constitution)
    config.check_usable(constitution)
    gate = None if make_gate is None else make_gate(config, constitution)
    recalibrator, effects = recalibrator_at(config), effects_at(config)
    prompts, also = (_prompts_of(path), {}) if _read_from_run(config, path) else _read(config, screen)
    rubric = any(prompt.rubric for prompt in prompts.prompts)
    further = (*config.own_templates, *(("satisfy",) if rubric else ()))
    templates = config.judging.load_templates(config.templates, also=further)
    own: tuple[str, ...] = ()
    if config.judging.kind != "none":
        checks = [named.check for named in _checks_of(constitution, prompts)]
        own = functions_called(checks)
        await asyncio.to_thread(make_ready, checks)
    with locked(path):
        manifest = prepare(path, config, constitution, templates, prompts, also)
        if recalibrator is not None:
            write_json(path / COPY, recalibrator.model_dump(mode="json"))
        if effects is not None and config.judging.shortcuts != "run":
            write_json(path / EFFECTS_COPY, effects.model_dump(mode="json"))
        del prompts  # they are on disk now
        screen.say(_headline(config, constitution, manifest.prompt_count, manifest.duplicates, resumed=resumed))
        if own:
            screen.say(f"checks call {', '.join(own)} on every response")
        try:
            progress = await _finish_traces(config, constitution, templates, screen, clients, gate)
        except RunError:
            with contextlib.suppress(RlaifError):  # report the error that ended the run, not this one
                await asyncio.to_thread(_write_results, Run(path), Progress())
            raise
        run = Run(path)
        summary = _write_results(run, progress)
        if summary.traces == 0:
            raise RunError(f"{path}: none of the {summary.prompts} prompts became a trace; {run.failures()[0].error}")
    return run


def _read(config: RunConfig, screen: Screen) -> tuple[PromptSet, Mapping[str, str]]:
    """Return the prompts of a run, and the files of its directory about given responses, by their names."""
    if config.responses is None:
        prompts = read_prompts(config.prompts, config.seed)
        if prompts.dropped:
            screen.say(f"dropped  {counted(prompts.dropped, 'row')} that match prompts.drop")
        return prompts, {}
    found = read_responses(config.responses)
    screen.say(f"{found.file.file}: shape {found.file.shape}")
    return found.prompts, given_files(found.file, found.refused)


def _checks_of(constitution: Constitution, prompts: PromptSet) -> Iterator[NamedCheck]:
    """Yield all checks of a run: those of the constitution, then those of the prompts."""
    yield from (NamedCheck(id=p.id, check=p.check) for p in constitution.comparing if p.check is not None)
    for prompt in prompts.prompts:
        yield from prompt.checks


def _write_results(run: Run, progress: Progress) -> Summary:
    """Write summary and dataset from the traces so far, under the present thresholds, and return the summary.

    Where nothing was done and nothing changed since they were written, they are left as they are.
    """
    made_from = _made_from(run)
    if progress.done == progress.done_before and (summary := _results_of(run, made_from)) is not None:
        return summary
    from rlaif.datasets.export import export_trl, spooled_while_concluding  # noqa: PLC0415  (imports pyarrow)

    (run.path / RESULTS).unlink(missing_ok=True)
    rows = run.path / ".rows.unfinished"
    spool, add = spooled_while_concluding(run, rows) or (None, None)
    summary = summarise(run, progress.session() if progress.prompts else {}, progress.stopped, also=add)
    write_json(run.path / "summary.json", summary.model_dump(mode="json"))
    if summary.given is not None and summary.given.agreement is not None:
        write_text(run.path / LABELS, json_lines(one for row in run.labelled_rows for one in row.labels))
        write_text(run.path / FLIPS, json_lines(run.flips()))
    if summary.traces:
        export_trl(run, run.path / "dataset", summary, spool)
    shutil.rmtree(rows, ignore_errors=True)
    write_json(run.path / RESULTS, {"made_from": made_from})
    return summary


def _made_from(run: Run) -> str:
    """Return the hash of everything that summary and dataset are computed from."""
    files = ("run.yaml", "models.json", COPY, EFFECTS_COPY, EFFECTS, CERTIFICATE, STOPPING)
    failures = (failure.model_dump_json() for failure in run.failures())
    return content_hash(__version__, run.root(), *(read_text(run.path / name) for name in files), *failures)


def _results_of(run: Run, made_from: str) -> Summary | None:
    """Return the summary where it and the dataset were made from the same; None otherwise."""
    try:
        if json.loads(read_text(run.path / RESULTS))["made_from"] != made_from:
            return None
        summary = Summary.model_validate_json(read_text(run.path / "summary.json"))
    except (ValueError, LookupError, TypeError):
        return None
    return summary if not summary.traces or (run.path / "dataset" / "README.md").is_file() else None


async def _finish_traces(
    config: RunConfig,
    constitution: Constitution,
    templates: Templates,
    screen: Screen,
    clients: Clients | None,
    gate: Gate | None,
) -> Progress:
    """Trace every prompt that has no trace yet; return the progress."""
    path = Path(config.out)
    progress = Progress()
    with TraceReader(path / TRACES, Trace) as reader:
        progress.prompts, progress.done = reader.prompt_count(), reader.trace_count()
        progress.done_before = progress.done
        accepted = await _accepted(path, config, progress)
        if progress.done == progress.prompts or progress.stopped:
            return progress
        writer = TraceWriter(path / TRACES)
        try:
            with ReplyStore(config.reply_store) as store:
                store.earlier = await asyncio.to_thread(earlier_limits, config)
                access = ModelAccess(store, progress.meter, path / "logs", screen.say)
                async with open_work(config, constitution, templates, access, clients) as work:
                    settle_models(path, ServedModels.of(work.clients), config, anew=progress.done == 0)
                    progress.forecast = forecast = WorkForecast(
                        plan_prompt(config, constitution, reader.mean_given(), reader.mean_tokens()),
                        expected_speed(work.clients),
                    )
                    planned = plan_words(forecast.plan, progress.left)
                    screen.say(f"planned  {planned}; from the settings alone, rlaif plan measures")
                    launches = launches_of(work.clients)
                    budget = Budget(progress, screen, forecast, launches, config.max_total_tokens, config.most_failed)
                    progress.limit_s = config.max_minutes * 60 if config.max_minutes else None
                    if gate is not None:
                        await gate(templates, work.clients, store, screen)
                    progress.started = time.monotonic()
                    places = open_prompts(config, work.clients)

                    async def trace_round(work: Work, todo: Iterator[tuple[int, Prompt]]) -> None:
                        job = partial(trace_prompt, work)
                        await trace_all(todo, job, writer, progress, screen, places, budget)
                        writer.flush()

                    pilot = pilot_of(config, progress.prompts)
                    if pilot and stopping_at(path, config) is None:
                        await trace_round(work, reader.todo_at(pilot))
                    rest, todo = await _stopping(work, pilot, progress), _all_but(pilot, reader.todo())
                    await _trace_within(budget, config, accepted, partial(trace_round, rest, todo))
                store.flush()
            writer.flush()
        finally:
            writer.close()
    return progress


async def _stopping(work: Work, pilot: frozenset[int], progress: Progress) -> Work:
    """Return the work of the prompts after the pilot, whose matchups stop by what the pilot showed."""
    path = Path(work.config.out)
    if not pilot or progress.stopped:
        return work
    stopping = stopping_at(path, work.config)
    if stopping is None:
        stopping = await asyncio.to_thread(measure_stopping, path, work.config, work.constitution, pilot)
    return replace(work, stopper=stopper_of(stopping, work.config, work.constitution))


def _all_but(positions: frozenset[int], todo: Iterator[tuple[int, Prompt]]) -> Iterator[tuple[int, Prompt]]:
    return (item for item in todo if item[0] not in positions)


async def _accepted(path: Path, config: RunConfig, progress: Progress) -> int:
    """Return the number of accepted pairs so far, where `max_pairs` limits them; note where they are enough."""
    if config.max_pairs is None or progress.done == 0:
        return 0
    accepted = await asyncio.to_thread(lambda: Run(path).accepted_pairs())
    if accepted >= config.max_pairs:
        progress.stopped = f"max_pairs {config.max_pairs:,}"
    return accepted


async def _trace_within(
    budget: Budget, config: RunConfig, accepted: int, trace_round: Callable[[], Awaitable[None]]
) -> None:
    """Trace what the budget allows: in one round, or with `max_pairs` in rounds until there are enough pairs.

    Which pairs are accepted depends on the noise and position bias of the whole run, so they are counted after a round.
    """
    progress, left = budget.progress, -1
    while progress.left not in {0, left} and not progress.stopped:
        left = progress.left
        if config.max_pairs is not None:
            budget.may_start = prompts_for(config.max_pairs, accepted, progress.done, config.pairs.per_prompt)
        await trace_round()
        accepted = await _accepted(Path(config.out), config, progress)


async def trace_all(
    todo: Iterator[tuple[int, Prompt]],
    job: Callable[[Prompt, int], Awaitable[Any]],
    writer: TraceWriter,
    progress: Progress,
    screen: Screen,
    open_items: Callable[[int], int],
    budget: Budget | None = None,
) -> None:
    """Call `job` on every (prompt, position) that fits into the budget and write its record at once, or a Failure."""

    async def trace(item: tuple[int, Prompt]) -> Any:  # noqa: ANN401  (a record of the caller's)
        return await job(item[1], item[0])

    def keep(item: tuple[int, Prompt], record: Any) -> None:  # noqa: ANN401
        if isinstance(record, Failed):
            writer.put_failure(Failure(prompt_id=item[1].id, error=record.error))
            return
        writer.put_trace(record)
        if progress.forecast is not None and isinstance(record, Trace):
            progress.forecast.finish(record.usage)

    def give_up(failed: int, error: Exception) -> Exception | None:
        if budget is not None and (too_many := budget.too_many_failed(error)):
            return RunError(too_many)
        enough = max(ALL_FAIL_LIMIT, 2 * progress.open)
        if failed < enough or progress.done or progress.meter.replies:
            return None
        return RunError(f"the first {failed} prompts all failed, the last one with {type(error).__name__}: {error}")

    await execute(
        todo,
        trace,
        keep,
        open_items=open_items,
        progress=progress,
        screen=screen,
        give_up=give_up,
        may_begin=None if budget is None else budget.may_begin,
    )


def _read_from_run(config: RunConfig, path: Path) -> bool:
    """Whether the configuration was read from the run directory itself."""
    return Path(config.constitution) == path / "constitution.yaml"


def _prompts_of(path: Path) -> PromptSet:
    """Return the prompts stored in the run directory; the prompts file is not read again."""
    manifest = read_manifest(path)
    with TraceReader(path / TRACES, Trace) as reader:
        prompts = PromptFile()
        for prompt in reader.prompts():
            prompts.append(prompt)
    return PromptSet(prompts, manifest.duplicates, manifest.prompts)


def _headline(config: RunConfig, constitution: Constitution, prompts: int, duplicates: int, *, resumed: bool) -> str:
    principles = len(constitution.principles)
    return " · ".join(
        [
            f"{constitution.name} v{constitution.version} ({principles} principle{'s' * (principles != 1)})",
            f"{prompts} prompt{'s' * (prompts != 1)}"
            + (f" ({duplicates} duplicate{'s' * (duplicates != 1)} dropped)" if duplicates else ""),
            "responses given" if config.responses else _policies(config),
            f"critic {config.critic.model or config.critic.url[0]}",
            config.out + (" (continued)" if resumed else ""),
        ]
    )


def _policies(config: RunConfig) -> str:
    if config.policies:
        return f"policies {', '.join(policy.name for policy in config.policies)}"
    return f"policy {config.policy.model or config.policy.url[0]}"


__all__ = ["Progress", "Run", "Screen", "Silent", "Summary", "generate_async"]
