"""Which pairs are reviewed, how far planted reviewers agree, and the files that others read."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from rlaif.cli.review import Opened, open_review
from rlaif.evaluate.gold import read_gold
from rlaif.evaluate.label_sample import sample_rows
from rlaif.evaluate.peoples_labels import read_labels
from rlaif.evaluate.review_plan import BLOCK, Planned, ReviewPlan, queue, read_plan, teaches
from rlaif.evaluate.review_results import ReviewResults, review_results
from rlaif.runs.pair_ids import id_of
from rlaif.runs.reviews import REVIEWS, read_reviews
from rlaif.runs.rows import PreferenceRow
from rlaif.stats.nominal_alpha import alpha_of_pairs
from tests.command import Rlaif, commands
from tests.conftest import CONSTITUTION
from tests.review.runs import other, reliable, review_all, reviewed_run, truth

PAIRS = 60


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    folder = tmp_path_factory.mktemp("review")
    (folder / "testing.yaml").write_text(CONSTITUTION)
    run = reviewed_run(folder / "run", folder / "testing.yaml", prompts=80)
    return open_review(run.path, "ann", PAIRS, None, None)


@pytest.fixture
def opened(made: Opened) -> Opened:
    """Return a review that nobody has begun."""
    for file in (made.run.path / REVIEWS).glob("*.jsonl"):
        file.unlink()
    return made


@pytest.fixture(scope="module")
def rows(made: Opened) -> list[PreferenceRow]:
    return list(made.run.preference_rows())


@pytest.fixture
def rlaif(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rlaif:
    return commands(monkeypatch, capsys)


def results(opened: Opened, rows: list[PreferenceRow]) -> ReviewResults:
    plan = read_plan(opened.run.path)
    assert plan is not None
    return review_results(rows, read_reviews(opened.run.path), plan)


def of_kind(planned: list[Planned], kind: str) -> list[PreferenceRow]:
    return [one.row for one in planned if one.drawn == kind]


def test_half_of_the_queue_is_the_sample_of_certify_and_half_teaches_most(made: Opened, rows: list[PreferenceRow]):
    random, teaching = (of_kind(made.queue, kind) for kind in ("random", "teaching"))
    assert len(random) == len(teaching) == PAIRS // 2
    assert [id_of(row) for row in random] == [row["id"] for row in sample_rows(rows, PAIRS // 2, 0)]
    left = {id_of(row) for row in rows} - {id_of(one.row) for one in made.queue}
    assert min(map(teaches, teaching)) >= max(teaches(row) for row in rows if id_of(row) in left)
    assert min(map(teaches, teaching[:BLOCK])) >= max(map(teaches, teaching[BLOCK:]))
    assert [teaches(row) for row in teaching[:BLOCK]] != sorted(map(teaches, teaching[:BLOCK]), reverse=True)
    for start in range(0, PAIRS, BLOCK):  # whoever stops early has judged both kinds
        kinds = [one.drawn for one in made.queue[start : start + BLOCK]]
        assert 3 <= kinds.count("random") <= 7


def test_a_pair_teaches_where_p_is_near_one_half_or_where_judges_disagree(rows: list[PreferenceRow]):
    row = rows[0].model_copy(update={"p_chosen": 0.9, "p_raw": 0.9, "sd_principles": None, "sd_orders": 0.1})
    assert teaches(row) == pytest.approx(0.1)
    assert teaches(row.model_copy(update={"p_chosen": 0.55})) == pytest.approx(0.45)
    # log(9) = 2.197; spread 2.0 and 0.1 together: Phi(-2.197 / 2.0025) = 0.1363
    assert teaches(row.model_copy(update={"sd_judges": 2.0})) == pytest.approx(0.1363, abs=1e-4)


def test_a_longer_review_begins_with_the_random_share_of_the_shorter_one(rows: list[PreferenceRow]):
    short, long = (
        of_kind(queue(rows, ReviewPlan(pairs=pairs, random=0.5, seed=3, drawn_from="")), "random") for pairs in (20, 50)
    )
    assert [id_of(row) for row in long[:10]] == [id_of(row) for row in short]


def test_alpha_is_that_of_the_formula_by_hand():
    # Each pair in both orientations: 16 values, a 6, b 6, tie 4; 4 of 16 disagree; by chance 1 - 72 / 240.
    found = alpha_of_pairs([(2, 0, 0), (1, 1, 0), (0, 2, 0), (0, 0, 2), (1, 0, 0)], range(5))
    assert found.value == pytest.approx(1 - 0.25 / 0.7)
    assert (found.n, found.prompts) == (4, 4)
    assert found.low is None
    assert alpha_of_pairs([(0, 0, 2), (0, 0, 2)], "ab").value is None
    assert alpha_of_pairs([(1, 0, 0)], "a").value is None


def test_alpha_of_two_planted_reviewers_contains_its_true_value(opened: Opened, rows: list[PreferenceRow]):
    review_all(opened, "ann", reliable("ann", 0.95))
    review_all(opened, "ben", reliable("ben", 0.85))
    found = results(opened, rows)
    true = 2 * (0.95 * 0.85 + 0.05 * 0.15) - 1  # agree with 0.815; two responses: chance is one half
    assert found.alpha.holds(true)
    assert not found.alpha.holds(0)
    assert not found.alpha.holds(1)
    assert found.alpha_random.holds(true)
    assert found.same.holds((1 + true) / 2)
    assert found.alpha.n == found.reviewed_by_several == PAIRS
    for name in ("ann", "ben"):  # the truth has nothing to do with this critic, nor with the sides
        assert found.reviewers[name].agrees_with_critic.holds(0.5)
        assert found.reviewers[name].first_share.holds(0.5)
    assert any("alpha is" in warning for warning in found.warnings) == ((found.alpha_random.value or 0) < 0.667)


def test_reviewers_who_guess_are_warned_of(opened: Opened, rows: list[PreferenceRow]):
    review_all(opened, "ann", reliable("ann", 0.5))
    review_all(opened, "ben", reliable("ben", 0.5))
    found = results(opened, rows)
    assert found.alpha.holds(0)
    assert "the reviewers agree little" in found.warnings[0]


def test_what_is_said_of_the_run_comes_from_the_random_share(opened: Opened, rows: list[PreferenceRow]):
    review_all(opened, "ann", lambda row, drawn: row.chosen_id if drawn == "random" else row.rejected_id, until=40)
    found = results(opened, rows)
    random = len(of_kind(opened.queue[:40], "random"))
    assert (found.agrees.value, found.agrees.n, found.random_reviewed) == (1.0, random, random)
    assert found.agrees.high == 1.0
    assert found.overturned == 40 - random
    assert "no pair has two votes" in found.warnings[0]


def test_ties_and_cannot_tell_are_counted_by_name(opened: Opened, rows: list[PreferenceRow]):
    said = {id_of(one.row): place for place, one in enumerate(opened.queue)}
    review_all(opened, "ann", lambda row, drawn: "tie" if said[id_of(row)] < 5 else row.chosen_id, until=20)
    review_all(opened, "ben", lambda row, drawn: None if said[id_of(row)] < 7 else row.chosen_id, until=20)
    found = results(opened, rows)
    assert (found.reviewers["ann"].ties, found.reviewers["ben"].cannot_tell) == (5, 7)
    assert (found.decided, found.undecided, found.without_vote) == (15, 5, 0)
    assert found.reviewed_by_several == found.alpha.n == 13


def test_a_reviewer_who_always_names_one_side_is_warned_of(opened: Opened, rows: list[PreferenceRow], rlaif: Rlaif):
    from rlaif.evaluate.review_plan import sides

    review_all(opened, "ann", lambda row, drawn: sides(row, "ann")[0], until=20)
    assert "by people, pairs: ann 20" in rlaif("show", str(opened.run.path)).out
    said = rlaif("review", str(opened.run.path), "--results")
    assert said.code == 0
    assert "! ann names response 1 in 100% of 20 verdicts for one response, though the sides are shuffled" in said.out


def test_the_gold_file_has_the_majority_and_is_read_as_gold(opened: Opened, rlaif: Rlaif, tmp_path: Path):
    place_of = {id_of(one.row): place for place, one in enumerate(opened.queue)}
    for name, wrong in (("ann", {1, 2, 3}), ("ben", {2, 3}), ("cat", {3, 4})):
        review_all(
            opened,
            name,
            lambda row, drawn, wrong=wrong: (  # type: ignore[misc]
                "tie"
                if place_of[id_of(row)] == 9
                else other(row, truth(row))
                if place_of[id_of(row)] in wrong
                else truth(row)
            ),
            until=12,
        )
    gold = tmp_path / "gold.jsonl"
    assert rlaif("review", str(opened.run.path), "--results", "--gold", str(gold)).code == 0
    read = read_gold(gold)
    assert len(read.items) == 11  # the tie is left out
    by_id = {id_of(one.row): one.row for one in opened.queue}
    for item, line in zip(read.items, gold.read_text().splitlines(), strict=True):
        row, wrong = by_id[item.id], place_of[item.id] in {2, 3}
        better = other(row, truth(row)) if wrong else truth(row)
        assert item.chosen == (row.chosen if better == row.chosen_id else row.rejected)[0].content
        votes = json.loads(line)["votes"]
        assert votes["for"] == (2 if place_of[item.id] in {1, 2, 4} else 3)
        assert votes["for"] + votes["against"] == 3
        assert item.subset == opened.queue[place_of[item.id]].drawn
    again = rlaif("review", str(opened.run.path), "--results", "--gold", str(gold))
    assert again.complains(2, "exists already")
    assert rlaif("certify", str(opened.run.path), "--gold", str(gold)).complains(2, "--labels FILE", "review")


def test_the_labels_of_the_random_share_are_read_by_certify(
    opened: Opened, rows: list[PreferenceRow], rlaif: Rlaif, tmp_path: Path
):
    random = of_kind(opened.queue, "random")
    wrong, tied = id_of(random[3]), id_of(random[4])

    def decide(row: PreferenceRow, drawn: str) -> str | None:
        return None if id_of(row) == tied else row.rejected_id if id_of(row) == wrong else row.chosen_id

    review_all(opened, "ann", decide)
    labels = tmp_path / "labels.csv"
    assert rlaif("review", str(opened.run.path), "--results", "--labels", str(labels)).code == 0
    found = read_labels(labels, rows)
    assert len(found) == len(random)
    assert {id_of(rows[place]) for place in found.positions[found.disagrees]} == {wrong, tied}
    said = rlaif("certify", str(opened.run.path), "--gold", str(labels), "--error", "0.2", "--json")
    assert json.loads(said.out)["kept"] > 0, said.err
    (opened.run.path / "certificate.json").unlink()
    with labels.open(newline="", encoding="utf-8-sig") as file:
        assert [row["place"] for row in csv.DictReader(file)] == [str(place + 1) for place in range(len(random))]


def test_a_users_mistakes_are_one_line(opened: Opened, rlaif: Rlaif, tmp_path: Path):
    run = str(opened.run.path)
    assert rlaif("review", run).complains(2, "--reviewer NAME is missing")
    assert rlaif("review", run, "--results").complains(2, "has not been reviewed", "--reviewer NAME")
    for name in ("", "../x", "a/b", ".hidden", "x" * 65):
        assert rlaif("review", run, "--reviewer", name).complains(2, "letters, digits")
    assert rlaif("review", run, "--reviewer", "ann", "--pairs", "999").complains(2, "the run has only", "pairs")
    assert rlaif("review", run, "--reviewer", "ann", "--gold", "x.jsonl").complains(2, "--results")
    assert rlaif("review", run, "--results", "--reviewer", "ann").complains(2, "all reviewers")
    assert rlaif("review", str(tmp_path), "--reviewer", "ann").complains(2, "is not a run directory")
    review_all(opened, "ann", lambda row, drawn: row.chosen_id, until=3)
    assert rlaif("review", run, "--reviewer", "Ann").complains(2, "ann has reviewed this run already")
    damaged = shutil.copytree(run, tmp_path / "copy") / REVIEWS / "ann.jsonl"
    damaged.write_text("{}\n" + damaged.read_text())
    assert rlaif("review", str(tmp_path / "copy"), "--results").complains(2, "ann.jsonl:1: is not a verdict")
