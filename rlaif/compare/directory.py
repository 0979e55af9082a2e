"""Read and write the directory of a comparison:

comparison.yaml      what is compared
runs/                one run for each rule set given as a constitution
pool.sqlite          the judged pool
comparison.json      all metrics (`Comparison`)
matchups.parquet     one row per matchup, rule set and judging pass
principles.parquet   one row per matchup, rule set, judging pass and principle
spent.json           seconds and replies of all sessions
"""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from rlaif.compare.comparison_schema import Comparison
from rlaif.compare.config import CompareConfig
from rlaif.compare.pool import PooledPrompt
from rlaif.compare.tallies import PassKey, judge_all, pool_rules
from rlaif.config.run import RunConfig
from rlaif.errors import RunDirectoryError, StorageError
from rlaif.preferences.judgement import Rule
from rlaif.runs.directory import COMPARISON, changed_settings, free_place, read_text, write_json, write_text
from rlaif.runs.reader import Run
from rlaif.runs.store import TraceReader
from rlaif.yaml_file import read_yaml

POOL = "pool.sqlite"
SETTINGS = COMPARISON
SPENT = "spent.json"


def settle(path: Path, config: CompareConfig) -> None:
    """Write the settings of a comparison. Raises RunDirectoryError where the directory has other settings."""
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)
    if not (path / SETTINGS).is_file():
        write_text(path / SETTINGS, text)
        return
    before = read_settings(path)
    differences = changed_settings(_fixed_settings(before), _fixed_settings(config))
    if differences:
        raise RunDirectoryError(
            f"{path} holds another comparison; what differs: {'; '.join(differences)}. Choose another --out, such "
            f"as {free_place(path)}: replies are reused from the reply store"
        )
    write_text(path / SETTINGS, text)


def _fixed_settings(config: CompareConfig) -> dict[str, Any]:
    """Return the settings that must not change when a comparison is resumed."""
    rule_sets = ", ".join(f"{rules.name} in {Path(rules.run).name}" for rules in config.rule_sets)
    return {"rule sets": rule_sets, "floor-prompts": config.floor_prompts, **config.run.questions()}


def read_settings(path: Path) -> CompareConfig:
    """Return the settings of a comparison. Raises RunDirectoryError when the directory contains none."""
    if not (path / SETTINGS).is_file():
        raise RunDirectoryError(f"{path} is not a comparison: it has no {SETTINGS}")
    settings = read_yaml(path / SETTINGS, CompareConfig)
    # The directory may have been moved, with the runs that the comparison made.
    here = tuple(
        rules.model_copy(update={"run": str(path / "runs" / Path(rules.run).name)})
        if settings.made_here(rules)
        else rules
        for rules in settings.rule_sets
    )
    return settings.model_copy(update={"rule_sets": here, "out": str(path)})


def read_comparison(path: Path) -> Comparison:
    """Return the metrics of a finished comparison. Raises RunDirectoryError when there are none."""
    if not (path / "comparison.json").is_file():
        raise RunDirectoryError(f"{path} is not a finished comparison: it has no comparison.json")
    try:
        return Comparison.model_validate_json((path / "comparison.json").read_bytes())
    except (OSError, ValueError):
        raise RunDirectoryError(
            f"{path}/comparison.json cannot be read, or another version wrote it; run the same `rlaif compare` again: "
            "it computes the metrics and asks no model"
        ) from None


def pooled(path: Path) -> Iterator[PooledPrompt]:
    """Yield the judged prompts of a comparison. Raises RunDirectoryError when there is no pool."""
    with TraceReader(path / POOL, PooledPrompt) as reader:
        yield from reader.traces()


@contextlib.contextmanager
def spent_on(path: Path, what: str) -> Iterator[dict[str, float]]:
    """Add the cost of the body (seconds, replies) to that of earlier sessions; `what` is a rule set's name or POOL.

    The body fills the dict with its session's counts; if it raises, only the seconds are added.
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
    """Return the cost of all sessions, by rule set and POOL; empty when the file cannot be read."""
    try:
        found = json.loads(read_text(path / SPENT))
        return {what: {name: float(value) for name, value in spent.items()} for what, spent in found.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}


def write_tables(path: Path, config: RunConfig, runs: dict[str, Run], prompts: Sequence[PooledPrompt]) -> None:
    """Write `matchups.parquet` and `principles.parquet` into a comparison's directory."""
    import pandas  # noqa: PLC0415

    rules = pool_rules(config, {name: run.constitution for name, run in runs.items()}, prompts)
    try:
        for name, rows in (("matchups", matchup_rows(prompts, rules)), ("principles", principle_rows(prompts, rules))):
            pandas.DataFrame(list(rows)).to_parquet(path / f"{name}.parquet", index=False)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror or error}") from None


def matchup_rows(prompts: Sequence[PooledPrompt], rules: Mapping[PassKey, Rule]) -> Iterator[dict[str, Any]]:
    """Yield one row per matchup, rule set and judging pass: the responses, p of `a`, and the abstention if any."""
    for pool in prompts:
        for (name, again), judgements in judge_all(pool, rules).items():
            for matchup, judgement in zip(pool.matchups, judgements, strict=True):
                yield {
                    "prompt_id": pool.prompt.id,
                    "tags": list(pool.prompt.tags),
                    "kind": matchup.kind,
                    "a": matchup.a,
                    "b": matchup.b,
                    "a_by": pool.candidate(matchup.a).by,
                    "b_by": pool.candidate(matchup.b).by,
                    "rules": name,
                    "again": again,
                    "p_a": judgement.p,
                    "logit": judgement.logit,
                    "abstention": judgement.abstention,
                    "position_bias": judgement.position_bias,
                    "label_mass": judgement.label_mass,
                    "order_agreement": judgement.order_agreement,
                    "a_text": pool.candidate(matchup.a).text,
                    "b_text": pool.candidate(matchup.b).text,
                }


def principle_rows(prompts: Sequence[PooledPrompt], rules: Mapping[PassKey, Rule]) -> Iterator[dict[str, Any]]:
    """Yield one row per matchup, rule set, judging pass and principle that could be read."""
    for pool in prompts:
        for (name, again), judgements in judge_all(pool, rules).items():
            for judgement in judgements:
                for part in judgement.principles:
                    yield {
                        "prompt_id": pool.prompt.id,
                        "a": judgement.a,
                        "b": judgement.b,
                        "rules": name,
                        "again": again,
                        "principle": part.principle,
                        "p_a": part.p,
                        "logit": part.logit,
                        "position_bias": part.position_bias,
                        "turned": part.turned,
                    }
