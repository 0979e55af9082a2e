"""`rlaif certify` from a run to a dataset of certified pairs, against the simulated server whose truth is known."""

import csv
import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pytest

from rlaif.api import generate
from rlaif.errors import UsageError
from rlaif.runs.certified import CertifiedRun
from rlaif.runs.reader import Run
from rlaif.runs.summary import warnings_of
from rlaif.testing import SimulatedModel, SimulatedServer
from rlaif.train.examples import read_pairs
from tests.command import Rlaif, commands, serving
from tests.conftest import CONSTITUTION, configs_in

PAIRS = 160
quality = SimulatedModel().quality


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a run of two responses for each of 160 prompts."""
    folder = tmp_path_factory.mktemp("certify")
    (folder / "testing.yaml").write_text(CONSTITUTION)
    prompts = [
        {"id": f"p{n}", "prompt": f"Tell me about {n}.", "tags": ["even" if n % 2 == 0 else "odd"]}
        for n in range(PAIRS)
    ]
    (folder / "prompts.jsonl").write_text("\n".join(map(json.dumps, prompts)))
    with serving(SimulatedServer(SimulatedModel(noise=0.3))) as server:
        config = configs_in(folder, folder / "testing.yaml")(server)
        changed: dict[str, Any] = {"prompts": str(folder / "prompts.jsonl"), "revision": {"rounds": 0}}
        generate(type(config).check(config.model_dump(mode="json") | changed))
    return folder / "runs" / "one"


@pytest.fixture
def run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a copy of the run that a test may change, in the working folder."""
    import shutil

    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, tmp_path / "run")
    return Path("run")


@pytest.fixture
def rlaif(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rlaif:
    return commands(monkeypatch, capsys)


Judge = Callable[[dict[str, str]], str]


def by_quality(row: dict[str, str]) -> str:
    """A person who always sees which response is better."""
    return "1" if quality(row["response_1"]) > quality(row["response_2"]) else "2"


def guessing(row: dict[str, str]) -> str:
    return random.Random(row["id"]).choice(["1", "2"])


def by_probability(row: dict[str, str]) -> str:
    gap = quality(row["response_1"]) - quality(row["response_2"])
    return "1" if random.Random(row["id"]).random() < 1 / (1 + math.exp(-3 * gap)) else "2"


def label(source: str, out: str, judge: Judge, which: Callable[[int], bool] = lambda place: True) -> str:
    """Fill in the labels of a sample at some places, and return the new file."""
    with Path(source).open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["label"] = row["label"] or (judge(row) if which(int(row["place"])) else "")
    write(out, rows)
    return out


def write(out: str, rows: list[dict[str, str]]) -> None:
    with Path(out).open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def sample(rlaif: Rlaif, run: Path, size: int, out: str = "sample.csv", *more: str) -> str:
    assert rlaif("certify", str(run), "--sample", str(size), "--out", out, *more).code == 0
    return out


def test_how_many_labels_are_needed_is_said_before_anybody_labels(run: Path, rlaif: Rlaif) -> None:
    found = json.loads(rlaif("certify", str(run), "--error", "0.1", "--json").out)
    assert found["fewest"] == 29
    assert found["pairs"] == len(Run(run).pairs)
    kept = [one["kept"] for one in found["expected"]]
    assert kept == sorted(kept)
    assert found["expected"][-1]["labels"] == found["pairs"]
    assert kept[-1] == pytest.approx(found["all_labelled"], abs=0.1)
    printed = rlaif("certify", str(run)).out
    assert "at least 29 labels" in printed
    assert "next     rlaif certify run --sample" in printed


def test_labelled_pairs_become_a_certificate_a_column_a_card_and_a_training_set(run: Path, rlaif: Rlaif) -> None:
    labelled = label(sample(rlaif, run, 100), "labels.csv", by_probability)
    said = rlaif("certify", str(run), "--gold", labelled, "--error", "0.2")
    assert said.code == 0, said.err
    certificate = json.loads((run / "certificate.json").read_text())["certificate"]
    assert f"certified  {certificate['kept']} of {certificate['rows']} pairs" in said.out
    pairs = pandas.concat(pandas.read_parquet(file) for file in (run / "dataset" / "preference").glob("*.parquet"))
    assert pairs.certified.sum() == certificate["kept"] > 50
    assert (pairs.certified == (pairs.p_chosen.round(9) >= certificate["threshold"])).all()
    everybody = sample(rlaif, run, len(pairs), "all.csv")
    with Path(label(everybody, "truth.csv", by_probability)).open(newline="", encoding="utf-8-sig") as file:
        said_of = {row[f"response_{row['label']}"] for row in csv.DictReader(file)}
    kept = pairs[pairs.certified]
    assert 1 - kept.chosen.map(lambda turns: turns[0]["content"] in said_of).mean() <= 0.2
    card = (run / "dataset" / "README.md").read_text()
    assert "## Certificate" in card
    assert "at most 20% of their labels disagree with people's, with 95% confidence" in card
    assert "No person has labelled" not in card
    assert "certified  " in rlaif("show", str(run)).out
    for source in (run, run / "dataset"):
        examples = read_pairs(str(source), certified=True)
        assert len(examples.train) + len(examples.test) == certificate["kept"]
    assert rlaif("export", str(run), "--format", "openrlhf", "--certified").code == 0
    exported = [*(run / "exports" / "openrlhf-certified").glob("*.jsonl")]
    assert sum(len(file.read_text().splitlines()) for file in exported) == certificate["kept"]
    assert warnings_of(CertifiedRun(run)) == warnings_of(Run(run)) == []
    assert rlaif("export", str(run), "--format", "ranking", "--certified").complains(2, "is not made of pairs")


def test_a_certificate_is_not_valid_after_the_run_was_concluded_again(run: Path, rlaif: Rlaif) -> None:
    labelled = label(sample(rlaif, run, 100), "labels.csv", by_quality)
    assert rlaif("certify", str(run), "--gold", labelled).code == 0
    assert rlaif("generate", str(run), "--min-margin", "0.2").code == 0
    assert "is not valid any more" in rlaif("show", str(run)).out
    assert "is not valid any more" in (run / "dataset" / "README.md").read_text()
    assert Run(run).pairs.certified.isna().all()
    assert rlaif("export", str(run), "--format", "kto", "--certified").complains(2, "not valid any more", "certify")
    train = ("train", "dpo", str(run), "--certified", "--model", "smollm2", "--out", "model")
    assert rlaif(*train).complains(2, "not valid any more", "rlaif certify run --gold FILE again")
    with pytest.raises(UsageError, match="not marked as certified"):
        read_pairs(str(run / "dataset"), certified=True)
    assert rlaif("certify", str(run), "--gold", labelled).complains(2, "not pairs of this run", "--sample")
    more = sample(rlaif, run, 80, "more.csv", "--gold", labelled)
    with Path(more).open(newline="", encoding="utf-8-sig") as file:
        assert 30 < sum(bool(row["label"]) for row in csv.DictReader(file)) <= 80
    assert rlaif("certify", str(run), "--gold", label(more, "all.csv", by_quality)).code == 0
    assert Run(run).pairs.certified.notna().all()


def test_nothing_is_certified_where_people_disagree_and_an_earlier_certificate_is_withdrawn(
    run: Path, rlaif: Rlaif
) -> None:
    drawn = sample(rlaif, run, 100)
    assert rlaif("certify", str(run), "--gold", label(drawn, "good.csv", by_quality)).code == 0
    said = rlaif("certify", str(run), "--gold", label(drawn, "bad.csv", guessing))
    assert said.complains(2, "nothing can be certified", "people disagree with", "of 100 labels", "is withdrawn")
    assert Run(run).pairs.certified.isna().all()
    with pytest.raises(UsageError, match="has no certificate"):
        CertifiedRun(run)


def test_a_few_labels_are_not_enough_and_how_many_are_is_said(run: Path, rlaif: Rlaif) -> None:
    drawn = sample(rlaif, run, 100)
    few = label(drawn, "few.csv", by_quality, which=lambda place: place <= 20)
    assert rlaif("certify", str(run), "--gold", few).complains(2, "labels of 20 pairs; fewer than 29 show nothing")
    assert not (run / "certificate.json").exists()
    unlucky = label(drawn, "unlucky.csv", lambda row: "tie" if int(row["place"]) % 12 == 0 else by_quality(row))
    said = rlaif("certify", str(run), "--gold", unlucky, "--error", "0.1")
    assert said.complains(2, "if that share stays, about", "labels in all are needed")


def test_a_run_of_which_all_pairs_are_labelled_needs_no_more_labels(run: Path, rlaif: Rlaif) -> None:
    everything = label(sample(rlaif, run, len(Run(run).pairs)), "all.csv", guessing)
    assert rlaif("certify", str(run), "--gold", everything).complains(2, "which are all; allow a larger --error")


def test_several_attempts_lower_the_confidence_of_all_of_them_and_the_same_one_counts_once(
    run: Path, rlaif: Rlaif
) -> None:
    drawn = sample(rlaif, run, 100)
    first = label(drawn, "first.csv", by_quality, which=lambda place: place <= 60)
    for _ in range(2):
        found = json.loads(rlaif("certify", str(run), "--gold", first, "--json").out)
        assert found["confidence_of_all"] == 0.95
    second = label(drawn, "second.csv", by_quality)
    assert "(90% for all attempts together)" in rlaif("certify", str(run), "--gold", second).out


def test_labels_may_be_drawn_from_the_pairs_that_can_be_kept(run: Path, rlaif: Rlaif) -> None:
    drawn = sample(rlaif, run, 60, "sure.csv", "--min-p", "0.75")
    assert rlaif("certify", str(run), "--gold", label(drawn, "labels.csv", by_quality)).code == 0
    pairs = Run(run).pairs
    assert pairs[pairs.certified.astype(bool)].p_chosen.min() >= 0.75
    assert "with p_chosen at least 0.75" in (run / "dataset" / "README.md").read_text()


def test_a_sample_does_not_say_what_the_run_chose_and_its_larger_one_begins_with_it(run: Path, rlaif: Rlaif) -> None:
    with Path(sample(rlaif, run, 100)).open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    chosen = {pair.chosen[0]["content"] for _, pair in Run(run).pairs.iterrows()}
    first = sum(row["response_1"] in chosen for row in rows)
    assert 30 < first < 70
    with Path(sample(rlaif, run, 120, "larger.csv")).open(newline="", encoding="utf-8-sig") as file:
        assert [row["id"] for row in csv.DictReader(file)][:100] == [row["id"] for row in rows]
    assert rlaif("certify", str(run), "--sample", "9", "--out", "larger.csv").complains(2, "exists already")
    assert rlaif("certify", str(run), "--sample", "9999", "--out", "x.csv").complains(2, "has only", "pairs")


def test_several_people_are_a_majority_and_a_tie_is_a_disagreement(run: Path, rlaif: Rlaif) -> None:
    drawn = sample(rlaif, run, 80)
    with Path(drawn).open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    people = [{**row, "label": by_quality(row)} for row in rows for _ in range(2)]
    wrong_way = {"1": "2", "2": "1"}
    people += [{**row, "label": wrong_way[by_quality(row)]} for row in rows]  # outvoted each time
    write("three.csv", people)
    outvoted = json.loads(rlaif("certify", str(run), "--gold", "three.csv", "--error", "0.3", "--json").out)
    write("one.csv", people[: 2 * len(rows) : 2])
    alone = json.loads(rlaif("certify", str(run), "--gold", "one.csv", "--error", "0.3", "--json").out)
    sample(rlaif, run, 100, "more.csv", "--gold", "three.csv")
    with Path("more.csv").open(newline="", encoding="utf-8-sig") as file:
        assert len(list(csv.DictReader(file))) == 3 * 80 + 20
    assert outvoted["ties"] == 0
    assert (outvoted["kept"], outvoted["disagreements"]) == (alone["kept"], alone["disagreements"])
    write("ties.csv", [{**row, "label": "tie"} for row in rows])
    assert rlaif("certify", str(run), "--gold", "ties.csv").complains(2, "people disagree with 80 of 80 labels")


def test_gold_labels_as_judges_are_measured_with_are_read_if_the_pairs_are_the_runs(run: Path, rlaif: Rlaif) -> None:
    with Path(sample(rlaif, run, 80)).open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    gold = []
    for row in rows:
        better, worse = ("response_1", "response_2") if by_quality(row) == "1" else ("response_2", "response_1")
        gold.append({"prompt": row["prompt"], "chosen": row[better], "rejected": row[worse]})
    Path("gold.jsonl").write_text("\n".join(map(json.dumps, gold)))
    assert rlaif("certify", str(run), "--gold", "gold.jsonl").code == 0
    gold[3]["chosen"] = "Something else."
    Path("foreign.jsonl").write_text("\n".join(map(json.dumps, gold)))
    said = rlaif("certify", str(run), "--gold", "foreign.jsonl")
    assert said.complains(2, "1 of 80 rows are not pairs of this run (row 4)")


def test_labels_that_are_not_a_random_sample_are_refused_with_what_differs(run: Path, rlaif: Rlaif) -> None:
    pairs = Run(run).pairs
    easy = pairs.sort_values("p_chosen").tail(60)
    odd = pairs[pairs.tags.map(lambda tags: "odd" in tags)].head(50)
    for name, some, words in (("easy", easy, "p_chosen (median"), ("odd", odd, "tag odd (100%, in the run")):
        columns = ("prompt", "chosen", "rejected")
        gold = [{column: row[column] for column in columns} for _, row in some.iterrows()]
        Path(f"{name}.jsonl").write_text("\n".join(map(json.dumps, gold)))
        said = rlaif("certify", str(run), "--gold", f"{name}.jsonl")
        assert said.complains(2, "are not like a random sample", words, "--sample")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda row: row | {"label": ""} if row["place"] == "7" else row, "have no label (place 7)"),
        (lambda row: row | {"label": "A"} if row["place"] == "7" else row, "label is 'A'; must be 1 or 2"),
        (lambda row: row | {"place": "x"} if row["place"] == "7" else row, "place is 'x'"),
        (lambda row: row | {"drawn_from": "x"}, "was drawn from other pairs than the run has now"),
        (lambda row: row | {"min_p": "0.7"} if row["place"] == "7" else row, "has rows of several samples"),
        (lambda row: row | {"response_1": "Edited."} if row["place"] == "7" else row, "response_1 was changed"),
        (lambda row: row | {"label": ""}, "no pair has a label"),
    ],
)
def test_a_damaged_sample_is_refused_in_one_line(
    run: Path, rlaif: Rlaif, change: Callable[[dict[str, str]], dict[str, str]], words: str
) -> None:
    labelled = label(sample(rlaif, run, 40), "labels.csv", by_quality)
    with Path(labelled).open(newline="", encoding="utf-8-sig") as file:
        write("damaged.csv", [change(row) for row in csv.DictReader(file)])
    assert rlaif("certify", str(run), "--gold", "damaged.csv").complains(2, words)
    assert not (run / "certificate.json").exists()


def test_a_runs_own_labels_are_not_peoples(run: Path, rlaif: Rlaif) -> None:
    rows = Run(run).pairs
    Path("own.jsonl").write_text("\n".join(json.dumps(row.to_dict()) for _, row in rows.iterrows()))
    assert rlaif("certify", str(run), "--gold", "own.jsonl").complains(2, "its labels are a run's and not people's")


def test_every_tag_with_enough_labels_has_a_claim_of_its_own(run: Path, rlaif: Rlaif) -> None:
    labelled = label(sample(rlaif, run, 140), "labels.csv", by_quality)
    tags = json.loads(rlaif("certify", str(run), "--gold", labelled, "--error", "0.2", "--json").out)["tags"]
    assert set(tags) == {"even", "odd"}
    pairs = Run(run).pairs
    for tag, claim in tags.items():
        of_tag = pairs[pairs.tags.map(lambda found, tag=tag: tag in found)]
        assert claim["rows"] == len(of_tag)
        assert claim["kept"] == (of_tag.p_chosen.round(9) >= claim["threshold"]).sum() > 0


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--error", "0.6"], "--error 0.6: must be above 0 and below 0.5"),
        (["--confidence", "1"], "--confidence 1: must be at least 0.5 and below 1"),
        (["--sample", "5"], "--sample needs --out"),
        (["--out", "x.csv"], "give its size with --sample"),
        (["--sample", "5", "--out", "x.txt"], "must end in .csv or .jsonl"),
        (["--gold", "missing.csv"], "no such file of labels"),
    ],
)
def test_wrong_flags_are_refused_in_one_line(run: Path, rlaif: Rlaif, flags: list[str], words: str) -> None:
    assert rlaif("certify", str(run), *flags).complains(2, words)
