"""The job behind `rlaif compare`: a run for every rule set over the same samples, then one pool that all judge.

What is finished is kept, as in a run; starting the same comparison again goes on. Nothing is asked twice: the samples
come from the reply store from the second rule set on, and so do verdicts that a rule set's own run has asked for.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from rlaif.compare.comparable import common_prompts, refuse_incomparable, refuse_other_critic
from rlaif.compare.comparison import Comparison
from rlaif.compare.config import CompareConfig, RuleSet
from rlaif.compare.figures import compare_pool
from rlaif.compare.judging import Panel, judge_pool
from rlaif.compare.pool import PooledPrompt, build_pool
from rlaif.compare.tables import write_tables
from rlaif.datasets.prompts import read_prompts
from rlaif.errors import ConfigError, RunDirectoryError, RunError
from rlaif.evaluate.gate import gate_of
from rlaif.generation import generate_async, reply_store_path, trace_all
from rlaif.judges import PAIRWISE
from rlaif.judges.base import Judge
from rlaif.judges.panel import judges_through
from rlaif.models.model import Model
from rlaif.models.reply_store import ReplyStore
from rlaif.models.serving import Clients, open_clients
from rlaif.progress import Progress, Screen, Silent
from rlaif.records import Prompt, Trace
from rlaif.runs.directory import (
    COMPARISON,
    TRACES,
    changed_settings,
    free_place,
    locked,
    read_text,
    write_json,
    write_text,
)
from rlaif.runs.reader import Run
from rlaif.runs.store import TraceReader, TraceWriter
from rlaif.seeds import derive_seed
from rlaif.tasks import run_in_loop
from rlaif.yaml_file import read_yaml

POOL = "pool.sqlite"
SETTINGS = COMPARISON
SPENT = "spent.json"
LOOKED_AT = 20
"""Prompts of a pool by which one knows whether it was made of these runs."""


@dataclass(frozen=True)
class Compared:
    """A finished comparison."""

    path: Path
    comparison: Comparison


def compare(config: CompareConfig, *, screen: Screen | None = None) -> Compared:
    """Make or finish a comparison, write its figures, and return them.

    Raises UsageError before anything is asked when the input is not usable, RunError when it breaks on the way.
    """
    return run_in_loop(lambda: compare_async(config, screen=screen))


async def compare_async(config: CompareConfig, *, screen: Screen | None = None) -> Compared:
    """The same, for callers that have an event loop."""
    screen = screen or Silent()
    path = Path(config.out)
    _check_usable(config)
    if any(not (Path(rules.run) / "manifest.json").is_file() for rules in config.rule_sets):
        read_prompts(config.run.prompts, config.run.seed)  # what is wrong with them is said before anything is made
    with locked(path, own=SETTINGS):
        _settle(path, config)
        async with contextlib.AsyncExitStack() as stack:
            clients = await _clients(stack, config, screen)
            steps = len(config.rule_sets) + 1
            for number, rules in enumerate(config.rule_sets, start=1):
                screen.say(f"step {number} of {steps}: critiques, revisions and labels under {rules.name}")
                if config.made_here(rules) or not _finished(Path(rules.run) / TRACES):
                    with _spent_on(path, rules.name) as session:
                        run = await generate_async(
                            config.run_config(rules), screen=screen, clients=clients, make_gate=gate_of
                        )
                        session.update(run.session)
            screen.say(f"step {steps} of {steps}: all rule sets judge one common pool")
            runs = {rules.name: Run(rules.run) for rules in config.rule_sets}
            refuse_incomparable(runs)
            with _spent_on(path, POOL) as session:
                session.update(await _judge(config, runs, screen, clients))
        comparison = await asyncio.to_thread(_conclude, config, runs)
    return Compared(path, comparison)


def _check_usable(config: CompareConfig) -> None:
    if config.run.judging.kind == "none":
        raise ConfigError("judging.kind none leaves nothing to compare; leave it out of the run file")
    unfit = [judge.called for judge in config.run.judging.panel if judge.kind not in PAIRWISE]
    if unfit:
        raise ConfigError(
            f"judge {unfit[0]} does not compare two answers under a rule, so it can't tell rule sets apart; "
            f"leave it out (pairwise judges: {', '.join(PAIRWISE)})"
        )
    if config.run.judging.length_effect is not None or config.run.judging.recalibration is not None:
        raise ConfigError(
            "a comparison holds labels side by side as the judges gave them; leave judging.length_effect and "
            "judging.recalibration out of its settings"
        )
    for rules in config.rule_sets:
        if not config.constitution(rules).comparing:
            raise RunDirectoryError(
                f"{rules.name} has no principle with a compare question or a check, so it can judge nothing"
            )


async def _clients(stack: contextlib.AsyncExitStack, config: CompareConfig, screen: Screen) -> Clients | None:
    """Connect to the models, once for everything; None when everything is finished and nobody need be asked."""
    if all(_finished(Path(rules.run) / TRACES) for rules in config.rule_sets) and _finished(Path(config.out) / POOL):
        return None
    logs = Path(config.out) / "logs"
    return await stack.enter_async_context(
        open_clients(
            config.run.policy, config.run.critic, judges=config.run.judging.own_critics, logs=logs, say=screen.say
        )
    )


@contextlib.contextmanager
def _spent_on(path: Path, what: str) -> Iterator[dict[str, float]]:
    """Add what is spent inside on a rule set's run, or on the pool, to what was spent before.

    The body fills in its session; of one that is broken off, the seconds alone are known.
    """
    started = time.monotonic()
    session: dict[str, float] = {}
    try:
        yield session
    except BaseException:
        _add_spent(path, what, {"seconds": time.monotonic() - started})
        raise
    if session.get("traces"):
        _add_spent(path, what, session)


def _add_spent(path: Path, what: str, session: dict[str, float]) -> None:
    spent = read_spent(path)
    before = spent.get(what, {})
    spent[what] = before | {name: round(before.get(name, 0) + value, 1) for name, value in session.items()}
    write_json(path / SPENT, spent)


def read_spent(path: Path) -> dict[str, dict[str, float]]:
    """Return what earlier sessions spent; nothing when the file is damaged, for no figure of the rules rests on it."""
    try:
        found = json.loads(read_text(path / SPENT))
        return {what: {name: float(value) for name, value in spent.items()} for what, spent in found.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _finished(traces: Path) -> bool:
    if _half_made(traces):
        return False
    with TraceReader(traces, Trace) as reader:
        return reader.trace_count() == reader.prompt_count() > 0


def _half_made(traces: Path) -> bool:
    """Whether a file of traces is missing, or empty because its maker was killed."""
    return not traces.is_file() or traces.stat().st_size == 0


def _settle(path: Path, config: CompareConfig) -> None:
    """Note what is compared, or check that it is the same as before."""
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)
    if not (path / SETTINGS).is_file():
        write_text(path / SETTINGS, text)
        return
    before = read_settings(path)
    differences = changed_settings(_what_decides(before), _what_decides(config))
    if differences:
        raise RunDirectoryError(
            f"{path} holds another comparison; what differs: {'; '.join(differences)}. Choose another --out, such as "
            f"{free_place(path)}: every answer already given is reused from the reply store"
        )
    write_text(path / SETTINGS, text)


def _what_decides(config: CompareConfig) -> dict[str, Any]:
    """Return what a comparison may not change on the way."""
    rule_sets = ", ".join(f"{rules.name} in {Path(rules.run).name}" for rules in config.rule_sets)
    return {"rule sets": rule_sets, "floor-prompts": config.floor_prompts, **config.run.questions()}


async def _judge(
    config: CompareConfig, runs: dict[str, Run], screen: Screen, clients: Clients | None
) -> dict[str, float]:
    """Let every rule set judge the pool; return what this session did."""
    path = Path(config.out)
    prompts = common_prompts(runs)
    _prepare_pool(path / POOL, prompts)
    _refuse_pool_of_other_runs(path, runs, config.run.seed)
    progress = Progress()
    with TraceReader(path / POOL, PooledPrompt) as reader:
        progress.prompts, progress.done = reader.prompt_count(), reader.trace_count()
        progress.done_before = progress.done
        if clients is None or progress.done == progress.prompts:
            return {}
        refuse_other_critic(runs, clients.critic.identity, {n: c.identity for n, c in clients.judges.items()})
        writer = TraceWriter(path / POOL)
        try:
            with ReplyStore(reply_store_path(config.run)) as store:
                critic = Model(clients.critic, store, progress.meter, config.run.critic.chat_template_kwargs)
                judges = judges_through(clients, config.run.judging.panel, critic, store, progress.meter)
                panel = _panel(config, runs, judges, prompts)
                job = partial(_one_prompt, panel, runs)
                await trace_all(reader.todo(), job, writer, progress, screen, config.run.open_prompts)
                store.flush()
            writer.flush()
        finally:
            writer.close()
    return progress.session()


async def _one_prompt(panel: Panel, runs: dict[str, Run], prompt: Prompt, position: int) -> PooledPrompt:
    traces = {name: run.trace(prompt.id) for name, run in runs.items()}
    return await judge_pool(panel, build_pool(traces, panel.config.seed), position)


def _panel(config: CompareConfig, runs: dict[str, Run], judges: Sequence[Judge], prompts: list[Prompt]) -> Panel:
    templates = config.run.judging.load_templates(config.run.templates, again=True)
    # Drawn by a hash of the id, so that the same prompts are judged twice in every comparison.
    drawn = sorted(prompts, key=lambda prompt: derive_seed(config.run.seed, prompt.id, "noise floor"))
    return Panel(
        config=config.run,
        constitutions={name: run.constitution for name, run in runs.items()},
        templates=templates,
        judges=judges,
        twice=frozenset(prompt.id for prompt in drawn[: config.floor_prompts]),
    )


def _prepare_pool(path: Path, prompts: list[Prompt]) -> None:
    """Put the prompts into the pool's file; those that failed before and are traces now come behind the others."""
    known = _judged_prompts(path)
    if not known:
        for leftover in path.parent.glob(f"{path.name}*"):
            leftover.unlink()
    if set(known) - {prompt.id for prompt in prompts}:
        raise RunDirectoryError(
            f"{path.parent}: the runs no longer have the prompts in common that were judged before; choose another "
            "--out, nothing is asked twice"
        )
    writer = TraceWriter(path)
    try:
        writer.put_prompts((prompt for prompt in prompts if prompt.id not in set(known)), after=len(known))
    finally:
        writer.close()


def _judged_prompts(path: Path) -> list[str]:
    """Return the prompts of a pool; none while not one of them is judged, for then it may be half made."""
    if _half_made(path):
        return []
    with TraceReader(path, PooledPrompt) as reader:
        return list(reader.prompt_ids()) if reader.trace_count() else []


def _refuse_pool_of_other_runs(path: Path, runs: dict[str, Run], seed: int) -> None:
    """Raise RunDirectoryError where what was judged are not the answers of these runs, but of others so named."""
    for pool in islice(pooled(path), LOOKED_AT):
        answers = build_pool({name: run.trace(pool.prompt.id) for name, run in runs.items()}, seed).candidates
        if answers != pool.candidates:
            raise RunDirectoryError(
                f"{path} has judged other answers to {pool.prompt.id!r} than these runs have; choose another --out"
            )


def pooled(path: Path) -> Iterator[PooledPrompt]:
    """Yield the judged prompts of a comparison. Raises RunDirectoryError when there is none."""
    with TraceReader(path / POOL, PooledPrompt) as reader:
        yield from reader.traces()


def read_settings(path: Path) -> CompareConfig:
    """Return what a comparison compares. Raises RunDirectoryError when the directory holds none."""
    if not (path / SETTINGS).is_file():
        raise RunDirectoryError(f"{path} is no comparison: it has no {SETTINGS}")
    settings = read_yaml(path / SETTINGS, CompareConfig)
    here = [_where_it_stands(path, settings, rules) for rules in settings.rule_sets]
    return settings.model_copy(update={"rule_sets": tuple(here), "out": str(path)})


def _where_it_stands(path: Path, settings: CompareConfig, rules: RuleSet) -> RuleSet:
    """Return a rule set with its run where it is now: a comparison may have been moved with the runs it made."""
    moved = path / "runs" / Path(rules.run).name
    return rules.model_copy(update={"run": str(moved)}) if settings.made_here(rules) else rules


def read_comparison(path: Path) -> Comparison:
    """Return the figures of a finished comparison. Raises RunDirectoryError when there are none."""
    if not (path / "comparison.json").is_file():
        raise RunDirectoryError(f"{path} is no finished comparison: it has no comparison.json")
    try:
        return Comparison.model_validate_json((path / "comparison.json").read_bytes())
    except (OSError, ValueError):
        raise RunDirectoryError(
            f"{path}/comparison.json cannot be read, or another version wrote it; run the same `rlaif compare` again: "
            "the figures are computed anew and nothing is asked"
        ) from None


def _conclude(config: CompareConfig, runs: dict[str, Run]) -> Comparison:
    """Compute the figures and write them."""
    path = Path(config.out)
    prompts = list(pooled(path))
    if not prompts:
        with TraceReader(path / POOL, PooledPrompt) as reader:
            reasons = [failure.error for failure in reader.failures()][:1]
        raise RunError("; ".join([f"{path}: none of the common prompts could be judged", *reasons]))
    comparison = compare_pool(config.run, runs, prompts, read_spent(path))
    write_json(path / "comparison.json", comparison.model_dump(mode="json"))
    write_tables(path, config.run, runs, prompts)
    return comparison
