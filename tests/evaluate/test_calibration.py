"""Calibration and regressions against numbers worked out by hand, and against what was planted."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.evaluate.calibration import recalibrate, reliability, tally_probability
from rlaif.evaluate.confidence import calibration_error
from rlaif.stats.estimates import Tallies
from rlaif.stats.log_odds import sigmoid
from rlaif.stats.regression import coefficient, linear, logistic


def test_brier_and_reliability_by_hand() -> None:
    found = Tallies([tally_probability(p) for p in (0.9, 0.92, 0.1, 0.6, 0.5)])
    # By confidence: 0.9, 0.92 and 0.9 (wrong) in the bin from 0.9; 0.6; and a tie, half right.
    table = {round(one.low, 2): one for one in reliability(found) if one.items}
    assert {low: one.items for low, one in table.items()} == {0.5: 1, 0.6: 1, 0.9: 3}
    assert table[0.9].right.value == 2 / 3
    assert table[0.5].right.value == 0.5
    assert table[0.9].confidence == pytest.approx(2.72 / 3)
    assert found.ratio("squared", "scored", share=False).value == pytest.approx(
        (0.01 + 0.0064 + 0.81 + 0.16 + 0.25) / 5
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_which_answer_is_called_a_plays_no_part(ps: list[float]) -> None:
    there = Tallies([tally_probability(p) for p in ps])
    assert sum(one.items for one in reliability(there)) == len(ps)
    mirrored = Tallies([tally_probability(1 - p) for p in ps])
    assert [one.items for one in reliability(there)] == pytest.approx(
        [one.items for one in reliability(mirrored)], abs=len(ps) * 0.5
    )


def test_an_honest_judge_needs_no_temperature_and_a_cold_one_the_planted_one() -> None:
    rng = random.Random(4)
    honest = []
    for _ in range(3000):
        logit = abs(rng.gauss(0, 1.5))
        honest.append(logit if rng.random() < sigmoid(logit) else -logit)
    prompts = [str(n) for n in range(len(honest))]
    fair = recalibrate(honest, prompts).slope
    assert fair.value == pytest.approx(1, abs=0.15)  # three standard errors
    cold = recalibrate([3 * logit for logit in honest], prompts)
    assert cold.slope.value == pytest.approx(fair.value / 3)
    assert cold.temperature == pytest.approx(3 / fair.value)
    before = [sigmoid(3 * logit) for logit in honest]
    assert cold.calibration_error < 0.03
    assert calibration_error(before, prompts).value > 0.08
    assert cold.brier < float(np.mean([(1 - p) ** 2 for p in before]))


def test_a_judge_that_is_always_right_has_no_temperature() -> None:
    found = recalibrate([1.0, 2.0, 0.5], ["a", "b", "c"])
    assert (found.slope.value, found.temperature, found.brier) == (None, None, None)
    assert recalibrate([], []).slope.value is None


def test_a_logistic_regression_of_two_groups_is_the_log_odds_of_their_means() -> None:
    x = np.array([[1.0, 0.0]] * 4 + [[0.0, 1.0]] * 2)
    y = np.array([1.0, 1.0, 1.0, 0.0, 0.2, 0.4])
    found = logistic(x, y, np.ones((2, 6)))[1]
    assert found == pytest.approx([math.log(3), math.log(0.3 / 0.7)])
    assert linear(x, y, np.array([[1.0, 1, 1, 1, 3, 1]]))[0] == pytest.approx([0.75, 0.25])


def test_collinear_and_empty_regressions_have_no_answer() -> None:
    same = np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])
    assert np.isnan(logistic(same, np.array([0.1, 0.5, 0.9]), np.ones((1, 3)))).all()
    assert np.isnan(linear(np.zeros((3, 2)), np.ones(3), np.ones((1, 3)))).all()
    assert coefficient(linear, np.zeros((0, 2)), np.zeros(0), []).value is None


def test_intervals_hold_the_planted_slope_about_as_often_as_they_say() -> None:
    rng, held = np.random.default_rng(5), 0
    for _ in range(60):
        x = np.stack([rng.normal(size=80), np.ones(80)], axis=1)
        y = x @ [0.5, 1.0] + rng.normal(size=80)
        held += coefficient(linear, x, y, list(range(80))).holds(0.5)
    assert held >= 52
