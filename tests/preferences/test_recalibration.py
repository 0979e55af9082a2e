"""Recalibrators against numbers worked out by hand, and against what was planted."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rlaif.errors import GoldError
from rlaif.evaluate.calibration import recalibrate
from rlaif.preferences.recalibration import FittedOn, Kind, Recalibrator, fit_recalibrator
from rlaif.stats.log_odds import sigmoid

SOURCE = FittedOn(gold="gold.jsonl", gold_hash="g", critic="c", constitution="honesty", constitution_hash="h", asked={})
KINDS = ("temperature", "isotonic")


def answers(n: int, surer: float = 1.0, seed: int = 0) -> list[float]:
    """Return log-odds for the better answer of a critic whose honest log-odds are multiplied by `surer`."""
    rng = np.random.default_rng(seed)
    honest = np.abs(rng.normal(0, 1.5, n))
    right = rng.random(n) < 1 / (1 + np.exp(-honest))
    return [float(x) for x in surer * np.where(right, honest, -honest)]


def calibration_error(found: Recalibrator, logits: list[float], bins: int = 10) -> float:
    """Distance of confidence and share right on these items, which should be others than those it was fitted on."""
    after = np.array([found.apply(logit) for logit in logits])
    confidence, right = 1 / (1 + np.exp(-np.abs(after))), after > 0
    places = np.clip(((confidence - 0.5) * 2 * bins).astype(int), 0, bins - 1)
    return sum(
        (places == b).mean() * abs(confidence[places == b].mean() - right[places == b].mean()) for b in set(places)
    )


def test_two_logits_have_the_temperature_that_can_be_worked_out_by_hand() -> None:
    # Always sure by 3, right in three of four: 3 x slope = ln 3.
    found = fit_recalibrator("temperature", [3.0, 3.0, 3.0, -3.0] * 25, SOURCE)
    assert found.slope == pytest.approx(math.log(3) / 3, abs=1e-6)
    assert sigmoid(found.apply(3.0)) == pytest.approx(0.75)
    assert (found.items, found.fitted_on) == (100, SOURCE)


@pytest.mark.parametrize("surer", [0.4, 1.0, 3.0])
def test_the_slope_is_the_one_that_is_reported(surer: float) -> None:
    logits = answers(800, surer)
    reported = recalibrate(logits, [str(n) for n in range(len(logits))])
    assert fit_recalibrator("temperature", logits, SOURCE).slope == pytest.approx(reported.slope.value, abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_critic_too_sure_is_honest_afterwards_on_other_items(kind: Kind) -> None:
    found = fit_recalibrator(kind, answers(3000, 3.0), SOURCE)
    fresh = answers(3000, 3.0, seed=1)
    same = Recalibrator(kind="temperature", slope=1.0, items=1, fitted_on=SOURCE)
    assert calibration_error(same, fresh) > 0.08
    assert calibration_error(found, fresh) < 0.04


def test_what_no_temperature_mends_a_rising_curve_does() -> None:
    # Whatever it says, it is right in seven of ten.
    rng = np.random.default_rng(3)
    logits = [float(x) for x in rng.uniform(0.5, 8, 2000) * np.where(rng.random(2000) < 0.7, 1, -1)]
    curve = fit_recalibrator("isotonic", logits, SOURCE)
    assert sigmoid(curve.apply(1.0)) == pytest.approx(0.7, abs=0.05)
    assert sigmoid(curve.apply(7.0)) == pytest.approx(0.7, abs=0.05)
    assert sigmoid(fit_recalibrator("temperature", logits, SOURCE).apply(1.0)) < 0.56


def test_a_step_is_the_share_right_after_laplaces_rule() -> None:
    # At 1 logit 60 of 100 are right, at 2 logits 90 of 100; either counts one more right and one more wrong.
    logits = [1.0] * 60 + [-1.0] * 40 + [2.0] * 90 + [-2.0] * 10
    found = fit_recalibrator("isotonic", logits, SOURCE)
    assert sigmoid(found.apply(1.0)) == pytest.approx(61 / 102)
    assert sigmoid(found.apply(2.0)) == sigmoid(found.apply(9.0)) == pytest.approx(91 / 102)
    half_way = (math.log(61 / 41) + math.log(91 / 11)) / 2
    assert found.apply(1.5) == pytest.approx(half_way)


def test_a_critic_that_was_never_wrong_does_not_become_certain() -> None:
    found = fit_recalibrator("isotonic", [5.0] * 300, SOURCE)
    assert sigmoid(found.apply(50.0)) == pytest.approx(301 / 302)
    with pytest.raises(GoldError, match="right everywhere"):
        fit_recalibrator("temperature", [5.0] * 300, SOURCE)


def test_a_few_sure_items_are_no_ground_for_certainty() -> None:
    logits = [1.0] * 150 + [-1.0] * 100 + [9.0] * 3
    assert sigmoid(fit_recalibrator("isotonic", logits, SOURCE).apply(9.0)) == pytest.approx(4 / 5)


@given(st.lists(st.floats(-20, 20), min_size=200, max_size=260), st.sampled_from(KINDS))
def test_no_winner_is_turned_round_and_no_order_changed(logits: list[float], kind: Kind) -> None:
    logits = [*logits, -0.5, *[abs(max(logits, key=abs)) + 1] * 200]
    found = fit_recalibrator(kind, logits, SOURCE)
    after = [found.apply(logit) for logit in sorted(logits)]
    assert all(x <= y + 1e-12 for x, y in pairwise(after))
    for logit in logits:
        assert found.apply(logit) * logit >= 0
        assert found.apply(-logit) == -found.apply(logit)
        assert kind == "temperature" or abs(found.apply(logit)) <= math.log(len(logits) + 1) + 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_a_critic_no_better_than_chance_cannot_be_mended(kind: Kind) -> None:
    with pytest.raises(GoldError, match="not better than chance"):
        fit_recalibrator(kind, [-logit for logit in answers(400)], SOURCE)


@pytest.mark.parametrize(("kind", "n"), [("temperature", 29), ("isotonic", 199)])
def test_too_few_items_are_refused(kind: Kind, n: int) -> None:
    with pytest.raises(GoldError, match=f"gold.jsonl: {n} items .* too few for --recalibrate {kind}"):
        fit_recalibrator(kind, answers(n), SOURCE)


@pytest.mark.parametrize(
    "content",
    [
        {"kind": "temperature"},
        {"kind": "temperature", "slope": -1.0},
        {"kind": "temperature", "slope": 1.0, "knots": ((0.0, 0.0), (1.0, 1.0))},
        {"kind": "isotonic"},
        {"kind": "isotonic", "knots": ((0.5, 0.0), (1.0, 1.0))},
        {"kind": "isotonic", "knots": ((0.0, 0.0), (1.0, 1.0), (2.0, 0.5))},
        {"kind": "isotonic", "knots": ((0.0, 0.0), (1.0, 1.0), (1.0, 2.0))},
        {"kind": "isotonic", "knots": ((0.0, 0.0), (1.0, math.inf))},
    ],
)
def test_a_recalibrator_that_makes_no_sense_cannot_be_made(content: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Recalibrator.model_validate(content | {"items": 100, "fitted_on": SOURCE})
