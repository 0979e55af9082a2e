"""Questions with four options: how often a model is right, and whether it knows how often.

Read from the first token's probabilities over the four letters, made to add up to one. Brier score: sum over the
options of (probability - 1 for the right one, 0 else) squared, 0 to 2 (Brier 1950). Expected calibration error: mean
distance of confidence and share right over ten bins of confidence from 0.25 to 1 (Naeini, Cooper & Hauskrecht 2015).
A question whose letters get no probability that was reported is unread, never wrong.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from rlaif.evaluate.policy.asking import Picked
from rlaif.evaluate.policy.lines import SIDES, Line, Side, What, line, line_of, paired
from rlaif.evaluate.policy.probes import LETTERS
from rlaif.records import Record
from rlaif.stats.estimates import Array, Bootstrap, Estimate, Key, Tally

BINS = 10
CHANCE = 1 / len(LETTERS)


class ChoiceBin(Record):
    """Questions answered with about the same confidence."""

    low: float
    high: float
    questions: int
    confidence: float | None
    """Their mean; None where there are no questions."""
    right: Estimate
    """Share that is right."""


def probabilities(picked: Picked) -> list[float] | None:
    """Return the letters' probabilities, adding up to one; None where none was reported."""
    masses = [0.0 if one is None else math.exp(one) for one in picked.read.logprobs]
    total = sum(masses)
    return [mass / total for mass in masses] if total > 0 else None


def tally_choice(picked: Picked) -> Tally:
    """Return what one question counts for."""
    tally = Tally({"asked": 1, "mass": picked.read.label_mass})
    found = probabilities(picked)
    if found is None:
        return tally
    best = max(found)
    # Letters of the same probability share the pick.
    right = (found[picked.place] == best) / found.count(best)
    bin_ = min(BINS - 1, int((best - CHANCE) / (1 - CHANCE) * BINS + 1e-9))
    tally.add(
        {
            "read": 1,
            "right": right,
            "sure": best,
            "over": best - right,
            "squared": sum((p - (place == picked.place)) ** 2 for place, p in enumerate(found)),
            ("n", bin_): 1,
            ("confidence", bin_): best,
            ("right", bin_): right,
        }
    )
    return tally


def bootstrap_of_choices(asked: Sequence[Mapping[Side, Picked]]) -> Bootstrap:
    """Return the bootstrap over questions that both models were asked."""
    return paired([{side: tally_choice(both[side]) for side in SIDES} for both in asked])


ACCURACY = What("accuracy", "knowledge", "questions with four options answered right", "higher")
BRIER = What("brier", "knowledge", "Brier score on these questions (0 best, 0.75 guessing)", "lower", "number")
CALIBRATION = What(
    "calibration",
    "knowledge",
    "calibration error on these questions",
    "lower",
    "number",
    "never negative, so above 0 for an honest model too",
)
OVERCONFIDENCE = What("overconfidence", "knowledge", "confidence minus share right on these questions", unit="number")
LETTER_MASS = What("letter-mass", "knowledge", "probability that falls on the four letters", unit="number")


def choice_lines(found: Bootstrap) -> list[Line]:
    """Return the lines of questions with four options."""
    keys: list[Key] = [(name, number) for name in ("confidence", "right") for number in range(BINS)]

    def error(totals: Array) -> Array:
        distance: Array = np.abs(totals[:BINS] - totals[BINS : 2 * BINS]).sum(axis=0) / totals[2 * BINS]
        return distance

    return [
        line(found, ACCURACY, "right", "read"),
        line(found, BRIER, "squared", "read"),
        line_of(found, CALIBRATION, error, [*keys, "read"], of="read"),
        line(found, OVERCONFIDENCE, "over", "read"),
        line(found, LETTER_MASS, "mass", "asked"),
    ]


def reliability_of(found: Bootstrap, side: Side) -> tuple[ChoiceBin, ...]:
    """Return one model's reliability table."""
    return tuple(_bin(found, side, number) for number in range(BINS))


def _bin(found: Bootstrap, side: Side, number: int) -> ChoiceBin:
    count = found.total((side, ("n", number)))
    return ChoiceBin(
        low=CHANCE + number * (1 - CHANCE) / BINS,
        high=CHANCE + (number + 1) * (1 - CHANCE) / BINS,
        questions=int(count),
        confidence=found.total((side, ("confidence", number))) / count if count else None,
        right=found.ratio((side, ("right", number)), (side, ("n", number))),
    )
