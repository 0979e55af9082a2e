"""`rlaif evaluate ...` as a person sees it: what is printed and written, and one line for what is wrong."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pandas
import pytest

from rlaif.testing import Fault, SimulatedModel, SimulatedServer
from tests.command import Rlaif, commands, serving


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("RLAIF_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with gzip.open("v.jsonl.gz", "wt") as file:
        for n in range(20):
            row = {"judge": "[b]m[/b]", "strategy": "s", "idx": n, "label": 1 + n % 2}
            file.write(json.dumps(row | {"winner_original": "1", "winner_swapped": "1" if n < 15 else "2"}) + "\n")
    rows = [
        {
            "id": n,
            "subset": "s",
            "prompt": f"{n}?",
            "chosen": f"Yes {n} (quality +1.0)",
            "rejected": f"No{', never' * 3 * (n % 2)} (quality -1.0)",  # every other one is longer
        }
        for n in range(40)
    ]
    Path("gold.jsonl").write_text("\n".join(map(json.dumps, rows)))


@pytest.fixture
def rlaif(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rlaif:
    return commands(monkeypatch, capsys, "evaluate")


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedServer]:
    with serving(SimulatedServer(SimulatedModel(scale=3.0))) as running:
        yield running


@pytest.fixture(scope="module")
def biased() -> Iterator[SimulatedServer]:
    with serving(SimulatedServer(SimulatedModel(scale=0.0, position_bias=2.0, noise=0.1))) as running:
        yield running


def test_verdicts_are_printed_and_written_in_three_layouts(rlaif: Rlaif) -> None:
    said = rlaif("verdicts", "v.jsonl.gz", "--out", "sub/f.csv")
    assert said.code == 0, said.err
    assert "[b]m[/b]" in said.out  # a name is a name, no markup
    assert "75% (5" in said.out
    report = json.loads(rlaif("verdicts", "v.jsonl.gz", "--json", "--out", "f.json").out)
    assert report["groups"][0]["order_agreement"]["value"] == 0.75
    assert json.loads(Path("f.json").read_text()) == report
    assert rlaif("verdicts", "v.jsonl.gz", "--out", "f.parquet").code == 0
    for table in (pandas.read_csv("sub/f.csv"), pandas.read_parquet("f.parquet")):
        assert table["order_agreement"].tolist() == [0.75]
        assert table["order_agreement_n"].tolist() == [20]
        assert table["baselines_first_original"].tolist() == [0.5]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["verdicts", "nothing.jsonl"], ["nothing.jsonl: no such file of verdicts"]),
        (["verdicts", "v.jsonl.gz", "--column", "label=gold"], ["v.jsonl.gz:1: has no column 'gold'", "idx"]),
        (["verdicts", "v.jsonl.gz", "--column", "x=gold"], ["--column x=gold: must be FIELD=NAME"]),
        (["verdicts", "v.jsonl.gz", "--by", "set"], ["v.jsonl.gz:1: has no column 'set'"]),
        (["verdicts", "v.jsonl.gz", "--names", "row"], ["--names row: must be answer or position"]),
        (["verdicts", "v.jsonl.gz", "--out", "f.txt"], ["--out f.txt: must end in .csv"]),
        (["verdicts", "."], [".: is a folder; give a file of verdicts"]),
        (
            ["judge", "--gold", ".", "--critic", "m", "--constitution", "minimal"],
            [".: is a folder; give a file of gold labels"],
        ),
        (["judge", "--gold", "gold.jsonl"], ["--critic, --constitution missing"]),
        (["judge", "--gold", "no.jsonl", "--critic", "m", "--constitution", "minimal"], ["no such file of gold"]),
        (["judge", "--gold", "gold.jsonl", "--critic", "ftp://x", "--constitution", "minimal"], ["is not a URL"]),
        (["judge", "--gold", "gold.jsonl", "--critic", "m", "--constitution", "nix"], ["nix"]),
        (
            ["judge", "--gold", "gold.jsonl", "--critic", "m", "--constitution", "minimal", "--principles", "0"],
            ["--principles 0: must be `all`"],
        ),
        (
            ["judge", "--gold", "gold.jsonl", "--critic", "m", "--constitution", "minimal", "--out", "gold.jsonl"],
            ["--out gold.jsonl: is a file"],
        ),
        (
            ["judge", "--gold", "v.jsonl.gz", "--critic", "m", "--constitution", "minimal"],
            ["v.jsonl.gz:1: no shape has these columns: judge, strategy", "pairs: chosen, rejected"],
        ),
    ],
)
def test_what_is_wrong_is_one_line(rlaif: Rlaif, arguments: list[str], words: list[str]) -> None:
    assert rlaif(*arguments).complains(2, *words)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("mine.csv", "label,winner_original,winner_swapped\n1,1,2\n", "is the input file"),
        ("notes.csv", "what,when\nmine,today\n", "is not a table of this program, so it is not overwritten"),
        ("notes.json", '[{"mine": 1}]', "is not a table of this program, so it is not overwritten"),
        ("notes.parquet", "mine", "is not a table of this program, so it is not overwritten"),
    ],
)
def test_verdicts_never_write_over_somebodys_data(rlaif: Rlaif, name: str, content: str, words: str) -> None:
    Path(name).write_text(content)
    source = name if name == "mine.csv" else "v.jsonl.gz"
    assert rlaif("verdicts", source, "--out", name).complains(2, f"--out {name}", words)
    assert Path(name).read_text() == content


@pytest.mark.parametrize("name", ["f.csv", "f.parquet", "f.json"])
def test_verdicts_are_written_anew_where_they_stood(rlaif: Rlaif, name: str) -> None:
    assert rlaif("verdicts", "v.jsonl.gz", "--out", name).code == 0
    assert rlaif("verdicts", "v.jsonl.gz", "--out", name).code == 0


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("manifest.json", "{}", "contains a run"),
        ("training.json", "{}", "contains a trained model"),
        ("comparison.yaml", "", "contains a comparison"),
        ("evaluation.json", '{"probes": {}, "lines": []}', "has an evaluation.json of another kind"),
        ("evaluation.json", "mine", "has an evaluation.json of another kind"),
        ("verdicts.parquet", "mine", "contains a verdicts.parquet that no evaluation wrote"),
    ],
)
def test_an_evaluation_leaves_folders_of_other_things_alone(
    rlaif: Rlaif, server: SimulatedServer, file: str, content: str, words: str
) -> None:
    Path("taken").mkdir()
    (Path("taken") / file).write_text(content)
    asked = len(server.asked)
    judge = ["judge", "--critic", server.url, "--constitution", "minimal", "--gold", "gold.jsonl"]
    assert rlaif(*judge, "--out", "taken").complains(2, "--out taken", words)
    assert len(server.asked) == asked
    assert (Path("taken") / file).read_text() == content


def test_too_few_gold_labels_for_a_recalibration_are_said_before_anybody_is_asked(
    rlaif: Rlaif, server: SimulatedServer
) -> None:
    asked = len(server.asked)
    judge = ["judge", "--critic", server.url, "--constitution", "minimal", "--gold", "gold.jsonl", "--out", "j"]
    said = rlaif(*judge, "--recalibrate", "isotonic")
    assert said.complains(2, "--recalibrate isotonic needs 200 gold labels; gold.jsonl has 40")
    assert len(server.asked) == asked


def test_what_was_measured_is_shown_although_no_recalibration_comes_of_it(rlaif: Rlaif) -> None:
    with serving(SimulatedServer(SimulatedModel(label_mass=0.01))) as mute:
        judge = ["judge", "--critic", mute.url, "--constitution", "minimal", "--gold", "gold.jsonl", "--out", "j"]
        said = rlaif(*judge, "--recalibrate", "temperature")
    assert said.complains(2, "0 items that the critic could judge are too few for --recalibrate temperature")
    assert "label mass" in said.out
    assert Path("j/evaluation.json").is_file()


def test_figures_of_a_measurement_that_mostly_failed_are_not_taken_for_done(rlaif: Rlaif) -> None:
    broken = Fault(kind="judge", status=400, contains="Yes 1", times=None)  # 11 of the 40: 1, and 10 to 19
    with serving(SimulatedServer(SimulatedModel(scale=3.0, faults=(broken,)))) as failing:
        judge = ["judge", "--critic", failing.url, "--constitution", "minimal", "--gold", "gold.jsonl"]
        said = rlaif(*judge)
        assert said.complains(1, "11 of 40 questions failed (first error: ", "the same command asks")
        assert "label mass" in said.out
        assert json.loads(rlaif(*judge, "--json").out)["critics"][0]["overall"]["outcomes"]["failed"] == 11


def test_a_critic_that_is_not_there_is_one_line(rlaif: Rlaif) -> None:
    Path("run.yaml").write_text(
        "constitution: minimal\nprompts: seed\nout: o\npolicy: {url: 'http://127.0.0.1:9/v1', retries: 0}\n"
    )
    assert rlaif("judge", "--run", "run.yaml", "--gold", "gold.jsonl").complains(1, "127.0.0.1:9")


def test_critics_stand_side_by_side_and_everything_is_written(
    rlaif: Rlaif, server: SimulatedServer, biased: SimulatedServer
) -> None:
    critics = ["--critic", server.url, "--critic", biased.url]
    said = rlaif("judge", *critics, "--constitution", "minimal", "--gold", "gold.jsonl", "--out", "ev")
    assert said.code == 0, said.err
    assert "items 40/40" in said.err
    lines = said.out.splitlines()
    header = next(line for line in lines if server.url in line and biased.url in line)
    assert header.index(server.url) < header.index(biased.url)
    assert f"{server.url}: fit" in lines
    assert f"{biased.url}: not fit" in lines
    found = json.loads(Path("ev/evaluation.json").read_text())
    assert [critic["fitness"]["verdict"] for critic in found["critics"]] == ["fit", "not fit"]
    assert sum(one["items"] for one in found["critics"][0]["reliability"]) == 40
    table = pandas.read_parquet("ev/verdicts.parquet")
    assert table.groupby("critic").size().tolist() == [80, 80]
    assert set(table["shown_first"]) == {"better", "worse"}
    assert Path("ev/reliability.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in Path("ev/reliability.svg").read_text()


def test_the_same_again_prints_json_and_asks_nothing(rlaif: Rlaif, server: SimulatedServer) -> None:
    Path("run.yaml").write_text(
        f"constitution: honesty\nprompts: seed\nout: o\npolicy: {server.url}\njudging: {{principles: 2}}\n"
        "cache: c/r.sqlite\n"
    )
    arguments = ("judge", "--run", "run.yaml", "--constitution", "minimal", "--gold", "gold.jsonl", "--json")
    first, asked = rlaif(*arguments), server.count("judge")
    again = rlaif(*arguments)
    assert (first.code, again.err, server.count("judge")) == (0, "", asked)
    assert Path("c/r.sqlite").is_file()
    one, two = (json.loads(said.out) for said in (first, again))
    assert one["judging"]["principles"] == 2  # from the run file
    assert one["constitution"] == "minimal"
    for found in (one, two):
        found["critics"][0].pop("cost")
    assert one == two


def test_two_outputs_and_a_limit(rlaif: Rlaif, server: SimulatedServer) -> None:
    rows = [
        {
            "input": "?",
            "output_1": f"a {n} (quality +1.0)",
            "output_2": f"b {n} (quality -1.0)",
            "label": 1 + n % 3 // 2,
        }
        for n in range(9)
    ]
    Path("bar.json").write_text(json.dumps(rows))
    said = rlaif(
        "judge", "--critic", server.url, "--constitution", "minimal", "--gold", "bar.json", "--limit", "6", "--json"
    )
    found = json.loads(said.out)
    assert (found["items"], found["prompts"]) == (6, 1)
    assert found["baselines"]["first_wins"]["value"] == 4 / 6  # labels 1 1 2 1 1 2
    assert found["critics"][0]["overall"]["accuracy_sign"]["value"] == 4 / 6
