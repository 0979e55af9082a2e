"""What programs found, turned into a decision: by hand, beside the critic's verdicts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.checks import CheckResult
from rlaif.config.judging import JudgingConfig
from rlaif.preferences.contributions import tally_principles
from rlaif.preferences.judgement import CHECKED_LOGIT, Judgement, deciding_principles, judge_matchup, observation
from rlaif.preferences.position import PositionBias
from rlaif.records import Checked, Matchup, Order, Verdict

OPEN = JudgingConfig(min_margin=0, min_label_mass=0)


def checked(a: bool, b: bool, principle: str = "two-lines") -> Checked:
    return Checked(principle=principle, a=CheckResult(passed=a, detail=""), b=CheckResult(passed=b, detail=""))


def said(logit: float, bias: float = 0.0, principle: str = "kind") -> tuple[Verdict, ...]:
    """The critic's verdicts in both orders."""
    orders: tuple[tuple[Order, float], ...] = (("ab", bias + logit), ("ba", bias - logit))
    return tuple(
        Verdict(principle=principle, order=order, first=x / 2, second=-x / 2, label_mass=0.8, reply="r")
        for order, x in orders
    )


def matchup(*verdicts: Verdict, checks: tuple[Checked, ...]) -> Matchup:
    return Matchup(a="s0", b="s1", verdicts=verdicts, checks=checks)


def judge(
    *verdicts: Verdict, checks: tuple[Checked, ...], priorities: dict[str, int] | None = None, **weights: float
) -> Judgement:
    known = {"two-lines": 1.0, "kind": 1.0, "short": 1.0} | {name.replace("_", "-"): w for name, w in weights.items()}
    return judge_matchup(matchup(*verdicts, checks=checks), OPEN.rule(known, priorities))


def test_a_passed_check_against_a_failed_one_is_worth_98_in_a_hundred():
    assert judge(checks=(checked(True, False),)).p == pytest.approx(0.98)
    assert judge(checks=(checked(False, True),)).p == pytest.approx(0.02)


@pytest.mark.parametrize("both", [True, False])
def test_a_check_that_finds_both_alike_is_a_tie_and_never_a_label(both: bool):
    found = judge(checks=(checked(both, both), checked(not both, not both, "check:1")))
    assert (found.abstention, found.logit) == ("tie", 0)
    assert (
        observation(found, OPEN.rule({"two-lines": 1.0, "check:1": 1.0})) is None
    )  # what no judge said tells nothing of the judges' noise


def unreadable(principle: str = "kind") -> tuple[Verdict, ...]:
    orders: tuple[Order, Order] = ("ab", "ba")
    return tuple(Verdict(principle=principle, order=order, label_mass=0.0, reply="r") for order in orders)


@pytest.mark.parametrize("level", [1, 2])
def test_where_the_critic_cannot_be_read_a_check_that_finds_both_alike_is_no_tie(level: int):
    found = judge(*unreadable(), checks=(checked(True, True),), priorities={"kind": level})
    assert (found.abstention, found.p, found.priority) == ("unreadable", None, None)


def test_where_the_critic_cannot_be_read_a_check_that_finds_a_difference_decides():
    found = judge(*unreadable(), checks=(checked(True, False),))
    assert (found.abstention, found.p) == (None, pytest.approx(0.98))


def test_one_readable_principle_of_several_is_enough_for_a_tie():
    found = judge(*said(0.0), *unreadable("short"), checks=(checked(True, True),))
    assert found.abstention == "tie"


def test_only_what_speaks_at_the_level_that_decided_is_heard():
    rule = OPEN.rule({"two-lines": 1.0, "no-blue": 1.0, "kind": 1.0}, {"kind": 2})
    both = matchup(*said(-5), checks=(checked(True, False), checked(True, True, "no-blue")))
    found = judge_matchup(both, OPEN.rule(rule.weights, rule.priorities))
    assert [part.principle for part in deciding_principles(found, rule)] == ["two-lines"]


@pytest.mark.parametrize("both", [True, False])
def test_where_it_finds_both_alike_the_others_decide_as_if_it_were_not_there(both: bool):
    alone, beside = judge(*said(-1.5), checks=()), judge(*said(-1.5), checks=(checked(both, both),))
    assert (beside.p, beside.abstention) == (alone.p, None)
    assert [part.principle for part in beside.principles] == ["two-lines", "kind"]


@given(st.floats(-8, 8), st.floats(0.1, 9), st.floats(0.1, 9))
def test_it_is_weighed_against_the_critic_as_any_principle(logit: float, own: float, theirs: float):
    found = judge(*said(logit), checks=(checked(True, False),), two_lines=own, kind=theirs)
    assert found.logit == pytest.approx((own * math.log(49) + theirs * logit) / (own + theirs), abs=1e-9)


def test_a_check_of_the_prompts_own_weighs_one():
    found = judge(*said(-1.0), checks=(checked(True, False, "check:1"),), kind=3)
    assert found.logit == pytest.approx((CHECKED_LOGIT - 3) / 4)


def test_a_critic_of_lower_priority_has_no_say_unless_it_finds_both_alike():
    levels = {"kind": 2}
    assert judge(*said(-50), checks=(checked(True, False),), priorities=levels).p == pytest.approx(0.98)
    assert judge(*said(-50), checks=(checked(True, True),), priorities=levels).p == pytest.approx(0)


def test_the_critics_habits_are_measured_without_it():
    found = judge(*said(1.0, bias=3.0), checks=(checked(True, False),))
    assert (found.position_bias, found.label_mass, found.order_agreement) == (pytest.approx(3), pytest.approx(0.8), 0)
    only = judge(checks=(checked(True, False),))
    assert (only.position_bias, only.label_mass, only.order_agreement) == (None, None, None)
    with_, without = (
        PositionBias.measure([matchup(*said(1.0, bias=3.0), checks=checks)] * 9)
        for checks in ((checked(True, False),), ())
    )
    assert with_ == without


def test_it_says_the_same_in_both_orders_and_so_weighs_against_order_noise():
    bias = PositionBias(by_principle={"kind": 0.0}, overall=0.0, matchups=9, verdicts=9, label_mass=1, turned=0)
    noisy = said(0.5, bias=2.0)
    weights = {"two-lines": 1.0, "kind": 1.0}
    assert judge_matchup(matchup(*noisy, checks=()), OPEN.rule(weights, None, bias)).abstention == "order noise"
    both = matchup(*noisy, checks=(checked(True, False),))
    assert judge_matchup(both, OPEN.rule(weights, None, bias)).abstention is None
    against = matchup(*noisy, checks=(checked(False, True),))
    # (0.5 - 3.89) / 2 = -1.70 against a noise of 2 / 2 = 1.
    assert judge_matchup(against, OPEN.rule(weights, None, bias)).p == pytest.approx(
        1 / (1 + math.exp(1.696)), abs=1e-3
    )
    weak = matchup(*said(3.0, bias=2.0), checks=(checked(False, True),))
    # (3.0 - 3.89) / 2 = -0.45, less than the noise of 1.
    assert judge_matchup(weak, OPEN.rule(weights, None, bias)).abstention == "order noise"


def test_what_it_decides_and_contradicts_is_counted_in_the_order_of_the_constitution():
    weights = {"two-lines": 1.0, "kind": 1.0}
    found = judge_matchup(matchup(*said(-1.0), checks=(checked(True, False),)), OPEN.rule(weights))
    tally = tally_principles(found, OPEN.rule(weights))
    assert tally["decisive", "two-lines"] == 1
    assert tally["met", "two-lines"] == 1
    assert tally["agrees", "two-lines"] == 0
    assert tally["both", "two-lines", "kind"] == 1
    assert tally["same", "two-lines", "kind"] == 0
    assert ("ordered", "two-lines") not in tally
