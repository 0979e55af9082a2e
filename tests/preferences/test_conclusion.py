import math
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.config.run import RunConfig
from rlaif.preferences.pairs import Conclusion, pairs_seed
from rlaif.preferences.position import PositionBias
from rlaif.records import Matchup, Message, Prompt, Response, Trace, Usage, Verdict, ancestors
from tests.preferences.planted import conclude_as

BASE: dict[str, Any] = {"constitution": "honesty", "prompts": "seed", "policy": "m", "out": "x"}


def config(judging: dict[str, Any] | None = None, **pairs: Any) -> RunConfig:
    return RunConfig.check(BASE | {"judging": {"min_margin": 0} | (judging or {}), "pairs": pairs})


def meets(
    a: str, b: str, logit: float | None, bias: float = 0.0, purpose: str = "design", principle: str = "k"
) -> Matchup:
    """Return a matchup whose two orders average to `logit` in favour of a."""
    seen = {"ab": None, "ba": None} if logit is None else {"ab": logit + bias, "ba": -logit + bias}
    verdicts = tuple(
        Verdict(
            principle=principle,
            order=order,  # type: ignore[arg-type]
            first=None if x is None else -1.0,
            second=None if x is None else -1.0 - x,
            label_mass=0.9,
            reply="r",
        )
        for order, x in seen.items()
    )
    return Matchup(a=a, b=b, purpose=purpose, verdicts=verdicts)  # type: ignore[arg-type]


def trace(*matchups: Matchup, ids: tuple[str, ...] = ()) -> Trace:
    names = dict.fromkeys([name for m in matchups for name in (m.a, m.b)] + list(ids))
    return Trace(
        prompt=Prompt(id="p", messages=(Message(role="user", content="Why?"),)),
        responses=tuple(
            Response(
                id=name,
                text=name,
                origin="revision" if "." in name else "sample",
                parent=name.split(".")[0] if "." in name else None,
                model="m",
                seed=0,
                finish_reason="stop",
                reply="r",
            )
            for name in names
        ),
        critiques=(),
        dropped=(),
        judged_by=("k",),
        matchups=matchups,
        usage=Usage(),
    )


def concluded(*matchups: Matchup, using: RunConfig | None = None, bias: PositionBias | None = None) -> Conclusion:
    return conclude_as(using or config(), trace(*matchups), {"k": 1.0, "l": 1.0}, None, bias)


def p(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def test_the_better_of_two_answers_is_chosen_with_the_probability_of_their_matchup():
    found = concluded(meets("s0", "s1", -1.25, bias=0.5))
    (pair,) = found.pairs
    assert (pair.chosen, pair.rejected, pair.prompt_id) == ("s1", "s0", "p")
    assert pair.p_chosen == pytest.approx(p(1.25))
    assert pair.margin == pytest.approx(p(1.25) - 0.5)
    # One draw in ten with an average candidate: 2 s + 0.1 s = 1.25.
    assert (pair.score_chosen, pair.score_rejected) == pytest.approx((1.25 / 2.1, -1.25 / 2.1))
    assert (pair.score_chosen_se, pair.score_rejected_se) == (None, None)
    assert pair.principles == pytest.approx({"k": p(1.25)})
    assert pair.position_bias == pytest.approx(0.5)
    assert pair.label_mass == pytest.approx(0.9)
    assert pair.order_agreement == 1
    assert found.no_pair is None


def test_a_principle_that_speaks_against_the_chosen_answer_says_so():
    one, other = meets("s0", "s1", 3), meets("s0", "s1", -1, principle="l")
    matchup = one.model_copy(update={"verdicts": one.verdicts + other.verdicts})
    (pair,) = concluded(matchup).pairs
    assert (pair.chosen, pair.p_chosen) == ("s0", pytest.approx(p(1)))
    assert pair.principles == pytest.approx({"k": p(3), "l": p(-1)})
    (turned,) = conclude_as(config(), trace(matchup), {"k": 1.0, "l": 9.0}).pairs
    assert turned.chosen == "s1"
    assert turned.principles == pytest.approx({"k": p(-3), "l": p(1)})


def test_weights_come_from_the_constitution():
    one, other = meets("s0", "s1", 3), meets("s0", "s1", -1, principle="l")
    matchup = one.model_copy(update={"verdicts": one.verdicts + other.verdicts})
    (pair,) = conclude_as(config(), trace(matchup), {"k": 1.0, "l": 2.0}).pairs
    assert pair.p_chosen == pytest.approx(p(1 / 3))


def test_ranking_and_direct_verdict_may_disagree_and_then_there_is_no_pair():
    # a beats b and c by far, d loses to b and c by far, but d beats a: best a, worst d.
    found = concluded(
        meets("a", "b", 4),
        meets("a", "c", 4),
        meets("b", "d", 3),
        meets("c", "d", 3),
        meets("b", "c", 0.5),
        meets("d", "a", 1),
    )
    assert max(found.scores, key=found.scores.__getitem__) == "a"
    assert min(found.scores, key=found.scores.__getitem__) == "d"
    assert found.pairs == ()
    assert found.no_pair == "ranking and direct verdict disagree"


def test_the_final_matchup_decides_a_pair_that_the_design_left_apart():
    design = [meets("a", "b", 2), meets("b", "c", 2)]
    assert concluded(*design).no_pair == "not compared directly"
    (pair,) = concluded(*design, meets("c", "a", -1, purpose="final")).pairs
    assert (pair.chosen, pair.rejected, pair.p_chosen) == ("a", "c", pytest.approx(p(1)))
    assert pair.score_chosen == concluded(*design).scores["a"] > 1.8


def test_a_tie_never_becomes_a_pair():
    found = concluded(meets("s0", "s1", 0.0))
    assert found.pairs == ()
    assert found.judgements[0].abstention == "tie"
    assert found.no_pair is not None


def test_two_answers_that_tie_are_said_to_tie():
    assert concluded(meets("s0", "s1", 0.0)).no_pair == "tie"


def test_a_rounding_error_never_becomes_a_pair():
    parts = [meets("s0.r1", "s0", logit, principle=name) for name, logit in (("k", 1), ("l", 1), ("m", -1))]
    matchup = parts[0].model_copy(update={"verdicts": tuple(v for part in parts for v in part.verdicts)})
    # 0.1 + 0.2 - 0.3 is 5.6e-17 in floating point.
    found = conclude_as(config(select="revision-vs-parent"), trace(matchup), {"k": 0.1, "l": 0.2, "m": 0.3})
    assert found.pairs == ()


@pytest.mark.parametrize(
    ("logit", "bias", "judging", "reason"),
    [
        (None, 0.0, {}, "unreadable"),
        (1.0, 0.0, {"min_label_mass": 0.95}, "unreadable"),
        (0.1, 0.0, {"min_margin": 0.1}, "too close"),
        (1.0, 2.0, {}, "order noise"),
    ],
)
def test_a_prompt_without_a_pair_says_why(logit: float | None, bias: float, judging: dict[str, Any], reason: str):
    unbiased = PositionBias(by_principle={}, overall=0, matchups=9, verdicts=9, label_mass=0.9, turned=0)
    found = concluded(meets("s0", "s1", logit, bias=bias), using=config(judging), bias=unbiased)
    assert (found.pairs, found.no_pair) == ((), reason)


def test_a_prompt_without_matchups_had_fewer_than_two_answers():
    found = conclude_as(config(), trace(ids=("s0",)), {"k": 1.0})
    assert (found.judgements, found.scores, found.no_pair) == ((), {}, "fewer than two different answers")


def test_a_selection_that_finds_nothing_says_so():
    found = concluded(meets("s0", "s1", 2.0), using=config(select="revision-vs-parent"))
    assert found.no_pair == "nothing to pair under this selection"


def test_a_parent_may_beat_its_revision():
    found = concluded(
        meets("s0", "s0.r1", 2), meets("s1.r1", "s1", 1), using=config(select="revision-vs-parent", per_prompt=2)
    )
    assert [(pair.chosen, pair.rejected) for pair in found.pairs] == [("s0", "s0.r1"), ("s1.r1", "s1")]


def test_the_surest_pairs_come_first_and_no_more_than_wished():
    matchups = [meets("s0.r1", "s0", 1), meets("s1.r1", "s1", -3), meets("s2.r1", "s2", 2)]
    found = concluded(*matchups, using=config(select="revision-vs-parent", per_prompt=2))
    assert [pair.chosen for pair in found.pairs] == ["s1", "s2.r1"]


def test_one_refused_pair_does_not_hide_another():
    matchups = [meets("s0.r1", "s0", None), meets("s1.r1", "s1", 2)]
    found = concluded(*matchups, using=config(select="revision-vs-parent", per_prompt=2))
    assert [pair.chosen for pair in found.pairs] == ["s1.r1"]
    assert found.no_pair is None


def test_every_revision_knows_its_parent():
    met = trace(meets("s0", "s0.r1", 1), meets("s1", "s0", 1))
    assert met.ancestors({"s0", "s1", "s0.r1"}) == {"s0.r1": "s0"}


def test_a_revision_whose_parent_was_not_compared_goes_back_to_the_one_before():
    whole = trace(ids=("s0", "s0.r1", "s0.r2")).responses
    chain = [*whole[:2], whole[2].model_copy(update={"parent": "s0.r1"})]
    assert ancestors(chain, {"s0", "s0.r2"}) == {"s0.r2": "s0"}
    assert ancestors(chain, {"s0.r2"}) == {}


def test_the_random_opponent_depends_on_run_and_prompt():
    other = RunConfig.check(BASE | {"seed": 1})
    assert len({pairs_seed(0, "p"), pairs_seed(0, "q"), pairs_seed(other.seed, "p")}) == 3


@given(
    st.lists(st.one_of(st.none(), st.integers(-24, 24).map(lambda n: n / 8)), min_size=6, max_size=6),
    st.sampled_from(["best-vs-worst", "best-vs-random", "revision-vs-parent"]),
    st.integers(1, 4),
    st.sampled_from([0, 0.1, 0.3]),
)
def test_whatever_the_verdicts_a_pair_is_sure_of_its_winner(
    logits: list[float | None], select: str, per_prompt: int, min_margin: float
):
    names = ["s0", "s1", "s0.r1", "s1.r1"]
    matchups = [meets(a, b, x) for (a, b), x in zip(combinations(names, 2), logits, strict=True)]
    using = config({"min_margin": min_margin}, select=select, per_prompt=per_prompt)
    found = concluded(*matchups, using=using)
    assert (found.no_pair is None) == bool(found.pairs)
    assert len(found.pairs) <= per_prompt
    assert [pair.margin for pair in found.pairs] == sorted((pair.margin for pair in found.pairs), reverse=True)
    direct = {frozenset((j.a, j.b)): j for j in found.judgements}
    for pair in found.pairs:
        judgement = direct[frozenset((pair.chosen, pair.rejected))]
        assert judgement.p is not None
        assert pair.p_chosen == (judgement.p if judgement.a == pair.chosen else 1 - judgement.p)
        assert pair.p_chosen > 0.5
        assert pair.margin == pair.p_chosen - 0.5 >= min_margin
        if select != "revision-vs-parent":
            assert pair.score_chosen > pair.score_rejected
