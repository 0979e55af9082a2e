import math
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.config.judging import JudgingConfig
from rlaif.judges.pairwise import readable
from rlaif.preferences.judgement import Judgement, PrincipleJudgement, judge_matchup
from rlaif.preferences.position import PositionBias
from rlaif.records import Matchup, Verdict
from rlaif.stats.log_odds import sigmoid

OPEN = JudgingConfig(min_margin=0, min_label_mass=0)
# Eighths: sums, differences and halves of them are exact in floating point.
EIGHTHS = st.integers(-400, 400).map(lambda n: n / 8)


def verdict(logit: float | None, order: str = "ab", principle: str = "k", mass: float = 0.9) -> Verdict:
    """Return a verdict whose first label is ahead of its second by `logit`."""
    first, second = (None, None) if logit is None else (-0.5, -0.5 - logit)
    return Verdict(principle=principle, order=order, first=first, second=second, label_mass=mass, reply="r")  # type: ignore[arg-type]


def both(ab: float | None, ba: float | None, principle: str = "k", **others: Any) -> tuple[Verdict, Verdict]:
    return verdict(ab, "ab", principle, **others), verdict(ba, "ba", principle, **others)


def judge(
    *verdicts: Verdict, judging: JudgingConfig = OPEN, bias: PositionBias | None = None, **weights: float
) -> Judgement:
    matchup = Matchup(a="s0", b="s1", verdicts=verdicts)
    return judge_matchup(matchup, judging.rule({"k": 1.0, "l": 1.0, "m": 1.0} | weights, None, bias))


def measured(overall: float, **by_principle: float) -> PositionBias:
    return PositionBias(
        by_principle=by_principle, overall=overall, matchups=99, verdicts=99, label_mass=0.9, turned=0.1
    )


def test_a_logit_is_the_difference_of_the_labels():
    assert Verdict(principle="k", order="ab", first=-0.25, second=-1.5, label_mass=1, reply="r").logit() == 1.25


def test_the_floor_stands_in_for_one_missing_label():
    seen: dict[str, Any] = {"principle": "k", "order": "ab", "label_mass": 0.9, "reply": "r"}
    assert Verdict(first=-0.25, second=None, floor=-8.25, **seen).logit() == 8
    assert Verdict(first=None, second=-0.25, floor=-8.25, **seen).logit() == -8
    assert Verdict(first=-8.25, second=None, floor=-8.25, **seen).logit() == 0
    assert Verdict(first=-0.25, second=None, floor=None, **seen).logit() is None
    assert Verdict(first=None, second=None, floor=-8.25, **seen).logit() is None


def test_a_verdict_is_readable_from_the_smallest_label_mass_on():
    assert readable(verdict(1.0, mass=0.5), 0.5)
    assert not readable(verdict(1.0, mass=0.499), 0.5)
    assert not readable(verdict(None), 0)


@given(st.floats(-800, 800))
def test_the_sigmoid_agrees_with_tanh(x: float):
    assert sigmoid(x) == pytest.approx((1 + numpy.tanh(x / 2)) / 2, abs=1e-15)


def test_the_sigmoid_of_huge_numbers_is_certain_and_no_overflow():
    assert (sigmoid(1e6), sigmoid(-1e6), sigmoid(0)) == (1.0, 0.0, 0.5)


@given(preference=EIGHTHS, bias=EIGHTHS)
def test_a_constant_position_bias_is_cancelled_exactly(preference: float, bias: float):
    (part,) = judge(*both(preference + bias, -preference + bias)).principles
    assert part.logit == pytest.approx(preference, abs=1e-12)
    assert part.position_bias == pytest.approx(bias, abs=1e-12)


@given(ab=st.floats(-30, 30), ba=st.floats(-30, 30))
def test_exchanging_the_answers_turns_the_probability_round(ab: float, ba: float):
    one, other = judge(*both(ab, ba)), judge(*both(ba, ab))
    assert one.p is not None
    assert other.p == pytest.approx(1 - one.p)
    assert one.position_bias == pytest.approx(other.position_bias)


def test_principles_count_by_their_weight():
    found = judge(*both(3, -1), *both(-1, 1, "l"), k=3.0, l=1.0)
    # k: (3 + 1) / 2 = 2, l: (-1 - 1) / 2 = -1; (3 * 2 - 1) / 4 = 1.25; biases 1 and 0: 3 / 4
    assert found.logit == 1.25
    assert found.position_bias == 0.75
    assert found.p == pytest.approx(1 / (1 + math.exp(-1.25)))
    assert [(part.principle, part.logit) for part in found.principles] == [("k", 2.0), ("l", -1.0)]


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9), st.floats(0.1, 10)), min_size=1, max_size=6))
def test_the_mean_agrees_with_numpy(rows: list[tuple[float, float, float]]):
    verdicts = [v for n, (ab, ba, _) in enumerate(rows) for v in both(ab, ba, f"p{n}")]
    found = judge(*verdicts, **{f"p{n}": weight for n, (_, _, weight) in enumerate(rows)})
    ab, ba, weights = numpy.array(rows).T
    assert found.logit == pytest.approx(numpy.average((ab - ba) / 2, weights=weights), abs=1e-9)
    assert found.position_bias == pytest.approx(numpy.average((ab + ba) / 2, weights=weights), abs=1e-9)


@pytest.mark.parametrize(
    "unread", [both(None, -9, "l"), both(9, None, "l"), both(9, -9, "l", mass=0.1), both(9, 9, "l")[:1]]
)
def test_a_principle_that_cannot_be_read_leaves_the_mean(unread: tuple[Verdict, ...]):
    found = judge(*both(1, -1), *unread, judging=JudgingConfig(min_margin=0), l=5.0)
    assert found.logit == 1
    assert [part.principle for part in found.principles] == ["k"]


def test_label_mass_is_the_mean_over_all_verdicts_read_or_not():
    found = judge(*both(1, -1, mass=0.9), *both(1, -1, "l", mass=0.1), judging=JudgingConfig())
    assert found.label_mass == pytest.approx(0.5)


def test_a_matchup_of_which_nothing_can_be_read_is_unreadable_and_no_tie():
    found = judge(*both(None, 1), *both(2, -2, "l", mass=0.2), judging=JudgingConfig())
    assert (found.abstention, found.logit, found.p, found.position_bias) == ("unreadable", None, None, None)
    assert found.order_agreement is None
    assert judge().abstention == "unreadable"
    assert judge().label_mass is None


@pytest.mark.parametrize("verdicts", [both(1.5, 1.5), (*both(1, -1), *both(-1, 1, "l"))])
def test_a_tie_is_a_tie(verdicts: tuple[Verdict, ...]):
    found = judge(*verdicts)
    assert (found.abstention, found.p) == ("tie", 0.5)


def test_a_rounding_error_is_a_tie():
    # 0.1 + 0.2 - 0.3 is 5.6e-17 in floating point.
    found = judge(*both(1, -1), *both(1, -1, "l"), *both(-1, 1, "m"), k=0.1, l=0.2, m=0.3)
    assert found.p == 0.5
    assert found.abstention == "tie"


def test_a_matchup_nearer_to_one_half_than_the_margin_is_too_close():
    at_margin = math.log(0.6 / 0.4)
    judging = JudgingConfig(min_margin=0.1)
    assert judge(*both(at_margin - 0.001, 0.001 - at_margin), judging=judging).abstention == "too close"
    assert judge(*both(at_margin + 0.001, -at_margin - 0.001), judging=judging).abstention is None
    assert judge(*both(-at_margin - 0.001, at_margin + 0.001), judging=judging).abstention is None


def test_disagreement_of_the_orders_beyond_the_constant_bias_is_order_noise():
    verdicts = both(3, 1)  # logit 1, position bias 2
    assert judge(*verdicts).abstention is None
    assert judge(*verdicts, bias=measured(0)).abstention == "order noise"
    assert judge(*verdicts, bias=measured(2)).abstention is None
    assert judge(*verdicts, bias=measured(0.99)).abstention == "order noise"
    assert judge(*verdicts, bias=measured(3.01)).abstention == "order noise"
    # Here one order names nobody, which is no disagreement.
    assert judge(*verdicts, bias=measured(1)).abstention is None
    assert judge(*verdicts, bias=measured(3)).abstention is None


def test_the_bias_of_the_principle_itself_counts_before_the_overall_one():
    assert judge(*both(3, 1), bias=measured(0, k=2)).abstention is None
    assert judge(*both(3, 1), bias=measured(2, k=0)).abstention == "order noise"


def test_the_expected_bias_is_weighted_like_the_logit():
    verdicts = (*both(3, 1), *both(1, -1, "l"))  # logits 1 and 1; biases 2 and 0
    # Weights 3 and 1: the bias is 1.5. Expected 3 * 2 / 4 = 1.5, or with the biases exchanged 1.9 / 4 = 0.475.
    assert judge(*verdicts, bias=measured(0, k=2, l=0), k=3.0).abstention is None
    assert judge(*verdicts, bias=measured(0, k=0, l=1.9), k=3.0).abstention == "order noise"


def test_order_noise_can_be_allowed():
    judging = JudgingConfig(min_margin=0, allow_order_noise=True)
    assert judge(*both(3, 1), judging=judging, bias=measured(0)).abstention is None


def test_one_order_is_taken_as_it_is_and_knows_no_bias():
    judging = JudgingConfig(orders="one", min_margin=0)
    found = judge(verdict(2, "ab"), judging=judging, bias=measured(0))
    assert (found.logit, found.position_bias, found.order_agreement, found.abstention) == (2, None, None, None)
    assert judge(verdict(2, "ba"), judging=judging).logit == -2
    assert judge(verdict(None, "ab"), judging=judging).abstention == "unreadable"


def test_order_agreement_is_the_share_of_principles_whose_winner_stays():
    found = judge(*both(2, -2), *both(3, 1, "l"), *both(1, -1, "m"))
    assert found.order_agreement == pytest.approx(2 / 3)


@given(ab=EIGHTHS.filter(bool), ba=EIGHTHS.filter(bool))
def test_a_principle_turns_when_its_orders_name_different_winners(ab: float, ba: float):
    part = PrincipleJudgement(principle="k", logit=(ab - ba) / 2, position_bias=(ab + ba) / 2)
    assert part.turned == ((ab > 0) != (ba < 0))


def test_a_label_too_rare_to_be_reported_never_turns_the_winner_round():
    # In order ab the second label lies below the floor: x_ab is 8 or more, perhaps 12. With x_ba = 10 the bound alone
    # would say that b wins, while 12 would say a.
    bounded = Verdict(principle="k", order="ab", first=0.0, floor=-8.0, label_mass=1, reply="r")
    known = Verdict(principle="k", order="ba", first=0.0, second=-10.0, label_mass=1, reply="r")
    judged = judge_matchup(Matchup(a="a", b="b", verdicts=(bounded, known)), JudgingConfig().rule({"k": 1.0}))
    assert judged.abstention == "unreadable"
    weaker = known.model_copy(update={"second": -3.0})
    judged = judge_matchup(Matchup(a="a", b="b", verdicts=(bounded, weaker)), JudgingConfig().rule({"k": 1.0}))
    assert judged.logit == pytest.approx((8 - 3) / 2)
