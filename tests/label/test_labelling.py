"""`rlaif label` from end to end, against the simulated server: nothing sampled, every row accounted for."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rlaif import label
from rlaif.runs.reader import Run
from rlaif.runs.rows import split_of
from rlaif.stats.log_odds import sigmoid
from rlaif.testing import SimulatedModel, SimulatedServer
from tests.command import Rlaif, commands, serving
from tests.label.rows import BAD, FAIR, GOOD, LAYOUTS


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedServer]:
    with serving(SimulatedServer(SimulatedModel(scale=2.0, position_bias=0.5))) as running:
        yield running


@pytest.fixture
def rlaif(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Rlaif:
    monkeypatch.chdir(tmp_path)
    return commands(monkeypatch, capsys)


@pytest.fixture
def flags(server: SimulatedServer, constitution_file: Path) -> tuple[str, ...]:
    server.asked.clear()
    return ("--constitution", str(constitution_file), "--critic", server.url, "--out", "runs/one")


def write(*rows: Any, name: str = "rows.jsonl") -> str:
    Path(name).write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return name


def lines_of(file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_is_labelled_counted_and_exported_and_nothing_is_sampled(
    rlaif: Rlaif, flags: tuple[str, ...], server: SimulatedServer, name: str
) -> None:
    row = LAYOUTS[name][1]
    said = rlaif("label", write(row("Is it clean?"), {"text": "?"}, row("And here?")), *flags, "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    file = found["given"]["file"]
    assert file["rows"] == 3 == found["traces"] + found["failures"] + found["open"] + sum(file["refused"].values())
    assert [one["row"] for one in lines_of("runs/one/refused.jsonl")] == ["line 2"]
    assert server.count("sample") == server.count("critique") == server.count("revise") == 0
    rows = list(Run("runs/one").preference_rows())
    assert [(row.chosen[0].content, row.rejected[0].content) for row in rows] == [(GOOD, BAD)] * 2
    assert {row.chosen_origin for row in rows} == {"given"}
    assert rlaif("export", "runs/one", "--format", "kto").code == 0


def test_flips_agreements_and_ties_are_told_apart_and_the_surest_flip_comes_first(
    rlaif: Rlaif, flags: tuple[str, ...]
) -> None:
    pair = {"chosen": GOOD, "rejected": BAD}
    right = [{"prompt": f"Right {n}?", **pair} for n in range(8)]
    wrong = [
        {"prompt": "Wrong a little?", "chosen": FAIR, "rejected": GOOD},
        {"prompt": "Wrong?", "chosen": BAD, "rejected": GOOD},
    ]
    tied = [{"prompt": "Tied?", **pair, "score_chosen": 4, "score_rejected": 4.0}]
    close = [{"prompt": "Close?", "chosen": "One. (quality +1.00)", "rejected": "Two. (quality +1.01)"}]
    said = rlaif("label", write(*right, *wrong, *tied, *close), *flags)
    assert said.code == 0, said.err
    summary = json.loads(rlaif("show", "runs/one", "--json").out)
    found = summary["given"]["agreement"]
    assert (found["labels"], found["agrees"], found["flips"], found["ties"]) == (11, 8, 2, 1)
    assert sum(found["abstained"].values()) == 1
    assert found["agreement"]["value"] == 0.8
    assert found["agreement"]["low"] < 0.8 < found["agreement"]["high"]
    flips = lines_of("runs/one/flips.jsonl")
    assert [(one["row"], one["better_text"]) for one in flips] == [("line 10", BAD), ("line 9", FAIR)]
    assert flips[0]["p_critic"] < flips[1]["p_critic"] < 0.5
    assert 0.5 < flips[1]["p_wrong"] < 1 - flips[1]["p_critic"]  # most labels are right, and that counts
    assert found["likely_wrong"] == 2
    assert 0.5 < found["reliability"]["value"] < 0.95
    assert [one["row"] for one in lines_of("runs/one/labels.jsonl")] == [f"line {n}" for n in (*range(1, 11), 12)]
    assert "12 rows of rows.jsonl = 12 judged + 0 failures + 0 refused" in said.out
    assert "1 tie in the file" in said.out
    labels = Run("runs/one").pairs.set_index("prompt_id")["given_label"].value_counts().to_dict()
    assert labels == {"chosen": 8, "rejected": 2, "tie": 1}


def test_a_critic_at_chance_is_said_not_to_show_wrong_labels(rlaif: Rlaif, flags: tuple[str, ...]) -> None:
    rows = [{"prompt": f"Why {n}?", "chosen": (GOOD, BAD)[n % 2], "rejected": (BAD, GOOD)[n % 2]} for n in range(10)]
    said = rlaif("label", write(*rows), *flags)
    assert "not shown to agree with the file's labels more often than by chance" in said.out


def test_scores_of_several_completions_are_compared_pair_by_pair_and_models_are_kept(
    rlaif: Rlaif, flags: tuple[str, ...]
) -> None:
    row = LAYOUTS["ultrafeedback"][1]
    rlaif("label", write(row("Why?")), *flags)
    found = Run("runs/one")
    labels = [(one["better"], one["worse"], one["outcome"]) for one in lines_of("runs/one/labels.jsonl")]
    assert labels == [("g0", "g1", "agrees"), ("g2", "g1", "agrees")]  # alpaca and falcon have the same score
    (pair,) = found.preference_rows()
    assert (pair.chosen_model, pair.rejected_model) == ("alpaca-7b", "gpt-4")


def test_revisions_are_further_candidates(rlaif: Rlaif, flags: tuple[str, ...], server: SimulatedServer) -> None:
    row = LAYOUTS["llmbar"][1]
    rlaif("label", write(row("Why?")), *flags, "--rounds", "1")
    (trace,) = Run("runs/one").traces()
    assert [response.id for response in trace.candidates()] == ["g0", "g1", "g0.r1", "g1.r1"]
    assert [(r.origin, r.model) for r in trace.responses[:2]] == [("given", "unknown")] * 2
    assert server.count("sample") == 0


def test_rows_of_one_prompt_are_in_the_same_split(rlaif: Rlaif, flags: tuple[str, ...]) -> None:
    rows = [
        {"prompt": f"Why {n}?", "chosen": f"{GOOD} {variant}", "rejected": BAD}
        for n in range(20)
        for variant in range(2)
    ]
    assert rlaif("label", write(*rows), *flags, "--json").code == 0
    run = Run("runs/one")
    rows_of = list(run.preference_rows())
    assert len({row.prompt_id for row in rows_of}) == 2 * len({row.conversation for row in rows_of}) == 40
    from datasets import load_dataset

    parts = load_dataset("runs/one/dataset", "preference")
    kept = [{row["conversation"] for row in parts[name]} for name in ("train", "test")]
    assert kept[0] and kept[1] and not kept[0] & kept[1]
    assert kept[1] == {row.conversation for row in rows_of if split_of(row.conversation or "", 0.1) == "test"}


def test_a_run_file_with_responses_and_a_stopped_run_are_continued_without_the_file(
    rlaif: Rlaif, flags: tuple[str, ...], server: SimulatedServer, constitution_file: Path
) -> None:
    rows = [LAYOUTS["hh"][1](f"Why {n}?") for n in range(4)]
    settings = {
        "constitution": str(constitution_file),
        "responses": write(*rows),
        "critic": {"url": server.url, "retries": 0},
        "out": "runs/two",
    }
    Path("run.yaml").write_text(json.dumps(settings), encoding="utf-8")
    assert rlaif("label", "run.yaml", "--dry-run").code == 0
    said = rlaif("label", "run.yaml", "--json")
    assert json.loads(said.out)["traces"] == 4
    asked = len(server.asked)
    assert "rows.jsonl = 4 judged" in rlaif("label", "run.yaml").out
    Path("rows.jsonl").unlink()
    assert json.loads(rlaif("label", "runs/two", "--min-margin", "0.3", "--json").out)["given"]["file"]["rows"] == 4
    assert json.loads(rlaif("generate", "runs/two", "--json").out)["given"]["agreement"]["agrees"] == 4
    assert len(server.asked) == asked


def test_the_trace_the_report_and_the_card_say_that_the_responses_were_given(
    rlaif: Rlaif, flags: tuple[str, ...]
) -> None:
    flipped = {"prompt": "How?", "chosen": "A bad one. (quality -3.00)", "rejected": "<b>Good</b>. (quality +3.00)"}
    file = Path(write(LAYOUTS["binarized"][1]("Why?"), flipped)).resolve()
    rlaif("label", str(file), *flags)
    shown = " ".join(rlaif("show", "runs/one", "id of Why?").out.split())
    assert "g0, g1: the responses of the file (line 1)" in shown
    assert "g0 given unknown better according to the file score" in shown
    assert rlaif("report", "runs/one", "--out", "page.html").code == 0
    for page in ("page.html", "runs/one/dataset/README.md"):
        text = Path(page).read_text(encoding="utf-8")
        assert "given by rows.jsonl, shape pairs (chosen, rejected); none sampled" in text
        assert "temperature" not in text
        assert f"given by {file}" not in text
    page = Path("page.html").read_text(encoding="utf-8")
    assert "1 of 1 labels, the likeliest wrong ones first" in page
    assert "&lt;b&gt;Good&lt;/b&gt;. (quality +3.00)" in page
    assert "No person has labelled" not in page
    assert "No person has labelled" not in Path("runs/one/dataset/README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("none.jsonl",), ("none.jsonl: no such file",)),
        (("odd.jsonl",), ("odd.jsonl:1: no shape has these columns: text", "Known shapes: responses: responses;")),
        (("rows.jsonl", "--shape", "uf"), ("no shape 'uf'", "ultrafeedback")),
        (("rows.jsonl", "--column", "better=x"), ("--column better=x: must be FIELD=NAME", "chosen")),
        (("rows.jsonl", "--column", "chosen=x"), ("rows.jsonl:1: has no column 'x'",)),
        (("both.yaml",), ("`responses` bring their prompts; give either",)),
        (("prompts.yaml",), ("prompts.yaml has `prompts`", "use rlaif generate prompts.yaml")),
    ],
)
def test_bad_input_is_one_clear_line(
    rlaif: Rlaif, flags: tuple[str, ...], arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    write(LAYOUTS["llmbar"][1]("Why?"))
    write({"text": "x"}, name="odd.jsonl")
    Path("both.yaml").write_text("{prompts: seed, responses: rows.jsonl}", encoding="utf-8")
    Path("prompts.yaml").write_text("{constitution: honesty, prompts: seed, policy: m, out: x}", encoding="utf-8")
    assert rlaif("label", *arguments, *flags).complains(2, *words)
    assert not Path("runs/one").exists()


def test_the_python_api_labels_and_says_which_labels_are_likely_wrong(
    rlaif: Rlaif, server: SimulatedServer, constitution_file: Path
) -> None:
    file = write({"question": "Why?", "chosen": BAD, "rejected": GOOD}, LAYOUTS["hh"][1]("How?"))
    source = {"path": file, "columns": {"prompt": "question"}}
    run = label(source, constitution=constitution_file, critic=server.url, out="runs/api", judging={"principles": 1})
    assert [one.outcome for row in run.labelled_rows for one in row.labels] == ["flips", "agrees"]
    assert [(one.row, one.worse_text) for one in run.flips()] == [("line 1", GOOD)]
    assert run.config.revision.rounds == 0


def test_a_comparison_of_given_responses_is_refused(rlaif: Rlaif, flags: tuple[str, ...]) -> None:
    rlaif("label", write(LAYOUTS["llmbar"][1]("Why?")), *flags)
    said = rlaif("compare", "runs/one", "minimal", "--run", "runs/one/run.yaml", "--out", "runs/c")
    assert said.complains(2, "a comparison samples its responses")


def test_a_missing_critic_is_said(rlaif: Rlaif) -> None:
    said = rlaif("label", write(LAYOUTS["llmbar"][1]("Why?")), "--constitution", "honesty")
    assert said.complains(2, "--critic, --out missing", "rlaif label --help")


def test_other_responses_in_the_same_directory_are_refused(rlaif: Rlaif, flags: tuple[str, ...]) -> None:
    rlaif("label", write(LAYOUTS["llmbar"][1]("Why?")), *flags)
    said = rlaif("label", write(LAYOUTS["llmbar"][1]("How?")), *flags)
    assert said.complains(2, "runs/one contains a run with other settings", "Choose another --out")


@pytest.mark.slow
def test_planted_wrong_labels_are_as_many_as_the_probabilities_say(
    rlaif: Rlaif, constitution_file: Path, tmp_path: Path
) -> None:
    rng, truth, rows = random.Random(4), {}, []
    for number in range(900):
        qualities = [rng.gauss(0, 1.4) for _ in range(2)]
        texts = [f"Response {place} to {number}. (quality {q:+.2f})" for place, q in enumerate(qualities)]
        better = 0 if rng.random() < sigmoid(qualities[0] - qualities[1]) else 1
        wrong = rng.random() < 0.15
        labelled = better ^ wrong
        truth[f"line {number + 1}"] = wrong
        rows.append({"prompt": f"Question {number}?", "chosen": texts[labelled], "rejected": texts[1 - labelled]})
    with serving(SimulatedServer(SimulatedModel(noise=0.7, position_bias=0.8))) as server:
        flags = ("--constitution", str(constitution_file), "--critic", server.url, "--out", "runs/planted")
        assert rlaif("label", write(*rows), *flags, "--min-margin", "0", "--json").code == 0
    agreement = Run("runs/planted").label_agreement
    assert agreement is not None
    assert agreement.reliability.holds(0.85)
    judged = [one for one in lines_of("runs/planted/labels.jsonl") if one["p_wrong"] is not None]
    assert len(judged) > 500
    judged.sort(key=lambda one: one["p_wrong"])
    for part in (judged[-100:], judged[:-100]):
        said, found = (
            sum(values) / len(part) for values in ([o["p_wrong"] for o in part], [truth[o["row"]] for o in part])
        )
        assert abs(said - found) < 0.1, (said, found)
    assert sum(truth[one["row"]] for one in judged[-100:]) > 3 * sum(truth[one["row"]] for one in judged[:100])
