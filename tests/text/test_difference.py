import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.text.difference import difference


def test_added_removed_and_kept_words_are_distinguished():
    found = difference("The big dog barks.", "The dog barks loudly.")
    assert [(step.old, step.new, step.changed) for step in found.steps] == [
        ("The ", "The ", False),
        ("big ", "", True),
        ("dog ", "dog ", False),
        ("barks.", "barks loudly.", True),
    ]
    assert found.kept == pytest.approx(2 * 2 / 8)


def test_the_same_text_is_kept_whole():
    assert difference("a b\nc", "a b\nc").kept == 1


@given(st.text(alphabet="ab .\n\t\u2028\x1c", max_size=60), st.text(alphabet="ab .\n\t\u2028\x1c", max_size=60))
def test_the_steps_give_both_texts_back(old: str, new: str):
    steps = difference(old, new).steps
    assert ("".join(step.old for step in steps), "".join(step.new for step in steps)) == (old, new)


@pytest.mark.parametrize("words", [["a"], ["a", "b", "a", "a", "b"], ["one.", "two"], ["x" * 20_000]])
def test_long_and_repetitive_texts_take_no_minutes(words: list[str]):
    old, new = (" ".join((words * 20_000)[start:])[:20_000] for start in (0, 1))
    began = time.monotonic()
    difference(old, new)
    assert time.monotonic() - began < 20
