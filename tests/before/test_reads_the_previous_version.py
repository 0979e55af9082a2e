"""What the previous version wrote is read, finished and exported by this one; see README.md."""

import gzip
import json
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from aiohttp import web

from rlaif.testing.server import SimulatedModel, SimulatedServer
from tests.command import Rlaif, Said, commands, serving
from tests.golden.outputs import differences

HERE = Path(__file__).parent
RUNS = ("finished", "panel")
FORMATS = ("trl", "sft", "ultrafeedback", "jsonl", "kto", "reward", "ranking", "openrlhf", "nemo-rl")
MODEL = SimulatedModel(words=10, noise=0.5, position_bias=0.6)
"""What gave the replies, as in make.py."""
RENAMED = {"margin": "p_margin", "voices": "by_judge", "length_shift": "shift"}
"""Columns and keys of JSON that are called otherwise today; nothing on disk is read under the new name alone."""
DROPPED = {"partial_refusals"}
"""Keys of JSON that are read but not written any more."""
ADDED = {"certified", "certificate"}
"""Columns and keys that there were not; they are empty for what was made then."""
REWORDED = {
    "the policy judges its own answers: judges favour what reads like their own": (
        "the policy judges its own responses: models tend to prefer text that resembles their own"
    )
}
"""Notes that are worded otherwise today."""
NEW = {
    "p_chosen_from",
    "revisions_judged",
    "revisions_won",
    "revisions_mean_p",
    "subtracted",
    "shortcuts",
    "shortcuts_of",
    "not_paired",
    "root",
}
"""Columns and keys of JSON that there were not."""
RECOMPUTED = {"low", "high"}
"""Ends of the intervals of estimates: resampled then, from leaving out each prompt today."""
COUNTED = re.compile(r'\{"passed":(?:true|false),"detail":"\d+ words?"\}')
NEW_NOTE = "p_chosen is that of the pair's own matchup, not calibrated"
PROMPTS_COMPARED = 2
COMPARE = ("compare", "rules.yaml", "other.yaml", "--run", "compare.yaml", "--out", "compared/comparison")
TRAIN = ("train", "dpo", "runs/finished/dataset", "--model", "base")
TRAINING = ("--max-length", "64", "--batch-size", "2", "--learning-rate", "3e-3", "--epochs", "2")


class SameModel(SimulatedServer):
    """A simulated server whose model has the identity that it had then, whatever settings it has gained since."""

    async def _models(self, _: web.Request) -> web.Response:
        return web.Response(body=(HERE / "was" / "models.json").read_bytes(), content_type="application/json")


@pytest.fixture(autouse=True)
def was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a copy of the files."""
    shutil.copytree(HERE / "was", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def rlaif(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rlaif:
    return commands(monkeypatch, capsys)


@pytest.fixture
def server() -> Iterator[SimulatedServer]:
    with serving(SameModel(MODEL)) as running:
        compare_file = Path("compare.yaml")
        compare_file.write_text(compare_file.read_text().replace("http://127.0.0.1:8000/v1", running.url))
        yield running


@pytest.mark.parametrize("run", RUNS)
def test_a_run_is_shown_as_it_was(rlaif: Rlaif, run: str) -> None:
    was = expected(run)
    assert_same(was["show"], printed(rlaif("show", f"runs/{run}", "--json")))
    for prompt, trace in was["traces"].items():
        assert_same(trace, printed(rlaif("show", f"runs/{run}", prompt, "--json")))
        assert trace["trace"]["responses"][0]["text"].split()[0] in shown(rlaif("show", f"runs/{run}", prompt))
    assert all(prompt in shown(rlaif("show", f"runs/{run}")) for prompt in was["traces"])


@pytest.mark.parametrize("run", RUNS)
def test_a_run_has_its_report(rlaif: Rlaif, run: str) -> None:
    was = expected(run)
    found = printed(rlaif("report", f"runs/{run}", "--out", "report.html", "--json"))
    assert {name: found[name] for name in ("traces", "traces_shown")} == {
        name: was["report"][name] for name in ("traces", "traces_shown")
    }
    page = Path("report.html").read_text()
    for trace in was["traces"].values():
        assert all(response["text"] in page for response in trace["trace"]["responses"])


@pytest.mark.parametrize("run", RUNS)
def test_a_run_is_exported_with_the_same_rows(rlaif: Rlaif, run: str) -> None:
    was = expected(run)
    for name in FORMATS:
        folder = Path("exported") / name
        found = {name: printed(rlaif("export", f"runs/{run}", "--format", name, "--out", str(folder), "--json"))}
        files = sorted(path for path in folder.rglob("*") if path.suffix in {".parquet", ".jsonl"})
        found |= {f"{name}/{file.relative_to(folder)}": content(file) for file in files}
        before = {key: value for key, value in was.items() if key.split("/")[0] == name}
        for counts in (before[name], found[name]):
            counts.pop("folder")
        assert_same(before, found)


@pytest.mark.parametrize("run", RUNS)
def test_a_finished_run_asks_nothing(rlaif: Rlaif, server: SimulatedServer, run: str) -> None:
    was = traces(Path("runs") / run)
    found = printed(rlaif("generate", f"runs/{run}", "--policy", f"simulated@{server.url}", "--json"))
    assert server.asked == []
    assert found["traces"] == len(was) > 0
    assert traces(Path("runs") / run) == was
    for split in ("train", "test"):
        file = Path("runs") / run / "dataset" / "preference" / f"{split}.parquet"
        before = HERE / "was" / file
        assert before.exists() == file.exists()
        if before.exists():
            assert_same(content(before), content(file))


@pytest.mark.parametrize("run", RUNS)
def test_the_same_run_elsewhere_takes_every_reply_from_the_store(
    rlaif: Rlaif, server: SimulatedServer, run: str
) -> None:
    settings = ("--policy", f"simulated@{server.url}", "--cache", "runs/replies.sqlite", "--out", "again/run")
    assert rlaif("generate", f"{run}.yaml", *settings, "--json").code == 0
    assert server.asked == []
    assert traces(Path("again/run")) == traces(Path("runs") / run)


def test_an_interrupted_run_asks_only_what_was_not_kept(rlaif: Rlaif, server: SimulatedServer) -> None:
    kept, done = replies(Path("interrupted")), traces(Path("interrupted/run"))
    whole = traces(Path("runs/finished"))
    assert 0 < len(done) < len(whole)
    printed(rlaif("generate", "interrupted/run", "--policy", f"simulated@{server.url}", "--json"))
    now = replies(Path("interrupted"))
    needed = sum(json.loads(trace)["usage"]["requests"] for trace in whole.values())
    assert len(server.asked) == len(now) - len(kept) == needed - len(kept) > 0
    assert kept.items() <= now.items()
    assert traces(Path("interrupted/run")) == whole


def test_a_finished_comparison_is_read_and_asks_nothing(rlaif: Rlaif, server: SimulatedServer) -> None:
    was = json.loads(Path("compared/comparison/comparison.json").read_text())
    pool = traces(Path("compared/comparison"), "pool.sqlite")
    found = printed(rlaif(*COMPARE, "--floor-prompts", "1", "--json"))
    assert server.asked == []
    assert_same(was, found)
    assert traces(Path("compared/comparison"), "pool.sqlite") == pool
    for table in ("matchups.parquet", "principles.parquet"):
        assert_same(content(HERE / "was/compared/comparison" / table), content(Path("compared/comparison") / table))


def test_a_comparison_is_judged_again_from_the_kept_replies(rlaif: Rlaif, server: SimulatedServer) -> None:
    was = traces(Path("compared/comparison"), "pool.sqlite")
    Path("compared/comparison/pool.sqlite").unlink()
    assert rlaif(*COMPARE, "--floor-prompts", "1", "--json").code == 0
    assert server.asked == []
    assert traces(Path("compared/comparison"), "pool.sqlite") == was


def test_a_comparison_of_other_rules_does_not_take_its_place(rlaif: Rlaif, server: SimulatedServer) -> None:
    assert rlaif(*COMPARE, "--floor-prompts", "2").complains(2, "holds another comparison", "floor-prompts 1 → 2")
    assert server.asked == []


def test_a_comparison_has_its_report(rlaif: Rlaif) -> None:
    found = printed(rlaif("report", "compared/comparison", "--out", "report.html", "--json"))
    pool = traces(Path("compared/comparison"), "pool.sqlite")
    assert found["traces"] == found["traces_shown"] == len(pool) == PROMPTS_COMPARED
    page = Path("report.html").read_text()
    for pooled in map(json.loads, pool.values()):
        assert all(candidate["text"] in page for candidate in pooled["candidates"])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("data", ["runs/finished/dataset", "runs/finished"])
def test_a_finished_training_is_known_by_its_data_and_model(rlaif: Rlaif, data: str) -> None:
    was = json.loads(Path("trained/training.json").read_text())
    command = ("train", "dpo", data, "--model", "base", "--out", "trained", *TRAINING)
    assert_same(was, {name: value for name, value in printed(rlaif(*command, "--json")).items() if name != "folder"})
    said = rlaif(*command)
    assert said.code == 0
    assert "trained is already finished" in said.err
    assert "held out 100.0% of 2 pairs right" in said.out
    assert rlaif(*command, "--labels", "hard").complains(2, "holds another training", "labels soft → hard")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_dataset_with_the_column_that_was_called_margin_trains(rlaif: Rlaif) -> None:
    assert "margin" in content(Path("runs/finished/dataset/preference/train.parquet"))["columns"]
    found = printed(rlaif(*TRAIN, "--out", "again", *TRAINING, "--trl", "max_steps=1", "--json"))
    was = json.loads(Path("trained/training.json").read_text())
    assert found["settings"]["data"] == was["settings"]["data"]
    assert found["figures"]["steps"] == 1
    assert found["figures"]["loss_first"] == pytest.approx(was["figures"]["loss_first"], rel=1e-3)
    assert Path("again/model.safetensors").is_file()


def expected(run: str) -> dict[str, Any]:
    """Return what the previous version showed and exported of a run."""
    found: dict[str, Any] = json.loads(gzip.decompress((HERE / "expected" / f"{run}.json.gz").read_bytes()))
    return found


def printed(said: Said) -> Any:
    """Return the JSON that a command printed, which must have ended well."""
    return json.loads(shown(said))


def shown(said: Said) -> str:
    assert said.code == 0, said.err
    return said.out


def traces(folder: Path, file: str = "run.sqlite") -> dict[str, str]:
    """Return the JSON of a folder's traces by their prompts, without what counts of words found.

    A number such as 0.73 counted as two words then, and counts as one today.
    """
    found = rows(folder / file, "SELECT prompt_id, trace FROM traces")
    return {name: COUNTED.sub('{"passed":"?","detail":"? words"}', text) for name, text in found.items()}


def replies(folder: Path) -> dict[str, str]:
    """Return the kept replies by their keys."""
    return rows(folder / "replies.sqlite", "SELECT key, reply FROM replies")


def rows(file: Path, sql: str) -> dict[str, str]:
    with closing(sqlite3.connect(file)) as store:
        return dict(store.execute(sql).fetchall())


def content(file: Path) -> Any:
    """Return the rows of a file, of Parquet with the types of its columns."""
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text().splitlines()]
    table = pyarrow.parquet.read_table(file)
    return {"columns": {field.name: str(field.type) for field in table.schema}, "rows": table.to_pylist()}


def assert_same(was: Any, now: Any) -> None:
    """Check that two values are the same, but for names that changed, and ones that were added, on purpose."""
    was, now = without_recomputed(was), without_recomputed(without_new(without_added(now)))
    assert list(differences(as_named_now(was, now), now)) == []


def without_prompts(bias: dict[str, Any]) -> dict[str, Any]:
    """Return a position bias without the numbers of prompts of its intervals."""
    intervals = [bias["overall_interval"] or {}, *bias["intervals"].values()]
    assert all(interval.get("prompts", 1) > 0 for interval in intervals)
    overall, *others = ({key: one for key, one in each.items() if key != "prompts"} for each in intervals)
    return bias | {"overall_interval": overall, "intervals": dict(zip(bias["intervals"], others, strict=True))}


def without_recomputed(value: Any) -> Any:
    """Return a value without the ends of the intervals of estimates; the estimates themselves stay."""
    if isinstance(value, dict):
        if "overall_interval" in value:  # of a comparison: its matchups counted as prompts of their own
            value = without_prompts(value)
        gone = RECOMPUTED if {"value", "n", "low"} <= value.keys() else set()
        return {key: without_recomputed(one) for key, one in value.items() if key not in gone}
    if isinstance(value, list):
        return [without_recomputed(one) for one in value]
    return re.sub(r"95 % interval \S+ to [^\s)]+", "95 % interval", value) if isinstance(value, str) else value


def without_added(now: Any) -> Any:
    """Return a value without the keys of ADDED; they must be empty, or the type of a column."""
    if isinstance(now, dict):
        assert all(now.get(key) in {None, "bool"} for key in ADDED)
        return {key: without_added(value) for key, value in now.items() if key not in ADDED}
    return [without_added(value) for value in now] if isinstance(now, list) else now


def without_new(now: Any) -> Any:
    """Return a value without the keys of NEW, and without the new note."""
    if isinstance(now, dict):
        return {key: without_new(value) for key, value in now.items() if key not in NEW}
    if isinstance(now, list):
        return [without_new(one) for one in now if not (isinstance(one, str) and one.startswith(NEW_NOTE))]
    return now


def as_named_now(was: Any, now: Any) -> Any:
    """Return a value with the keys of RENAMED and the texts of REWORDED as they are now, without those of DROPPED."""
    if isinstance(was, dict) and isinstance(now, dict):
        named = {RENAMED[key] if key not in now and RENAMED.get(key) in now else key: one for key, one in was.items()}
        return {key: as_named_now(value, now.get(key)) for key, value in named.items() if key not in DROPPED}
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        return [as_named_now(one, other) for one, other in zip(was, now, strict=True)]
    return REWORDED.get(was, was) if isinstance(was, str) else was
