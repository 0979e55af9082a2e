"""The pool as tables, for one's own questions: one row per verdict of a rule set, one per principle."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rlaif.compare.figures import pool_rules
from rlaif.compare.pool import PooledPrompt
from rlaif.compare.tallies import Judge, judge_all
from rlaif.config.run import RunConfig
from rlaif.errors import StorageError
from rlaif.preferences.rule import Rule
from rlaif.runs.reader import Run


def write_tables(path: Path, config: RunConfig, runs: dict[str, Run], prompts: Sequence[PooledPrompt]) -> None:
    """Write `matchups.parquet` and `principles.parquet` into a comparison's directory."""
    import pandas  # noqa: PLC0415

    rules = pool_rules(config, {name: run.constitution for name, run in runs.items()}, prompts)
    try:
        for name, rows in (("matchups", matchup_rows(prompts, rules)), ("principles", principle_rows(prompts, rules))):
            pandas.DataFrame(list(rows)).to_parquet(path / f"{name}.parquet", index=False)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror or error}") from None


def matchup_rows(prompts: Sequence[PooledPrompt], rules: Mapping[Judge, Rule]) -> Iterator[dict[str, Any]]:
    """Yield one row per matchup, rule set and sitting: the answers, p of `a`, and the abstention if any."""
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


def principle_rows(prompts: Sequence[PooledPrompt], rules: Mapping[Judge, Rule]) -> Iterator[dict[str, Any]]:
    """Yield one row per matchup, rule set, sitting and principle that could be read."""
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
