"""A prompt that a model was trained on is told from one that it was not, wherever the training set stands."""

import json
from pathlib import Path

import pandas
import pytest

from rlaif.errors import UsageError
from rlaif.evaluate.policy.held_out import TrainedOn
from rlaif.generation import generate_async
from rlaif.testing import SimulatedServer
from tests.conftest import MakeConfig

LONG = "Please tell me why the sky over the sea is darker in the evening than over the land."


def written(tmp_path: Path, *rows: object) -> Path:
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)))
    return file


@pytest.mark.parametrize(
    "row",
    [
        LONG,
        {"prompt": f"  {LONG.upper()} "},
        {"prompt": [{"role": "system", "content": "x"}, {"role": "user", "content": LONG}], "chosen": []},
        {"messages": [{"role": "user", "content": f"Hello. {LONG} Thanks."}, {"role": "assistant", "content": "y"}]},
        {"conversations": [{"from": "human", "value": LONG}]},
        {"instruction": LONG, "output": "y"},
    ],
)
def test_a_prompt_is_found_in_any_usual_layout(tmp_path: Path, row: object) -> None:
    assert TrainedOn([written(tmp_path, row)]).contains(LONG)


def test_what_the_assistant_said_is_no_prompt(tmp_path: Path) -> None:
    rows = written(tmp_path, {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": LONG}]})
    assert not TrainedOn([rows]).contains(LONG)


def test_a_short_prompt_must_be_the_whole_text(tmp_path: Path) -> None:
    known = TrainedOn([written(tmp_path, {"prompt": "Why? And who told you so?"}, {"prompt": "How?"})])
    assert (known.contains("Why?"), known.contains("how?")) == (False, True)


def test_a_run_and_its_dataset_hold_its_prompts(tmp_path: Path, make_config: MakeConfig) -> None:
    import asyncio

    async def made() -> Path:
        async with SimulatedServer() as server:
            return (await generate_async(make_config(server, prompts=4))).path

    run = asyncio.run(made())
    for source in (run, run / "dataset"):
        known = TrainedOn([source])
        assert known.contains("Tell me about number 3.")
        assert not known.contains("Tell me about number 4.")


def test_a_folder_of_parquet_files_is_read(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    pandas.DataFrame({"prompt": [LONG]}).to_parquet(tmp_path / "data" / "train.parquet")
    assert TrainedOn([tmp_path / "data"]).contains(LONG)


def test_what_is_not_there_or_empty_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such run directory"):
        TrainedOn([tmp_path / "nothing"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="none of its rows has a prompt"):
        TrainedOn([tmp_path / "empty"])
