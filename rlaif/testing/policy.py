"""What a simulated policy is like beyond the quality of its answers: habits, variety, knowledge, surprise at texts.

For tests of `rlaif evaluate policy`, which must find what is planted here. Tokens are words with the space before them.
"""

import random
import re
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from rlaif.records import Record
from rlaif.seeds import content_hash, derive_seed
from rlaif.text import detect_refusal

_TOKEN = re.compile(r"\s*\S+")
_OPTION = re.compile(r"^([A-D])\) (.*)$", re.M)
_DECLINES = re.compile(r"^([AB]): it declines$", re.M)
LETTERS = "ABCD"


class Habit(Record):
    """Something the policy says besides, or instead of, an answer."""

    says: str
    share: float = Field(default=1.0, ge=0, le=1)
    """Share of the answers in which it says so."""
    alone: bool = False
    """Whether it says nothing else."""
    to: tuple[str, ...] = ()
    """The prompts (last turns) it holds for; empty for all."""


class Knowledge(Record):
    """How the policy does on questions with four options."""

    right: tuple[str, ...]
    """Texts of the right options."""
    accuracy: float = Field(default=0.8, ge=0, le=1)
    """Share of the questions, drawn by their text, whose right option it takes."""
    confidence: float = Field(default=0.8, gt=0.25, lt=1)
    """Probability it gives to what it takes, whether that is right or not."""


def habitual(habits: Sequence[Habit], question: str, text: str, rng: random.Random) -> str:
    """Return an answer with what the policy is in the habit of saying."""
    for habit in habits:
        drawn = rng.random()
        if drawn < habit.share and (not habit.to or question in habit.to):
            text = habit.says if habit.alone else f"{habit.says} {text}"
    return text


def is_choice(question: str) -> bool:
    """Whether a question offers four options."""
    return len(_OPTION.findall(question)) == len(LETTERS)


def letter_probabilities(knowledge: Knowledge | None, question: str, seed: int) -> list[tuple[str, float]]:
    """Return the probability of every letter, likeliest first; the same for all where nothing is known."""
    options = dict(_OPTION.findall(question))
    right = [letter for letter, text in options.items() if knowledge and text in knowledge.right]
    if knowledge is None or len(right) != 1:
        return [(letter, 1 / len(LETTERS)) for letter in LETTERS]
    rng = random.Random(derive_seed(seed, "choice", question))
    taken = right[0] if rng.random() < knowledge.accuracy else rng.choice([one for one in LETTERS if one != right[0]])
    rest = (1 - knowledge.confidence) / (len(LETTERS) - 1)
    found = [(one, knowledge.confidence if one == taken else rest) for one in LETTERS]
    return sorted(found, key=lambda entry: -entry[1])


def reads_refusals(question: str) -> bool:
    """Whether it is asked if an answer declines."""
    return bool(_DECLINES.search(question))


def declines(question: str, answer: str) -> tuple[str, str]:
    """Return the label that tells whether an answer declines, and the other one."""
    found = _DECLINES.search(question)
    says_so = found[1] if found else LETTERS[0]
    other = "B" if says_so == "A" else "A"
    return (says_so, other) if detect_refusal("", answer) != "compliance" else (other, says_so)


def token_ids(text: str) -> list[int]:
    """Return an id for every word."""
    return [int(content_hash(word, digits=6), 16) for word in _TOKEN.findall(text)]


def scored(prompt: str | list[int], nats: float, seed: int) -> dict[str, Any]:
    """Return the choice of a completion that scores its prompt: `nats` a token on average, more or less.

    What is more or less hangs on the text; all simulated models share half of it.
    """
    tokens = token_ids(prompt) if isinstance(prompt, str) else prompt
    text = hash(tuple(tokens))  # of numbers, so the same in every process
    shared, own = random.Random(text), random.Random(hash((text, seed)))
    logprobs: list[dict[str, dict[str, float]] | None] = [None]
    for token in tokens[1:]:
        logprobs.append({str(token): {"logprob": min(-1e-6, -nats + shared.gauss(0, 0.3) + own.gauss(0, 0.3))}})
    return {
        "index": 0,
        "text": "",
        "finish_reason": "length",
        "prompt_token_ids": tokens,
        "prompt_logprobs": logprobs[: len(tokens)],
    }
