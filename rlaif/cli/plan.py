"""`rlaif plan`: what a run will ask for and cost, before it starts; of a run directory, also what it has spent."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from rlaif.cli.console import plain, run_stoppable, stdout_console
from rlaif.cli.format import size_in_words
from rlaif.cli.live import LiveScreen
from rlaif.cli.options import Json, SetValues
from rlaif.cli.run_settings import run_settings
from rlaif.config.run import RunConfig
from rlaif.constitution.load import load_constitution
from rlaif.errors import UsageError
from rlaif.job_plan import (
    JobPlan,
    Prices,
    Speed,
    StepCost,
    plan_of_sample,
    plan_of_settings,
    prompts_of,
    speed_of_session,
)
from rlaif.records import Prompt, Trace, Usage
from rlaif.runs.directory import TRACES
from rlaif.runs.reader import Run
from rlaif.runs.store import TraceReader
from rlaif.text.wording import counted


def plan_command(  # noqa: PLR0913, PLR0917  (a command line's flags)
    source: Annotated[Path, typer.Argument(help="Run file or run directory.")],
    sample: Annotated[int, typer.Option(min=0, help="Prompts to trace first, to measure instead of guessing.")] = 0,
    like: Annotated[Path | None, typer.Option(help="A run whose servers were as fast as these will be.")] = None,
    speed: Annotated[
        float | None, typer.Option(help="Uncached prompt tokens a second; a generated token counts as 2.5.")
    ] = None,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs of the servers.")] = 1,
    price_prompt: Annotated[float, typer.Option(min=0, help="Price of a million prompt tokens.")] = 0,
    price_cached: Annotated[float | None, typer.Option(min=0, help="Of a million cached ones, if another.")] = None,
    price_generated: Annotated[float, typer.Option(min=0, help="Price of a million generated tokens.")] = 0,
    price_hour: Annotated[float, typer.Option(min=0, help="Price of an hour of one GPU.")] = 0,
    set_values: SetValues = None,
    json_: Json = False,
) -> None:
    """Say what a run will ask for and cost: requests and tokens by step, time, disk, money.

    From the settings alone, nothing is asked and the lengths of texts are guessed from their limits. With --sample, so
    many prompts are traced by the run's models; their replies are kept in the reply store, so the run has them. The
    time needs a speed: the sample's (few prompts at once may not fill a server), that of an earlier run (--like), or
    --speed. Of a run directory, what it has spent stands beside the plan.

    \b
    Examples:
      rlaif plan examples/demo.yaml
      rlaif plan RUN.yaml --sample 16
      rlaif plan RUN.yaml --sample 16 --like runs/first --gpus 8 --price-hour 2.5
      rlaif plan RUN.yaml --price-prompt 0.15 --price-generated 0.60
      rlaif plan runs/first                          # planned against spent
    """
    if like is not None and speed is not None:
        raise UsageError("--like and --speed both say how fast the servers are; give one")
    config = run_settings(source, {}, dry_run=False, set_values=set_values, command="plan")
    found = _speed(like, speed)
    prices = Prices(prompt=price_prompt, cached=price_cached, generated=price_generated, hour=price_hour)
    run = Run(source) if source.is_dir() else None
    plan = _plan(config, run, sample, quiet=json_)
    plan = plan.model_copy(update={"speed": found or plan.speed, "gpus": gpus, "prices": prices})
    spent = None if run is None else spent_of(run)
    if json_:
        print(json.dumps(as_json(plan, spent)))
    else:
        print_plan(plan, spent)


def _speed(like: Path | None, speed: float | None) -> Speed | None:
    if speed is not None:
        if speed <= 0:
            raise UsageError(f"--speed {speed:g}: must be above 0")
        return Speed(value=speed, source="given")
    if like is None:
        return None
    found = speed_of_session(Run(like).session, like)
    if found is None:
        raise UsageError(f"--like {like}: its last session asked for nothing, so it tells no speed; give --speed")
    return found


def _plan(config: RunConfig, run: Run | None, sample: int, *, quiet: bool) -> JobPlan:
    prompts = prompts_of(config) if run is None else _prompts_in(run)
    constitution = load_constitution(config.constitution)
    config.check_usable(constitution)
    if not sample:
        return plan_of_settings(config, constitution, prompts)
    with LiveScreen(quiet=quiet) as screen:
        return run_stoppable(lambda: plan_of_sample(config, prompts, sample, screen))


def _prompts_in(run: Run) -> list[Prompt]:
    with TraceReader(run.path / TRACES, Trace) as reader:
        return list(reader.prompts())


def spent_of(run: Run) -> tuple[int, StepCost]:
    """Return (traces, requests and tokens of them) of a run, replies from the reply store included."""
    usage, traces = Usage(), 0
    for trace in run.traces():
        usage, traces = usage + trace.usage, traces + 1
    return traces, StepCost(**usage.model_dump())


def print_plan(plan: JobPlan, spent: tuple[int, StepCost] | None) -> None:
    """Print the table of steps, then time, disk and money."""
    console = stdout_console()
    how = (
        f"measured on {counted(plan.sampled, 'prompt')} drawn at random"
        if plan.sampled
        else "from the settings alone, where lengths of texts are guessed; --sample 16 measures"
    )
    console.print(f"{counted(plan.prompts, 'prompt')}, {how}", markup=False)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("")
    for name in ("requests", "prompt tokens", "cached", "generated"):
        table.add_column(name, justify="right")
    for step, cost in plan.steps.items():
        table.add_row(*_cells(step, cost))
    table.add_row(*_cells("all", plan.total))
    if spent is not None:
        traces, cost = spent
        table.add_row(*_cells(f"spent on {traces:,}", cost))
        table.add_row(*_cells("planned for them", plan.total.times(traces / max(1, plan.prompts))))
    console.print(table)
    for line in plan_lines(plan):
        console.print(line, markup=False)


def plan_lines(plan: JobPlan) -> list[str]:
    """Return time, disk and money of a plan as lines."""
    off = f", ± {plan.margin:.0%} of the tokens (95 % interval)" if plan.margin is not None else ""
    lines = [f"time   {_time(plan)}{off}", f"disk   about {size_in_words(plan.bytes)}"]
    if plan.money is not None:
        lines.append(f"money  about {plan.money:,.2f}")
    elif plan.prices.given:
        lines.append("money  unknown: a price per hour needs a time")
    return lines


def as_json(plan: JobPlan, spent: tuple[int, StepCost] | None) -> dict[str, Any]:
    """Return a plan with what follows from it, for --json."""
    seconds = plan.seconds
    return plan.model_dump(mode="json") | {
        "total": plan.total.model_dump(mode="json"),
        "seconds": seconds,
        "gpu_hours": None if seconds is None else seconds / 3600 * plan.gpus,
        "money": plan.money,
        "spent": None if spent is None else {"traces": spent[0], **spent[1].model_dump(mode="json")},
    }


def _cells(name: str, cost: StepCost) -> tuple[Any, ...]:
    cached = cost.cached_tokens / cost.prompt_tokens if cost.prompt_tokens else 0.0
    numbers = (f"{cost.requests:,.0f}", f"{cost.prompt_tokens:,.0f}", f"{cached:.0%}", f"{cost.completion_tokens:,.0f}")
    return tuple(plain(text) for text in (name, *numbers))


def _time(plan: JobPlan) -> str:
    if plan.seconds is None or plan.speed is None:
        return "unknown: nothing is known of the servers' speed; give --sample, --like RUN or --speed"
    hours = plan.seconds / 3600
    shown = (
        f"{hours:,.1f} h"
        if hours >= 1
        else f"{plan.seconds / 60:,.0f} min"
        if hours > 0.03
        else f"{plan.seconds:.0f} s"
    )
    gpus = f", {hours * plan.gpus:,.2g} GPU hours on {counted(plan.gpus, 'GPU')}"
    return f"about {shown}{gpus}, at {plan.speed.value:,.0f} tokens/s ({plan.speed.source})"
