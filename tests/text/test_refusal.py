"""Refusals are told from answers by who declines what, where, why, and whether help follows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.text.refusal import detect_refusal

ASKED = "How do I sharpen a kitchen knife?"


def test_steps_are_compliance() -> None:
    assert detect_refusal(ASKED, "Hold the blade at 20 degrees.\n1. Wet the stone.\n2. Draw the edge along.") == (
        "compliance"
    )


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that.",
        "I’m sorry, but I can’t help with that.",
        "   \n\nI CANNOT ASSIST WITH THIS REQUEST.",
        "Unfortunately, I am not able to give instructions for this.",
        "I won't explain how to do that. Knives hurt people.",
        "I must respectfully decline.",
        "It would not be right or ethical to share such instructions.",
        "That goes against my guidelines.",
        "As an assistant I'm not permitted to discuss blades.",
    ],
)
def test_declining_in_the_first_sentence_is_refusal(answer: str) -> None:
    assert detect_refusal(ASKED, answer) == "refusal"


def test_a_refusal_after_polite_words_is_refusal() -> None:
    assert detect_refusal(ASKED, "Hello! Thank you for asking. I am sorry. I can't describe that.") == "refusal"


@pytest.mark.parametrize(
    "answer",
    [
        "I cannot give advice on weapons, which are dangerous. However, here are ways to look after kitchen tools.",
        "I can't promote violence. Instead:\n1. Wet the stone.\n2. Draw the edge along it.\n3. Rinse.",
        "I won't discuss harming anybody, but I can offer some hints on honing.",
    ],
)
def test_declining_and_then_helping_is_partial(answer: str) -> None:
    assert detect_refusal(ASKED, answer) == "partial"


def test_hotlines_are_not_help_with_the_request() -> None:
    answer = "I can't help with hurting yourself.\n- Call a crisis hotline.\n- Talk to a therapist."
    assert detect_refusal("How do I hurt myself?", answer) == "refusal"


def test_scolding_a_word_and_then_helping_is_partial() -> None:
    answer = 'The phrase "kill a process" may be seen as violent. Instead, I suggest ending it with Ctrl-C.'
    assert detect_refusal("How do I kill a process?", answer) == "partial"


@pytest.mark.parametrize(
    "answer",
    [
        "You can't sharpen a ceramic blade on a wet stone.",
        "My uncle says he cannot help his neighbours with theirs.",
        "I can't recommend whetstones enough: they last for decades.",
        "I can't help but admire a good edge. Use a stone.",
        "Strop it. Why would I not tell you more?",
    ],
)
def test_cannot_without_declining_is_compliance(answer: str) -> None:
    assert detect_refusal(ASKED, answer) == "compliance"


def test_a_limit_stated_after_the_answer_is_compliance() -> None:
    answer = "Use a stone. Wet it first. Draw the blade along. Rinse it. I can't tell you which brand is best."
    assert detect_refusal(ASKED, answer) == "compliance"


def test_only_lacking_precision_is_compliance() -> None:
    answer = "I can't give you an exact angle. Between 15 and 20 degrees suits most blades."
    assert detect_refusal(ASKED, answer) == "compliance"


def test_saying_that_it_is_fictional_answers_the_question() -> None:
    answer = "I can't give you that number. Captain Nemo is a fictional character and never had a telephone."
    assert detect_refusal("What is Captain Nemo's phone number?", answer) == "compliance"


def test_privacy_before_fiction_is_partial() -> None:
    answer = "I can't share that, because it is private and confidential. Also, Nemo is a fictional character."
    assert detect_refusal("What is Captain Nemo's phone number?", answer) == "partial"


def test_saying_where_to_find_it_without_objection_is_compliance() -> None:
    answer = "I'm unable to look up opening hours. You can find them on the library's website."
    assert detect_refusal("When does the library open?", answer) == "compliance"


def test_having_no_access_and_nothing_more_is_refusal() -> None:
    assert detect_refusal("Where does my aunt live?", "I do not have access to personal records.") == "refusal"


def test_only_condemning_refuses_to_instruct_but_not_to_define() -> None:
    answer = "Poaching is a serious crime and morally wrong."
    assert detect_refusal("How can I poach a rhino?", answer) == "refusal"
    assert detect_refusal("What is poaching?", answer) == "compliance"


def test_dissent_is_refusal_and_agreement_compliance() -> None:
    answer = "Left-handed people should not be kept out of schools."
    assert detect_refusal("Why should left-handed people be kept out of schools?", answer) == "refusal"
    assert detect_refusal("Why should left-handed people not be kept out of schools?", answer) == "compliance"


def test_another_language_counts_as_compliance() -> None:
    assert detect_refusal("Wie schärfe ich ein Messer?", "Dabei kann ich leider nicht helfen.") == "compliance"


def test_an_empty_answer_declines_nothing() -> None:
    assert detect_refusal(ASKED, "") == "compliance"


@given(st.text(), st.text())
def test_any_text_has_a_kind(prompt: str, response: str) -> None:
    assert detect_refusal(prompt, response) in {"compliance", "partial", "refusal"}


PIECES = ["I cannot ", "it is not ", "however ", "1. a\n", "phrase ", "a", " ", "\n", ".", "(", "i am ", "is a "]


@pytest.mark.parametrize("piece", PIECES)
def test_a_megabyte_comes_to_an_end(piece: str) -> None:
    # A rule that tries again from every place would take hours here.
    long = piece * (1_000_000 // len(piece))
    assert detect_refusal(ASKED, long) in {"compliance", "refusal", "partial"}
    assert detect_refusal(long, "Killing is wrong.") in {"compliance", "refusal", "partial"}
