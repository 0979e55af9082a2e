"""Samples that are not random are seen, and random ones are not suspected."""

import numpy as np
import pytest

from rlaif.stats.sample_shift import shifts
from tests.stats.planted_samples import DRAWS, refused

ROWS = 1000


def numbers() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {"p": rng.uniform(0.5, 1, ROWS), "length": rng.lognormal(5, 1, ROWS)}


def sampled(places: np.ndarray) -> np.ndarray:
    found = np.zeros(ROWS, dtype=bool)
    found[places] = True
    return found


def test_a_sample_of_long_texts_is_seen_as_that_and_nothing_else() -> None:
    values = numbers()
    long_ones = np.argsort(values["length"])[-300:][::3]
    (shift,) = shifts(values, {"odd": np.arange(ROWS) % 2 == 1}, sampled(long_ones), 0.01)
    assert shift.name == "length"
    assert shift.sampled > shift.table


def test_a_sample_of_one_group_is_seen_with_its_shares() -> None:
    odd = np.arange(ROWS) % 2 == 1
    (shift,) = shifts(numbers(), {"odd": odd}, sampled(np.flatnonzero(odd)[:200:4]), 0.01)
    assert (shift.name, shift.sampled, shift.table) == ("odd", 1.0, 0.5)


def test_a_table_that_is_sampled_whole_has_no_shift() -> None:
    assert shifts(numbers(), {}, np.ones(ROWS, dtype=bool), 0.01) == []


@pytest.mark.slow
def test_random_samples_are_refused_in_one_of_a_hundred_and_shifted_ones_almost_always() -> None:
    assert refused(DRAWS["random"], 200, 200) <= 0.04  # 9 or more of 200 at 1 % has a probability of 0.0001
    for name in ("the easier half", "one tag of eight", "the shorter half", "the first half of the run"):
        assert refused(DRAWS[name], 50, 20) == 1.0, name
