"""`rlaif curate` from end to end: what is planted is found, every row is counted, and training reads the result."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import datasets
import pytest

from rlaif.errors import UsageError
from rlaif.evaluate.certify import Terms
from rlaif.runs.certificate import CERTIFICATE
from rlaif.runs.reader import Run
from rlaif.train.examples import read_pairs, read_responses
from tests.command import Rlaif, commands
from tests.report.runs import make_run

QUESTIONS = (
    "How do I keep a sourdough starter alive while I am away for three weeks in summer?",
    "Which trees grow well beside a river that floods its banks every second spring?",
    "Explain to a child of nine why the moon seems to change its shape during a month.",
    "Write a short letter to my landlord about the broken heating in the kitchen.",
    "What should a beginner know before buying a used bicycle from a stranger online?",
    "Compare two ways of sorting a long list of names without using a computer.",
)


@pytest.fixture
def rlaif(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Rlaif:
    monkeypatch.chdir(tmp_path)
    return commands(monkeypatch, capsys)


def row(number: int, prompt: str, **columns: Any) -> dict[str, Any]:
    made = {"prompt_id": f"p{number}", "prompt": prompt, "chosen": f"Yes, number {number} it is.", "rejected": "No."}
    return made | {"p_chosen": 0.7} | columns


def write(rows: list[dict[str, Any]], name: str = "rows.jsonl") -> str:
    Path(name).write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return name


def lines_of(file: str | Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]


def curated(rlaif: Rlaif, *arguments: str) -> dict[str, Any]:
    said = rlaif("curate", *arguments, "--json")
    assert said.code == 0, said.err
    recipe: dict[str, Any] = json.loads(said.out)
    assert recipe["rows"] == recipe["kept"] + sum(recipe["dropped"].values())
    return recipe


def test_the_best_of_nearly_equal_prompts_is_kept_and_the_others_name_it(rlaif: Rlaif) -> None:
    rows = [row(n, question) for n, question in enumerate(QUESTIONS)]
    rows.append(row(6, QUESTIONS[0].replace("three", "four"), p_chosen=0.9))
    rows.append(row(7, f"  {QUESTIONS[1].upper()} ", p_chosen=0.6))
    rows.append(row(7, QUESTIONS[1], rejected="Never."))  # another pair of the prompt p7
    recipe = curated(rlaif, write(rows), "--out", "new", "--near-duplicates", "0.8")
    assert recipe["dropped"] == {"near-duplicate": 3}
    found = {(one["row"], one["match"]["id"]): one["match"]["similarity"] for one in lines_of("new/dropped.jsonl")}
    assert found.keys() == {("train:1", "p6"), ("train:8", "p1"), ("train:9", "p1")}
    assert 0.8 <= found["train:1", "p6"] < found["train:8", "p1"] == 1
    assert lines_of("new/train.jsonl") == [one for n, one in enumerate(rows) if n not in {0, 7, 8}]
    assert lines_of("rows.jsonl") == rows


def test_pairs_are_compared_with_their_responses_where_asked(rlaif: Rlaif) -> None:
    other = "Something else entirely, with reasons, examples and a number of further remarks."
    rows = [row(1, QUESTIONS[0]), row(2, QUESTIONS[0], chosen=other), row(3, QUESTIONS[0])]
    recipe = curated(rlaif, write(rows), "--out", "new", "--near-duplicates", "0.9", "--near-by", "pair")
    assert [one["row"] for one in lines_of("new/dropped.jsonl")] == ["train:3"]
    assert recipe["kept"] == 2


def test_a_duplicate_with_the_opposite_label_is_called_so(rlaif: Rlaif) -> None:
    rows = [row(1, QUESTIONS[0]), row(2, QUESTIONS[0], chosen="No.", rejected="Yes, number 1  it is.", p_chosen=0.6)]
    recipe = curated(rlaif, write(rows), "--out", "new", "--near-duplicates", "0.9")
    assert recipe["dropped"] == {"near-duplicate with the opposite label": 1}


def test_rows_near_a_test_set_are_found_inside_longer_texts_and_name_the_test_row(rlaif: Rlaif) -> None:
    turns = [{"role": "system", "content": "Be brief. " * 40}, {"role": "user", "content": QUESTIONS[0]}]
    turns.append({"role": "assistant", "content": "An answer of many words. " * 40})
    tests = [{"id": "t1", "messages": turns}, {"id": "t2", "question": "Why is grass green?"}]
    rows = [
        row(1, f"Please be kind. {QUESTIONS[0].replace(',', '').lower()} Thank you!"),
        row(2, QUESTIONS[1]),
        row(3, "Why is grass green"),
        row(4, "I wonder: why is grass green where no sun reaches it?"),
        row(5, QUESTIONS[2], chosen=f"You asked: {QUESTIONS[0]}"),
    ]
    recipe = curated(rlaif, write(rows), "--out", "new", "--against", write(tests, "tests.jsonl"))
    assert recipe["dropped"] == {"near a test row": 2}
    found = [(one["row"], one["match"]["id"], one["match"]["place"]) for one in lines_of("new/dropped.jsonl")]
    assert found == [("train:1", "t1", "tests.jsonl:1"), ("train:3", "t2", "tests.jsonl:2")]
    recipe = curated(rlaif, "rows.jsonl", "--out", "new", "--against", "tests.jsonl", "--against-responses")
    assert recipe["kept"] == 2
    assert recipe["test_sets"][0]["rows"] == 2


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_test_sets_are_read_in_other_layouts_and_by_named_columns(rlaif: Rlaif, suffix: str) -> None:
    tests = datasets.Dataset.from_list([{"number": 1, "task": QUESTIONS[3]}])
    (tests.to_csv if suffix == "csv" else tests.to_parquet)(f"tests.{suffix}")
    rows = [row(n, question) for n, question in enumerate(QUESTIONS)]
    said = rlaif("curate", write(rows), "--out", "new", "--against", f"tests.{suffix}")
    assert said.complains(2, "number, task", "--against-column")
    recipe = curated(rlaif, "rows.jsonl", "--out", "new", "--against", f"tests.{suffix}", "--against-column", "task")
    assert [one["row"] for one in lines_of("new/dropped.jsonl")] == ["train:4"]
    assert recipe["kept"] == 5


def test_detectors_drop_by_name_and_the_first_reason_counts(rlaif: Rlaif) -> None:
    prompt = "Tell me how the old clock in the tower of our town was repaired last year, please."
    rows = [
        row(0, prompt, chosen="It was taken apart, cleaned and put together again."),
        row(1, prompt, chosen="I'm sorry, but I cannot help with that."),
        row(2, prompt, chosen="Perhaps it was the wheel. Maybe it was not. It probably depends."),
        row(3, prompt, chosen=prompt),
        row(4, prompt, chosen="Es wurde von zwei Leuten aus der Nachbarstadt in vielen Wochen wieder instand gesetzt."),
        row(5, prompt, chosen="The wheel broke; it was replaced.", rejected="The wheel broke; it was replaced"),
        row(6, prompt, chosen="I'm sorry, but I cannot help with that.", p_chosen=0.55),
        row(7, prompt, chosen="A new spring.", objecting=["short"]),
    ]  # fmt: skip
    rows[0]["objecting"] = []
    names = "refusal,hedging,echo,language,alike,objecting"
    recipe = curated(rlaif, write(rows), "--out", "new", "--drop", names, "--min-p", "0.6")
    assert [(one["row"], one["reason"]) for one in lines_of("new/dropped.jsonl")] == [
        ("train:2", "refusal"),
        ("train:3", "hedging"),
        ("train:4", "echo"),
        ("train:5", "language"),
        ("train:6", "alike"),
        ("train:7", "p_chosen too small"),
        ("train:8", "objecting"),
    ]
    assert recipe["kept"] == 1


def test_the_best_are_kept_and_diverse_ones_leave_no_subject_out(rlaif: Rlaif) -> None:
    rows = [row(n, f"{QUESTIONS[0]} Case {n}.", p_chosen=0.9 - n / 1000) for n in range(10)]
    rows += [row(10 + n, question, p_chosen=0.8) for n, question in enumerate(QUESTIONS[1:4])]
    curated(rlaif, write(rows), "--out", "best", "--keep-best", "4")
    assert [one["prompt_id"] for one in lines_of("best/train.jsonl")] == ["p0", "p1", "p2", "p3"]
    curated(rlaif, "rows.jsonl", "--out", "diverse", "--keep-best", "4", "--diverse")
    assert [one["prompt_id"] for one in lines_of("diverse/train.jsonl")] == ["p0", "p10", "p11", "p12"]


def test_the_same_source_and_settings_give_the_same_files(rlaif: Rlaif) -> None:
    rows = [row(n, f"{QUESTIONS[n % 6]} {n // 20}", p_chosen=0.6 + n % 7 / 20) for n in range(60)]
    for folder in ("one", "two"):
        curated(rlaif, write(rows), "--out", folder, "--near-duplicates", "0.9", "--keep-best", "9", "--diverse")
    for name in ("train.jsonl", "dropped.jsonl", "curation.json", "README.md"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()


@pytest.fixture
def run(rlaif: Rlaif, tmp_path: Path, constitution_file: Path) -> Run:
    return make_run(tmp_path / "run", constitution_file, prompts=40, samples=4, pairs={"test_fraction": 0.2})


def test_a_curated_run_is_an_export_that_training_and_load_dataset_read(rlaif: Rlaif, run: Run) -> None:
    before = list(run.preference_rows())
    recipe = curated(rlaif, "run", "--out", "new", "--keep-best", "10")
    kept = sorted(before, key=lambda one: -one.p_chosen)[:10]
    found = read_pairs("new")
    assert {one.chosen for one in found.train + found.test} == {one.chosen[0].content for one in kept}
    loaded = datasets.load_dataset("new", "preference", cache_dir="cache")
    assert sum(len(part) for part in loaded.values()) == 10
    assert rlaif("export", "run", "--out", "whole").code == 0
    assert loaded["train"].features == datasets.load_dataset("whole", "preference", cache_dir="cache")["train"].features
    revisions = read_responses("new")
    assert len(revisions.train) + len(revisions.test) == recipe["revisions_kept"] < recipe["revisions"]
    assert {one.prompt_id for one in kept} >= {one.id.partition("#")[0] for one in revisions.train}
    assert "10 of " in Path("new/README.md").read_text(encoding="utf-8")


def test_a_certificate_holds_for_no_selection_that_lacks_certified_pairs(rlaif: Rlaif, run: Run) -> None:
    from rlaif.evaluate.certify import attempt_of, certify
    from rlaif.evaluate.label_sample import sample_rows, write_sample
    from rlaif.evaluate.peoples_labels import read_labels
    from rlaif.runs.certificate import record_attempt
    from rlaif.runs.directory import locked

    rows = list(run.preference_rows())
    sample = sample_rows(rows, len(rows), 0, 0.0)
    by_id = {one["id"]: one for one in sample}
    assert len(by_id) == len(rows)
    write_sample(Path("labels.csv"), [_labelled(one, rows) for one in sample])
    labels, terms = read_labels(Path("labels.csv"), rows), Terms(0.3, 0.9)
    certificate = certify(rows, labels, terms, ())
    with locked(run.path):
        record_attempt(run.path, attempt_of(rows, labels, terms, certificate.kept), certificate)
    assert (run.path / CERTIFICATE).is_file()
    whole = curated(rlaif, "run", "--out", "whole", "--drop", "uncertified")
    assert whole["warnings"] == [] and whole["kept"] == certificate.kept
    assert len(read_pairs("whole", certified=True).train) > 0
    part = curated(rlaif, "run", "--out", "part", "--keep-best", "5")
    assert "certificate" in part["warnings"][0]
    assert (
        "## Certificate" in Path("whole/README.md").read_text()
        and "## Certificate" not in Path("part/README.md").read_text()
    )
    with pytest.raises(UsageError, match="not marked as certified"):
        read_pairs("part", certified=True)


def _labelled(one: Any, rows: list[Any]) -> Any:
    chosen = {row.chosen[0].content for row in rows}
    return one | {"label": "1" if one["response_1"] in chosen else "2"}


def test_mistakes_are_one_line_and_nothing_is_written(rlaif: Rlaif) -> None:
    rows = write([row(0, QUESTIONS[0]), row(1, QUESTIONS[1])])
    out = ("--out", "new")
    assert rlaif("curate", rows, *out).complains(2, "nothing to do", "--keep-best")
    assert rlaif("curate", rows, "--min-p", "0.6").complains(2, "--out")
    assert rlaif("curate", rows, *out, "--diverse").complains(2, "--keep-best K")
    assert rlaif("curate", rows, *out, "--drop", "refusal,rude").complains(2, "rude", "refusal, hedging")
    assert rlaif("curate", rows, *out, "--drop", "truncated").complains(2, "give the run")
    assert rlaif("curate", rows, *out, "--drop", "objecting").complains(2, "rows.jsonl:1", "`objecting`")
    assert rlaif("curate", rows, *out, "--against", "no.jsonl").complains(2, "no.jsonl", "no such file")
    assert rlaif("curate", rows, *out, "--min-p", "0.9").complains(2, "no pair is left of 2", "p_chosen too small 2")
    assert rlaif("curate", "nowhere", *out, "--min-p", "0.9").complains(2, "nowhere")
    assert rlaif("curate", rows, "--out", ".", "--min-p", "0.6").complains(2, "source")
    bad = write([row(0, QUESTIONS[0]), {"prompt": "Hello?", "chosen": "Yes."}], "bad.jsonl")
    assert rlaif("curate", bad, *out, "--min-p", "0.6").complains(2, "bad.jsonl:2", "rejected")
    assert not Path("new").exists()
    Path("other").mkdir()
    Path("other/mine.txt").write_text("mine")
    assert rlaif("curate", rows, "--out", "other", "--min-p", "0.6").complains(2, "other", "--out")
    assert rlaif("curate", rows, "--min-p", "0.6", "--dry-run").code == 0
    assert Counter(path.name for path in Path().iterdir()) == Counter(["rows.jsonl", "bad.jsonl", "other"])


def test_a_curated_dataset_can_be_curated_again_and_keeps_its_recipes(rlaif: Rlaif) -> None:
    rows = [row(n, question, p_chosen=0.6 + n / 20) for n, question in enumerate(QUESTIONS)]
    datasets.Dataset.from_list(rows).to_csv("rows.csv")
    first = curated(rlaif, "rows.csv", "--out", "one", "--min-p", "0.65")
    second = curated(rlaif, "one", "--out", "two", "--keep-best", "2")
    assert second["earlier"] == first and second["rows"] == first["kept"] == 5
    found = datasets.load_dataset("two", cache_dir="cache")["train"]
    assert (found["prompt_id"], found["p_chosen"]) == (["p4", "p5"], [0.8, 0.85])
    assert len(read_pairs("two").train) + len(read_pairs("two").test) == 2


def test_the_recipe_is_published_and_the_dropped_rows_are_not(rlaif: Rlaif, run: Run) -> None:
    tests = [{"question": "Question 3?"}, {"question": next(run.traces()).prompt.messages[-1].content}]
    recipe = curated(rlaif, "run", "--out", "new", "--against", write(tests, "tests.jsonl"), "--overlap", "1")
    assert recipe["dropped"] == {"near a test row": 1}
    said = rlaif("push", "new", "--repo", "me/new", "--dry-run", "--json")
    assert said.code == 0, said.err
    files = json.loads(said.out)["files"]
    assert {"README.md", "curation.json", "preference/train.parquet"} <= files.keys()
    assert "dropped.jsonl" not in files
