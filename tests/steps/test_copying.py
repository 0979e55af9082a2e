"""A revision that repeats the question around the answer is distinguished from one that revises."""

from rlaif.steps.revise import copied_words, words_around

EXAMPLE = "Hold off on ibuprofen: with warfarin it raises the risk of serious bleeding."
ANSWER = "The library opens at noon on Mondays and stays open until eight on Thursdays."


def test_words_of_a_worked_example_are_found() -> None:
    text = f"Sure. {EXAMPLE} Ask a pharmacist."
    assert copied_words(text, [EXAMPLE, ANSWER], [ANSWER]) == "hold off on ibuprofen with warfarin it raises"


def test_keeping_the_responses_own_words_is_not_copying() -> None:
    assert copied_words(ANSWER, [EXAMPLE, ANSWER], [ANSWER]) is None


def test_seven_words_in_a_row_may_be_chance() -> None:
    assert copied_words("hold off on ibuprofen with warfarin it lowers", [EXAMPLE], []) is None


def test_a_short_or_empty_revision_is_not_a_copy() -> None:
    assert copied_words("", [EXAMPLE], []) is None
    assert copied_words("Hold off.", [EXAMPLE], []) is None


def test_the_words_around_a_fence_tag_are_shown() -> None:
    text = "As the last revised answer 0123456789: says, hold off on ibuprofen."
    assert words_around(text, ["9876543210", "0123456789"]) == "last revised answer 0123456789: says, hold off"
    assert words_around(text, ["9876543210"]) is None
