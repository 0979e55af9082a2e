"""How many labels by people a certificate of a run needs, before anybody has labelled anything.

Input: the run's pairs. Output: a `Plan`, from simulated samples in which labels are right with the run's own
`p_chosen`; an overconfident critic makes it too hopeful.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlaif.evaluate.certify import Floats, Terms, scores_of
from rlaif.runs.rows import PreferenceRow
from rlaif.stats.selective_risk import fewest_labels, nested_sets

SIZES = (100, 200, 400, 800)
"""Numbers of labels of which a plan says what they are expected to give."""
ROUNDS = 100
"""Simulated samples for each number of labels."""


@dataclass(frozen=True)
class Expected:
    """What a number of labels is expected to give, if the run's probabilities are right."""

    labels: int
    kept: float
    """Mean share of the run's pairs that are kept, 0 where nothing can be certified."""
    certified: float
    """Share of simulated samples with which anything can be certified."""
    kept_focused: float
    """As `kept`, for labels drawn from the pairs above `Plan.min_p` only."""
    certified_focused: float


@dataclass(frozen=True)
class Plan:
    """How many labels are needed, if the run's probabilities are right."""

    pairs: int
    fewest: int
    """Labels with which something can be certified if people agree with all of them."""
    min_p: float
    """Threshold at which all pairs above have the claimed share of errors: labels below it are of little use."""
    all_labelled: float
    """Share of the pairs above `min_p`, kept if all pairs were labelled."""
    expected: tuple[Expected, ...]


def plan(rows: Sequence[PreferenceRow], terms: Terms, rounds: int = ROUNDS) -> Plan:
    """Return what the `SIZES`, or all pairs where there are fewer, are expected to give; simulates `rounds` samples."""
    scores = scores_of(rows)
    falling = -np.sort(-scores)
    good = np.flatnonzero(np.cumsum(1 - falling) <= terms.error * np.arange(1, len(rows) + 1))
    focus = falling[: good[-1] + 1] if len(good) else falling[:1]
    expected = []
    for size in sorted({min(size, len(rows)) for size in SIZES}):
        kept, certified = _simulated(scores, size, terms, rounds)
        kept_focused, certified_focused = _simulated(focus, min(size, len(focus)), terms, rounds)
        share = kept_focused * len(focus) / len(rows)
        expected.append(Expected(size, kept, certified, share, certified_focused))
    least = float(np.floor(focus[-1] * 1000) / 1000)
    return Plan(len(rows), fewest_labels(terms.error, terms.alpha), least, len(focus) / len(rows), tuple(expected))


def _simulated(scores: Floats, size: int, terms: Terms, rounds: int) -> tuple[float, float]:
    """Return (mean share of kept rows, share of samples that certify any) for samples of labels right with p."""
    kept, rng = np.zeros(rounds), np.random.default_rng(size)
    for n in range(rounds):
        sample = rng.choice(len(scores), size, replace=False)
        sets = nested_sets(scores, sample, terms.error, terms.alpha)
        found = sets.largest(rng.random(size) > scores[sample])
        kept[n] = 0.0 if found is None else sets.rows[found] / len(scores)
    return float(kept.mean()), float((kept > 0).mean())
