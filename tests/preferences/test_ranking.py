import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.config.run import PairsConfig
from rlaif.preferences.judgement import Judgement
from rlaif.preferences.ranking import rank, scores_of, wanted_pairs

SCORES = {"s0": 0.5, "s1": 0.9, "s2": 0.1, "s3": 0.7, "s4": 0.3}


def judgement(a: str, b: str, logit: float | None, purpose: str = "design", abstention: str | None = None) -> Judgement:
    return Judgement(
        a=a,
        b=b,
        purpose=purpose,  # type: ignore[arg-type]
        logit=logit,
        position_bias=None,
        label_mass=1,
        principles=(),
        abstention=abstention,  # type: ignore[arg-type]
    )


def logit(p: float) -> float:
    return float(numpy.log(p / (1 - p)))


def pairs(select: str, per_prompt: int = 1) -> PairsConfig:
    return PairsConfig(select=select, per_prompt=per_prompt)  # type: ignore[arg-type]


def test_the_one_that_beats_the_others_is_the_strongest():
    scores = scores_of(
        rank([judgement("a", "b", logit(0.8)), judgement("c", "a", logit(0.6)), judgement("b", "c", logit(0.3))])
    )
    assert sorted(scores, key=scores.__getitem__) == ["b", "a", "c"]


def test_whom_one_met_is_taken_into_account():
    # c lost to the strong a and b drew with the weak d, so that both won half of what they played.
    met = [judgement("a", "c", 2), judgement("c", "d", 2), judgement("b", "d", 0.0), judgement("d", "e", 2)]
    scores = scores_of(rank(met))
    assert sorted(scores, key=scores.__getitem__)[-2:] == ["c", "a"]


def test_a_final_matchup_does_not_bend_the_ranking_it_came_from():
    design = [judgement("a", "b", logit(0.8))]
    assert rank([*design, judgement("a", "b", logit(0.1), "final")]) == rank(design)


def test_an_unreadable_matchup_is_left_out_and_one_too_close_is_not():
    found = rank(
        [judgement("a", "b", None, abstention="unreadable"), judgement("a", "c", logit(0.55), abstention="too close")]
    )
    assert found.keys() == {"a", "c"}
    assert found["a"].value > found["c"].value


def test_best_against_worst_goes_on_with_the_second_best_and_never_repeats():
    assert wanted_pairs(SCORES, {}, pairs("best-vs-worst"), 0) == [("s1", "s2")]
    assert wanted_pairs(SCORES, {}, pairs("best-vs-worst", 9), 0) == [("s1", "s2"), ("s3", "s4")]


def test_best_against_random_never_meets_itself_and_depends_on_the_seed():
    found = {tuple(wanted_pairs(SCORES, {}, pairs("best-vs-random", 2), seed)) for seed in range(40)}
    assert len(found) > 5
    for wanted in found:
        assert [better for better, _ in wanted] == ["s1", "s1"]
        assert len({worse for _, worse in wanted} & {"s0", "s2", "s3", "s4"}) == 2
    assert wanted_pairs(SCORES, {}, pairs("best-vs-random", 2), 7) == wanted_pairs(
        SCORES, {}, pairs("best-vs-random", 2), 7
    )
    assert len(wanted_pairs(SCORES, {}, pairs("best-vs-random", 99), 0)) == 4


def test_a_revision_stands_before_its_parent_whichever_is_better():
    scores = {"s0": 0.9, "s0.r1": 0.2, "s1": 0.4, "s1.r1": 0.6}
    parents = {"s0.r1": "s0", "s1.r1": "s1", "s2.r1": "s2"}
    assert wanted_pairs(scores, parents, pairs("revision-vs-parent"), 0) == [("s1.r1", "s1"), ("s0.r1", "s0")]


def test_a_revision_without_a_judged_parent_gives_no_pair():
    assert wanted_pairs({"s0.r1": 0.9, "s1": 0.1}, {"s0.r1": "s0"}, pairs("revision-vs-parent"), 0) == []


@pytest.mark.parametrize("select", ["best-vs-worst", "best-vs-random"])
def test_equal_scores_give_no_pair(select: str):
    assert wanted_pairs({"a": 0.5, "b": 0.5, "c": 0.5}, {}, pairs(select, 3), 0) == []


@pytest.mark.parametrize("select", ["best-vs-worst", "best-vs-random", "revision-vs-parent"])
@pytest.mark.parametrize("scores", [{}, {"a": 0.9}])
def test_fewer_than_two_candidates_give_no_pair(select: str, scores: dict[str, float]):
    assert wanted_pairs(scores, {"a": "b"}, pairs(select, 3), 0) == []


@given(
    st.dictionaries(st.sampled_from([f"s{n}" for n in range(12)]), st.sampled_from([0.1, 0.3, 0.5, 0.9])),
    st.sampled_from(["best-vs-worst", "best-vs-random"]),
    st.integers(1, 12),
    st.integers(0, 99),
)
def test_the_better_one_always_stands_first(scores: dict[str, float], select: str, per_prompt: int, seed: int):
    wanted = wanted_pairs(scores, {}, pairs(select, per_prompt), seed)
    assert len(wanted) <= per_prompt
    assert len({frozenset(pair) for pair in wanted}) == len(wanted)
    assert all(scores[better] > scores[worse] for better, worse in wanted)
    if len(set(scores.values())) > 1 and select == "best-vs-worst":
        best, worst = wanted[0]
        assert (scores[best], scores[worst]) == (max(scores.values()), min(scores.values()))


def test_the_order_in_which_candidates_were_scored_says_nothing():
    turned = dict(reversed(SCORES.items()))
    for select in ("best-vs-worst", "best-vs-random"):
        assert wanted_pairs(SCORES, {}, pairs(select, 2), 5) == wanted_pairs(turned, {}, pairs(select, 2), 5)
