"""Counting by rules that a person can check, in whatever Unicode comes."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.checks import counting
from rlaif.text.diversity import words as plain_words

WORD = st.text("abcxyzäéß猫", min_size=1, max_size=8)
ANYTHING = st.text(st.characters(exclude_categories=()))
"""Half surrogate pairs, too: a model's JSON may hold them."""
BREAKS = st.sampled_from(["\n", "\r\n", "\r", "\u2028", "\u2029", "\n\n", "\n \t\n", "\n\u200b\n"])


@given(st.lists(WORD, max_size=6), BREAKS)
def test_lines_are_counted_with_any_line_ending_and_without_empty_ones(words: list[str], line_break: str):
    assert len(counting.lines(line_break.join(words))) == len(words)
    assert len(counting.lines(line_break + line_break.join(words) + line_break)) == len(words)


@given(st.lists(WORD, max_size=8), st.sampled_from([" ", "\n", ", ", "\u00a0", " – ", "\u3000", "/", "\u200b"]))
def test_words_are_counted_with_any_separator(words: list[str], between: str):
    assert len(counting.words(between.join(words))) == len(words)


@given(ANYTHING)
def test_composed_or_not_the_counts_are_the_same(text: str):
    composed, apart = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert len(counting.words(composed)) == len(counting.words(apart))
    assert counting.characters(composed) == counting.characters(apart)


@given(st.text("ab cd'-.,\n"))
def test_plain_text_has_as_many_words_as_diversity_counts(text: str):
    assert len(counting.words(text)) == len(plain_words(text))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("don't stop", 2),
        ("well-known l’été", 2),
        ("हिन्दी में", 2),
        ("re\u0301sume\u0301", 1),
        ("می\u200cخواهم", 1),
        ("soft\u00adhyphen", 1),
        ("3.5 km", 2),
        ("1,200 or 3.50", 3),
        ("👩‍👩‍👧 🎉", 0),
        ("snake_case", 2),
        ("吾輩は猫である。名前はまだ無い。", 2),
        ("", 0),
    ],
)
def test_words_in_odd_places(text: str, count: int):
    assert len(counting.words(text)) == count


SENTENCE = st.sampled_from(["Rain falls", "Dogs bark at 3.5 m", "Mr. Fox ran", "So we wait, e.g. here", "It was no"])


@given(st.lists(SENTENCE, max_size=6))
def test_sentences_are_counted_as_they_were_written(parts: list[str]):
    for mark in (".", "!", "?", "…", "?!", '."', ".)"):
        assert len(counting.sentences(" ".join(part + mark for part in parts))) == len(parts)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("One line\nAnother line", 2),
        ("A line that was\nwrapped here.", 1),
        ("1. Wash.\n2. Dry.", 2),
        ("Dr. Who met J. Smith at 5 p.m. today.", 1),
        ("吾輩は猫である。名前はまだ無い。", 2),
        ("यह एक वाक्य है। यह दूसरा है।", 2),
        ("هل أنت هنا؟ نعم.", 2),
        ("... !!! 42", 0),
        ("Wait... what?", 2),
        ("", 0),
    ],
)
def test_sentences_in_odd_places(text: str, count: int):
    assert len(counting.sentences(text)) == count


@pytest.mark.parametrize(("text", "count"), [(" é ", 1), ("e\u0301", 1), ("👩‍👩‍👧", 5), ("", 0), ("a b\n", 3)])
def test_characters(text: str, count: int):
    assert counting.characters(text) == count


@given(ANYTHING)
def test_any_text_is_counted(text: str):
    assert 0 <= len(counting.sentences(text)) <= max(1, counting.characters(text))
    assert len(counting.lines(text)) <= len(text)


@pytest.mark.parametrize("text", ["." * 200_000, '."' * 100_000 + "x", "a\n" * 50_000, "'" * 200_000, "a-" * 100_000])
def test_counting_is_fast_for_any_text(text: str):
    """Quadratic time would take minutes here."""
    assert counting.sentences(text) is not None
    assert counting.words(text) is not None
    assert counting.lines(text)
