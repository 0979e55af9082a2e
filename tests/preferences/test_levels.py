"""Priority levels: a lower one decides only where the higher ones abstain."""

import math

import pytest

from rlaif.config.judging import JudgingConfig
from rlaif.preferences.judgement import Judgement, judge_matchup
from rlaif.preferences.position import PositionBias
from rlaif.records import Matchup, Verdict
from tests.preferences.test_judgement import both

LEVELS = {"high": 1, "also-high": 1, "low": 2, "lowest": 7}
JUDGING = JudgingConfig(min_margin=0.1)


def judge(*verdicts: Verdict, bias: PositionBias | None = None, judging: JudgingConfig = JUDGING) -> Judgement:
    weights = {"high": 1.0, "also-high": 3.0, "low": 100.0, "lowest": 1.0}
    return judge_matchup(Matchup(a="s0", b="s1", verdicts=verdicts), judging.rule(weights, LEVELS, bias))


def test_a_low_level_has_no_say_where_a_higher_one_decides_however_much_it_weighs() -> None:
    found = judge(*both(1, -1, "high"), *both(-9, 9, "low"))
    assert (found.logit, found.priority, found.abstention) == (1, 1, None)
    assert {part.principle for part in found.principles} == {"high", "low"}  # asked and told all the same


def test_within_a_level_principles_count_by_their_weight() -> None:
    found = judge(*both(5, -5, "high"), *both(1, -1, "also-high"), *both(-9, 9, "low"))
    assert (found.logit, found.priority) == ((5 + 3 * 1) / 4, 1)


SILENT = {
    "tie": both(2.0, 2.0, "high"),
    "too close": both(0.1, -0.1, "high"),
    "unreadable": both(3.0, -3.0, "high", mass=0.1),
    "order noise": both(3.0, 1.0, "high"),
}


@pytest.mark.parametrize("why", SILENT)
def test_a_lower_level_decides_where_the_higher_one_abstains(why: str) -> None:
    bias = PositionBias(by_principle={}, overall=0.0, matchups=9, verdicts=9, label_mass=0.9, turned=0.0)
    found = judge(*SILENT[why], *both(-2, 2, "low"), *both(9, -9, "lowest"), bias=bias)
    assert (found.logit, found.priority, found.abstention) == (-2, 2, None)
    assert found.p == pytest.approx(1 / (1 + math.exp(2)))


@pytest.mark.parametrize("why", ["tie", "too close", "order noise"])
def test_where_all_levels_abstain_the_highest_ones_reason_counts(why: str) -> None:
    bias = PositionBias(by_principle={}, overall=0.0, matchups=9, verdicts=9, label_mass=0.9, turned=0.0)
    found = judge(*SILENT[why], *both(0.01, -0.01, "low"), bias=bias)
    assert (found.abstention, found.priority) == (why, None)


def test_the_position_bias_told_is_that_of_the_level_that_decided() -> None:
    found = judge(*both(2.0, 2.0, "high"), *both(3, -2, "low"))
    assert (found.logit, found.position_bias) == (2.5, 0.5)


def test_without_levels_all_principles_are_of_the_first() -> None:
    matchup = Matchup(a="a", b="b", verdicts=(*both(1, -1, "k"), *both(3, -3, "l")))
    assert judge_matchup(matchup, JUDGING.rule({"k": 1.0, "l": 1.0})).logit == 2
