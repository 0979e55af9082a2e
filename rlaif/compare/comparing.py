"""Make a comparison: a run for every rule set over the same samples, one pool that all judge, then the metrics.

Finished work is kept, as in a run, and the same comparison can be resumed. Nothing is asked twice: from the second rule
set on, the samples come from the reply store, and so do verdicts that a rule set's own run already has.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from rlaif.budget import open_prompts
from rlaif.compare.comparability import common_prompts, refuse_incomparable, refuse_other_critic, refuse_rubrics
from rlaif.compare.comparison_schema import Comparison
from rlaif.compare.config import CompareConfig
from rlaif.compare.directory import POOL, SETTINGS, pooled, read_spent, settle, spent_on, write_tables
from rlaif.compare.metrics import compare_pool
from rlaif.compare.pool import PooledPrompt, PoolJudging, build_pool, judge_pool
from rlaif.config.sampling import CONSTITUTION
from rlaif.datasets.prompts import read_prompts
from rlaif.errors import ConfigError, RunDirectoryError, RunError
from rlaif.evaluate.gate import gate_of
from rlaif.generation import generate_async, trace_all
from rlaif.judges import PAIRWISE
from rlaif.judges.base import Judge
from rlaif.judges.panel import judges_through, refuse_long_labels
from rlaif.models.model import Model
from rlaif.models.reply_store import ReplyStore
from rlaif.models.serving import Clients, open_clients
from rlaif.progress import Progress, Screen, Silent
from rlaif.records import Prompt, Trace
from rlaif.runs.directory import (
    TRACES,
    locked,
    write_json,
)
from rlaif.runs.reader import Run
from rlaif.runs.store import TraceReader, TraceWriter
from rlaif.seeds import derive_seed
from rlaif.tasks import run_in_loop

CHECKED_PROMPTS = 20
"""Number of prompts of an existing pool whose responses are compared with those of the runs."""


@dataclass(frozen=True)
class Compared:
    """A finished comparison."""

    path: Path
    comparison: Comparison


def compare(config: CompareConfig, *, screen: Screen | None = None) -> Compared:
    """Make or finish a comparison, write its metrics, and return its directory and metrics.

    Raises UsageError before any model is asked when the input is not usable, RunError when it fails later.
    """
    return run_in_loop(lambda: compare_async(config, screen=screen))


async def compare_async(config: CompareConfig, *, screen: Screen | None = None) -> Compared:
    """Like `compare`, for callers that have an event loop."""
    screen = screen or Silent()
    path = Path(config.out)
    _check_usable(config)
    if any(not (Path(rules.run) / "manifest.json").is_file() for rules in config.rule_sets):
        refuse_rubrics(read_prompts(config.run.prompts, config.run.seed).prompts)  # before anything is written
    with locked(path, own=SETTINGS):
        settle(path, config)
        async with contextlib.AsyncExitStack() as stack:
            clients = await _clients(stack, config, screen)
            steps = len(config.rule_sets) + 1
            for number, rules in enumerate(config.rule_sets, start=1):
                screen.say(f"step {number} of {steps}: critiques, revisions and labels under {rules.name}")
                if config.made_here(rules) or not _finished(Path(rules.run) / TRACES):
                    earlier = _last_session(Path(rules.run))
                    with spent_on(path, rules.name) as session:
                        run = await generate_async(
                            config.run_config(rules), screen=screen, clients=clients, make_gate=gate_of
                        )
                        session.update(run.session if run.session != earlier else {})
            screen.say(f"step {steps} of {steps}: all rule sets judge one common pool")
            runs = {rules.name: Run(rules.run) for rules in config.rule_sets}
            refuse_incomparable(runs)
            with spent_on(path, POOL) as session:
                session.update(await _judge(config, runs, screen, clients))
        comparison = await asyncio.to_thread(_conclude, config, runs)
    return Compared(path, comparison)


def _last_session(path: Path) -> dict[str, float]:
    """Return the session of the last start that worked on a run; empty where there is none."""
    return Run(path).session if (path / "summary.json").is_file() else {}


def _check_usable(config: CompareConfig) -> None:
    if config.run.responses is not None:
        raise ConfigError(
            "a comparison samples its responses, and these settings have `responses`; give settings with `prompts` and "
            "`policy`, or label the file under each rule set (rlaif label) and compare the labels.jsonl"
        )
    if any(policy.system == CONSTITUTION for policy in config.run.policies):
        raise ConfigError(
            "a comparison samples its responses once for all rule sets, and these settings have a policy with `system: "
            "constitution`, whose responses depend on the rules; make a run of each rule set and compare the runs"
        )
    if config.run.judging.kind == "none":
        raise ConfigError("judging.kind none makes no labels to compare; leave it out of the run file")
    not_pairwise = [judge.called for judge in config.run.judging.panel if judge.kind not in PAIRWISE]
    if not_pairwise:
        raise ConfigError(
            f"judge {not_pairwise[0]} does not compare two responses under a rule, so its verdicts do not depend on "
            f"the rule set; leave it out (pairwise judges: {', '.join(PAIRWISE)})"
        )
    judging = config.run.judging
    if judging.stop is not None:
        raise ConfigError("a comparison asks every question of every matchup; leave judging.stop out of its settings")
    if any(one is not None for one in (judging.length_effect, judging.shortcuts, judging.recalibration)):
        raise ConfigError(
            "a comparison uses uncorrected labels; leave judging.length_effect, judging.shortcuts and "
            "judging.recalibration out of its settings"
        )
    for rules in config.rule_sets:
        if not config.constitution(rules).comparing:
            raise RunDirectoryError(
                f"{rules.name} has no principle with a compare question or a check, so it can judge nothing"
            )


async def _clients(stack: contextlib.AsyncExitStack, config: CompareConfig, screen: Screen) -> Clients | None:
    """Return clients connected to the models; None when everything is finished, so that no model is asked."""
    if all(_finished(Path(rules.run) / TRACES) for rules in config.rule_sets) and _finished(Path(config.out) / POOL):
        return None
    logs = Path(config.out) / "logs"
    return await stack.enter_async_context(
        open_clients(
            config.run.policy,
            config.run.critic,
            judges=config.run.judging.own_critics,
            policies={policy.name: policy.model for policy in config.run.policies},
            logs=logs,
            say=screen.say,
        )
    )


def _finished(traces: Path) -> bool:
    if _missing_or_empty(traces):
        return False
    with TraceReader(traces, Trace) as reader:
        return reader.trace_count() == reader.prompt_count() > 0


def _missing_or_empty(traces: Path) -> bool:
    """Whether a file of traces is missing, or empty because the process that made it was killed."""
    return not traces.is_file() or traces.stat().st_size == 0


async def _judge(
    config: CompareConfig, runs: dict[str, Run], screen: Screen, clients: Clients | None
) -> dict[str, float]:
    """Judge the pool under every rule set; return the session's counts."""
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
            with ReplyStore(config.run.reply_store) as store:
                critic = Model(clients.critic, store, progress.meter, config.run.critic.chat_template_kwargs)
                judges = judges_through(clients, config.run.judging.panel, critic, store, progress.meter)
                await refuse_long_labels(judges)
                judge = partial(_judge_prompt, _pool_judging(config, runs, judges, prompts), runs)
                await trace_all(reader.todo(), judge, writer, progress, screen, open_prompts(config.run, clients))
                store.flush()
            writer.flush()
        finally:
            writer.close()
    return progress.session()


async def _judge_prompt(judging: PoolJudging, runs: dict[str, Run], prompt: Prompt, position: int) -> PooledPrompt:
    traces = {name: run.trace(prompt.id) for name, run in runs.items()}
    return await judge_pool(judging, build_pool(traces, judging.config.seed), position)


def _pool_judging(
    config: CompareConfig, runs: dict[str, Run], judges: Sequence[Judge], prompts: list[Prompt]
) -> PoolJudging:
    templates = config.run.judging.load_templates(config.run.templates, again=True)
    # Drawn by a hash of the id, so that the same prompts are judged twice in every comparison.
    drawn = sorted(prompts, key=lambda prompt: derive_seed(config.run.seed, prompt.id, "noise floor"))
    return PoolJudging(
        config=config.run,
        constitutions={name: run.constitution for name, run in runs.items()},
        templates=templates,
        judges=judges,
        twice=frozenset(prompt.id for prompt in drawn[: config.floor_prompts]),
    )


def _prepare_pool(path: Path, prompts: list[Prompt]) -> None:
    """Write the prompts into the pool's file; prompts that failed before and have a trace now come last."""
    known = _judged_prompts(path)
    if not known:
        for leftover in path.parent.glob(f"{path.name}*"):
            leftover.unlink()
    if set(known) - {prompt.id for prompt in prompts}:
        raise RunDirectoryError(
            f"{path.parent}: some prompts that were judged here are no longer in all runs; choose another --out (kept "
            "replies are reused)"
        )
    writer = TraceWriter(path)
    try:
        writer.put_prompts((prompt for prompt in prompts if prompt.id not in set(known)), after=len(known))
    finally:
        writer.close()


def _judged_prompts(path: Path) -> list[str]:
    """Return the ids of a pool's prompts; none while no prompt is judged, as the file may then be incomplete."""
    if _missing_or_empty(path):
        return []
    with TraceReader(path, PooledPrompt) as reader:
        return list(reader.prompt_ids()) if reader.trace_count() else []


def _refuse_pool_of_other_runs(path: Path, runs: dict[str, Run], seed: int) -> None:
    """Raise RunDirectoryError where the pool was made from other runs with the same names."""
    for pool in islice(pooled(path), CHECKED_PROMPTS):
        candidates = build_pool({name: run.trace(pool.prompt.id) for name, run in runs.items()}, seed).candidates
        if candidates != pool.candidates:
            raise RunDirectoryError(
                f"{path}: the judged responses to {pool.prompt.id!r} are not those of these runs; choose another --out"
            )


def _conclude(config: CompareConfig, runs: dict[str, Run]) -> Comparison:
    """Compute the metrics, write them, and return them."""
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
