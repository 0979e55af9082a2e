"""A column is one field: its type in the files, and its line on the card, follow from the class of the rows."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from rlaif.datasets.columns import SOMETIMES, column_names, column_table, features
from rlaif.datasets.export import export, write_dataset
from rlaif.datasets.formats import FORMATS, TRL, Table
from rlaif.generation import generate_async
from rlaif.runs.reader import Run
from rlaif.runs.rows import PreferenceRow
from rlaif.runs.summary import summarise
from rlaif.testing.server import SimulatedServer
from tests.conftest import MakeConfig

TABLES = {(name, part): table for name, format_ in FORMATS.items() for part, table in format_.tables.items()}


@pytest.fixture
async def run(make_config: MakeConfig) -> Run:
    async with SimulatedServer() as server:
        return await generate_async(make_config(server, prompts=12, pairs={"test_fraction": 0.3}))


@pytest.mark.parametrize(("name", "part"), TABLES)
def test_every_column_of_every_format_is_documented(name: str, part: str) -> None:
    table = TABLES[name, part].row
    lines = column_table(table, tools=True, also=SOMETIMES).splitlines()[2:]
    for column, line in zip(table.model_fields, lines, strict=True):
        _, shown, kind, meaning, _ = (cell.strip() for cell in line.replace(r"\|", "").split("|"))
        assert shown == f"`{column}`"
        assert kind
        assert len(meaning) > 10
        assert meaning.endswith((".", ")"))


@pytest.mark.parametrize("name", FORMATS)
async def test_the_files_of_every_format_have_the_columns_of_their_class(run: Run, tmp_path: Path, name: str) -> None:
    folder = export(run, name, tmp_path / "out")
    for part, table in FORMATS[name].tables.items():
        for split in ("train", "test"):
            file = folder / part / f"{split}.{FORMATS[name].suffix}"
            assert columns_of(file) == column_names(table.row)
            if file.suffix == ".parquet":
                assert pyarrow.parquet.read_schema(file).types == features(table.row).arrow_schema.types


async def test_the_card_documents_every_column_of_both_tables(run: Run) -> None:
    card = (run.path / "dataset" / "README.md").read_text()
    for part, table in TRL.tables.items():
        assert f"### `{part}`\n\n{column_table(table.row)}" in card


class WithLength(PreferenceRow):
    words_chosen: int
    """Words of the chosen response | split at spaces."""


def with_length(run: Run) -> Iterator[WithLength]:
    for row in run.preference_rows():
        yield WithLength(**row.model_dump(), words_chosen=len(row.chosen[0].content.split()))


async def test_a_new_field_is_a_column_of_the_file_and_a_line_of_the_card(run: Run, tmp_path: Path) -> None:
    format_ = replace(TRL, tables={**TRL.tables, "preference": Table(WithLength, with_length)})
    write_dataset(run, format_, tmp_path / "out", card=summarise(run))
    table = pyarrow.parquet.read_table(tmp_path / "out" / "preference" / "train.parquet")
    assert str(table.schema.field("words_chosen").type) == "int64"
    for row in table.to_pylist():
        assert row["words_chosen"] == len(row["chosen"][0]["content"].split())
    card = (tmp_path / "out" / "README.md").read_text()
    assert "| `words_chosen` | int64 | Words of the chosen response \\| split at spaces. |" in card


def test_only_tables_for_trainers_of_reward_models_have_a_margin() -> None:
    with_margin = {name for (name, _), table in TABLES.items() if "margin" in table.row.model_fields}
    assert with_margin == {"reward", "openrlhf"}
    assert "p_margin" in PreferenceRow.model_fields


def test_the_docs_name_every_format() -> None:
    table = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    named = {
        name for line in table.splitlines() if line.startswith("| `") for name in line.split("|")[1].split("`")[1::2]
    }
    assert named >= set(FORMATS)


def columns_of(file: Path) -> list[str]:
    if file.suffix == ".parquet":
        return list(pyarrow.parquet.read_schema(file).names)
    rows: list[dict[str, Any]] = [json.loads(line) for line in file.read_text().splitlines()]
    return list(rows[0])
