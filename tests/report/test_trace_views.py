"""The rows of verdicts in a report."""

from rlaif.preferences.judgement import Judgement, PrincipleJudgement
from rlaif.preferences.logits import PrincipleLogit
from rlaif.records import Matchup, Score, Scored, Verdict
from rlaif.report.trace_views import STEPS_PER_LOGIT, verdicts_of


def score(p: float) -> Score:
    return Score(value=p, probabilities=(1 - p, p), label_mass=0.9, reply="r")


def test_two_judges_under_one_principle_have_each_their_own_log_odds() -> None:
    asked = Verdict(judge="one", principle="kind", order="ab", first=-0.5, second=-2.5, label_mass=0.8, reply="r")
    scored = Scored(judge="two", principle="kind", a=score(0.3), b=score(0.6))
    by_judge = tuple(
        PrincipleLogit(judge=judge, logit=logit, position_bias=None) for judge, logit in (("one", 2.0), ("two", -1.0))
    )
    part = PrincipleJudgement(principle="kind", logit=0.5, position_bias=None, by_judge=by_judge)
    matchup = Matchup(a="s0", b="s1", purpose="design", verdicts=(asked,), scores=(scored,))
    judgement = Judgement(
        a="s0",
        b="s1",
        purpose="design",
        logit=0.5,
        priority=1,
        position_bias=None,
        label_mass=0.8,
        principles=(part,),
        abstention=None,
    )
    assert verdicts_of(matchup, judgement) == [
        ("kind · one", 2 * STEPS_PER_LOGIT, None, 80, True),
        ("kind · two", -STEPS_PER_LOGIT, STEPS_PER_LOGIT, 90, True),
    ]


def test_a_judge_that_could_not_be_read_has_no_log_odds_though_the_principle_has() -> None:
    only = (PrincipleLogit(judge="one", logit=2.0, position_bias=None),)
    part = PrincipleJudgement(principle="kind", logit=2.0, position_bias=None, by_judge=only)
    assert part.logit_of("one") == 2.0
    assert part.logit_of("two") is None
    assert part.model_copy(update={"by_judge": ()}).logit_of("two") == 2.0
