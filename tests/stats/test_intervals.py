"""Intervals hold the truth as often as they say, few prompts and matchups of one prompt included."""

import numpy as np
import pytest
from scipy.stats import binomtest, ttest_1samp

from rlaif.stats.estimates import Estimate, Tallies, Tally, apart, highest_is_shown, kappa_of, wilson


def test_a_ratio_is_that_of_the_totals_and_not_the_mean_of_ratios() -> None:
    estimate = Tallies([Tally({"yes": 1, "all": 1}), Tally({"yes": 0, "all": 3})]).ratio("yes", "all")
    assert estimate.value == 0.25
    assert (estimate.n, estimate.prompts) == (4, 2)


def test_a_ratio_of_sums_is_measured_on_all_that_it_divides_by() -> None:
    tallies = [Tally({"wins two": 1, "two": 2}), Tally({"wins two": 2, "two": 4}), Tally({"wins one": 3, "one": 4})]
    estimate = Tallies(tallies).ratio_of_sums(["wins one", "wins two"], ["one", "two"])
    assert estimate.value == 0.6
    assert (estimate.n, estimate.prompts) == (10, 3)
    never = Tallies(tallies[:2]).ratio_of_sums(["none of one", "none of two"], ["one", "two"])
    assert (never.low, never.high) == (0, pytest.approx(1 - 0.025**0.5))


def test_no_event_in_twenty_prompts_is_not_certainty() -> None:
    estimate = Tallies([Tally({"all": 5})] * 20).ratio("yes", "all")
    assert estimate.value == 0
    assert estimate.low == 0
    assert estimate.high == pytest.approx(1 - 0.025 ** (1 / 20))


def test_nothing_to_measure_gives_no_number() -> None:
    assert Tallies([Tally(), Tally()]).ratio("yes", "all").value is None
    assert Tallies([]).ratio("yes", "all").value is None
    one = Tallies([Tally({"yes": 1, "all": 2})]).ratio("yes", "all")
    assert (one.value, one.low, one.high) == (0.5, None, None)


def test_kappa_is_cohens() -> None:
    # 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: observed 0.7, expected 0.5.
    assert kappa_of(np.array([20.0, 5.0, 10.0, 15.0])) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_agrees_with_the_table_in_newcombe_1998(hits: int, n: int, low: float, high: float) -> None:
    estimate = wilson(hits, n)
    assert estimate.value == hits / n
    assert (estimate.low, estimate.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
    other = wilson(n - hits, n)
    assert (other.low, other.high) == (pytest.approx(1 - high, abs=5e-5), pytest.approx(1 - low, abs=5e-5))


def test_fewer_than_five_trials_all_hits_could_be_chance() -> None:
    assert [wilson(n, n).holds(0.5) for n in (1, 2, 3, 4, 5)] == [True, True, True, True, False]
    assert wilson(3, 3).low == pytest.approx(0.025 ** (1 / 3))  # exact
    assert wilson(0, 0).value is None


@pytest.mark.parametrize("prompts", [8, 40])
def test_intervals_hold_the_truth_about_ninety_five_times_in_a_hundred(prompts: int) -> None:
    rng = np.random.default_rng(7)
    held = {"ratio": 0, "kappa": 0}
    for _ in range(600):
        tallies = []
        for _ in range(prompts):
            first = rng.random(4) < 0.5
            # Matchups of one prompt share a rate, drawn anew for each: beta with mean 0.3.
            second = first ^ (rng.random(4) < rng.beta(3, 7))
            counts = {(a, b): float(((first == a) & (second == b)).sum()) for a in (True, False) for b in (True, False)}
            tallies.append(Tally(counts | {"flips": float((first != second).sum()), "all": 4.0}))
        tallies = Tallies(tallies)
        held["ratio"] += tallies.ratio("flips", "all").holds(0.3)
        table = [(True, True), (True, False), (False, True), (False, False)]
        held["kappa"] += tallies.function(kappa_of, table, of=["all"], scale="correlation").holds(0.4)
    for kind, times in held.items():
        assert 0.925 <= times / 600 <= 0.975, kind


def test_a_mean_of_one_value_per_prompt_has_the_interval_of_students_t() -> None:
    values = [-1.0, 0.5, 2.0, 3.0, 4.5, 6.0]
    found = Tallies([Tally({"x": value, "n": 1}) for value in values]).ratio("x", "n", share=False)
    ends = ttest_1samp(values, 0)
    assert (found.low, found.high) == pytest.approx(tuple(ends.confidence_interval()))
    assert found.p == pytest.approx(ends.pvalue)


def test_unequal_prompts_and_heavy_tails_widen_an_interval() -> None:
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]

    def width(values: list[float], sizes: list[int]) -> float:
        tallies = [Tally({"x": size * value, "n": size}) for value, size in zip(values, sizes, strict=True)]
        found = Tallies([Tally({"x": -1.0, "n": 0}), *tallies]).ratio("x", "n", share=False)
        return (found.high - found.low) / np.std(values)

    equal = width(values, [1] * 8)
    assert width(values, [1, 1, 1, 1, 1, 1, 1, 9]) > 1.3 * equal
    assert width([4.0, 4.1, 4.2, 4.3, 4.4, 4.5, 4.6, 40.0], [1] * 8) > 1.1 * equal


def test_ends_stay_where_the_estimate_can_be() -> None:
    def of(values: list[float]) -> Estimate:
        return Tallies([Tally({"x": value, "n": 1}) for value in values]).ratio("x", "n", share=False)

    mass, rate, tau = of([0.5, 0.99, 0.99, 1, 1, 1]), of([0, 0, 0, 0.2, 3.0, 9.0]), of([-0.3, 1, 1, 1, 1, 1])
    assert 0 < mass.low < mass.high < 1
    assert 0 < rate.low < rate.high
    assert -1 < tau.low < tau.high < 1


def test_the_interval_of_a_share_is_not_wider_than_the_exact_one_of_as_many_prompts() -> None:
    one_of_8 = Tallies([Tally({"yes": 4 * (n == 0), "all": 4}) for n in range(8)]).ratio("yes", "all")
    exact = binomtest(1, 8).proportion_ci()
    assert (one_of_8.low, one_of_8.high) == pytest.approx((exact.low, exact.high), rel=0.5)
    assert exact.low - 1e-9 <= one_of_8.low < one_of_8.high <= exact.high + 1e-9
    won = Tallies([Tally({"yes": n < 23, "all": 1}) for n in range(24)]).ratio("yes", "all")
    assert won.p == pytest.approx(binomtest(23, 24).pvalue, rel=0.1)


def test_a_share_that_is_the_same_in_all_prompts_is_not_certain() -> None:
    found = Tallies([Tally({"yes": 1, "all": 4})] * 20).ratio("yes", "all")
    unseen = 1 - 0.025 ** (1 / 20)
    assert (found.low, found.high) == pytest.approx((0.25 * (1 - unseen), 0.25 + 0.75 * unseen))


def test_fewer_than_five_prompts_have_no_interval_and_the_reason_is_given() -> None:
    four, five = ([Tally({"yes": n % 2, "all": 1}) for n in range(prompts)] for prompts in (4, 5))
    assert Tallies(four).ratio("yes", "all").low is None
    assert Tallies(four).ratio("yes", "all").ends_or_reason(".0%") == " (no interval from fewer than 5 prompts)"
    assert Tallies(five).ratio("yes", "all").low is not None


def test_estimates_differ_where_their_intervals_do_not_overlap() -> None:
    few, some, most = wilson(1, 40), wilson(20, 40), wilson(39, 40)
    assert apart(few, some)
    assert apart(most, some)
    assert not apart(some, wilson(25, 40))
    assert not apart(few, wilson(0, 0))


def test_the_highest_is_shown_to_be_so_where_it_is_apart_from_all_others() -> None:
    few, some, most = wilson(1, 40), wilson(20, 40), wilson(39, 40)
    assert highest_is_shown([few, most, some])
    assert not highest_is_shown([few, some, wilson(25, 40)])
    assert highest_is_shown([some])
    assert not highest_is_shown([])


def test_one_name_in_place_of_a_sequence_of_names_is_an_error() -> None:
    found = Tallies([Tally({"n": 1.0}), Tally({"n": 2.0})])
    with pytest.raises(TypeError, match="would be read as names"):
        found.function(lambda totals: totals[0], ["n"], of="n")
