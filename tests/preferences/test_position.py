import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.preferences.position import PositionBias
from rlaif.records import Matchup, Verdict


def matchup(ab: float | None, ba: float | None, principle: str = "k", mass: float = 0.9) -> Matchup:
    return Matchup(
        a="s0",
        b="s1",
        verdicts=tuple(
            Verdict(
                principle=principle,
                order=order,
                first=None if logit is None else -0.5,
                second=None if logit is None else -0.5 - logit,
                label_mass=mass,
                reply="r",
            )
            for order, logit in (("ab", ab), ("ba", ba))  # type: ignore[arg-type]
        ),
    )


def test_a_run_without_matchups_has_no_bias_and_no_warning():
    bias = PositionBias.measure([])
    assert (bias.overall, bias.label_mass, bias.turned, bias.matchups, bias.verdicts) == (None, None, None, 0, 0)
    assert bias.warnings() == []
    assert bias.of("k") == 0


def test_the_bias_is_the_median_over_the_matchups():
    # (ab + ba) / 2 of eight matchups: 0.5 seven times and once 50; the mean would be 6.7
    bias = PositionBias.measure([*[matchup(2, -1)] * 7, matchup(100, 0)])
    assert bias.by_principle == {"k": 0.5}
    assert bias.overall == 0.5
    assert (bias.matchups, bias.verdicts) == (8, 16)
    assert bias.label_mass == pytest.approx(0.9)
    # 100 and 0: the second order names nobody, so nothing turned.
    assert bias.turned == 0


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=8, max_size=20))
def test_the_median_agrees_with_the_standard_library(logits: list[tuple[float, float]]):
    bias = PositionBias.measure(matchup(ab, ba) for ab, ba in logits)
    named = [(ab + ba) / 2 for ab, ba in logits if max(abs(ab), abs(ba)) >= 0.001]
    assert bias.overall == (pytest.approx(statistics.median(named), abs=1e-9) if len(named) >= 8 else None)


def test_exact_ties_know_no_place_and_turn_nothing():
    bias = PositionBias.measure([*[matchup(3, -1)] * 8, *[matchup(0.0, 0.0)] * 9])
    assert bias.overall == 1.0
    assert bias.turned == 0.0


def test_the_interval_of_the_bias_takes_a_prompts_matchups_together():
    rng = random.Random(0)
    prompts = [[matchup(b + 3, b - 3)] * 6 for b in (rng.gauss(1, 0.5) for _ in range(40))]
    together = PositionBias.measure_prompts(prompts).overall_interval
    apart = PositionBias.measure(one for prompt in prompts for one in prompt).overall_interval
    assert together is not None
    assert apart is not None
    assert together.value == apart.value
    assert together.high - together.low > 1.5 * (apart.high - apart.low)


def test_every_principle_has_its_own_bias_and_a_rare_one_the_overall_one():
    matchups = [*[matchup(3, -1)] * 8, *[matchup(2, -2, "l")] * 8, *[matchup(9, -1, "rare")] * 7]
    bias = PositionBias.measure(matchups)
    assert bias.by_principle == {"k": 1.0, "l": 0.0}
    # Eight times 0, eight times 1, seven times 4: the twelfth of 23 is 1.
    assert bias.overall == 1.0
    assert bias.of("rare") == 1.0
    assert bias.of("l") == 0.0


def test_seven_matchups_are_too_few_for_a_bias():
    bias = PositionBias.measure([matchup(3, -1)] * 7)
    assert (bias.overall, bias.by_principle, bias.of("k")) == (None, {}, 0)
    assert bias.turned == 0


def test_a_verdict_turns_when_the_first_place_wins_both_times_or_loses_both_times():
    bias = PositionBias.measure([matchup(1, 2), matchup(-1, -2), matchup(1, -2), matchup(-2, 1)])
    assert bias.turned == 0.5


def test_a_matchup_read_in_one_order_only_counts_for_label_mass_alone():
    bias = PositionBias.measure([matchup(None, 1, mass=0.2)] * 8 + [matchup(2, -1, mass=1.0)] * 8)
    assert bias.overall == 0.5
    assert bias.label_mass == pytest.approx(0.6)
    assert bias.turned == 0


def test_a_critic_that_answers_something_else_is_warned_of():
    assert PositionBias.measure([matchup(2, -2, mass=0.5)]).warnings() == []
    (warning,) = PositionBias.measure([matchup(2, -2, mass=0.25)]).warnings()
    assert "only 25% of its probability falls on the two labels" in warning


def test_a_critic_that_turns_with_the_order_is_warned_of():
    first = [matchup(2, 1)] * 4 + [matchup(2, -2)] * 4
    (warning,) = PositionBias.measure(first).warnings()
    assert "50% of its verdicts turn with the order" in warning
    assert "shown first" in warning
    second = [matchup(-2, -1)] * 4 + [matchup(2, -2)] * 4
    assert "shown second" in PositionBias.measure(second).warnings()[0]


def test_one_verdict_in_three_may_turn():
    assert PositionBias.measure([matchup(2, 1), *[matchup(2, -2)] * 2]).warnings() == []
    assert len(PositionBias.measure([*[matchup(2, 1)] * 2, *[matchup(2, -2)] * 3]).warnings()) == 1


def test_a_few_matchups_that_all_favour_the_first_are_not_said_to_favour_the_second():
    (warning,) = PositionBias.measure([matchup(5, 5)] * 4).warnings()
    assert "second" not in warning
