"""Planted worlds of pairs whose labels are right with a known probability, and samples that are random or not.

*calibrated*; *overconfident* (stated log-odds are twice the true ones); *wrong at the top* (the surest 7 % of the
labels are right in 60 %); *heavy tails* (log-odds from Student's t with 2 degrees of freedom, and one label in twenty
is a coin toss whatever its p); *coarse* (calibrated, but log-odds come in steps of one half).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rlaif.evaluate.certify import SHIFT_LEVEL
from rlaif.stats.sample_shift import shifts
from rlaif.stats.selective_risk import nested_sets

Floats = npt.NDArray[np.float64]
Rng = np.random.Generator

PAIRS = 5000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Found:
    """Shares over the rounds of one world."""

    violations: float
    certified: float
    kept: float
    """Mean number of kept pairs over the oracle's; rounds in which the oracle keeps less than 1 % are left out."""


def study(world: str, error: float, labels: int, rounds: int, pairs: int = PAIRS, *, focused: bool = False) -> Found:
    """Certify `rounds` planted worlds; `focused` draws labels from the pairs above the `min_p` of a plan only."""
    rng = np.random.default_rng([WORLD_NUMBER[world], round(error * 100), labels])
    violations, certified, kept = 0, 0, []
    for _ in range(rounds):
        p, right = WORLDS[world](rng, pairs)
        p, wrong = np.round(p, 9), rng.random(pairs) > right
        frame = np.flatnonzero(p >= least_p(p, error)) if focused else np.arange(pairs)
        sample = rng.choice(len(frame), min(labels, len(frame)), replace=False)
        sets = nested_sets(p[frame], sample, error, 1 - CONFIDENCE)
        found = sets.largest(wrong[frame][sample])
        size = 0 if found is None else int(np.sum(p >= sets.thresholds[found]))
        certified += found is not None
        violations += found is not None and wrong[p >= sets.thresholds[found]].mean() > error
        best = oracle(p, wrong, error)
        kept += [size / best] if best >= pairs / 100 else []
    return Found(violations / rounds, certified / rounds, float(np.mean(kept)) if kept else float("nan"))


def least_p(p: Floats, error: float) -> float:
    """Return the least p of the largest set above a threshold whose mean p is at least 1 - error."""
    falling = -np.sort(-p)
    good = np.flatnonzero(np.cumsum(1 - falling) <= error * np.arange(1, len(p) + 1))
    return float(falling[good[-1]]) if len(good) else float(falling[0])


def oracle(p: Floats, wrong: npt.NDArray[np.bool_], error: float) -> int:
    """Return the size of the largest set of pairs above a threshold of which at most a share of `error` is wrong."""
    order = np.argsort(-p, kind="stable")
    last = np.append(p[order][1:] != p[order][:-1], True)
    good = np.flatnonzero(last & (np.cumsum(wrong[order]) <= error * np.arange(1, len(p) + 1)))
    return int(good[-1]) + 1 if len(good) else 0


def calibrated(rng: Rng, pairs: int) -> tuple[Floats, Floats]:
    """Return (stated, true) probabilities that a label is right; pairs nearer to one half than 0.1 get no label."""
    logits = np.abs(rng.normal(1.2, 1.6, 3 * pairs))
    p = sigmoid(logits[sigmoid(logits) >= 0.6][:pairs])
    return p, p


def overconfident(rng: Rng, pairs: int) -> tuple[Floats, Floats]:
    p, _ = calibrated(rng, pairs)
    return p, sigmoid(np.log(p / (1 - p)) / 2)


def wrong_at_the_top(rng: Rng, pairs: int) -> tuple[Floats, Floats]:
    p, _ = calibrated(rng, pairs)
    return p, np.where(p >= np.quantile(p, 0.93), 0.6, p)


def heavy_tails(rng: Rng, pairs: int) -> tuple[Floats, Floats]:
    logits = np.abs(1.2 + 1.2 * rng.standard_t(2, 3 * pairs))
    p = sigmoid(np.minimum(logits, 30)[sigmoid(logits) >= 0.6][:pairs])
    return p, np.where(rng.random(pairs) < 0.05, 0.5, p)


def coarse(rng: Rng, pairs: int) -> tuple[Floats, Floats]:
    p, _ = calibrated(rng, pairs)
    return sigmoid(np.round(2 * np.log(p / (1 - p))) / 2), p


def sigmoid(logits: Floats) -> Floats:
    return 1 / (1 + np.exp(-logits))


WORLDS: dict[str, Callable[[Rng, int], tuple[Floats, Floats]]] = {
    "calibrated": calibrated,
    "overconfident": overconfident,
    "wrong at the top": wrong_at_the_top,
    "heavy tails": heavy_tails,
    "coarse": coarse,
}
WORLD_NUMBER = {name: number for number, name in enumerate(WORLDS)}


@dataclass(frozen=True)
class Table:
    """What the shift test sees of a run."""

    p: Floats
    lengths: Floats
    tags: npt.NDArray[np.int64]


Draw = Callable[[Rng, Table, int], npt.NDArray[np.int64]]


def refused(draw: Draw, labels: int, rounds: int, pairs: int = PAIRS) -> float:
    """Return the share of the samples of `labels` pairs that the shift test refuses."""
    rng, count = np.random.default_rng(labels), 0
    for _ in range(rounds):
        p, _ = calibrated(rng, pairs)
        table = Table(p, rng.lognormal(6, 0.6, pairs), rng.integers(0, 8, pairs))
        sampled = np.zeros(pairs, dtype=np.bool_)
        sampled[draw(rng, table, labels)] = True
        numbers = {
            "p_chosen": p,
            "log length ratio": rng.normal(0, 0.4, pairs),
            "prompt": rng.lognormal(4, 0.5, pairs),
            "responses": table.lengths,
            "place": np.arange(pairs, dtype=float),
        }
        tags = {str(tag): table.tags == tag for tag in range(8)}
        count += bool(shifts(numbers, tags, sampled, SHIFT_LEVEL))
    return round(count / rounds, 4)


def of_some(rng: Rng, some: npt.NDArray[np.bool_], labels: int) -> npt.NDArray[np.int64]:
    """Draw from some pairs only; all of them where there are fewer."""
    places = np.flatnonzero(some)
    return rng.choice(places, min(labels, len(places)), replace=False)


def two_times_easier(rng: Rng, table: Table, labels: int) -> npt.NDArray[np.int64]:
    weights = np.where(table.p >= np.median(table.p), 2.0, 1.0)
    return rng.choice(len(weights), labels, replace=False, p=weights / weights.sum())


DRAWS: dict[str, Draw] = {
    "random": lambda rng, table, labels: rng.choice(len(table.p), labels, replace=False),
    "the easier half": lambda rng, table, labels: of_some(rng, table.p >= np.median(table.p), labels),
    "easier ones twice as often": two_times_easier,
    "one tag of eight": lambda rng, table, labels: of_some(rng, table.tags == 0, labels),
    "the shorter half": lambda rng, table, labels: of_some(rng, table.lengths <= np.median(table.lengths), labels),
    "the first half of the run": lambda rng, table, labels: of_some(rng, np.arange(len(table.p)) < PAIRS / 2, labels),
}
