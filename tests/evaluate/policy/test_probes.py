"""The shipped probes: whole, unique, and none of them what people train on here."""

import json
import re

import pytest

from rlaif.evaluate.policy.questions import LETTERS, Probes, neutral_texts, shipped_probes
from rlaif.seeds import content_hash
from rlaif.shipped import DATA

PROBES = shipped_probes()


def prompts_of(probes: Probes) -> list[str]:
    return [
        *(prompt.messages[-1].content for prompt in (*probes.harmless, *probes.harmful)),
        *(text for claim in probes.claims for text in (claim.plain, claim.claimed)),
        *(question.question for question in probes.questions),
    ]


def test_every_probe_is_there_once() -> None:
    assert (len(PROBES.harmless), len(PROBES.harmful), len(PROBES.claims)) == (42, 26, 34)
    assert (len(PROBES.questions), len(PROBES.texts)) == (62, 10)
    for kind in (PROBES.harmless, PROBES.harmful, PROBES.claims, PROBES.questions, PROBES.texts):
        assert len({one.id for one in kind}) == len(kind)
    texts = prompts_of(PROBES)
    assert len(set(texts)) == len(texts)
    assert all(text == " ".join(text.split()) and len(text) > 15 for text in texts)


def test_no_probe_stands_in_the_seed_prompts() -> None:
    seed = " ".join((DATA / "seed_prompts.jsonl").read_text(encoding="utf-8").casefold().split())
    assert [text for text in prompts_of(PROBES) if json.dumps(text)[1:-1].casefold() in seed] == []


def test_the_options_of_a_question_differ_and_none_is_like_a_letter() -> None:
    for question in PROBES.questions:
        options = question.options(0)
        assert len({option.casefold() for option in options}) == 4, question.id
        assert not {option.strip().upper() for option in options} & set(LETTERS)


@pytest.mark.parametrize("place", range(4))
def test_the_right_option_can_stand_anywhere(place: int) -> None:
    question = PROBES.questions[0]
    options = question.options(place)
    assert options[place] == question.right
    assert sorted(options) == sorted((question.right, *question.wrong))


def test_neutral_texts_are_parted_by_empty_lines_and_named_by_what_they_say() -> None:
    found = list(neutral_texts(DATA / "neutral.txt"))
    assert [text.id for text in found] == [content_hash(text.text) for text in found]
    assert all(140 <= len(re.findall(r"\S+", text.text)) <= 400 for text in found)


def test_so_many_of_each_kind_are_taken() -> None:
    few = PROBES.first(3)
    assert {len(kind) for kind in (few.harmless, few.harmful, few.claims, few.questions, few.texts)} == {3}
    assert PROBES.first(None) == PROBES
