"""Measure changes of a model's probabilities: knowledge and its calibration, and the distance from the base.

*Knowledge.* Questions with four options, from the first token's probabilities of the four letters, normalised to sum to
one. Brier score: sum over the options of (probability - 1 if right, else 0) squared, 0 to 2 (Brier 1950). Expected
calibration error: mean distance of confidence and accuracy over ten bins of confidence from 0.25 to 1 (Naeini, Cooper &
Hauskrecht 2015). A question without a reported probability of any letter is unreadable, not wrong.

*Drift.* Perplexity: exp of the mean negative log-probability of all tokens of a neutral text but the first. Divergence:
both models score the tuned model's own responses, sampled at temperature 1; the mean of ln p_tuned - ln p_base is an
unbiased Monte Carlo estimate of KL(tuned || base) per token. Both need the same tokens from both models, which is
checked on the neutral texts; nats per character need no such check.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from rlaif.evaluate.calibration import BINS, ERROR_KEYS, error_of_totals
from rlaif.evaluate.policy.gains_and_losses import (
    SIDES,
    Line,
    Measure,
    Side,
    function_line,
    line_of,
    not_measured,
    paired_tallies,
    ratio_line,
)
from rlaif.evaluate.policy.outputs import ChoiceLogprobs, TextLogprobs
from rlaif.evaluate.policy.questions import LETTERS
from rlaif.records import Record
from rlaif.stats.estimates import Array, Estimate, Tallies, Tally

GUESSING = 1 / len(LETTERS)
OTHER_TOKENS = "the two models tokenise texts differently"

ACCURACY = Measure("accuracy", "knowledge", "questions with four options answered right", "higher")
BRIER = Measure("brier", "knowledge", "Brier score on these questions (0 best, 0.75 guessing)", "lower", "number")
CALIBRATION = Measure(
    "calibration",
    "knowledge",
    "calibration error on these questions",
    "lower",
    "number",
    "never negative, so above 0 even for a calibrated model",
)
OVERCONFIDENCE = Measure(
    "overconfidence", "knowledge", "confidence minus share right on these questions", unit="number"
)
LETTER_MASS = Measure("letter-mass", "knowledge", "probability that falls on the four letters", unit="number")

PERPLEXITY = Measure("perplexity", "drift", "perplexity of neutral texts", "lower", "number")
SURPRISE = Measure("surprise", "drift", "loss on neutral texts, nats per character", "lower", "nats")
DIVERGENCE = Measure("divergence", "drift", "divergence from the base, nats per token", unit="nats")
DIVERGENCE_ANSWER = Measure("divergence-answer", "drift", "divergence from the base, nats per response", unit="nats")


class ChoiceBin(Record):
    """The questions whose confidence is in one bin."""

    low: float
    high: float
    questions: int
    confidence: float | None
    """Mean confidence; None where there are no questions."""
    right: Estimate
    """Share of the questions that is right."""


def letter_probabilities(choice: ChoiceLogprobs) -> list[float] | None:
    """Return the four letters' probabilities, normalised to sum to one; None where no letter was reported."""
    masses = [0.0 if one is None else math.exp(one) for one in choice.letters.logprobs]
    total = sum(masses)
    return [mass / total for mass in masses] if total > 0 else None


def tally_choice(choice: ChoiceLogprobs) -> Tally:
    """Return the tally of one question."""
    tally = Tally({"asked": 1, "mass": choice.letters.label_mass})
    found = letter_probabilities(choice)
    if found is None:
        return tally
    best = max(found)
    # A tie of k letters counts as 1 / k right if the right letter is among them.
    right = (found[choice.place] == best) / found.count(best)
    bin_ = min(BINS - 1, int((best - GUESSING) / (1 - GUESSING) * BINS + 1e-9))
    tally.add(
        {
            "read": 1,
            "right": right,
            "over": best - right,
            "squared": sum((p - (place == choice.place)) ** 2 for place, p in enumerate(found)),
            ("n", bin_): 1,
            ("confidence", bin_): best,
            ("right", bin_): right,
        }
    )
    return tally


def tallies_of_choices(asked: Sequence[Mapping[Side, ChoiceLogprobs]]) -> Tallies:
    """Return the tallies of both models' letters, question by question."""
    return paired_tallies([{side: tally_choice(both[side]) for side in SIDES} for both in asked])


def choice_lines(found: Tallies) -> list[Line]:
    """Return the lines on the questions with four options."""
    return [
        ratio_line(found, ACCURACY, "right", "read"),
        ratio_line(found, BRIER, "squared", "read"),
        function_line(found, CALIBRATION, error_of_totals, [*ERROR_KEYS, "read"], of="read"),
        ratio_line(found, OVERCONFIDENCE, "over", "read"),
        ratio_line(found, LETTER_MASS, "mass", "asked"),
    ]


def reliability_of(found: Tallies, side: Side) -> tuple[ChoiceBin, ...]:
    """Return one model's reliability table."""
    return tuple(_bin(found, side, number) for number in range(BINS))


def _bin(found: Tallies, side: Side, number: int) -> ChoiceBin:
    count = found.total((side, ("n", number)))
    return ChoiceBin(
        low=GUESSING + number * (1 - GUESSING) / BINS,
        high=GUESSING + (number + 1) * (1 - GUESSING) / BINS,
        questions=int(count),
        confidence=found.total((side, ("confidence", number))) / count if count else None,
        right=found.ratio((side, ("right", number)), (side, ("n", number))),
    )


def same_tokens(texts: Sequence[Mapping[Side, TextLogprobs]]) -> bool:
    """Whether both models have the same tokens for all texts."""
    return all(both["base"].tokens == both["tuned"].tokens for both in texts)


def perplexity_lines(texts: Sequence[Mapping[Side, TextLogprobs]]) -> list[Line]:
    """Return the lines on the neutral texts that both models scored."""
    found = paired_tallies([{side: _tally_text(both[side]) for side in SIDES} for both in texts])

    def perplexity(totals: Array) -> Array:
        result: Array = np.exp(totals[0] / totals[1])
        return result

    return [
        function_line(found, PERPLEXITY, perplexity, ["nats", "tokens"], of="tokens")
        if same_tokens(texts)
        else not_measured(PERPLEXITY, OTHER_TOKENS),
        ratio_line(found, SURPRISE, "nats", "characters"),
    ]


def _tally_text(scored: TextLogprobs) -> Tally:
    known = [one for one in scored.logprobs if one is not None]
    return Tally({"nats": -sum(known), "tokens": len(known), "characters": scored.characters})


def divergence_lines(responses: Sequence[Mapping[Side, TextLogprobs]]) -> list[Line]:
    """Return the lines on the tuned model's responses, which both models scored."""
    found = Tallies([_tally_divergence(both) for both in responses])

    def mean(below: str) -> Estimate:
        return found.function(lambda totals: totals[0] / totals[1], ["divergence", below], of=[below])

    return [line_of(DIVERGENCE, None, None, mean("tokens")), line_of(DIVERGENCE_ANSWER, None, None, mean("responses"))]


def _tally_divergence(both: Mapping[Side, TextLogprobs]) -> Tally:
    differences = [
        tuned - base
        for tuned, base in zip(both["tuned"].logprobs, both["base"].logprobs, strict=True)
        if tuned is not None and base is not None
    ]
    return Tally({"divergence": sum(differences), "tokens": len(differences), "responses": 1})
