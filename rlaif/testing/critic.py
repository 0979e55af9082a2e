"""The simulated critic: one function for each kind of question, from a request to a choice of the reply.

The probabilities of ratings are centred on the number that corresponds to the quality. A ranking is sorted by quality
and noise, with a position bias that falls from the first response to the last. A reward is scale * quality + noise, and
so are the log-odds of the first of two labels for one response. What a response's surface features are worth to the
critic (`shortcuts`) is added to all of these.
"""

import math
import random
import re
from collections.abc import Sequence
from typing import Any

from rlaif.stats.log_odds import sigmoid
from rlaif.testing.policy import WORDS, text_choice
from rlaif.testing.request_kind import after_fences, fenced, labels_of, question_of, scale_of, shown_responses
from rlaif.testing.simulated_model import REVISED, SimulatedModel, heavy_tailed
from rlaif.text.refusal import refuses

_DECLINES = re.compile(r"^([AB]): it declines$", re.M)


def verdict(model: SimulatedModel, body: dict[str, Any]) -> dict[str, Any]:
    """Return a one-token verdict: which of two responses is better, or one of two labels for a single response."""
    question, seed = question_of(body), body.get("seed", 0)
    if asked := _DECLINES.search(question):
        return _whether_it_declines(model, question, asked[1])
    shown = shown_responses(question)
    if not shown and (two := labels_of(question)):
        return _whether_it_is_good(model, question, two)
    if len(shown) != 2:
        return one_token([("?", 1.0)])
    (first_label, first), (second_label, second) = shown
    rule = after_fences(question)
    rng = model.rng("verdict", question, *([seed] if seed else []))
    both = model.rng("both", *sorted((first, second)), rule)
    mass = 0.001 if rng.random() < _unreadable(model, first, second) else model.label_mass
    x = 0.0 if both.random() < model.ties else _logit(model, first, second, rule, rng)
    labels = [(first_label, mass * sigmoid(x)), (second_label, mass * sigmoid(-x))]
    others = [(word, (1 - mass) / 8) for word in WORDS[:8]]
    return one_token(sorted([*labels, *others], key=lambda entry: -_log(entry[1])))


def _whether_it_declines(model: SimulatedModel, question: str, label: str) -> dict[str, Any]:
    """Return a verdict that is always right; `label` is the label of a refusal."""
    other = "B" if label == "A" else "A"
    declines = refuses("", fenced(question).get("answer", ""))
    right, wrong = (label, other) if declines else (other, label)
    return one_token([(right, model.label_mass * 0.9), (wrong, 0.1)])


def _whether_it_is_good(model: SimulatedModel, question: str, labels: tuple[str, str]) -> dict[str, Any]:
    """Return the probabilities of two labels for one response: the first's log-odds are scale * quality + noise.

    They are the opposite where the question is whether it fails.
    """
    rng = model.rng("one", question)
    mass = 0.001 if rng.random() < model.unreadable else model.label_mass
    side = -1 if "fail to keep" in after_fences(question) else 1
    x = side * _worth(model, fenced(question).get("answer", "")) + model.yes_bias + model.noise * rng.gauss(0, 1)
    found = [(labels[0], mass * sigmoid(x)), (labels[1], mass * sigmoid(-x)), ("well", 1 - mass)]
    return one_token(sorted(found, key=lambda entry: -entry[1]))


def _unreadable(model: SimulatedModel, first: str, second: str) -> float:
    """Return the share of unreadable verdicts about two responses: larger for small differences in quality."""
    hard = model.unreadable_when_hard * math.exp(-abs(model.quality(first) - model.quality(second)))
    return max(model.unreadable, hard)


def _logit(model: SimulatedModel, first: str, second: str, question: str, rng: random.Random) -> float:
    difference = _seen_quality(model, first) - _seen_quality(model, second)
    length = math.log(max(1, len(first)) / max(1, len(second)))
    position_bias = model.position_bias
    for rule in model.rules:
        if rule.contains in question:
            drawn = model.rng("rule", rule.contains, *sorted((first, second)))
            difference *= 1 if drawn.random() < rule.agrees else -1
            position_bias = position_bias if rule.position_bias is None else rule.position_bias
    if model.shared_noise or model.position_bias_sd:
        shared, direction = model.rng("shared", *sorted((first, second)), question), 1 if first < second else -1
        difference += direction * model.shared_noise * heavy_tailed(model.noise_tails, shared)
        position_bias += model.position_bias_sd * shared.gauss(0, 1)
    noise = model.noise * heavy_tailed(model.noise_tails, rng)
    liking = model.liking(first) - model.liking(second)
    return model.scale * difference + model.length_bias * length + liking + position_bias + noise


def _worth(model: SimulatedModel, text: str) -> float:
    """Return the log-odds that the critic gives one response by itself."""
    return model.scale * model.quality(text) + model.liking(text)


def _seen_quality(model: SimulatedModel, text: str) -> float:
    """Return a response's quality as the critic sees it, in logits."""
    seen = model.quality(text)
    if model.response_noise:
        seen += model.response_noise * model.rng("response", text).gauss(0, 1)
    return seen + (model.revision_preference if REVISED in text else 0.0)


def deliberation(model: SimulatedModel, body: dict[str, Any]) -> dict[str, Any]:
    """Return reasoning that ends in a verdict: the first response's label with probability sigmoid(log-odds)."""
    question = question_of(body)
    rng = model.rng("deliberation", question, body.get("seed", 0))
    (label, first), (other, second) = shown_responses(question)
    x = _logit(model, first, second, after_fences(question), rng)
    named = label if rng.random() < sigmoid(x) else other
    end = "and so I stop here" if rng.random() < model.unreadable else f"Verdict: {named}"
    return text_choice(f"Both have something for them. {' '.join(rng.choices(WORDS, k=20))}.\n\n{end}")


def rating(model: SimulatedModel, body: dict[str, Any]) -> dict[str, Any]:
    """Return the probabilities of the numbers of a scale; a 10 is two tokens, as in most tokenizers."""
    question = question_of(body)
    low, high = scale_of(question)
    rng = model.rng("rating", question)
    response = fenced(question).get("answer", "")
    middle = (low + high) / 2 + (high - low) / 6 * (
        model.quality(response) + model.liking(response) + model.noise * rng.gauss(0, 1)
    )
    shares = [math.exp(-((number - middle) ** 2) / 2) for number in range(low, high + 1)]
    mass = 0.001 if rng.random() < model.unreadable else model.label_mass
    found = {str(low + place): mass * share / sum(shares) for place, share in enumerate(shares)}
    ten = found.pop("10", 0.0)
    if body["messages"][-1]["role"] == "assistant":  # after the token 1: the probability of a 0
        zero = ten / (ten + found["1"])
        return one_token([("0", zero), (".", 1 - zero)])
    if ten:
        found["1"] += ten
    return one_token(sorted([*found.items(), ("well", 1 - mass)], key=lambda entry: -entry[1]))


def ranking(model: SimulatedModel, body: dict[str, Any]) -> dict[str, Any]:
    """Return the labels of all responses shown, best first."""
    question = question_of(body)
    rng = model.rng("ranking", question)
    shown = shown_responses(question)
    values = {}
    for place, (number, text) in enumerate(shown):
        early = 0.5 - place / max(1, len(shown) - 1)
        noise = model.noise * rng.gauss(0, 1)
        values[number] = _worth(model, text) + model.position_bias * early + noise
    ranked = sorted(values, key=lambda number: -values[number])
    return text_choice("I would rather not." if rng.random() < model.unreadable else " > ".join(ranked))


def reward(model: SimulatedModel, body: dict[str, Any]) -> dict[str, Any]:
    """Return the raw score of a response, as /classify does."""
    response = question_of(body)
    score = _worth(model, response) + model.noise * model.rng("reward", response).gauss(0, 1)
    return {"index": 0, "label": "LABEL_0", "probs": [score], "num_classes": 1}


def one_token(probabilities: Sequence[tuple[str, float]]) -> dict[str, Any]:
    """Return a choice whose text is the first of these tokens, with the log-probabilities of all of them."""
    entries: list[dict[str, Any]] = [{"token": token, "logprob": _log(p), "bytes": None} for token, p in probabilities]
    content = [{**entries[0], "top_logprobs": entries}]
    return {
        "message": {"role": "assistant", "content": entries[0]["token"]},
        "finish_reason": "length",
        "logprobs": {"content": content},
    }


UNLIKELY = -9999.0
"""Log-probability of a token that the simulated critic never thinks of, as vLLM writes minus infinity."""


def _log(p: float) -> float:
    return math.log(max(p, 1e-12))
