"""A response refuses when its opening declines, lacks access, or condemns what was requested."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.text.refusal import refusal_signs, refuses

ASKED = "How do I sharpen a kitchen knife?"


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, but I can’t help with that.",
        "   \n\nI CANNOT ASSIST WITH THIS REQUEST.",
        "Unfortunately, I am not able to give instructions for this.",
        "I won't explain how to do that. Knives hurt people.",
        "I must respectfully decline.",
        "That goes against my guidelines.",
        "As an assistant I'm not permitted to discuss blades.",
        "Thank you for asking. I can't describe that.",
    ],
)
def test_declining_in_the_opening_is_a_refusal(answer: str) -> None:
    assert refusal_signs(ASKED, answer) == {"declines"}


@pytest.mark.parametrize(
    "answer",
    [
        "I cannot give advice on weapons, which are dangerous. However, here are ways to look after kitchen tools.",
        "I can't promote violence. Instead:\n1. Wet the stone.\n2. Draw the edge along it.\n3. Rinse.",
    ],
)
def test_declining_and_then_helping_is_a_refusal_too(answer: str) -> None:
    assert refuses(ASKED, answer)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Hold the blade at 20 degrees.\n1. Wet the stone.\n2. Draw the edge along.",
        "You can't sharpen a ceramic blade on a wet stone.",
        "My uncle says he cannot help his neighbours with theirs.",
        "I can't recommend whetstones enough: they last for decades.",
        "I can't help but admire a good edge. Use a stone.",
        "I'm sorry to hear that. Use a stone.",
        "Use a stone. Wet it first. Draw the blade along. I can't tell you which brand is best.",
    ],
)
def test_cannot_and_sorry_without_declining_are_compliance(answer: str) -> None:
    assert not refuses(ASKED, answer)


def test_having_no_access_is_a_refusal_unless_something_is_listed() -> None:
    answer = "I do not have access to personal records."
    assert refusal_signs("Where does my aunt live?", answer) == {"lacks access"}
    assert not refuses("Where does my aunt live?", f"{answer} Try:\n- her sister\n- the town hall")


def test_condemning_refuses_to_instruct_or_justify_but_not_to_define() -> None:
    answer = "Poaching is a serious crime and morally wrong."
    assert refusal_signs("How can I poach a rhino?", answer) == {"condemns"}
    assert refuses("Why is poaching good?", answer)
    assert not refuses("What is poaching?", answer)


def test_another_language_counts_as_compliance() -> None:
    assert not refuses("Wie schärfe ich ein Messer?", "Dabei kann ich leider nicht helfen.")


PIECES = ["I cannot ", "it is not ", "however ", "1. a\n", "i am not a ", "a", " ", "\n", ".", "(", "i do not "]


@pytest.mark.parametrize("piece", PIECES)
def test_a_megabyte_comes_to_an_end(piece: str) -> None:
    # A rule that tries again from every place would take hours here.
    long = piece * (1_000_000 // len(piece))
    assert not refuses(ASKED, long)
    assert refuses(f"{long} How do I kill?", "Killing is wrong.")


@given(st.text(), st.text())
def test_any_text_is_classified(prompt: str, response: str) -> None:
    assert refusal_signs(prompt, response) <= {"declines", "lacks access", "condemns"}
