"""What is counted of a judged pool, against numbers worked out by hand."""

import pytest

from rlaif.compare.pool import Candidate, JudgingPass, PooledPrompt, PoolMatchup
from rlaif.compare.tallies import PassKey, kendall_tau, tally_pool
from rlaif.config.judging import JudgingConfig
from rlaif.preferences.judgement import Rule
from rlaif.records import Matchup, Message, Prompt, Verdict

PROMPT = Prompt(id="p", messages=(Message(role="user", content="Why?"),))
CANDIDATES = (
    Candidate(id="s0", text="sample"),
    Candidate(id="one/s0.r1", text="by one", by="one", parent="s0"),
    Candidate(id="two/s0.r1", text="by two", by="two", parent="s0"),
)


def matchup(a: str, b: str, logits: dict[str, float]) -> Matchup:
    """Return a matchup in which a judge without position bias gives `a` these log-odds under each principle."""
    verdicts = [
        Verdict(principle=k, order=order, first=side * logit - 1, second=-1, label_mass=0.9, reply="r")
        for k, logit in logits.items()
        for order, side in (("ab", 1), ("ba", -1))
    ]
    return Matchup(a=a, b=b, verdicts=tuple(verdicts))


def pool(one: list[dict[str, float]], two: list[dict[str, float]], again: list[dict[str, float]] | None = None):
    places = [("s0", "one/s0.r1", "parent"), ("two/s0.r1", "s0", "parent"), ("one/s0.r1", "two/s0.r1", "rivals")]

    def judging_pass(name: str, logits: list[dict[str, float]], *, again: bool = False) -> JudgingPass:
        matchups = tuple(matchup(a, b, given) for (a, b, _), given in zip(places, logits, strict=False))
        return JudgingPass(rules=name, again=again, judged_by=tuple(logits[0]), matchups=matchups)

    passes = [judging_pass("one", one), judging_pass("two", two)]
    if again:
        passes.append(judging_pass("one", again, again=True))
    matchups = tuple(PoolMatchup(a=a, b=b, kind=kind) for (a, b, kind), _ in zip(places, one, strict=False))
    return PooledPrompt(prompt=PROMPT, candidates=CANDIDATES, matchups=matchups, identical=0, sittings=tuple(passes))


def rules(**weights: dict[str, float]) -> dict[PassKey, Rule]:
    rule = {name: JudgingConfig(min_margin=0.1).rule(given) for name, given in weights.items()}
    return {(name, again): rule[name] for name in weights for again in (False, True)}


RULES = rules(one={"kind": 1}, two={"kind": 1, "bold": 3})


def test_flips_are_counted_where_both_give_a_label() -> None:
    found = tally_pool(
        pool(
            [{"kind": 2.0}, {"kind": 2.0}, {"kind": 0.01}],
            [{"kind": 2.0, "bold": 2.0}, {"kind": 2.0, "bold": -2.0}, {"kind": 1.0, "bold": 1.0}],
        ),
        RULES,
    )
    assert (found["both", "one", "two"], found["flip", "one", "two"]) == (2, 1)
    assert (found["cell", "one", "two", "a", "a"], found["cell", "one", "two", "a", "b"]) == (1, 1)
    assert (found["either", "one", "two"], found["one-sided", "one", "two"]) == (3, 1)
    assert found["abstained", "one", "too close"] == 1


def test_a_flip_is_caused_by_the_principle_without_which_there_is_none() -> None:
    found = tally_pool(
        pool([{"kind": 2.0}, {"kind": 2.0}], [{"kind": 2.0, "bold": -2.0}, {"kind": 2.0, "bold": -2.0}]), RULES
    )
    assert found["flips", "two", "one"] == 2
    assert found["undone", "two", "one", "bold"] == 2
    assert found["undone", "two", "one", "kind"] == 0


def test_whose_revisions_win_is_counted_for_the_maker_whichever_side_it_stands_on() -> None:
    even = {"kind": 0.0, "bold": 0.0}
    found = tally_pool(pool([{"kind": -2.0}, {"kind": 2.0}, {"kind": 1.0}], [even, even, even]), RULES)
    win = 0.8807970779778823
    assert found["over-parent", "one", "one"] == pytest.approx(win)  # a is the sample, and loses
    assert found["over-parent", "one", "two"] == pytest.approx(win)  # a is the revision, and wins
    assert found["beats", "one", "one"] == pytest.approx(0.7310585786300049)
    assert found["beats", "one", "two"] == pytest.approx(1 - 0.7310585786300049)
    assert found["over-parent", "two", "one"] == pytest.approx(0.5)


def test_a_second_pass_is_compared_with_the_first() -> None:
    found = tally_pool(
        pool([{"kind": 2.0}, {"kind": 2.0}], [{"kind": 2.0}, {"kind": 2.0}], again=[{"kind": 2.0}, {"kind": -2.0}]),
        rules(one={"kind": 1}, two={"kind": 1}),
    )
    assert (found["both", "one", "one", "again"], found["flip", "one", "one", "again"]) == (2, 1)


def test_a_rule_set_without_a_principle_for_the_prompt_counts_nowhere() -> None:
    judged = pool([{"kind": 2.0}], [{"kind": 2.0}])
    silent = judged.model_copy(
        update={"sittings": (judged.sittings[0], JudgingPass(rules="two", judged_by=(), matchups=()))}
    )
    found = tally_pool(silent, RULES)
    assert found["judged", "one"] == 1
    assert found["judged", "two"] == found["both", "one", "two"] == 0


def test_kendalls_tau_with_ties_is_tau_b() -> None:
    assert kendall_tau({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2, "c": 3}) == pytest.approx(1)
    assert kendall_tau({"a": 1, "b": 2, "c": 3}, {"a": 3, "b": 2, "c": 1}) == pytest.approx(-1)
    # One tie in the second: 2 concordant of 3 pairs, 2 / sqrt(3 * 2).
    assert kendall_tau({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2, "c": 2}) == pytest.approx(2 / 6**0.5)
    assert kendall_tau({"a": 1, "b": 1}, {"a": 1, "b": 2}) is None


def test_the_same_two_texts_count_once_for_flips_however_many_rule_sets_wrote_them() -> None:
    judged = pool([{"kind": 2.0}, {"kind": -2.0}], [{"kind": -2.0}, {"kind": 2.0}])
    same = judged.model_copy(
        update={"candidates": (CANDIDATES[0], CANDIDATES[1], CANDIDATES[2].model_copy(update={"text": "by one"}))}
    )
    one_kind = rules(one={"kind": 1}, two={"kind": 1})
    assert tally_pool(judged, one_kind)["flip", "one", "two"] == 2
    assert tally_pool(same, one_kind)["flip", "one", "two"] == 1
    assert tally_pool(same, one_kind)["judged", "one"] == 2
