"""Phrases that became typical: found where they were put, and nothing where there is nothing."""

import math
import random

import pytest

from rlaif.evaluate.policy.response_style import typical_phrases

WORDS = [f"word{n}" for n in range(60)]


def answers(seed: int, prompts: int = 80, phrase: str = "", share: float = 0.0, times: int = 1) -> list[list[str]]:
    rng = random.Random(seed)
    return [
        [" ".join(rng.choices(WORDS, k=30)) + (f". {phrase}" * times if rng.random() < share else "") for _ in range(2)]
        for _ in range(prompts)
    ]


def both(base: list[list[str]], tuned: list[list[str]]) -> list[dict[str, list[str]]]:
    return [{"base": one, "tuned": other} for one, other in zip(base, tuned, strict=True)]


def test_a_planted_phrase_is_named_whole_and_nothing_else() -> None:
    found = typical_phrases(both(answers(1), answers(2, phrase="I hope this helps", share=0.3)))
    assert {phrase.text for phrase in found.gained} == {"i hope this", "hope this helps"}
    assert found.lost == ()
    one = found.gained[0]
    assert (one.base, one.z > found.threshold > 1) == (0, True)


def test_a_phrase_that_went_is_typical_of_the_base() -> None:
    found = typical_phrases(both(answers(1, phrase="of course", share=0.3), answers(2)))
    assert [phrase.text for phrase in found.lost] == ["of course"]
    assert found.gained == ()


def test_a_prompt_counts_once_however_often_its_answers_repeat_a_phrase() -> None:
    tuned = answers(2)
    tuned[0] = [text + ". as an expert" * 50 for text in tuned[0]]
    assert typical_phrases(both(answers(1), tuned)).gained == ()


def test_the_same_answers_have_no_typical_phrase() -> None:
    found = typical_phrases(both(answers(1), answers(1)))
    assert (found.gained, found.lost, found.threshold) == ((), (), 0)
    assert found.looked_at > 50


def test_two_draws_of_the_same_kind_rarely_have_one() -> None:
    named = [typical_phrases(both(answers(seed, prompts=40), answers(seed + 1000, prompts=40))) for seed in range(20)]
    assert sum(bool(found.gained or found.lost) for found in named) <= 4  # expected: 1 of 20


def test_the_z_score_is_that_of_monroe_and_others() -> None:
    found = typical_phrases(both([["a b"]] * 80, [["a b"]] * 20 + [["a"]] * 60))
    # Of single words the base says a 80 and b 80 times, the tuned model a 80 and b 20; the prior is a tenth of both.
    base, tuned, prior = 80, 20, 10
    base_others, tuned_others = 160 + 26 - base - prior, 100 + 26 - tuned - prior
    odds = math.log((tuned + prior) / tuned_others) - math.log((base + prior) / base_others)
    (b,) = [one for one in found.lost if one.text == "b"]
    assert b.log_odds == pytest.approx(odds)
    assert b.z == pytest.approx(odds / math.sqrt(1 / (tuned + prior) + 1 / (base + prior)))
    assert (b.base, b.tuned) == (80, 20)


def test_no_answers_no_phrases() -> None:
    assert typical_phrases([]).looked_at == 0
    assert typical_phrases([{"base": [""], "tuned": [""]}]).gained == ()
