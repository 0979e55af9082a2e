import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.preferences.recalibration import Noise, denoised, denoised_all, measure_noise

noises = st.builds(Noise, noise=st.floats(0, 9), signal=st.floats(0, 20))


def judging_pass(noise: float, n: int = 20_000, bias: float = 1.5, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Return true differences, and log-odds and position biases of verdicts with that noise each."""
    rng = np.random.default_rng(seed)
    true = rng.normal(0, 2**0.5, n)
    ab, ba = true + bias + rng.normal(0, noise, n), bias - true + rng.normal(0, noise, n)
    return true, (ab - ba) / 2, (ab + ba) / 2


def calibration_error(p: np.ndarray, truth: np.ndarray, bins: int = 10) -> float:
    places = np.clip((p * bins).astype(int), 0, bins - 1)
    return sum((places == b).mean() * abs(p[places == b].mean() - truth[places == b].mean()) for b in set(places))


def sigma(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("noise", [0.3, 1.0, 2.0])
def test_the_planted_noise_and_signal_are_found_whatever_the_position_bias(noise: float):
    _, logits, biases = judging_pass(noise, bias=3.0)
    found = measure_noise(logits, biases)
    # Two verdicts are averaged, so half of one's variance is left.
    assert found.noise == pytest.approx(noise**2 / 2, rel=0.05)
    assert found.signal == pytest.approx(2, rel=0.06)
    assert found.reliability == pytest.approx(2 / (2 + noise**2 / 2), rel=0.03)


@pytest.mark.parametrize("noise", [0.7, 1.0, 2.0])
def test_probabilities_are_honest_afterwards_and_were_not_before(noise: float):
    true, logits, biases = judging_pass(noise)
    found = measure_noise(logits, biases)
    assert calibration_error(sigma(logits), sigma(true)) > 0.02
    assert calibration_error(sigma(denoised_all(logits, found)), sigma(true)) < 0.01


def test_without_noise_nothing_changes():
    assert denoised(1.7, Noise(noise=0, signal=2)) == pytest.approx(1.7)


def test_where_noise_explains_all_nobody_wins():
    rng = np.random.default_rng(0)
    found = measure_noise(rng.normal(0, 1, 500), rng.normal(0, 1.5, 500))
    assert found.signal == 0
    assert denoised(3.0, found) == pytest.approx(0, abs=1e-12)


def test_the_probability_is_the_mean_over_what_the_truth_may_be():
    # Normal around k l = 1.2 with variance k v = 0.6, by a plain sum over a fine grid.
    grid = np.linspace(-8, 8, 20_001)
    density = np.exp(-(grid**2) / 2)
    expected = (density / (1 + np.exp(-(1.2 + math.sqrt(0.6) * grid)))).sum() / density.sum()
    found = denoised(2.0, Noise(noise=1.0, signal=1.5))
    assert 1 / (1 + math.exp(-found)) == pytest.approx(expected, abs=1e-9)


@given(st.floats(-30, 30), noises)
def test_a_winner_stays_the_winner_and_gets_no_surer(logit: float, noise: Noise):
    found = denoised(logit, noise)
    assert found * logit >= -1e-12
    assert abs(found) <= abs(logit) + 1e-9
    assert denoised(-logit, noise) == pytest.approx(-found, abs=1e-9)


@given(st.lists(st.floats(-12, 12), min_size=2, max_size=9), noises)
def test_the_order_of_verdicts_stays(logits: list[float], noise: Noise):
    found = denoised_all(np.array(sorted(logits)), noise)
    assert (np.diff(found) >= -1e-9).all()


def test_ties_say_nothing_about_noise():
    _, logits, biases = judging_pass(0.5, bias=3.0)
    with_ties = measure_noise(np.append(logits, np.zeros(2000)), np.append(biases, np.zeros(2000)))
    assert with_ties == measure_noise(logits, biases)


def test_matchups_that_were_not_asked_in_both_orders_do_not_pass_for_free_of_noise():
    _, logits, biases = judging_pass(1.0)
    with_others = measure_noise(np.append(logits, np.full(5000, 3.9)), np.append(biases, np.full(5000, np.nan)))
    assert with_others == measure_noise(logits, biases)


def test_a_few_matchups_say_too_little():
    _, logits, biases = judging_pass(1.0, n=49)
    assert measure_noise(logits, biases) is None
