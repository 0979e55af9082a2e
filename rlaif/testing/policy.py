"""The simulated policy: responses, critiques and revisions, choices among options, log-probabilities of texts.

Tokens are words with the white space before them.
"""

import math
import random
import re
from collections.abc import Collection
from itertools import pairwise
from typing import Any

from rlaif.seeds import canonical_json, content_hash
from rlaif.testing.request_kind import after_fences, fenced, kind_of, options_of, question_of, tag_of
from rlaif.testing.simulated_model import REVISED, SimulatedModel, heavy_tailed
from rlaif.text.edits import edited

WORDS = (
    "first", "then", "because", "water", "light", "answer", "reason", "small", "table", "garden",
    "letter", "number", "careful", "question", "window", "river", "simple", "measure", "paper", "morning",
    "result", "method", "clear", "direct", "example", "person", "safe", "open", "bread", "street",
)  # fmt: skip
_TOKEN = re.compile(r"\s*\S+")
_BRACKETS_APART = re.compile(r"\s*[<\[]|\s*[^\s<\[]+")
LETTERS = "ABCD"


def written(model: SimulatedModel, body: dict[str, Any], index: int) -> dict[str, Any]:
    """Return the choice with number `index`: a response, a critique or a revision."""
    kind, question = kind_of(body), question_of(body)
    index = index if model.variety is None else index % model.variety
    seed = body.get("seed", 0)
    seed, index = (seed + index, 0) if model.continues else (seed, index)
    rng = model.rng(canonical_json(body["messages"]), seed, index)
    words = rng.choices(WORDS, k=max(3, round(rng.gauss(model.words, model.words / 4))))
    text = " ".join(words).capitalize()
    if model.lines > 1 and kind != "critique":
        text = _on_lines(words, rng.randint(1, model.lines))
    if kind == "sample":
        mean = model.quality_mean + model.quality_per_length * math.log(len(words) / max(1, model.words))
        drawn = model.rng("features", canonical_json(body["messages"]), seed, index)
        manners = [name for name, share in model.features.items() if drawn.random() < share]
        mean += sum(model.quality_per_feature.get(name, 0.0) for name in manners)
        text += f" (quality {mean + model.quality_sd * heavy_tailed(model.quality_tails, rng):+.4f})."
        for name in manners:
            text = edited(name, text, drawn) or text
        text = _with_habits(model, question, text, rng)
    elif kind == "revise":
        text = model.revisions_begin.replace("TAG", tag_of(question)) + (
            after_fences(question) if model.revisions_copy else text
        )
        parent = model.quality(fenced(question).get("answer", ""))
        mark = REVISED if model.revision_preference else ""
        text += f" {mark}(quality {rng.gauss(parent + model.revision_gain, model.quality_sd / 4):+.4f})."
    cut = len(words) > body.get("max_tokens", 10**6)
    if cut and model.continues:
        text = "".join(words_of(text)[: body["max_tokens"]])
    ids = token_ids(text) if body.get("return_token_ids") else None
    choice = {**text_choice(text), "finish_reason": "length" if cut else "stop", "token_ids": ids}
    if model.thinks and kind != "critique":
        choice["message"]["reasoning_content"] = f"Thought {rng.randrange(10**6)} about it."
        if rng.random() < model.cut_while_thinking:
            choice |= {"finish_reason": "length", "message": choice["message"] | {"content": None}}
    return choice


def _on_lines(words: list[str], count: int) -> str:
    """Return the words on `count` lines of about the same length."""
    ends = [round(len(words) * place / count) for place in range(count + 1)]
    return "\n".join(" ".join(words[start:end]).capitalize() for start, end in pairwise(ends))


def _with_habits(model: SimulatedModel, prompt: str, text: str, rng: random.Random) -> str:
    for habit in model.habits:
        drawn = rng.random()
        if drawn < habit.share and (not habit.to or prompt in habit.to):
            text = habit.says if habit.alone else f"{habit.says} {text}"
    return text


def text_choice(text: str) -> dict[str, Any]:
    """Return a choice with this text."""
    return {"message": {"role": "assistant", "content": text}, "finish_reason": "stop", "logprobs": None}


def letter_probabilities(model: SimulatedModel, body: dict[str, Any]) -> list[tuple[str, float]]:
    """Return (letter, probability) of every option, the most likely first; equal ones without knowledge."""
    question, knowledge = question_of(body), model.knowledge
    right = [letter for letter, text in options_of(question).items() if knowledge and text in knowledge.right]
    if knowledge is None or len(right) != 1:
        return [(letter, model.label_mass * (1 / len(LETTERS))) for letter in LETTERS]
    rng = model.rng("choice", question)
    wrong = [letter for letter in LETTERS if letter != right[0]]
    chosen = right[0] if rng.random() < knowledge.accuracy else rng.choice(wrong)
    rest = (1 - knowledge.confidence) / (len(LETTERS) - 1)
    others = [(letter, model.label_mass * rest) for letter in LETTERS if letter != chosen]
    return [(chosen, model.label_mass * knowledge.confidence), *others]


def words_of(text: str) -> list[str]:
    """Return the tokens of a text: words with the white space before them."""
    return _TOKEN.findall(text)


def tokens_of(text: str, control: Collection[str]) -> list[str]:
    """Return the same, but brackets apart, as real tokenizers do, unless they are one of the control tokens."""
    return [text] if text in control else _BRACKETS_APART.findall(text)


def token_id(word: str) -> int:
    """Return the id of a token."""
    return int(content_hash(word, digits=6), 16)


def token_ids(text: str) -> list[int]:
    """Return an id for every word."""
    return [token_id(word) for word in words_of(text)]


def scored(model: SimulatedModel, prompt: str | list[int]) -> dict[str, Any]:
    """Return the choice of a completion that scores its prompt: about `-nats` per token.

    The deviations depend on the text; half of their variance is shared by all simulated models.
    """
    text = isinstance(prompt, str)
    tokens = token_ids(prompt) if isinstance(prompt, str) else prompt
    nats = model.nats if text else model.nats_of_answers
    seed = hash(tuple(tokens))  # a hash of integers is the same in every process
    shared, own = random.Random(seed), random.Random(hash((seed, model.seed)))
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
