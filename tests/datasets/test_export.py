"""Exports that other programs read: types hold in every split, formats are what their consumers document."""

import json
import shutil
from pathlib import Path

import datasets
import pytest
from huggingface_hub import DatasetCard

from rlaif.api import generate
from rlaif.datasets.export import FORMATS, export
from rlaif.errors import UsageError
from rlaif.generation import generate_async
from rlaif.runs.reader import Run
from rlaif.testing import SimulatedServer
from rlaif.text.language import language_shares
from tests.command import serving
from tests.conftest import CONSTITUTION, MakeConfig, configs_in


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "testing.yaml").write_text(CONSTITUTION, encoding="utf-8")
    with serving(SimulatedServer()) as server:
        config = configs_in(folder, folder / "testing.yaml")(server, prompts=30, pairs={"test_fraction": 0.3})
        return generate(config).path


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Run:
    """Return a run of one's own: a copy of one that was made once."""
    return Run(Path(shutil.copytree(made, tmp_path / "runs" / "one")))


async def test_load_dataset_takes_both_configs_and_prompts_stand_in_one_split_only(run: Run, tmp_path: Path) -> None:
    for name in ("preference", "sft"):
        data = datasets.load_dataset(str(run.path / "dataset"), name, cache_dir=str(tmp_path / "cache"))
        assert set(data) == {"train", "test"}
        assert not set(data["train"]["prompt_id"]) & set(data["test"]["prompt_id"])
        assert data["train"].features == data["test"].features
    assert len(data["train"]) + len(data["test"]) == 60


async def test_scores_stand_beside_their_standard_errors(run: Run, tmp_path: Path) -> None:
    def rows(name: str) -> datasets.Dataset:
        cache = str(tmp_path / "cache")
        return datasets.load_dataset(str(run.path / "dataset"), name, split="train", cache_dir=cache)

    assert len(rows("preference")) > 10
    for row in rows("preference"):
        assert row["score_chosen"] > row["score_rejected"]
        assert row["score_chosen_se"] > 0
        assert row["score_rejected_se"] > 0
    conclusions = {trace.prompt.id: found for trace, found in run.conclusions()}
    for row in rows("sft"):
        strength = conclusions[row["prompt_id"]].strengths[row["response_id"]]
        assert (row["score"], row["score_se"]) == (strength.value, strength.se)


async def test_load_dataset_sees_a_second_export_to_the_same_folder(run: Run, tmp_path: Path) -> None:
    def rows() -> int:
        data = datasets.load_dataset(
            str(run.path / "dataset"), "preference", split="train", cache_dir=str(tmp_path / "cache")
        )
        return len(data)

    before = rows()
    strict = run.config.model_copy(update={"judging": run.config.judging.model_copy(update={"min_margin": 0.35})})
    again = await generate_async(strict)
    assert rows() < before
    assert rows() == json.loads((again.path / "dataset" / "rlaif.json").read_text())["rows"]["preference/train"]


async def test_a_split_whose_rows_have_no_tags_fits_the_other(make_config: MakeConfig, tmp_path: Path) -> None:
    async with SimulatedServer() as server:
        config = make_config(server, prompts=12, pairs={"test_fraction": 0.4}, judging={"kind": "none"})
        lines = Path(config.prompts.path).read_text().splitlines()
        bare = [json.loads(line) | {"tags": []} for line in lines[:-1]] + [json.loads(lines[-1])]
        Path(config.prompts.path).write_text("\n".join(map(json.dumps, bare)))
        run = await generate_async(config)
    data = datasets.load_dataset(str(run.path / "dataset"), "sft", cache_dir=str(tmp_path / "cache"))
    assert data["train"].features == data["test"].features
    assert data["train"][0]["p_better"] is None


@pytest.mark.parametrize("format_", FORMATS)
async def test_every_format_is_written_whole_and_may_be_written_again(run: Run, tmp_path: Path, format_) -> None:
    folder = export(run, format_, tmp_path / "out")
    first = sorted(p.relative_to(folder) for p in folder.rglob("*"))
    export(run, format_, tmp_path / "out")
    assert sorted(p.relative_to(folder) for p in folder.rglob("*")) == first
    assert sum(json.loads((folder / "rlaif.json").read_text())["rows"].values()) >= len(run.pairs)


async def test_ultrafeedback_holds_whole_conversations(run: Run, tmp_path: Path) -> None:
    folder = export(run, "ultrafeedback", tmp_path / "out")
    data = datasets.Dataset.from_parquet(str(folder / "train.parquet"), cache_dir=str(tmp_path / "cache"))
    row = data[0]
    assert [turn["role"] for turn in row["chosen"]] == ["user", "assistant"]
    assert row["chosen"][0] == row["rejected"][0]
    assert row["prompt"] == row["chosen"][0]["content"]
    assert row["messages"] == row["chosen"]


async def test_the_card_says_whose_rules_which_critic_and_what_was_left_out(run: Run) -> None:
    card = (run.path / "dataset" / "README.md").read_text()
    for words in (
        "Which answer is kinder?",
        "judged by **simulated**",
        run.constitution.hash,
        "abstained",
        "## Limits",
    ):
        assert words in card


async def test_the_head_describes_the_files_and_invents_nothing(run: Run) -> None:
    head = DatasetCard.load(run.path / "dataset" / "README.md").data
    infos = {info["config_name"]: info for info in head.dataset_info}
    for name in ("preference", "sft"):
        splits = {split["name"]: split for split in infos[name]["splits"]}
        for split, one in splits.items():
            file = run.path / "dataset" / name / f"{split}.parquet"
            rows = datasets.Dataset.from_parquet(str(file), cache_dir=str(run.path / "cache"))
            assert (one["num_examples"], one["num_bytes"]) == (len(rows), rows.data.nbytes)
            assert datasets.Features._from_yaml_list(infos[name]["features"]) == rows.features
        sizes = [(run.path / "dataset" / name / f"{split}.parquet").stat().st_size for split in splits]
        assert infos[name]["download_size"] == sum(sizes)
    assert head.size_categories == ["n<1K"]
    assert head.license == "unknown"
    # The server names no id of the hub, and the prompts are a file of which nothing else is known.
    assert head.get("base_model") is None
    assert head.source_datasets is None


async def test_what_may_be_published_has_no_local_path(run: Run) -> None:
    assert Path(run.manifest.prompts).is_absolute()
    for name in ("README.md", "rlaif.json"):
        text = (run.path / "dataset" / name).read_text()
        assert str(run.path.parent.parent) not in text
        assert run.manifest.prompts not in text
        assert Path(run.manifest.prompts).name in text


def test_a_languages_share_counts_rows_without_a_language() -> None:
    english, french = "The weather is nice today, is it not?", "Il fait beau aujourd'hui, et demain il pleut."
    assert language_shares([english, french, english, "1234"]) == {"en": 0.5, "fr": 0.25}


async def test_a_folder_with_other_things_is_not_touched(run: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not an export of this program"):
        export(run, "trl", tmp_path)
