"""A changed record is noticed; what can be read of a damaged run is saved; only leftovers are deleted."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from rlaif.datasets.export import export
from rlaif.errors import RunDirectoryError
from rlaif.generation import generate_async
from rlaif.runs.integrity import verify
from rlaif.runs.reader import Run
from rlaif.runs.store import record_hash
from rlaif.runs.upkeep import repair
from rlaif.testing import SimulatedServer
from tests.command import Rlaif, commands
from tests.conftest import MakeConfig


@pytest.fixture
def rlaif(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Rlaif:
    monkeypatch.chdir(tmp_path)
    return commands(monkeypatch, capsys)


@pytest.fixture
async def run(make_config: MakeConfig) -> Run:
    async with SimulatedServer() as server:
        return await generate_async(make_config(server))


def change(run: Run, prompt_id: str, *, hash_too: bool = False) -> None:
    """Swap the log-probabilities of the two labels in every verdict of one record, which turns the verdicts."""
    with sqlite3.connect(run.path / "run.sqlite") as store:
        ((text,),) = store.execute("SELECT trace FROM traces WHERE prompt_id = ?", (prompt_id,)).fetchall()
        trace = json.loads(text)
        for matchup in trace["matchups"]:
            for verdict in matchup["verdicts"]:
                verdict["first"], verdict["second"] = verdict["second"], verdict["first"]
        changed = json.dumps(trace)
        store.execute("UPDATE traces SET trace = ? WHERE prompt_id = ?", (changed, prompt_id))
        if hash_too:
            values = (record_hash(prompt_id, changed), prompt_id)
            store.execute("UPDATE traces SET hash = ? WHERE prompt_id = ?", values)
    store.close()


def test_a_run_that_nobody_changed_is_whole_and_its_card_has_its_hash(run: Run) -> None:
    found = verify(run.path)
    assert (found.problems, found.records, found.without_hash) == ((), 6, 0)
    assert found.root == run.root()
    assert found.root in (run.path / "dataset" / "README.md").read_text()


def test_a_turned_verdict_is_noticed_wherever_the_record_is_read(run: Run, tmp_path: Path) -> None:
    change(run, "p3")
    again = Run(run.path)
    with pytest.raises(RunDirectoryError, match="record of prompt 'p3' was changed after it was written"):
        again.trace("p3")
    with pytest.raises(RunDirectoryError, match="rlaif runs verify"):
        export(again, "trl", tmp_path / "dataset")
    assert verify(run.path).problems == ("the record of prompt 'p3' was changed after it was written",)
    assert again.trace("p2").prompt.id == "p2"


def test_a_change_with_a_new_hash_is_found_by_the_hash_of_the_run(run: Run) -> None:
    root = run.root()
    change(run, "p3", hash_too=True)
    assert Run(run.path).root() != root
    assert [problem.partition(" ")[0] for problem in verify(run.path).problems] == [
        "summary.json",
        "dataset/rlaif.json",
    ]


async def test_a_changed_record_is_taken_out_and_made_again_from_stored_replies(
    make_config: MakeConfig, run: Run
) -> None:
    before = [trace.model_dump_json() for trace in run.traces()]
    change(run, "p3")
    repaired = repair(run.path)
    assert (repaired.taken_out, repaired.records, repaired.prompts) == (("p3",), 5, 6)
    async with SimulatedServer() as server:
        again = await generate_async(make_config(server))
        assert server.asked == []
    assert [trace.model_dump_json() for trace in again.traces()] == before
    assert verify(run.path).whole


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("manifest.json", '"prompt_count": 6', '"prompt_count": 5', "manifest.json says 5 prompts"),
        ("prompts/critique.jinja", "", "x", "prompts/critique.jinja was changed"),
        ("constitution.yaml", "kind", "kinder", "constitution.yaml was changed"),
    ],
)
def test_changed_files_are_named(run: Run, file: str, old: str, new: str, said: str) -> None:
    path = run.path / file
    path.write_text(path.read_text().replace(old, new) if old else new)
    assert any(problem.startswith(said) for problem in verify(run.path).problems)


def test_records_of_a_version_without_hashes_are_read_and_counted(run: Run) -> None:
    with sqlite3.connect(run.path / "run.sqlite") as store:
        store.execute("ALTER TABLE traces DROP COLUMN hash")
    store.close()
    assert len(list(Run(run.path).traces())) == 6
    found = verify(run.path)
    assert (found.without_hash, found.records) == (6, 6)


def test_what_can_be_read_of_a_damaged_file_is_saved(run: Run) -> None:
    file = run.path / "run.sqlite"
    text = bytearray(file.read_bytes())
    place = text.rfind(b'{"prompt":{"id":"p5"')
    page = place // 4096 * 4096
    text[page : page + 4096] = b"\0" * 4096
    file.write_bytes(text)
    assert any("damaged" in problem for problem in verify(run.path).problems)
    repaired = repair(run.path)
    assert repaired.prompts == 6
    assert repaired.records < 6
    assert Path(repaired.kept).read_bytes() == bytes(text)
    assert not any("damaged" in problem for problem in verify(run.path).problems)


def test_the_commands_list_verify_repair_and_clean(run: Run, rlaif: Rlaif) -> None:
    shutil.copytree(run.path, "shelf/deep/one")
    change(Run(Path("shelf/deep/one")), "p1")
    (listed,) = json.loads(rlaif("runs", "list", "shelf", "--json").out)
    assert (listed["state"], listed["traces"], listed["prompts"]) == ("finished", 6, 6)
    assert "6 of 6" in rlaif("runs", "list", "shelf").out
    said = rlaif("runs", "verify", "shelf/deep/one")
    assert said.code == 1
    assert "'p1' was changed" in said.out
    assert "taken out  1 record: p1" in rlaif("runs", "repair", "shelf/deep/one").out
    assert "would be deleted" in rlaif("runs", "clean", "shelf").out
    assert Path("shelf/deep/one/run.sqlite.damaged").exists()
    assert "deleted" in rlaif("runs", "clean", "shelf", "--yes").out
    assert not Path("shelf/deep/one/run.sqlite.damaged").exists()
    assert "nothing to delete" in rlaif("runs", "clean", "shelf").out
    assert rlaif("runs", "list", "nowhere").complains(2, "nowhere: no such folder")
