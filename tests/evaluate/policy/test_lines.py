"""What a line shows, against numbers worked out by hand."""

import pytest

from rlaif.evaluate.policy.gains_and_losses import (
    Line,
    Measure,
    decided,
    expected_by_chance,
    finding_of,
    holm,
    own_interval,
    paired_tallies,
    ratio_line,
    sentences,
)
from rlaif.evaluate.policy.knowledge_and_drift import (
    choice_lines,
    divergence_lines,
    letter_probabilities,
    perplexity_lines,
    reliability_of,
    same_tokens,
    tallies_of_choices,
    tally_choice,
)
from rlaif.evaluate.policy.outputs import ChoiceLogprobs, TextLogprobs
from rlaif.models.model import LabelLogprobs
from rlaif.stats.estimates import Estimate, Tally


def interval(value: float, low: float, high: float) -> Estimate:
    return Estimate(value=value, low=low, high=high, n=10, prompts=10)


@pytest.mark.parametrize(
    ("difference", "better", "finding"),
    [
        (interval(0.2, 0.1, 0.3), "higher", "gain"),
        (interval(0.2, 0.1, 0.3), "lower", "loss"),
        (interval(-0.2, -0.3, -0.1), "lower", "gain"),
        (interval(-0.2, -0.3, -0.1), None, "change"),
        (interval(0.2, -0.1, 0.3), "lower", "nothing shown"),
        (interval(1e-17, 1e-18, 1e-16), "lower", "nothing shown"),
        (Estimate(value=0.5, prompts=1), "lower", "not measured"),
        (Estimate(value=None), "lower", "not measured"),
    ],
)
def test_a_finding_is_an_interval_without_zero_and_a_direction(
    difference: Estimate, better: str | None, finding: str
) -> None:
    assert finding_of(difference, better) == finding


def line_of_shares(each: list[tuple[int, int]]) -> Line:
    """Return the line of prompts with one response each; a pair tells whether the base and the tuned model do it."""
    tallies = [{"base": Tally({"a": base, "b": 1}), "tuned": Tally({"a": tuned, "b": 1})} for base, tuned in each]
    return ratio_line(paired_tallies(tallies), Measure("x", "manner", "x", "lower"), "a", "b")


def test_few_prompts_show_nothing_and_that_is_said() -> None:
    few = line_of_shares([(0, 1)] * 4)
    assert (few.finding, few.note) == ("not measured", "no interval from fewer than 5 prompts")
    assert few.difference.value == 1


def test_a_difference_of_shares_never_has_an_interval_without_width() -> None:
    none_of_40 = line_of_shares([(0, 0)] * 40).difference
    assert none_of_40.low == pytest.approx(-(1 - 0.025 ** (1 / 40)))
    assert none_of_40.high == pytest.approx(1 - 0.025 ** (1 / 40))
    all_of_9 = line_of_shares([(0, 1)] * 9).difference
    # A prompt that is not like the others would count for both models: 1 less twice the exact bound.
    assert (all_of_9.low, all_of_9.high) == (pytest.approx(2 * 0.025 ** (1 / 9) - 1), 1)
    assert [line_of_shares([(0, 1)] * n).finding for n in (5, 6)] == ["nothing shown", "loss"]  # as by a sign test


def test_p_are_adjusted_as_by_holm() -> None:
    # Smallest first: 3 x 0.01, 2 x 0.02, 1 x 0.03, which may not be below those before it.
    assert holm([0.02, None, 0.01, 0.03]) == [pytest.approx(0.04), None, pytest.approx(0.03), pytest.approx(0.04)]
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_a_line_is_a_loss_only_where_it_holds_for_all_lines_together() -> None:
    seldom, often = [(0, 1)] * 7 + [(0, 0)] * 33, [(0, 1)] * 20 + [(0, 0)] * 20
    alone = decided([line_of_shares(seldom)])
    assert (alone[0].finding, own_interval(alone[0])) == ("loss", "")
    assert alone[0].p == alone[0].p_of_all < 0.05
    weak, strong, *_ = decided([line_of_shares(seldom), line_of_shares(often), *[line_of_shares([(1, 1)] * 40)] * 20])
    assert (weak.finding, strong.finding) == ("nothing shown", "loss")
    assert weak.p_of_all > 0.05 > weak.p
    assert (weak.difference.low or 0) > 0
    assert sentences([weak], "nothing shown")[0].endswith(", its own interval excludes zero")
    assert "at most one of twenty evaluations" in expected_by_chance([weak, strong])


def test_the_interval_of_a_difference_of_rare_shares_is_asymmetric() -> None:
    line = line_of_shares([(0, 1)] * 5 + [(0, 0)] * 55)
    found = line.difference
    assert found.value == pytest.approx(5 / 60)
    assert found.high - found.value > 1.2 * (found.value - found.low)


def test_a_difference_pairs_the_prompts() -> None:
    # Both models do the same on every prompt but for one more word: no spread is left in the difference.
    tallies = [
        {"base": Tally({"words": n, "answers": 1}), "tuned": Tally({"words": n + 1, "answers": 1})} for n in range(50)
    ]
    found = ratio_line(paired_tallies(tallies), Measure("words", "manner", "words", unit="number"), "words", "answers")
    assert (found.base.value, found.tuned.value) == (24.5, 25.5)
    assert (found.difference.low, found.difference.high) == (pytest.approx(1), pytest.approx(1))
    assert found.base.high - found.base.low > 5


def picked(place: int, *logprobs: float | None) -> ChoiceLogprobs:
    return ChoiceLogprobs(place, LabelLogprobs(logprobs=logprobs, floor=-9.0, label_mass=0.9))


def test_letters_are_made_to_add_up_and_a_missing_one_counts_as_nothing() -> None:
    assert letter_probabilities(picked(0, -1.0, -1.0, None, None)) == [0.5, 0.5, 0, 0]
    assert letter_probabilities(picked(0, None, None, None, None)) is None


def test_the_brier_score_of_one_question() -> None:
    ln = {0.6: -0.510825624, 0.2: -1.609437912, 0.1: -2.302585093}
    tally = tally_choice(picked(0, ln[0.6], ln[0.2], ln[0.1], ln[0.1]))
    assert tally["squared"] == pytest.approx(0.4**2 + 0.2**2 + 0.1**2 + 0.1**2)
    assert (tally["right"], tally["over"]) == (1, pytest.approx(0.6 - 1))
    wrong = tally_choice(picked(2, ln[0.6], ln[0.2], ln[0.1], ln[0.1]))
    assert wrong["squared"] == pytest.approx(0.6**2 + 0.2**2 + 0.9**2 + 0.1**2)
    assert wrong["right"] == 0


def test_letters_of_the_same_probability_share_the_pick() -> None:
    tally = tally_choice(picked(3, -1.0, -1.0, -1.0, -1.0))
    assert (tally["right"], tally["squared"]) == (0.25, pytest.approx(0.75))


def test_an_unread_question_is_neither_right_nor_wrong() -> None:
    tally = tally_choice(picked(3, None, None, None, None))
    assert (tally["asked"], tally["read"], tally["right"]) == (1, 0, 0)


def test_the_calibration_error_is_the_distance_of_confidence_and_share_right() -> None:
    sure = picked(0, -0.105360516, -3.4, -3.4, -3.4)  # 0.9 of 1.0 on the first
    asked = [{"base": sure, "tuned": sure if n < 5 else ChoiceLogprobs(1, sure.letters)} for n in range(10)]
    found = tallies_of_choices(asked)
    lines = {one.name: one for one in choice_lines(found)}
    confidence = letter_probabilities(sure)[0]
    assert lines["calibration"].base.value == pytest.approx(1 - confidence)
    assert lines["calibration"].tuned.value == pytest.approx(confidence - 0.5)
    assert lines["overconfidence"].difference.value == pytest.approx(0.5)
    assert [one.questions for one in reliability_of(found, "tuned")] == [0] * 8 + [10, 0]


def scored(*logprobs: float | None, letters: int = 10, tokens: tuple[int, ...] | None = None) -> TextLogprobs:
    return TextLogprobs(tokens or tuple(range(len(logprobs))), logprobs, letters)


def test_perplexity_leaves_out_the_first_token_which_nothing_precedes() -> None:
    asked = [{"base": scored(None, -1.0, -3.0), "tuned": scored(None, -2.0, -3.0)} for _ in range(3)]
    perplexity, surprise = perplexity_lines(asked)
    assert perplexity.base.value == pytest.approx(2.718281828**2)
    assert perplexity.tuned.value == pytest.approx(2.718281828**2.5)
    assert surprise.difference.value == pytest.approx(0.1)


def test_perplexities_of_other_tokens_are_not_compared_but_characters_are() -> None:
    asked = [{"base": scored(None, -4.0), "tuned": scored(None, -2.0, -3.0)} for _ in range(3)]
    assert not same_tokens(asked)
    perplexity, surprise = perplexity_lines(asked)
    assert (perplexity.finding, perplexity.note) == (
        "not measured",
        "the two models tokenise texts differently",
    )
    assert surprise.difference.value == pytest.approx(0.1)


def test_the_divergence_is_the_mean_over_tokens_of_how_much_likelier_they_are() -> None:
    asked = [
        {"tuned": scored(-1.0, -1.0), "base": scored(-1.5, -2.0)},
        {"tuned": scored(-1.0, -1.0, -2.0), "base": scored(-1.0, -0.5, -2.0)},
    ]
    token, answer = divergence_lines(asked)
    assert token.difference.value == pytest.approx((0.5 + 1.0 + 0 - 0.5 + 0) / 5)
    assert answer.difference.value == pytest.approx(1.0 / 2)
