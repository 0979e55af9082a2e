"""How principles become one label: conflict, Pareto, plain weights; and what is corrected before it counts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.config.judging import JudgingConfig
from rlaif.config.run import PairsConfig
from rlaif.preferences.contributions import panel_estimates, tally_panel, without
from rlaif.preferences.judgement import Judgement, decide, judge_matchup
from rlaif.preferences.position import PositionBias
from rlaif.preferences.ranking import wanted_pairs
from rlaif.preferences.recalibration import Corrected, Correction, FittedOn, Recalibrator
from rlaif.records import Checked, CheckResult, Matchup, Verdict
from rlaif.stats.estimates import Tally, tallies_of
from rlaif.stats.log_odds import sigmoid
from tests.preferences.planted import conclude_as
from tests.preferences.test_conclusion import config, meets, trace

WEIGHTS = {"helpful": 1.0, "harmless": 1.0}
TEMPERATURE = Recalibrator(
    kind="temperature",
    slope=0.5,
    items=99,
    fitted_on=FittedOn(gold="g", gold_hash="h", critic="c", constitution="t", constitution_hash="x", asked={}),
)


def said(principle: str, logit: float, judge: str = "pairwise-logprob", bias: float = 0.0) -> list[Verdict]:
    (both,) = [meets("a", "b", logit, bias, principle=principle).verdicts]
    return [verdict.model_copy(update={"judge": judge}) for verdict in both]


def matchup(*verdicts: list[Verdict]) -> Matchup:
    return Matchup(a="a", b="b", verdicts=tuple(verdict for some in verdicts for verdict in some))


def judged(*verdicts: list[Verdict], **judging: object) -> Judgement:
    return judge_matchup(matchup(*verdicts), JudgingConfig.model_validate(judging).rule(WEIGHTS))


def test_a_principle_that_says_the_contrary_is_named_whatever_the_strategy() -> None:
    for strategy in ("by-priority", "weighted", "pareto"):
        found = judged(said("helpful", 4.0), said("harmless", -2.0), strategy=strategy)
        assert found.objecting == ("harmless",)
    assert judged(said("helpful", 4.0), said("harmless", -0.2)).objecting == ()
    assert judged(said("helpful", 4.0), said("harmless", 1.0)).objecting == ()


def test_under_pareto_an_objection_takes_the_label_away() -> None:
    assert judged(said("helpful", 4.0), said("harmless", -2.0), strategy="pareto").abstention == "conflict"
    assert judged(said("helpful", 4.0), said("harmless", -2.0)).abstention is None
    assert judged(said("helpful", 4.0), said("harmless", -0.2), strategy="pareto").abstention is None


@given(st.floats(-6, 6), st.floats(-6, 6))
def test_pareto_labels_are_a_part_of_the_weighted_ones_and_never_turned(one: float, other: float) -> None:
    plain = judged(said("helpful", one), said("harmless", other))
    pareto = judged(said("helpful", one), said("harmless", other), strategy="pareto")
    assert pareto.logit == plain.logit
    assert pareto.abstention in {plain.abstention, "conflict"}


def test_plain_weights_hear_every_level() -> None:
    levels = {"helpful": 1, "harmless": 2}
    both = matchup(said("helpful", 1.0), said("harmless", -3.0))
    by_level = judge_matchup(both, JudgingConfig().rule(WEIGHTS, levels))
    plain = judge_matchup(both, JudgingConfig(strategy="weighted").rule(WEIGHTS, levels))
    assert by_level.logit == pytest.approx(1.0)
    assert plain.logit == pytest.approx(-1.0)


def test_length_is_taken_out_before_recalibration_and_both_p_are_kept() -> None:
    found = judge_matchup(
        matchup(said("helpful", 3.0)), JudgingConfig().rule(WEIGHTS, None, None, TEMPERATURE.apply), shift=1.0
    )
    assert found.raw_logit == pytest.approx(3.0)
    assert found.logit == pytest.approx((3.0 - 1.0) * 0.5)


def test_a_correction_makes_no_label_of_a_tie_nor_of_what_cannot_be_read() -> None:
    tie = judge_matchup(matchup(said("helpful", 0.0)), JudgingConfig(min_margin=0).rule(WEIGHTS), shift=2.0)
    assert tie.abstention == "tie"
    unread = meets("a", "b", None, principle="helpful")
    assert judge_matchup(unread, JudgingConfig().rule(WEIGHTS), shift=2.0).abstention == "unreadable"


def test_a_correction_can_make_a_label_too_close() -> None:
    sure = judged(said("helpful", 0.6))
    held_back = judge_matchup(
        matchup(said("helpful", 0.6)), JudgingConfig().rule(WEIGHTS, None, None, TEMPERATURE.apply)
    )
    assert sure.abstention is None
    assert held_back.abstention == "too close"


def test_a_longer_answer_pays_for_its_length_and_the_pair_says_so() -> None:
    made = trace(meets("s0", "s1", 1.0), ids=())
    long, short = made.responses
    made = made.model_copy(
        update={
            "responses": (long.model_copy(update={"text": "x" * 400}), short.model_copy(update={"text": "x" * 100}))
        }
    )
    correction = Correction(Corrected(length_effect=1.0))
    (plain,) = conclude_as(config(), made, {"k": 1.0}).pairs
    (paid,) = conclude_as(config(), made, {"k": 1.0}, correction=correction).pairs
    assert (plain.chosen, plain.p_chosen) == ("s0", plain.p_raw)
    assert paid.chosen == "s1"
    assert paid.p_chosen == pytest.approx(sigmoid(math.log(4) - 1.0))
    assert paid.p_raw == pytest.approx(1 - plain.p_chosen)


def test_the_spread_of_principles_and_orders_stands_beside_p() -> None:
    made = trace(
        Matchup(
            a="s0",
            b="s1",
            verdicts=(
                *meets("s0", "s1", 3.0, 0.5, principle="k").verdicts,
                *meets("s0", "s1", 1.0, 1.5, principle="l").verdicts,
            ),
        )
    )
    bias = PositionBias(by_principle={"k": 0.5, "l": 0.5}, overall=0.5, matchups=9, verdicts=9, label_mass=1, turned=0)
    (pair,) = conclude_as(config(), made, {"k": 1.0, "l": 1.0}, None, bias).pairs
    assert pair.sd_principles == pytest.approx(1.0)
    assert pair.sd_judges is None
    assert pair.sd_orders == pytest.approx(0.5)


PANEL = JudgingConfig.model_validate(
    {"judges": [{"kind": "pairwise-logprob", "name": name} for name in ("one", "two", "three")], "min_margin": 0.0}
)


def of_panel(*logits: float) -> Judgement:
    names = ("one", "two", "three")
    voices = [said("helpful", logit, judge=name) for name, logit in zip(names, logits, strict=True)]
    return judge_matchup(matchup(*voices), PANEL.rule(WEIGHTS))


def test_leaving_a_judge_out_leaves_the_mean_of_the_others() -> None:
    found = of_panel(3.0, -1.0, 1.0)
    rule = PANEL.rule(WEIGHTS)
    (part,) = without(found.principles, "one", rule)
    assert part.logit == pytest.approx(0.0)
    assert decide(without(found.principles, "two", rule), rule).logit == pytest.approx(2.0)


def test_a_panel_is_told_who_decides_and_who_agrees() -> None:
    rule = PANEL.rule(WEIGHTS)
    # The first judge decides all, the second always goes with it, the third is against both.
    rows = [of_panel(3.0 * s, 0.5 * s, -1.0 * s) for s in (1, -1, 1, -1, 1, 1)]
    tallies = [(number, tally_panel(row, rule)) for number, row in enumerate(rows)]
    members = [(name, "m", frozenset({"qwen"} if name == "two" else ())) for name in ("one", "two", "three")]
    found = panel_estimates(tallies_of(tallies), members)
    one, two, three = found.members
    assert (one.decisive.value, two.decisive.value, three.decisive.value) == (1.0, 0.0, 0.0)
    assert (one.agrees.value, two.agrees.value, three.agrees.value) == (0.0, 1.0, 0.0)
    assert two.related == ("qwen",)
    pair = {(p.one, p.other): p for p in found.pairs}
    assert pair["one", "two"].same.value == 1.0
    assert pair["one", "two"].correlation.value == pytest.approx(1.0)
    assert pair["one", "three"].correlation.value == pytest.approx(-1.0)


def test_a_panel_that_said_nothing_has_no_figures() -> None:
    found = panel_estimates(tallies_of([(0, Tally())]), [("one", "m", frozenset()), ("two", "m", frozenset())])
    assert found.members[0].agrees.value is None
    assert found.pairs[0].correlation.value is None


SCORES = {"a": 3.0, "b": 2.0, "c": 1.0, "d": 0.0}
LENGTHS = {"a": 400, "b": 100, "c": 350, "d": 90}


def similar(select: str = "best-vs-worst", ratio: float = 1.5, per_prompt: int = 9) -> list[tuple[str, str]]:
    pairs = PairsConfig.model_validate({"select": select, "max_length_ratio": ratio, "per_prompt": per_prompt})
    return wanted_pairs(SCORES, {"a": "b", "c": "a"}, pairs, 0, LENGTHS)


def test_only_answers_of_similar_length_are_paired() -> None:
    assert similar() == [("a", "c"), ("b", "d")]
    assert similar(per_prompt=1) == [("a", "c")]
    assert similar("best-vs-random") == [("a", "c")]
    assert similar("revision-vs-parent") == [("c", "a")]
    assert similar(ratio=1.01) == []
    assert similar(ratio=99)[0] == ("a", "d")


def test_what_programs_alone_decide_owes_nothing_to_a_critics_taste_for_length() -> None:
    passed, failed = CheckResult(passed=True, detail="x"), CheckResult(passed=False, detail="x")
    decided = Matchup(a="a", b="b", verdicts=(), checks=(Checked(principle="helpful", a=passed, b=failed),))
    found = judge_matchup(decided, JudgingConfig().rule(WEIGHTS, None, None, TEMPERATURE.apply), shift=9.0)
    assert found.logit == found.raw_logit == pytest.approx(math.log(0.98 / 0.02))


def test_a_program_has_no_bias_so_only_the_judges_share_of_a_mean_is_corrected() -> None:
    passed, failed = CheckResult(passed=True, detail="x"), CheckResult(passed=False, detail="x")
    checks = (Checked(principle="short", a=passed, b=failed),)
    judged = matchup(said("helpful", 1.0)).model_copy(update={"checks": checks})
    found = judge_matchup(judged, JudgingConfig().rule({"helpful": 1.0, "short": 3.0}), shift=2.0)
    assert found.subtracted == pytest.approx(2.0 / 4)
    assert found.logit == pytest.approx((1.0 + 3 * math.log(0.98 / 0.02)) / 4 - 2.0 / 4)


def test_a_principle_does_not_object_to_itself_because_of_a_correction() -> None:
    rules = JudgingConfig(strategy="pareto")
    found = judge_matchup(matchup(said("helpful", 2.0)), rules.rule(WEIGHTS), shift=4.0)
    assert found.logit == pytest.approx(-2.0)
    assert found.objecting == ()
    assert found.abstention is None
