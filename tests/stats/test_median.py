import numpy as np
import pytest

from rlaif.stats.estimates import median_interval


def test_the_interval_of_independent_values_is_read_off_their_order():
    found = median_interval(range(1, 100), list(range(99)))
    assert (found.value, found.n, found.prompts) == (50, 99, 99)
    # 98 of 99 values lie on a side, each by one half: sd of the share 0.0503; t(98) = 1.984; 49 +- 9.8 places from 0.
    assert (found.low, found.high) == (40, 60)


def test_values_of_one_prompt_are_not_taken_for_independent():
    rng = np.random.default_rng(0)
    values = rng.normal(size=100)
    alone = median_interval(values, list(range(100)))
    copied = median_interval(np.repeat(values, 5), np.repeat(np.arange(100), 5))
    assert (copied.low, copied.high) == (alone.low, alone.high)
    pretended = median_interval(np.repeat(values, 5), list(range(500)))
    assert pretended.high - pretended.low < 0.7 * (alone.high - alone.low)


def test_prompts_may_be_named_by_texts():
    values = [1.0, 2.0, 3.0, 4.0] * 5
    by_name = median_interval(values, [name for name in "abcdefghij" for _ in range(2)])
    assert by_name == median_interval(values, np.repeat(np.arange(10), 2))


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0, 9.0]])
def test_too_few_values_have_no_interval(values: list[float]):
    found = median_interval(values, list(range(len(values))))
    assert (found.low, found.high) == (None, None)
    assert found.value == (np.median(values) if values else None)


def test_one_prompt_alone_has_no_interval():
    assert median_interval(range(50), ["p"] * 50).low is None


def test_equal_values_have_an_interval_of_width_zero():
    found = median_interval([0.5] * 20, list(range(20)))
    assert (found.low, found.value, found.high) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(("clusters", "shared"), [(10, 0.5), (40, 0.0), (40, 0.5), (400, 0.9)])
def test_intervals_contain_the_true_median_95_percent_of_the_time(clusters: int, shared: float):
    rng, held = np.random.default_rng(1), []
    for _ in range(600):
        places = np.repeat(np.arange(clusters), rng.integers(1, 8, clusters))
        own, common = rng.normal(size=len(places)), rng.normal(size=clusters)[places]
        values = 1.5 + shared**0.5 * common + (1 - shared) ** 0.5 * own
        held.append(median_interval(values, places).holds(1.5))
    assert 0.92 <= np.mean(held) <= 0.98
