import math

import numpy as np
import pytest

from rlaif.preferences import length
from rlaif.preferences.length import LengthReading, length_effect, length_readings
from rlaif.stats.log_odds import sigmoid
from tests.preferences.planted import without_length
from tests.preferences.test_conclusion import meets, trace
from tests.preferences.test_ranking import judgement


def readings(effect: float, spread: float, n: int, seed: int = 0, per_prompt: int = 5) -> list[LengthReading]:
    rng = np.random.default_rng(seed)
    ratios, rest = rng.normal(0, 0.7, n), rng.normal(0, spread, n)
    return [
        LengthReading(f"p{k // per_prompt}", float(effect * ratio + other), float(ratio))
        for k, (ratio, other) in enumerate(zip(ratios, rest, strict=True))
    ]


def test_a_critic_that_sees_nothing_but_length_is_found_out_by_both():
    found = length_effect(readings(0.8, 0.0, 200))
    assert (found.linear.value, found.choice.value) == pytest.approx((0.8, 0.8))
    assert (found.linear.n, found.linear.prompts) == (200, 40)
    assert found.linear.low == pytest.approx(0.8)


def test_what_length_is_worth_is_the_slope_through_the_origin():
    found = length_effect([LengthReading("p", 1.0, 1.0), LengthReading("q", 2.0, 2.0), LengthReading("r", 2.0, -1.0)])
    # (1 x 1 + 2 x 2 - 2 x 1) / (1 + 4 + 1)
    assert found.linear.value == pytest.approx(3 / 6)


def test_who_is_called_a_says_nothing():
    there = readings(0.5, 1.0, 60)
    back = [LengthReading(one.prompt_id, -one.logit, -one.ln_ratio) for one in there]
    assert length_effect(back).linear.value == pytest.approx(length_effect(there).linear.value)
    assert length_effect(back).choice.value == pytest.approx(length_effect(there).choice.value)


def test_where_answers_differ_in_more_the_choice_is_nearer_to_zero():
    found = length_effect(readings(1.0, 2.0, 3000))
    assert found.linear.holds(1.0)
    assert 0.4 < found.choice.value < 0.9


def test_a_few_very_sure_verdicts_hardly_move_the_choice():
    sure = [LengthReading(f"sure{n}", 40.0, 1.0) for n in range(10)]
    plain = readings(0.0, 1.0, 1000)
    assert length_effect(plain + sure).linear.value > 0.5
    assert length_effect(plain + sure).choice.value < 0.15


def test_without_readings_there_is_no_effect_and_nothing_is_taken_out():
    found = length_effect([])
    assert (found.linear.value, found.choice.value) == (None, None)
    assert without_length(1.2, found, 3.0) == 1.2


def test_what_is_taken_out_is_the_linear_effect_of_the_ratio():
    effect = length_effect(readings(0.8, 0.0, 100))
    assert without_length(1.0, effect, math.log(2)) == pytest.approx(1.0 - 0.8 * math.log(2))
    assert sigmoid(without_length(0.8, effect, 1.0)) == pytest.approx(0.5)


def test_readings_of_a_trace_are_the_matchups_that_name_an_answer():
    # In this trace every answer's text is its id.
    seen = trace(meets("s0", "s0.r1", 1.5), meets("s1", "s0", None), meets("s1", "s0.r1", 0))
    judged = [judgement("s0", "s0.r1", 1.5), judgement("s1", "s0", None), judgement("s1", "s0.r1", 0, abstention="tie")]
    found = list(length_readings(seen, judged))
    assert found == [LengthReading("p", 1.5, pytest.approx(math.log(2 / 5)))]


def test_what_was_said_counts_and_not_what_was_made_of_it():
    corrected = judgement("s0", "s0.r1", 0.2).model_copy(update={"raw_logit": 1.5, "shift": 1.3})
    (found,) = length_readings(trace(meets("s0", "s0.r1", 1.5)), [corrected])
    assert found.logit == 1.5


def test_a_great_many_matchups_are_measured_on_whole_prompts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(length, "MOST_MATCHUPS", 500)
    everything = readings(0.8, 0.5, 5000)
    found = length_effect(everything)
    assert 350 < found.linear.n < 650
    assert found.linear.n == 5 * found.linear.prompts
    assert found.linear.holds(0.8)
    assert length_effect(everything[::-1]).linear.value == pytest.approx(found.linear.value)
