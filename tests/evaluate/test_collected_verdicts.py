"""Figures on collected verdicts, against numbers counted by hand and against a plain count of random rows."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.errors import GoldError, RlaifError
from rlaif.evaluate.collected_verdicts import VerdictMetrics, VerdictRow, Winner, evaluate_verdicts, read_verdicts

ROWS = [  # label, shown 1 first, shown 2 first
    (1, "1", "1"),  # right in both
    (1, "1", "1"),
    (2, "1", "2"),  # the first one each time: wrong, then right
    (2, "2", "2"),
    (2, "1", "1"),  # wrong in both
    (1, "2", "1"),  # the second one each time: wrong, then right
    (1, None, "1"),  # unreadable once
    (2, "tie", "2"),  # a tie once
    (None, "1", "2"),  # no label; the first one each time
    (1, "tie", None),
]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def measured(path: Path, columns: dict[str, str] | None = None, **options: Any) -> VerdictMetrics:
    (group,) = evaluate_verdicts(str(path), read_verdicts(path, columns or {}, **options)).groups
    return group


@pytest.fixture
def hand(tmp_path: Path) -> Path:
    rows = [
        {"idx": n, "label": label, "winner_original": one, "winner_swapped": two}
        for n, (label, one, two) in enumerate(ROWS)
    ]
    return written(tmp_path / "hand.jsonl", rows)


def test_every_figure_is_the_one_counted_by_hand(hand: Path) -> None:
    found = measured(hand)
    assert (found.rows, found.items, found.unlabelled) == (10, 10, 1)
    assert (found.order_agreement.value, found.order_agreement.n) == (4 / 7, 7)
    assert (found.accuracy_original.value, found.accuracy_original.n) == (3 / 6, 6)
    assert (found.accuracy_swapped.value, found.accuracy_swapped.n) == (7 / 8, 8)
    assert (found.accuracy.value, found.accuracy.n) == (10 / 14, 14)
    assert (found.accuracy_agreed.value, found.accuracy_agreed.n) == (3 / 4, 4)
    assert (found.agreed.value, found.agreed.n) == (4 / 10, 10)
    # The first one: rows 1, 2, 3, 5, 9 in the original order, rows 3, 4, 8, 9 in the swapped one.
    assert (found.first.value, found.first.n) == (9 / 16, 16)
    assert (found.unreadable.value, found.ties.value) == (2 / 20, 2 / 20)
    assert (found.baselines.first_original.value, found.baselines.first_swapped.value) == (5 / 9, 4 / 9)
    assert found.brier.value is None


def test_ties_and_unreadable_verdicts_change_no_accuracy(hand: Path, tmp_path: Path) -> None:
    before = measured(hand)
    more = [json.loads(line) for line in hand.read_text().splitlines()]
    more += [{"idx": f"x{n}", "label": 1, "winner_original": None, "winner_swapped": "tie"} for n in range(50)]
    after = measured(written(tmp_path / "more.jsonl", more))
    for name in ("accuracy", "accuracy_agreed", "order_agreement", "first"):
        assert getattr(after, name).value == getattr(before, name).value
    assert after.unreadable.value == 52 / 120
    assert after.agreed.value == 4 / 60


def test_a_winner_may_name_the_place_instead_of_the_answer(hand: Path, tmp_path: Path) -> None:
    turned = {"1": "2", "2": "1"}
    rows = [json.loads(line) for line in hand.read_text().splitlines()]
    rows = [row | {"winner_swapped": turned.get(row["winner_swapped"], row["winner_swapped"])} for row in rows]
    by_place = measured(written(tmp_path / "places.jsonl", rows), names="position")
    assert by_place == measured(hand)


def test_probabilities_name_winners_and_give_a_brier_score(tmp_path: Path) -> None:
    rows = [
        {"label": 1, "p_original": 0.9, "p_swapped": 0.7},  # mean 0.8 for 1, which is right
        {"label": 2, "p_original": 0.8, "p_swapped": 0.4},  # mean 0.6 for 1, which is wrong; orders differ
        {"label": 2, "p_original": 0.5, "p_swapped": None},
    ]
    found = measured(written(tmp_path / "p.jsonl", rows))
    assert found.brier.value == pytest.approx((0.2**2 + 0.6**2) / 2)
    assert (found.order_agreement.value, found.order_agreement.n) == (1 / 2, 2)
    assert (found.ties.value, found.unreadable.value) == (1 / 6, 1 / 6)


def test_groups_are_judge_strategy_and_what_is_asked_for(tmp_path: Path) -> None:
    rows = [
        {"judge": judge, "strategy": "s", "set": part, "label": 1, "winner_original": "1", "winner_swapped": win}
        for judge, part, win in [("m", "x", "1"), ("m", "y", "2"), ("n", "x", "2"), ("m", "x", "1")]
    ]
    path = written(tmp_path / "g.jsonl", rows)
    report = evaluate_verdicts("g", read_verdicts(path, {}, ["set"]), ["set"])
    assert [(g.judge, g.by, g.rows, g.order_agreement.value) for g in report.groups] == [
        ("m", {"set": "x"}, 2, 1.0),
        ("m", {"set": "y"}, 1, 0.0),
        ("n", {"set": "x"}, 1, 0.0),
    ]
    assert [g.rows for g in evaluate_verdicts("g", read_verdicts(path, {})).groups] == [3, 1]


def test_repeated_verdicts_on_one_item_are_drawn_together(tmp_path: Path) -> None:
    once = [{"idx": n, "label": 1, "winner_original": str(1 + n % 2), "winner_swapped": "1"} for n in range(40)]
    alone, repeated = (measured(written(tmp_path / f"{k}.jsonl", once * k)) for k in (1, 9))
    assert (repeated.rows, repeated.items) == (360, 40)
    assert repeated.accuracy_original.low == alone.accuracy_original.low


winners = st.sampled_from([1, 2, "tie", None])


@given(st.lists(st.tuples(winners, winners, winners), min_size=1, max_size=30))
def test_shares_equal_a_plain_count_whatever_was_said(rows: list[tuple[Winner, Winner, Winner]]) -> None:
    given_rows = [VerdictRow("j", "s", (), (str(n),), *row) for n, row in enumerate(rows)]
    (found,) = evaluate_verdicts("f", given_rows).groups
    both = [(one, two) for _, one, two in rows if one in (1, 2) and two in (1, 2)]
    single = [(label, said) for label, *saids in rows for said in saids if said in (1, 2) and label in (1, 2)]
    agreed = [(label, one) for label, one, two in rows if one == two and one in (1, 2) and label in (1, 2)]
    for estimate, hits in (
        (found.order_agreement, [one == two for one, two in both]),
        (found.accuracy, [label == said for label, said in single]),
        (found.accuracy_agreed, [label == said for label, said in agreed]),
        (found.agreed, [one == two and one in (1, 2) for _, one, two in rows]),
    ):
        assert estimate.value == (sum(hits) / len(hits) if hits else None)
        assert estimate.n == len(hits)
        if estimate.low is not None:
            assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"label": 3, "winner_original": "1", "winner_swapped": "1"}, ":2: label is 3"),
        ({"label": 1, "winner_original": "Answer", "winner_swapped": "1"}, ":2: winner_original is 'Answer'"),
        ({"label": 1, "winner_original": "1"}, ":2: has neither winner_swapped nor p_swapped"),
        ({"winner_original": "1", "winner_swapped": "1"}, ":2: has no column 'label'"),
        ({"label": 1, "p_original": 1.5, "p_swapped": 0.5}, ":2: p_original is 1.5"),
        ([1], ":2: must be an object"),
    ],
)
def test_a_row_that_cannot_be_used_is_said_with_its_line(tmp_path: Path, row: Any, words: str) -> None:
    good = {"label": 1, "winner_original": "1", "winner_swapped": "1"}
    path = written(tmp_path / "bad.jsonl", [good, row])
    with pytest.raises(GoldError, match=words):
        list(read_verdicts(path, {}))


def test_a_file_that_is_no_archive_is_said(tmp_path: Path) -> None:
    (tmp_path / "v.jsonl.gz").write_text("no archive")
    with pytest.raises(RlaifError, match=r"v\.jsonl\.gz: cannot be read"):
        list(read_verdicts(tmp_path / "v.jsonl.gz", {}))
