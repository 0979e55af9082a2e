"""Hedges and boilerplate are counted apart and marked where they stand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.text.hedging import hedges


def found(text: str) -> list[tuple[str, str]]:
    return [(text[span.start : span.end], span.kind) for span in hedges(text).spans]


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("The bridge may be closed.", "may be"),
        ("It depends on the soil.", "It depends"),
        ("Perhaps the pump leaks.", "Perhaps"),
        ("I’m not sure that it holds.", "I’m not sure"),
        ("It's hard to say who won.", "It's hard to say"),
        ("The roof seems to leak.", "seems to"),
    ],
)
def test_a_weakened_claim_is_an_epistemic_hedge(text: str, phrase: str) -> None:
    assert found(text) == [(phrase, "epistemic")]


@pytest.mark.parametrize(
    "text",
    [
        "May I come in?",
        "You may enter now.",
        "We met in May and parted in June.",
        "Fairs in May include a regatta.",
        "The might of the river broke the dam.",
        "The likely cause was found.",
        "She depends on her brother.",
        "He could swim at four.",
    ],
)
def test_permission_months_and_powers_are_not_hedges(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("As an AI language model I like tea.", "As an AI language model"),
        ("It’s important to note that tea stains.", "It’s important to note that"),
        ("I hope this helps!", "I hope this helps"),
        ("Please consult a medical\nprofessional.", "consult a medical\nprofessional"),
        ("Feel free to ask.", "Feel free to ask"),
    ],
)
def test_phrases_about_the_answer_are_boilerplate(text: str, phrase: str) -> None:
    assert found(text) == [(phrase, "boilerplate")]


def test_rates_are_phrases_per_hundred_words() -> None:
    hedging = hedges("Perhaps it rains. " + "I hope this helps. " + "Rain falls here. " * 31)
    assert (hedging.epistemic_rate, hedging.boilerplate_rate) == pytest.approx((1.0, 1.0))
    assert hedging.rate == pytest.approx(2.0)


def test_a_text_without_words_has_no_hedges() -> None:
    assert (hedges("").rate, hedges("... !").rate) == (0.0, 0.0)


@given(st.text() | st.lists(st.sampled_from(["may be ", "as an AI ", "perhaps ", "İ", "’", "\n"])).map("".join))
def test_spans_lie_in_the_text_in_order_without_overlap(text: str) -> None:
    end = 0
    for span in hedges(text).spans:
        assert end <= span.start < span.end <= len(text)
        end = span.end


@pytest.mark.parametrize("piece", ["as a ", "i ", "may ", "if you have any ", "consult a ", "a", " ", "it is "])
def test_a_megabyte_comes_to_an_end(piece: str) -> None:
    # A rule that tries again from every place would take hours here.
    assert hedges(piece * (1_000_000 // len(piece))).rate >= 0
