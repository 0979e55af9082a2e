"""Variety of words agrees with numbers worked out by hand and with plain definitions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.text.diversity import mattr, self_overlap, word_count, words

texts = st.lists(st.sampled_from("abcd"), max_size=60).map(" ".join)


def test_words_keep_inner_apostrophes_and_hyphens_and_lose_case() -> None:
    assert words("Don’t re-read “Ulysses”, page 3!") == ["don't", "re-read", "ulysses", "page", "3"]
    assert word_count("snake_case is two") == 4


def test_mattr_by_hand() -> None:
    # Windows of three: aab 2, aba 2, bac 3 types.
    assert mattr("a a b a c", window=3) == pytest.approx((2 + 2 + 3) / 9)


def test_a_text_shorter_than_the_window_has_no_mattr() -> None:
    assert mattr("one " * 49) is None
    assert mattr("one " * 50) == pytest.approx(1 / 50)


@given(texts, st.integers(1, 8))
def test_mattr_is_the_mean_over_all_windows(text: str, window: int) -> None:
    found = words(text)
    ratios = [len(set(found[i : i + window])) / window for i in range(len(found) - window + 1)]
    expected = sum(ratios) / len(ratios) if ratios else None
    assert mattr(text, window) == (None if expected is None else pytest.approx(expected))


def test_self_overlap_by_hand() -> None:
    # {ab, bc} and {bc, cd} share one of three; the third text shares nothing with either.
    assert self_overlap(["a b c", "b c d", "x y"]) == pytest.approx((1 / 3 + 0 + 0) / 3)


def test_one_text_overlaps_with_nothing() -> None:
    assert self_overlap(["only one text"]) is None
    assert self_overlap(["two words", "one"]) is None


def test_the_same_text_twice_overlaps_wholly() -> None:
    assert self_overlap(["the cat sat", "The cat, sat!"]) == 1.0


@pytest.mark.parametrize("zero", [0, -1])
def test_a_window_holds_a_word(zero: int) -> None:
    with pytest.raises(ValueError, match="at least 1 word"):
        mattr("a b", zero)


@given(st.lists(st.text(), max_size=5))
def test_shares_lie_between_zero_and_one_for_any_texts(some: list[str]) -> None:
    for share in (self_overlap(some), *(mattr(text, 2) for text in some)):
        assert share is None or 0 <= share <= 1
