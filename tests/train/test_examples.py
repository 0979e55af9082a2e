"""What a model learns from, as it is read: every source, and one line with its place for every row of no use."""

import json
from pathlib import Path
from typing import Any

import pytest

from rlaif.datasets.export import export
from rlaif.errors import PromptsError
from rlaif.generation import generate_async
from rlaif.runs.reader import Run
from rlaif.testing import SimulatedServer
from rlaif.train.examples import improvements, read_pairs, read_responses
from tests.conftest import MakeConfig

PAIR = {"prompt": "Why?", "chosen": "So.", "rejected": "No."}


def rows(tmp_path: Path, *given: Any) -> str:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in given))
    return str(file)


@pytest.fixture
async def run(make_config: MakeConfig) -> Run:
    async with SimulatedServer() as server:
        return await generate_async(make_config(server, prompts=20, pairs={"test_fraction": 0.3}))


async def test_a_run_and_its_exported_dataset_hold_the_same_examples(run: Run, tmp_path: Path) -> None:
    for read in (read_pairs, read_responses):
        direct = read(str(run.path))
        exported = read(str(run.path / "dataset"))
        assert direct.hash == exported.hash
        assert direct.train
        assert direct.test
    assert read_pairs(str(run.path)).origin.rules == ("Which answer is kinder?", "Which answer says it in fewer words?")
    assert run.constitution.hash in read_pairs(str(run.path)).origin.constitutions[0]


async def test_what_a_run_warns_of_its_labels_goes_along_with_its_pairs(make_config: MakeConfig) -> None:
    async with SimulatedServer() as server:
        run = await generate_async(make_config(server, prompts=20, judging={"min_margin": 0.0}))
    assert "do not train on these pairs" in read_pairs(str(run.path)).origin.warnings[-1]
    assert "do not train on these pairs" in read_pairs(str(run.path / "dataset")).origin.warnings[-1]
    assert "do not train on these pairs" in read_pairs(str(run.path / "dataset" / "preference")).origin.warnings[-1]
    assert "do not train on these pairs" in read_responses(str(run.path)).origin.warnings[-1]
    train = run.path / "dataset" / "preference" / "train.parquet"
    assert "do not train on these pairs" in read_pairs(str(train)).origin.warnings[-1]


@pytest.mark.parametrize("format_", ["ultrafeedback", "jsonl"])
async def test_other_exports_are_read_too(run: Run, tmp_path: Path, format_: Any) -> None:
    folder = export(run, format_, tmp_path / "out")
    assert [p.chosen for p in read_pairs(str(folder)).train] == [p.chosen for p in read_pairs(str(run.path)).train]


def test_a_rows_p_better_changes_no_training_but_by_what_it_leaves_out(tmp_path: Path) -> None:
    revised = [{"prompt": f"{n}?", "completion": "So.", "id": n} for n in range(4)]
    sure, surer = (read_responses(rows(tmp_path, *({**row, "p_better": p} for row in revised))) for p in (0.6, 0.9))
    assert sure.hash == surer.hash
    ps = (None, 0.4, 0.5, 0.6)
    mixed = read_responses(rows(tmp_path, *({**row, "p_better": p} for row, p in zip(revised, ps, strict=True))))
    kept = improvements(mixed, 0.5)
    assert {one.id: one.p_better for one in (*kept.train, *kept.test)} == {"0": None, "2": 0.5, "3": 0.6}


def test_texts_and_messages_and_whole_conversations_are_the_same_pair(tmp_path: Path) -> None:
    user = {"role": "user", "content": "Why?"}
    yes, no = ({"role": "assistant", "content": text} for text in ("So.", "No."))
    read = read_pairs(
        rows(
            tmp_path,
            *[
                {"id": "a", "p_chosen": 0.75, **PAIR},
                {"id": "b", "p_chosen": 0.75, "prompt": [user], "chosen": [yes], "rejected": [no]},
                {"id": "c", "p_chosen": 0.75, "prompt": "Why?", "chosen": [user, yes], "rejected": [user, no]},
            ],
        )
    )
    kept = {one.model_copy(update={"id": ""}) for one in (*read.train, *read.test)}
    assert len(kept) == 1
    assert kept.pop().p_chosen == 0.75


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"prompt": "Why?", "chosen": "So."}, "rows.jsonl:2: has no `rejected`; it has prompt, chosen"),
        ({**PAIR, "prompt": None}, "rows.jsonl:2: has no `prompt`"),
        ({**PAIR, "p_chosen": 1.4}, "rows.jsonl:2: p_chosen is 1.4; must be a probability between 0 and 1"),
        ({**PAIR, "p_chosen": float("nan")}, "rows.jsonl:2: p_chosen is nan"),
        ({**PAIR, "p_chosen": "likely"}, "rows.jsonl:2: p_chosen is 'likely'"),
        ({**PAIR, "rejected": "So. "}, "rows.jsonl:2: both responses are the same"),
        ({**PAIR, "chosen": ""}, "rows.jsonl:2: `chosen` has no text"),
        ({**PAIR, "chosen": [{"role": "user", "content": "x"}]}, "last message of `chosen` must be the assistant's"),
        ({**PAIR, "prompt": 3}, "rows.jsonl:2: `prompt` must be a text or a list of messages"),
        ("text", "rows.jsonl:2: must be an object with columns, found str"),
    ],
)
def test_a_row_of_no_use_is_said_with_its_place(tmp_path: Path, row: Any, says: str) -> None:
    with pytest.raises(PromptsError, match=says.replace("(", r"\(")):
        read_pairs(rows(tmp_path, PAIR, row))


def test_an_empty_dataset_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text(json.dumps(PAIR) + "\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PromptsError, match="neither a run directory nor a dataset with a train file"):
        read_pairs(str(tmp_path / "empty"))
    with pytest.raises(PromptsError, match="the file is empty"):
        read_pairs(rows(tmp_path))


async def test_a_run_without_pairs_says_what_it_could_be_used_for(make_config: MakeConfig) -> None:
    async with SimulatedServer() as server:
        run = await generate_async(make_config(server, prompts=6, judging={"kind": "none"}))
    with pytest.raises(PromptsError, match=r"has no pair to train on; try `rlaif train sft` on its revisions"):
        read_pairs(str(run.path))
    assert read_responses(str(run.path)).train


def test_pairs_of_one_prompt_stand_in_one_split_and_have_names_of_their_own(tmp_path: Path) -> None:
    pairs = [{**PAIR, "prompt": f"{n}?", "chosen": f"So {m}.", "prompt_id": f"p{n}"} for n in range(40) for m in (1, 2)]
    read = read_pairs(rows(tmp_path, *pairs))
    train, test = ({one.prompt for one in part} for part in (read.train, read.test))
    assert train
    assert test
    assert not train & test
    assert len({one.id for one in (*read.train, *read.test)}) == 80
