"""The reliability of a file's labels and the labels that are likely wrong, against planted truth."""

import numpy as np
import pytest

from rlaif.preferences.label_noise import fit_label_noise


def planted(labels: int, reliability: float, seed: int) -> tuple[list[float], np.ndarray]:
    """Return a calibrated critic's probabilities that the labels are right, and whether they are wrong."""
    rng = np.random.default_rng(seed)
    p_first = 1 / (1 + np.exp(-2 * rng.standard_normal(labels)))
    first_is_better = rng.random(labels) < p_first
    wrong = rng.random(labels) > reliability
    label_is_first = first_is_better ^ wrong
    return np.where(label_is_first, p_first, 1 - p_first).tolist(), wrong


@pytest.mark.parametrize("reliability", [0.6, 0.8, 0.95])
def test_the_reliability_is_found_and_the_probabilities_of_wrong_labels_are_calibrated(reliability: float) -> None:
    qs, wrong = planted(6000, reliability, 1)
    noise = fit_label_noise(qs, [str(n) for n in range(len(qs))])
    assert noise is not None
    assert noise.reliability.value == pytest.approx(reliability, abs=0.02)
    ps = np.array(noise.p_wrong(qs))
    for part in np.array_split(np.argsort(ps), 5):
        assert wrong[part].mean() == pytest.approx(ps[part].mean(), abs=0.04)
    alone = 1 - np.array(qs)
    flips = alone > 0.5
    if reliability > 0.7:  # the critic alone claims far too much of the labels that it flips
        assert alone[flips].mean() > wrong[flips].mean() + 0.1


def test_the_interval_contains_the_planted_reliability() -> None:
    found = [planted(200, 0.8, seed)[0] for seed in range(100)]
    noises = [fit_label_noise(qs, [str(n) for n in range(len(qs))]) for qs in found]
    assert sum(noise is not None and noise.reliability.holds(0.8) for noise in noises) >= 90


def test_few_labels_claim_little_and_one_prompt_counts_once() -> None:
    one = fit_label_noise([0.01], ["p"])
    many = fit_label_noise([0.01] * 50, ["p"] * 50)
    assert one is not None
    assert many is not None
    assert one.p_wrong([0.01])[0] < 0.995
    assert many.reliability.value == pytest.approx(one.reliability.value)
    assert many.reliability.low is None
    assert fit_label_noise([], []) is None


def test_a_critic_that_knows_nothing_tells_nothing() -> None:
    noise = fit_label_noise([0.5] * 20, [str(n) for n in range(20)])
    assert noise is not None
    assert noise.p_wrong([0.5]) == pytest.approx([0.5])
    assert noise.reliability.value == pytest.approx(0.5)
