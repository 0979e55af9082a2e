import numpy
import pytest

from rlaif.records import Message
from rlaif.runs.rows import response_turn, split_of


def test_a_prompt_stays_in_its_split():
    assert [split_of(f"p{n}", 0.5) for n in range(50)] == [split_of(f"p{n}", 0.5) for n in range(50)]


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_about_the_wished_share_goes_to_test(share: float):
    count = 20_000
    found = sum(split_of(f"p{n}", share) == "test" for n in range(count)) / count
    assert abs(found - share) < 4 * numpy.sqrt(share * (1 - share) / count)


def test_no_share_means_no_test_split():
    assert {split_of(f"p{n}", 0.0) for n in range(1000)} == {"train"}


def test_a_larger_test_split_holds_the_smaller_one():
    small = {n for n in range(2000) if split_of(f"p{n}", 0.1) == "test"}
    large = {n for n in range(2000) if split_of(f"p{n}", 0.3) == "test"}
    assert small < large


def test_an_answer_is_one_turn_of_the_assistant():
    assert response_turn("Hi") == (Message(role="assistant", content="Hi"),)
