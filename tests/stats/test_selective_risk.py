"""The guarantee: over all samples of a table, a false claim is at most as likely as allowed."""

from itertools import combinations
from math import comb

import numpy as np
import pytest

from rlaif.stats.selective_risk import fewest_labels, nested_sets
from tests.stats.planted_samples import CONFIDENCE, WORLDS, study


def test_29_labels_without_an_error_show_ten_percent_of_a_large_table_and_28_do_not() -> None:
    scores = np.full(100_000, 0.9)
    for labels, passes in ((29, True), (28, False)):
        sets = nested_sets(scores, np.arange(labels), error=0.1, alpha=0.05)
        assert (sets.largest(np.zeros(labels, dtype=bool)) is not None) == passes
    assert fewest_labels(0.1, 0.05) == 29


def test_all_labels_of_a_table_certify_exactly_what_is_true() -> None:
    scores, wrong = np.full(10, 0.9), np.zeros(10, dtype=bool)
    for errors in range(4):
        wrong[:errors] = True
        found = nested_sets(scores, np.arange(10), error=0.2, alpha=0.05).largest(wrong)
        assert (found is not None) == (errors <= 2)


def test_one_set_passes_where_the_tail_of_the_hypergeometric_distribution_is_small() -> None:
    rows, sampled, error = 60, 30, 0.2
    too_many = 13  # the least number above 20 % of 60
    for seen in range(10):
        ways = sum(comb(too_many, k) * comb(rows - too_many, sampled - k) for k in range(seen + 1))
        tail = ways / comb(rows, sampled)
        wrong = np.arange(sampled) < seen
        sets = nested_sets(np.full(rows, 0.9), np.arange(sampled), error, alpha=0.05)
        assert (sets.largest(wrong) is not None) == (tail <= 0.05)


def test_over_all_samples_of_a_small_table_false_claims_are_rare_whatever_the_labels() -> None:
    """Exhaustive: every sample of 5 of 9 rows; the worst of many patterns of wrong rows must hold, not the mean."""
    rows, sampled, error, alpha = 9, 5, 0.3, 0.3
    scores = np.linspace(0.95, 0.55, rows)
    draws = [np.array(draw) for draw in combinations(range(rows), sampled)]
    sets = [nested_sets(scores, draw, error, alpha) for draw in draws]
    worst, claims = 0.0, 0
    for pattern in np.random.default_rng(0).permutation(2**rows)[:60]:
        wrong = (pattern >> np.arange(rows)) % 2 == 1
        false = 0
        for draw, nested in zip(draws, sets, strict=True):
            found = nested.largest(wrong[draw])
            if found is not None:
                claims += 1
                false += wrong[: nested.rows[found]].mean() > error
        worst = max(worst, false / len(draws))
    assert claims > 50
    assert 0 < worst <= alpha


def test_rows_of_equal_score_are_kept_together() -> None:
    scores = np.repeat([0.9, 0.7], [70, 30])
    sets = nested_sets(scores, np.arange(100), error=0.1, alpha=0.05)
    assert sets.rows.tolist() == [70, 100]
    wrong = np.arange(100) >= 70
    found = sets.largest(wrong)
    assert found is not None
    assert sets.thresholds[found] == 0.9


def test_which_rows_are_sampled_does_not_change_how_alpha_is_shared() -> None:
    """Shares that depended on the draw would not be fixed beforehand, and the guarantee would be lost."""
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.6, 1, 2000)
    shares = [nested_sets(scores, rng.choice(2000, 300, replace=False), 0.1, 0.05).shares for _ in range(5)]
    assert all((one == shares[0]).all() for one in shares)
    assert shares[0].sum() == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("focused", [False, True])
def test_planted_worlds_are_violated_no_more_often_than_claimed(world: str, *, focused: bool) -> None:
    rounds, allowed = 60, 9  # more than 9 of 60 at 5 % has a probability of 0.0006
    for error in (0.1, 0.2):
        for labels in (50, 200, 1000):
            found = study(world, error, labels, rounds, pairs=2000, focused=focused)
            assert found.violations * rounds <= allowed, (world, error, labels)
    assert CONFIDENCE == 0.95


@pytest.mark.slow
def test_with_enough_labels_nine_tenths_of_what_the_truth_allows_are_kept() -> None:
    assert study("calibrated", 0.2, 400, 30).kept >= 0.9
    assert study("calibrated", 0.1, 2000, 30, focused=True).kept >= 0.9
