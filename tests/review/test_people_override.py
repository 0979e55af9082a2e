"""`rlaif export --people`: people's labels instead of the critic's, in a dataset beside the run's own."""

import json
import math
from pathlib import Path

import numpy as np
import pandas
import pytest

from rlaif.cli.review import Opened, open_review
from rlaif.runs.pair_ids import id_of
from rlaif.runs.reviewed import ReviewedRun
from rlaif.runs.reviews import REVIEWS, PersonVerdict
from rlaif.runs.rows import PreferenceRow
from rlaif.runs.votes import Agreement, Votes, agreement_of
from rlaif.train.examples import read_pairs
from tests.command import Rlaif, commands
from tests.conftest import CONSTITUTION
from tests.review.runs import Decide, review_all, reviewed_run

SWAPPED = ("score_{}", "score_{}_se", "{}_origin", "{}_model", "{}_id", "{}")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    folder = tmp_path_factory.mktemp("review")
    (folder / "testing.yaml").write_text(CONSTITUTION)
    run = reviewed_run(folder / "run", folder / "testing.yaml", prompts=30)
    return open_review(run.path, "ann", 20, None, None)


@pytest.fixture
def opened(made: Opened) -> Opened:
    for file in (made.run.path / REVIEWS).glob("*.jsonl"):
        file.unlink()
    return made


@pytest.fixture
def rlaif(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rlaif:
    return commands(monkeypatch, capsys)


def planned(opened: Opened) -> dict[str, int]:
    return {id_of(one.row): place for place, one in enumerate(opened.queue)}


def against_the_first_five(opened: Opened) -> Decide:
    """Pairs 0 to 4 against the critic, 5 and 6 ties, 7 cannot tell, the others with the critic."""
    places = planned(opened)

    def decide(row: PreferenceRow, drawn: str) -> str | None:
        place = places[id_of(row)]
        if place in {5, 6, 7}:
            return None if place == 7 else "tie"
        return row.rejected_id if place < 5 else row.chosen_id

    return decide


def test_people_decide_where_they_have_a_label_and_the_critic_elsewhere(opened: Opened):
    review_all(opened, "ann", against_the_first_five(opened))
    review_all(opened, "ben", against_the_first_five(opened))
    run, places = opened.run, planned(opened)
    before = {id_of(row): row for row in run.preference_rows()}
    after = {id_of(row): row for row in ReviewedRun(run.path).preference_rows()}
    assert set(before) - set(after) == {pair for pair, place in places.items() if place in {5, 6}}
    for pair, row in after.items():
        was, place = before[pair], places.get(pair)
        if place is None or place == 7:
            kept = set(PreferenceRow.model_fields) - {"certified"}
            assert row.model_dump(include=kept) == was.model_dump(include=kept)
            assert (row.votes_for, row.certified) == (None, None)
            continue
        assert (row.p_chosen_from, row.votes_for, row.votes_against, row.votes_tie) == ("people", 2, 0, 0)
        assert row.p_margin == row.p_chosen - 0.5 > 0
        if place < 5:
            for name in SWAPPED:
                chosen, rejected = (getattr(was, name.format(side)) for side in ("chosen", "rejected"))
                assert (getattr(row, name.format("chosen")), getattr(row, name.format("rejected"))) == (
                    rejected,
                    chosen,
                )
            assert row.p_raw == 1 - was.p_raw
            assert [one.p for one in row.principles] == [1 - one.p for one in was.principles]
            # A principle that chose the critic's response alone now objects, one that objected does not.
            sure = {one.id for one in was.principles if one.p > 0.6}
            assert sure <= set(row.objecting)
            assert not set(was.objecting) & set(row.objecting)
        else:
            assert (row.chosen_id, row.p_raw, row.objecting) == (was.chosen_id, was.p_raw, was.objecting)


def test_a_reviewed_dataset_stands_beside_the_runs_own(opened: Opened, rlaif: Rlaif):
    path = str(opened.run.path)
    assert rlaif("export", path).code == 0
    own = (opened.run.path / "dataset" / "README.md").read_bytes()
    assert rlaif("export", path, "--people").complains(2, "has no verdicts of people")
    review_all(opened, "ann", against_the_first_five(opened))
    said = rlaif("export", path, "--people")
    assert (
        "1 reviewer decided 17 pairs, 5 of them against the critic; 2 pairs on which people prefer neither" in said.out
    )
    assert "a single vote counts as p = 0.67" in said.out
    folder = opened.run.path / "exports" / "trl-people"
    pairs = pandas.concat(pandas.read_parquet(file) for file in (folder / "preference").glob("*.parquet"))
    assert (pairs.p_chosen_from == "people").sum() == 17
    assert set(pairs.p_chosen[pairs.p_chosen_from == "people"].round(4)) == {0.6667}
    card = (folder / "README.md").read_text()
    assert "People decided 17 of these pairs" in card
    assert "`votes_for`" in card
    assert json.loads((folder / "rlaif.json").read_text())["people"]["reversed"] == 5
    kto = Path(json.loads(rlaif("export", path, "--people", "--format", "kto", "--json").out)["folder"])
    assert kto.name == "kto-people"
    examples = read_pairs(str(folder))
    assert len(examples.train) + len(examples.test) == len(pairs)
    assert rlaif("export", path).code == 0  # the run's own dataset is what it was, byte for byte
    assert (opened.run.path / "dataset" / "README.md").read_bytes() == own
    assert rlaif("export", path, "--people", "--format", "ranking").complains(2, "not made of pairs")
    assert rlaif("export", path, "--people", "--certified").complains(2, "choose one")


def test_reviewers_who_agree_by_chance_decide_nothing(opened: Opened, rlaif: Rlaif):
    review_all(opened, "ann", lambda row, drawn: row.chosen_id)
    review_all(opened, "ben", lambda row, drawn: row.rejected_id)
    assert rlaif("export", str(opened.run.path), "--people").complains(2, "0% of 20 pairs", "what chance gives")


def votes(*said: str) -> Votes:
    """Return votes, each `a`, `b`, `tie` or `none`."""
    choices = {"a": "first", "b": "second", "tie": "tie", "none": "cannot-tell"}
    return Votes(
        {
            f"r{n}": PersonVerdict.model_validate(
                {
                    "id": "x",
                    "prompt_id": "p",
                    "first": "a",
                    "second": "b",
                    "drawn": "random",
                    "at": "",
                    "verdict": choices[one],
                }
            )
            for n, one in enumerate(said)
        }
    )


def test_p_is_the_probability_that_another_person_says_the_same():
    nothing = agreement_of([votes("a"), votes("a", "tie"), votes("none", "none")])
    assert (nothing.measured, nothing.pairs) == (None, 0)
    assert nothing.p(votes("a"), "a") == pytest.approx(2 / 3)  # a = 1: Laplace's rule of succession
    assert nothing.p(votes("a", "a"), "a") == pytest.approx(3 / 4)
    assert nothing.p(votes("a", "a", "tie"), "a") == pytest.approx(3.5 / 5)
    found = agreement_of([votes("a", "a")] * 80 + [votes("a", "b")] * 17)
    assert found.expected == pytest.approx((80 + 2) / 100)
    assert found.p(votes("a"), "a") == pytest.approx(found.expected)
    a = (1 - 0.82) / (2 * 0.82 - 1)
    assert found.p(votes("a", "a", "b"), "a") == pytest.approx((2 + a) / (3 + 2 * a))
    assert Agreement(0.5, 1000).p(votes("a"), "a") == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("a", [0.3, 1.0, 4.0])
def test_p_is_calibrated_on_planted_opinions(a: float):
    """The share of people who prefer the first response is drawn; a fourth person is asked after three reviewers."""
    rng = np.random.default_rng(7)
    shares = rng.beta(a, a, 4000)
    asked = rng.random((4000, 4)) < shares[:, None]
    reviewed = [votes(*("a" if one else "b" for one in row[:3])) for row in asked]
    agreement = agreement_of(reviewed)
    assert agreement.expected == pytest.approx((a + 1) / (2 * a + 1), abs=0.02)
    for kind, p in {len(one.counted): agreement.p(one, one.majority or "") for one in reviewed}.items():
        said = [
            (row[3] == (one.majority == "a"))
            for one, row in zip(reviewed, asked, strict=True)
            if len(one.counted) == kind
        ]
        assert p == pytest.approx(np.mean(said), abs=4 * math.sqrt(0.25 / len(said)))
