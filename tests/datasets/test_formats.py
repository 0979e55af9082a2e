"""Rows for trainers elsewhere: what their documentation asks for, and for TRL what its own code takes."""

import json
import math
from pathlib import Path
from typing import Any

import datasets
import pytest

from rlaif.datasets.export import export
from rlaif.generation import generate_async
from rlaif.runs.reader import Run
from rlaif.testing import SimulatedServer
from tests.conftest import MakeConfig


@pytest.fixture
async def run(make_config: MakeConfig) -> Run:
    async with SimulatedServer() as server:
        return await generate_async(make_config(server, prompts=12, pairs={"test_fraction": 0.3}))


def parquet(folder: Path, tmp_path: Path) -> list[dict[str, Any]]:
    parts = [str(folder / f"{split}.parquet") for split in ("train", "test")]
    return list(datasets.Dataset.from_parquet(parts, cache_dir=str(tmp_path / "cache")))


def lines(folder: Path) -> list[dict[str, Any]]:
    parts = [(folder / f"{split}.jsonl").read_text().splitlines() for split in ("train", "test")]
    return [json.loads(line) for part in parts for line in part]


async def test_kto_rows_are_unpaired_preferences(run: Run, tmp_path: Path) -> None:
    rows = parquet(export(run, "kto", tmp_path / "out"), tmp_path)
    pairs = {(row.prompt_id, row.chosen[0].content, row.rejected[0].content) for row in run.preference_rows()}
    by_label = {label: [row for row in rows if row["label"] is label] for label in (True, False)}
    assert len(by_label[True]) == len(by_label[False]) == len(pairs) > 0
    read = zip(by_label[True], by_label[False], strict=True)
    assert {(a["prompt_id"], a["completion"][0]["content"], b["completion"][0]["content"]) for a, b in read} == pairs
    assert rows[0]["prompt"][-1]["role"] == "user"


async def test_reward_rows_are_whole_conversations_with_the_log_odds_as_margin(run: Run, tmp_path: Path) -> None:
    rows = {row["prompt_id"]: row for row in parquet(export(run, "reward", tmp_path / "out"), tmp_path)}
    for pair in run.preference_rows():
        row = rows[pair.prompt_id]
        assert [turn["role"] for turn in row["chosen"]] == ["user", "assistant"]
        assert row["chosen"][:-1] == row["rejected"][:-1]
        assert row["margin"] == pytest.approx(math.log(pair.p_chosen / (1 - pair.p_chosen)), abs=1e-9)


async def test_openrlhf_rows_have_lists_that_join_to_conversations(run: Run, tmp_path: Path) -> None:
    for row in lines(export(run, "openrlhf", tmp_path / "out")):
        for side in ("chosen", "rejected"):
            assert [turn["role"] for turn in row["prompt"] + row[side]] == ["user", "assistant"]
        assert isinstance(row["margin"], float)


async def test_nemo_rl_rows_rank_their_completions_from_zero(run: Run, tmp_path: Path) -> None:
    rows = {row["prompt_id"]: row for row in lines(export(run, "nemo-rl", tmp_path / "out"))}
    for pair in run.preference_rows():
        row = rows[pair.prompt_id]
        assert [turn["role"] for turn in row["context"]] == ["user"]
        best, worst = sorted(row["completions"], key=lambda one: one["rank"])
        assert (best["rank"], worst["rank"]) == (0, 1)
        assert best["completion"] == [{"role": "assistant", "content": pair.chosen[0].content}]
        assert worst["completion"][0]["content"] == pair.rejected[0].content


async def test_rankings_hold_every_scored_answer_best_first(run: Run, tmp_path: Path) -> None:
    rows = {row["prompt_id"]: row for row in parquet(export(run, "ranking", tmp_path / "out"), tmp_path)}
    assert rows
    for trace, conclusion in run.conclusions():
        if len(conclusion.scores) < 2:
            continue
        row = rows[trace.prompt.id]
        ranks = [answer["rank"] for answer in row["answers"]]
        assert ranks == sorted(ranks)
        assert ranks[0] == 1
        assert row["num_responses"] == len(conclusion.scores) == len(ranks)
        best = max(conclusion.scores, key=lambda name: conclusion.scores[name])
        assert row["answers"][0]["answer"] == trace.response(best).text
        assert row["prompt"] == f"\n\nHuman: {trace.prompt.messages[0].content}\n\nAssistant: "


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
async def test_trl_knows_its_own_types(run: Run, tmp_path: Path) -> None:
    from trl import data_utils

    kto = parquet(export(run, "kto", tmp_path / "kto"), tmp_path)[0]
    reward = parquet(export(run, "reward", tmp_path / "reward"), tmp_path)[0]
    assert data_utils.is_conversational(kto)
    assert data_utils.is_conversational(reward)
    kept = data_utils.extract_prompt({"chosen": reward["chosen"], "rejected": reward["rejected"]})
    assert kept["prompt"] == reward["chosen"][:-1]
    unpaired = data_utils.unpair_preference_dataset(datasets.Dataset.from_list([kept]))
    assert set(unpaired.column_names) == set(kto) - {"prompt_id"}
