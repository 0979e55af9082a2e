"""`rlaif push`: what arrives at a stand-in of the hub, what `load_dataset` makes of it, and what is refused."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from rlaif.api import generate
from rlaif.hub.publishable import folders_named, private_roots, publishable
from rlaif.testing import SimulatedServer
from rlaif.train.directory import base_id
from tests.command import serving
from tests.conftest import CONSTITUTION, configs_in
from tests.hub.session import Session, session
from tests.hub.stand_in import ACCOUNT, TOKEN, StandIn


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "testing.yaml").write_text(CONSTITUTION, encoding="utf-8")
    with serving(SimulatedServer()) as server:
        return generate(configs_in(folder, folder / "testing.yaml")(server, 20, pairs={"test_fraction": 0.3})).path


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with serving(StandIn()) as server:
        yield server


@pytest.fixture(scope="module")
def open_session(server: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with session(server.url, tmp_path_factory.mktemp("hub")) as opened:
        yield opened


@pytest.fixture
def hub(server: StandIn) -> StandIn:
    """Return the stand-in as it is at the start: without repositories and faults."""
    for kept in (server.repositories, server.taken, server.faults, server.uploads, server.requests):
        kept.clear()
    server.account = ACCOUNT
    return server


@pytest.fixture
def rlaif(hub: StandIn, open_session: Session):
    def run(*arguments: str, token: str | None = TOKEN):
        said = open_session.rlaif(*arguments, token=token)
        assert TOKEN not in said.out + said.err
        return said

    return run


def head_of(card: bytes) -> dict:
    return yaml.safe_load(card.decode().split("---\n")[1])


def test_load_dataset_gives_the_pairs_and_the_revisions_of_a_pushed_run(
    hub: StandIn, rlaif, open_session: Session, made: Path
) -> None:
    said = rlaif("push", str(made), "--repo", "first", "--license", "mit", "--private", "--with-run", "--json")
    assert said.code == 0, said.err
    answer = json.loads(said.out)
    assert (answer["repo"], answer["visibility"], answer["sent"]) == ("ada/first", "private", True)
    repository = hub.repositories["datasets/ada/first"]
    files = repository.files()
    assert repository.private
    assert head_of(files["README.md"])["license"] == "mit"
    assert json.loads(files["run/summary.json"])["pairs"] > 0
    assert "run/constitution.yaml" in files
    rows = {name: data["rows"] for name, data in open_session.rows("ada/first", token=TOKEN).items()}
    assert rows == {split: answer["rows"][f"preference/{split}"] for split in ("train", "test")}
    sft = open_session.rows("ada/first", "sft", token=TOKEN)
    assert "completion" in sft["train"]["columns"]
    assert sft["train"]["rows"] == answer["rows"]["sft/train"]


def test_nothing_of_this_machine_is_published(hub: StandIn, rlaif, made: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(made, tmp_path / "one"))
    rules = yaml.safe_load((run / "constitution.yaml").read_text())
    assert rlaif("export", str(run)).code == 0
    card = run / "dataset" / "README.md"
    note = f"See {tmp_path}/notes.txt and https://ada:pass@example.org/x, not https://example.org{tmp_path}."
    card.write_text(card.read_text() + f"\n{note}\n")
    said = rlaif("push", str(run / "dataset"), "--repo", "first")
    assert said.code == 0, said.err
    files = hub.repositories["datasets/ada/first"].files()
    text = files["README.md"].decode()
    assert f"See notes.txt and https://example.org/x, not https://example.org{tmp_path}." in text
    assert rules["name"] in text
    assert str(made.parent).encode() not in b"".join(files.values())


def test_paths_that_only_the_settings_name_are_cut_too() -> None:
    roots = private_roots(*folders_named({"gold": ["/data/team/gold.jsonl"], "say": "and/or", "n": 1}))
    assert publishable("fitted on /data/team/gold.jsonl (2)", roots) == ("fitted on gold.jsonl (2)", 1)
    assert publishable("in /data/teamwork or /data", roots) == ("in /data/teamwork or /data", 0)


def test_a_second_push_sends_what_changed_and_keeps_the_license(hub: StandIn, rlaif, made: Path) -> None:
    assert rlaif("push", str(made), "--repo", "lab/first", "--license", "mit", "--with-run").code == 0
    assert {"preference/train.parquet", "README.md", "run/summary.json"} <= set(hub.uploads)
    hub.uploads.clear()
    said = rlaif("push", str(made), "--repo", "lab/first")
    assert said.code == 0, said.err
    assert "license" not in said.err
    assert "nothing has changed" not in said.out
    assert hub.uploads == []
    assert "nothing has changed since commit" in rlaif("push", str(made), "--repo", "lab/first").out
    files = hub.repositories["datasets/lab/first"].files()
    assert "run/summary.json" not in files
    assert head_of(files["README.md"])["license"] == "mit"


def test_a_branch_is_made_and_main_stays(hub: StandIn, rlaif, made: Path) -> None:
    said = rlaif("push", str(made), "--repo", "first", "--branch", "strict", "--language", "en", "--language", "fr")
    assert said.code == 0, said.err
    assert "the license is unknown" in said.err
    repository = hub.repositories["datasets/ada/first"]
    assert "README.md" not in repository.files("main")
    assert head_of(repository.files("strict")["README.md"])["language"] == ["en", "fr"]


def test_a_dry_run_shows_what_a_push_sends_and_asks_nothing(hub: StandIn, rlaif, made: Path) -> None:
    command = ("push", str(made), "--repo", "ada/first", "--license", "mit", "--private")
    planned = json.loads(rlaif(*command, "--dry-run", "--json", token=None).out)
    assert hub.requests == []
    assert planned["visibility"] == "private"
    shown = rlaif(*command, "--dry-run", token=None).out
    assert f"preference/train.parquet   {planned['rows']['preference/train']} rows" in shown
    assert "license: mit" in shown
    assert shown.endswith("nothing was sent (--dry-run)\n")
    assert rlaif(*command).code == 0
    sent = hub.repositories["datasets/ada/first"].files()
    assert {name: len(content) for name, content in sent.items() if name != ".gitattributes"} == planned["files"]
    assert head_of(sent["README.md"]) == planned["head"]


@pytest.mark.parametrize(
    ("faults", "says"),
    [
        ({"whoami": 401}, "answers 401; the token is not valid"),
        ({"create": 403}, "cannot create ada/first: the hub at http://127.0.0.1:"),
        ({"commit": 403}, "cannot write to ada/first"),
        ({"commit": 500}, "answers 500: said by the hub: 500; try again later"),
        ({"whoami": 0}, "no usable answer from the hub at http://127.0.0.1:"),
    ],
)
def test_what_the_hub_refuses_is_one_line(hub: StandIn, rlaif, made: Path, faults: dict, says: str) -> None:
    hub.faults |= faults
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*.parquet")}
    assert rlaif("push", str(made), "--repo", "first", "--license", "mit").complains(2, says)
    assert {path: path.stat().st_mtime_ns for path in made.rglob("*.parquet")} == before


def test_a_name_that_is_taken_by_something_else_is_refused(hub: StandIn, rlaif, made: Path) -> None:
    hub.taken.add("ada/first")
    assert rlaif("push", str(made), "--repo", "first").complains(2, "answers 409", "another type", "another --repo")


def test_what_is_not_allowed_is_refused_before_anything_is_created(hub: StandIn, rlaif, made: Path) -> None:
    def refused(*arguments: str, token: str | None = TOKEN) -> str:
        said = rlaif("push", str(made), "--repo", *arguments, token=token)
        assert said.code == 2
        return said.complaint

    assert "no token" in refused("first", token=None)
    assert "answers 401" in refused("first", token="hf_wrong")
    assert "may not write under 'bob'" in refused("bob/first")
    assert "may only read in the organization readers" in refused("readers/first")
    assert "--repo a/b/c" in refused("a/b/c")
    hub.account = ACCOUNT | {"auth": {"accessToken": {"role": "read"}}}
    assert "may only read" in refused("first")
    assert hub.repositories == {}


def test_private_is_refused_where_the_repository_is_public(hub: StandIn, rlaif, made: Path) -> None:
    assert rlaif("push", str(made), "--repo", "first", "--license", "mit").code == 0
    hub.uploads.clear()
    said = rlaif("push", str(made), "--repo", "first", "--private")
    assert said.complains(2, "ada/first exists already and is public")
    assert hub.uploads == []


def test_an_unfinished_run_is_refused_with_the_number_of_open_prompts(rlaif, made: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(made, tmp_path / "one"))
    with closing(sqlite3.connect(run / "run.sqlite")) as store, store:
        store.execute("DELETE FROM traces WHERE prompt_id IN (SELECT prompt_id FROM traces LIMIT 3)")
    said = rlaif("push", str(run), "--repo", "first")
    assert said.complains(2, "3 of 20 prompts were not reached", f"rlaif generate {run}")


def test_a_folder_that_is_nothing_of_ours_is_refused(rlaif, made: Path, tmp_path: Path) -> None:
    assert rlaif("push", str(tmp_path / "no"), "--repo", "first").complains(2, "no: no such folder")
    assert rlaif("push", str(tmp_path), "--repo", "first").complains(2, "neither a run, nor an exported dataset")
    assert rlaif("export", str(made), "--format", "kto", "--out", str(tmp_path / "kto")).code == 0
    assert rlaif("push", str(tmp_path / "kto"), "--repo", "first").complains(2, "has no card")


def rows_file(folder: Path) -> Path:
    pair = {"chosen": "yes .", "rejected": "no no .", "p_chosen": 0.8}
    rows = [{**pair, "id": n, "prompt": "what is " + "very " * n + "?"} for n in range(20)]
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.mark.slow
def test_a_model_is_pushed_after_its_training_or_later(hub: StandIn, rlaif, tmp_path: Path) -> None:
    from tests.train.tiny import tiny_model

    base = tiny_model(tmp_path / "base")
    out = tmp_path / "out"
    command = ("train", "dpo", str(rows_file(tmp_path)), "--model", str(base), "--out", str(out), "--max-length", "64")

    assert rlaif(*command, "--push", "bob/model").complains(2, "may not write under 'bob'")
    assert not out.exists()  # before the training

    hub.faults["commit"] = 500
    said = rlaif(*command, "--push", "model", "--private")
    assert said.complains(2, "answers 500", f"push it with: rlaif push {out} --repo ada/model --private")
    assert (out / "model.safetensors").is_file()
    hub.faults.clear()

    again = said.complaint.partition("push it with: rlaif ")[2].split()
    more = ("--license", "mit", "--dataset", "ada/rows", "--base-model", "lab/tiny")
    assert rlaif(*again, *more).code == 0
    repository = hub.repositories["models/ada/model"]
    files = repository.files()
    assert repository.private
    assert files["model.safetensors"] == (out / "model.safetensors").read_bytes()
    head = head_of(files["README.md"])
    assert (head["license"], head["base_model"], head["datasets"]) == ("mit", "lab/tiny", ["ada/rows"])
    assert head["library_name"] == "transformers"
    assert str(tmp_path).encode() not in b"".join(files.values())
    assert not {"run.lock", "run.pid", "training_args.bin"} & set(files)
    assert json.loads((out / "training.json").read_text())["model"] == str(base)  # at home it stays whole


@pytest.mark.slow
def test_an_adapter_on_a_folder_of_this_machine_needs_the_name_of_its_base(hub: StandIn, rlaif, tmp_path: Path) -> None:
    from tests.train.tiny import tiny_model

    base = tiny_model(tmp_path / "base")
    out = str(tmp_path / "out")
    command = ("train", "dpo", str(rows_file(tmp_path)), "--model", str(base), "--out", out, "--max-length", "64")
    assert rlaif(*command, "--lora").code == 0
    assert rlaif("push", out, "--repo", "adapter").complains(2, "the model under this adapter", "--base-model")
    assert hub.repositories == {}
    assert rlaif("push", out, "--repo", "adapter", "--base-model", "lab/tiny").code == 0
    files = hub.repositories["models/ada/adapter"].files()
    assert json.loads(files["adapter_config.json"])["base_model_name_or_path"] == "lab/tiny"
    assert head_of(files["README.md"])["library_name"] == "peft"


def test_a_model_of_several_trainings_names_the_first_model(tmp_path: Path) -> None:
    def trained(name: str, model: str) -> str:
        settings = {"rlaif": "0", "stage": "sft", "data": "d", "settings": {}, "plan": {}, "versions": {}}
        (tmp_path / name).mkdir()
        (tmp_path / name / "training.json").write_text(json.dumps(settings | {"model": model}))
        return str(tmp_path / name)

    assert base_id(trained("dpo", trained("sft", "Qwen/Qwen3-8B"))) == "Qwen/Qwen3-8B"
    assert base_id(trained("other", str(tmp_path / "unknown"))) is None
