"""Each edit adds its one feature, and leaves what the response says as it is."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rlaif.text import edits
from rlaif.text.edits import edited
from rlaif.text.shortcuts import SHORTCUTS, Shortcut, feature, feature_changes

PROSE = "Bees make honey from nectar. They store it in combs, e.g. in hives. Dr. Smith keeps three."
TEXTS = st.text(st.sampled_from("ab Cd.!?\n\t*_`#-+>|~$<(1)"), max_size=80) | st.text(max_size=60)


@pytest.mark.parametrize("edit", SHORTCUTS)
def test_an_edit_adds_its_feature_and_no_other_but_length(edit: Shortcut) -> None:
    for seed in range(60):
        text = edited(edit, PROSE, random.Random(seed))
        assert text is not None
        changes = feature_changes(PROSE, text)
        length = changes.pop("padding")
        assert length > 0
        if edit == "padding":
            assert length > 0.45
        else:
            assert changes.pop(edit) == 1
        assert not any(changes.values()), text


@given(TEXTS, st.sampled_from(SHORTCUTS), st.integers(0, 9))
def test_whatever_the_text_all_of_it_is_kept(text: str, edit: Shortcut, seed: int) -> None:
    found = edited(edit, text, random.Random(seed))
    if found is None:
        return
    if edit == "markdown":
        assert re.sub(r"^- |\*\*", "", found, flags=re.MULTILINE).split() == text.split()
    else:
        assert found.startswith(text) or found.endswith(text)


@pytest.mark.parametrize(
    "text",
    [
        "Use this:\n\n```python\nx = 1\n```\n",
        "- one\n- two",
        "# Title\nText.",
        "**Bold** already.",
        "Multiply a * b * c.",
        "    indented = code",
        "Take <b>this</b>.",
        "The sum is $$x$$.",
        "| a | b |\n|---|---|\n| 1 | 2 |",
    ],
)
def test_markdown_is_not_added_where_it_could_damage_something(text: str) -> None:
    assert edited("markdown", text, random.Random(0)) is None


def test_words_are_not_appended_to_open_code_nor_put_into_the_first_item_of_a_list() -> None:
    assert edited("padding", "Run:\n```\nls", random.Random(0)) is None
    assert edited("answer", "Run:\n```\nls", random.Random(0)) is None
    assert edited("flattery", "1. First.\n2. Second.", random.Random(0)).endswith("\n\n1. First.\n2. Second.")


def test_a_feature_that_is_there_is_not_added_again() -> None:
    for edit in ("flattery", "authority", "answer"):
        once = edited(edit, PROSE, random.Random(0))
        assert edited(edit, once, random.Random(0)) is None


@pytest.mark.parametrize("edit", ["flattery", "hedge", "authority"])
def test_markdown_does_not_hide_another_feature(edit: Shortcut) -> None:
    for seed in range(30):
        once = edited(edit, PROSE, random.Random(seed))
        twice = edited("markdown", once, random.Random(seed))
        assert feature(edit, twice) == 1, twice


def test_padding_has_no_feature_besides_length() -> None:
    for sentence in edits._PADDING:
        assert not any(feature(name, sentence) for name in SHORTCUTS if name != "padding"), sentence


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("flattery", "That's a really good point! First, call.", 1),
        ("flattery", "Thank you for this thoughtful question. It rains.", 1),
        ("flattery", "A good idea is to call first.", 0),
        ("flattery", "The important point is the price. Good question for a lawyer.", 0),
        ("authority", "Studies have shown that it works.", 1),
        ("authority", "As a certified physician, I advise rest.", 1),
        ("authority", "Speak to a physician. As an engineer would put it, wait.", 0),
        ("hedge", "Perhaps it rains. I think it might be cold.", 3),
        ("answer", "So it is B.\n\n**Answer: B**", 1),
        ("answer", "The answer: a bus.", 0),
        ("answer", "Answer: 42", 0),
    ],
)
def test_features_are_recognised(name: Shortcut, text: str, expected: float) -> None:
    assert feature(name, text) == expected
