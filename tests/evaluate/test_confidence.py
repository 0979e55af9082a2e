"""What a judge's confidence is worth, against numbers worked out by hand, another library, and planted judges."""

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from rlaif.evaluate.confidence import calibration_error, confidence_auroc, spiegelhalter
from rlaif.evaluate.fitness import soft_labels
from rlaif.preferences.logits import TIE_LOGIT
from rlaif.stats.estimates import Estimate


def logits_of_better(seed: int, items: int, scale: float = 1.0, *, in_prompt: int = 1) -> tuple[list[float], list[int]]:
    """Return log-odds of the better response and prompts; the judge's log-odds are `scale` times the right ones."""
    rng = np.random.default_rng(seed)
    prompts = np.arange(items) // in_prompt
    difference = 1.2 * (rng.normal(size=items) + rng.normal(size=items)[prompts] * (in_prompt > 1))
    better = rng.random(items) < 1 / (1 + np.exp(-difference))
    return (scale * np.where(better, difference, -difference)).tolist(), prompts.tolist()


def p_of(logits: list[float]) -> list[float]:
    return [1 / (1 + math.exp(-logit)) for logit in logits]


def test_the_calibration_error_of_one_bin_by_hand() -> None:
    p = [0.9, 0.8, 0.3, 0.6]  # one of them wrong, with a confidence of 0.7; 0.75 on average, as many right
    assert calibration_error(p, range(4)).value == 0
    wrong = [0.1, 0.2, 0.3, 0.6]
    residuals = np.array([-0.9, -0.8, -0.7, 0.4])
    squared = residuals.mean() ** 2 - residuals.var(ddof=1) / 4
    found = calibration_error(wrong, range(4))
    assert found.value == pytest.approx(math.sqrt(squared))
    assert (found.n, found.prompts, found.low) == (4, 4, None)


def test_the_calibration_error_is_that_of_the_judge_and_not_of_the_number_of_items() -> None:
    errors = {n: [calibration_error(p_of(x), k).value for x, k in _judges(n, scale=3.0)] for n in (40, 1000)}
    assert np.mean(errors[1000]) == pytest.approx(0.17, abs=0.01)
    assert np.mean(errors[40]) == pytest.approx(0.17, abs=0.04)
    honest = [calibration_error(p_of(x), k).value for x, k in _judges(1000)]
    assert np.mean(honest) < 0.015


@pytest.mark.parametrize("in_prompt", [1, 4])
def test_the_test_finds_an_overconfident_judge_and_seldom_an_honest_one(in_prompt: int) -> None:
    honest = [spiegelhalter(p_of(x), k) for x, k in _judges(60, in_prompt=in_prompt, sets=200)]
    assert np.mean([one.p_value < 0.05 for one in honest]) <= 0.08
    over = [spiegelhalter(p_of(x), k) for x, k in _judges(120, scale=3.0, in_prompt=in_prompt)]
    assert np.mean([one.p_value < 0.05 and one.z < 0 for one in over]) > 0.9
    assert spiegelhalter([0.5, 0.5], [0, 1]).p_value is None


def test_the_auroc_is_that_of_another_library_and_its_interval_is_wider_for_dependent_items() -> None:
    logits, prompts = logits_of_better(5, 200, in_prompt=4)
    found = confidence_auroc(logits, prompts)
    named = np.array([logit for logit in logits if abs(logit) >= TIE_LOGIT])
    expected = roc_auc_score(named > 0, np.abs(named))
    assert found.value == pytest.approx(expected)
    assert found.holds(0.5 + (expected - 0.5) / 2) or found.low > 0.5
    same = confidence_auroc([*logits, *logits], [*prompts, *prompts])
    assert (same.low, same.high) == pytest.approx((found.low, found.high), abs=0.01)


def test_soft_labels_need_a_confidence_that_means_something() -> None:
    honest, prompts = logits_of_better(1, 400)
    assert soft_labels(confidence_auroc(honest, prompts)) == "fit"
    rng = np.random.default_rng(0)
    random_size = (np.sign(honest) * rng.exponential(size=400)).tolist()  # right as often, sure at random
    assert soft_labels(confidence_auroc(random_size, prompts)) == "unfit"
    surer_where_wrong = [1 / logit for logit in honest]
    assert soft_labels(confidence_auroc(surer_where_wrong, prompts)) == "unfit"
    assert soft_labels(confidence_auroc(honest[:30], prompts[:30])) == "unknown"
    assert soft_labels(confidence_auroc([1.0] * 300, range(300))) == "unknown"  # never wrong
    assert soft_labels(Estimate(value=None)) == "unknown"


def _judges(
    items: int, scale: float = 1.0, *, in_prompt: int = 1, sets: int = 40
) -> list[tuple[list[float], list[int]]]:
    return [logits_of_better(seed, items, scale, in_prompt=in_prompt) for seed in range(sets)]
