"""Verdicts of a simulated critic with planted biases, and what the arithmetic of preferences makes of them.

Four candidates per prompt, each with a quality u and a length; all six pairs are judged in both orders. A verdict is

    x = +-(u_a - u_b) + +-length ln(characters of a / of b) + position + noise      + where a is shown first

unless it is unreadable (independently) or a tie (both orders of a question, exactly even). Records are not validated,
because there are a million of them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from rlaif.config.judging import JudgingConfig
from rlaif.config.run import RunConfig
from rlaif.preferences.judgement import Judgement, judge_matchup
from rlaif.preferences.length import LengthEffect, LengthReading, length_effect
from rlaif.preferences.logits import TIE_LOGIT
from rlaif.preferences.pairs import Conclusion, conclude
from rlaif.preferences.position import PositionBias, asked_both_ways
from rlaif.preferences.recalibration import NO_CORRECTION, Corrected, Correction
from rlaif.records import Matchup, Order, Trace, Verdict
from rlaif.stats.estimates import Array, Estimate, median_interval

CANDIDATES = ("s0", "s1", "s0.r1", "s1.r1")
JUDGING = JudgingConfig()


@dataclass(frozen=True)
class World:
    """What is planted. The default has everything that can go wrong, with the low noise of a large critic."""

    seed: int
    matchups: int = 5000
    position: float = 1.0
    length: float = 0.5
    noise: float = 0.5
    """Standard deviation on each verdict, in logits; the mean of both orders has 0.7 of it."""
    unreadable: float = 0.05
    ties: float = 0.1


def world(seed: int, matchups: int, noise: float) -> World:
    """Return a world whose position bias is drawn from -3 to 3 logits, and its length bias from -1 to 1."""
    rng = np.random.default_rng([seed, 1])
    return World(seed, matchups, position=rng.uniform(-3, 3), length=rng.uniform(-1, 1), noise=noise)


@dataclass(frozen=True)
class Planted:
    """The verdicts and the truth, matchup by matchup."""

    matchups: Sequence[Matchup]
    prompts: npt.NDArray[np.int64]
    ln_ratio: Array
    truth: Array
    """Probability that a is better, sigma(u_a - u_b)."""
    tie: npt.NDArray[np.bool_]
    unreadable: npt.NDArray[np.bool_]
    """Whether either order's verdict is."""


def plant(world: World) -> Planted:
    """Draw a world's verdicts."""
    rng = np.random.default_rng(world.seed)
    count = math.ceil(world.matchups / 6)
    quality, characters = rng.normal(size=(count, 4)), rng.normal(6, 0.5, size=(count, 4))
    pairs = np.array(
        [(b, a) if rng.random() < 0.5 else (a, b) for _ in range(count) for a, b in combinations(range(4), 2)]
    )
    prompts = np.repeat(np.arange(count), 6)
    difference = quality[prompts, pairs[:, 0]] - quality[prompts, pairs[:, 1]]
    ln_ratio = characters[prompts, pairs[:, 0]] - characters[prompts, pairs[:, 1]]
    tie = rng.random(len(pairs)) < world.ties
    lean = difference + world.length * ln_ratio
    x = np.array([lean, -lean]) + world.position + world.noise * rng.normal(size=(2, len(pairs)))
    unreadable = rng.random((2, len(pairs))) < world.unreadable
    logits = np.where(tie, 0.0, x)
    return Planted(
        matchups=[_matchup(*row) for row in zip(pairs.tolist(), logits.T.tolist(), unreadable.T.tolist(), strict=True)],
        prompts=prompts,
        ln_ratio=ln_ratio,
        truth=sigma(difference),
        tie=tie,
        unreadable=unreadable.any(axis=0),
    )


def _matchup(pair: Sequence[int], logits: Sequence[float], unreadable: Sequence[bool]) -> Matchup:
    orders: tuple[Order, Order] = ("ab", "ba")
    verdicts = tuple(_verdict(*seen) for seen in zip(orders, logits, unreadable, strict=True))
    a, b = (CANDIDATES[place] for place in pair)
    return Matchup.model_construct(a=a, b=b, purpose="design", verdicts=verdicts, checks=())


def _verdict(order: Order, logit: float, unreadable: bool) -> Verdict:
    mass = 0.01 if unreadable else 0.97
    return Verdict.model_construct(
        principle="k", order=order, first=-1.0, second=-1.0 - logit, floor=None, label_mass=mass, reply="r"
    )


@dataclass(frozen=True)
class Found:
    """What came out of one world."""

    labels: int
    wrongly_labelled: int
    """Labels from ties or unreadable verdicts."""
    error_of_critic: float
    """Calibration error of the critic's own p, over the labels."""
    error_without_length: float
    """The same with the measured length effect subtracted from the log-odds."""
    position: Estimate
    length: LengthEffect


def without_length(logit: float, effect: LengthEffect, ln_ratio: float) -> float:
    """Return the log-odds after the linear length effect is subtracted."""
    return logit - Correction(Corrected(length_effect=effect.linear.value)).shift(ln_ratio)


def study(world: World) -> Found:
    """Judge a world's matchups as a run does, and compare the outcome with what was planted."""
    planted = plant(world)
    bias = PositionBias.measure(planted.matchups, JUDGING.min_label_mass)
    judged = [judge_matchup(matchup, JUDGING.rule({"k": 1.0}, None, bias)) for matchup in planted.matchups]
    effect = length_effect(_readings(planted, judged))
    labelled = np.array([one.abstention is None for one in judged])
    logits = np.array([one.logit or 0.0 for one in judged])
    corrected = np.array([without_length(x, effect, r) for x, r in zip(logits, planted.ln_ratio, strict=True)])
    truth = planted.truth[labelled]
    return Found(
        labels=int(labelled.sum()),
        wrongly_labelled=int((labelled & (planted.tie | planted.unreadable)).sum()),
        error_of_critic=calibration_error(logits[labelled], truth),
        error_without_length=calibration_error(corrected[labelled], truth),
        position=position_interval(planted),
        length=effect,
    )


def _readings(planted: Planted, judged: Sequence[Judgement]) -> list[LengthReading]:
    """Return what `length_readings` returns for a trace."""
    rows = zip(planted.prompts, judged, planted.ln_ratio, strict=True)
    return [LengthReading(str(p), j.logit, float(r)) for p, j, r in rows if j.logit is not None and has_winner(j)]


def has_winner(judgement: Judgement) -> bool:
    """Whether a matchup has a winner, thresholds aside."""
    return judgement.logit is not None and abs(judgement.logit) >= TIE_LOGIT


def position_interval(planted: Planted) -> Estimate:
    """Return the median position bias with its interval, without ties: they have no position bias."""
    values, prompts = [], []
    for prompt, matchup in zip(planted.prompts, planted.matchups, strict=True):
        for *_, ab, ba, mass in asked_both_ways(matchup):
            if mass >= JUDGING.min_label_mass and max(abs(ab), abs(ba)) >= TIE_LOGIT:
                values.append((ab + ba) / 2)
                prompts.append(prompt)
    return median_interval(values, np.array(prompts))


def calibration_error(logits: Array, truth: Array, bins: int = 10) -> float:
    """Return the mean distance of confidence and planted probability over bins of confidence, weighted by items."""
    confidence, true = sigma(np.abs(logits)), np.where(logits >= 0, truth, 1 - truth)
    places = np.clip(((confidence - 0.5) * 2 * bins).astype(int), 0, bins - 1)
    sums = np.bincount(places, weights=confidence - true, minlength=bins)
    return float(np.abs(sums).sum() / len(logits))


def sigma(x: Array) -> Array:
    """Return 1 / (1 + exp(-x))."""
    result: Array = 1 / (1 + np.exp(-x))
    return result


def conclude_as(
    config: RunConfig,
    trace: Trace,
    weights: Mapping[str, float],
    priorities: Mapping[str, int] | None = None,
    bias: PositionBias | None = None,
    *,
    correction: Correction = NO_CORRECTION,
) -> Conclusion:
    """Conclude a trace as a run of this configuration does."""
    rule = config.judging.rule(weights, priorities, bias)
    return conclude(trace, rule, config.pairs, config.seed, correction, nothing_asked=config.judging.nothing_asked)
