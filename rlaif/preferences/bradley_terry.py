"""How strong the candidates of one prompt are, from all its matchups: the model of Bradley and Terry (1952).

Comes in: for every matchup the log-odds l that a beats b. Goes out: strengths s around 0, in logits, so that s_a - s_b
is the log-odds that a beats b, each with its standard error. Python's `choix` fits the same model; it knows neither
soft outcomes nor standard errors.

A verdict is no win or loss but log-odds with noise, l = s_a - s_b + e. What is minimised is therefore

    sum w rho(l - s_a + s_b) + PRIOR sum s^2 / 2        rho: Huber 1964, squares with straight arms

least squares on the log-odds, and not the cross-entropy of sigma(l): that is the likelihood of drawn winners, and it
hardly listens to what a sure verdict says about how much better an answer is. On planted strengths it loses up to 0.06
of Kendall's tau against this one (benchmarks/README.md). The straight arms are for verdicts that are wildly wrong:
one in twenty costs plain squares 0.05 of tau, while the arms cost nothing to speak of where there is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlaif.records import Record
from rlaif.stats.estimates import Array, student_t

PRIOR = 0.1
"""Weight of the prior, in matchups: everybody has a tenth of a draw with an average candidate. This is a Gaussian prior
whose standard deviation is three times the noise of a verdict; as a ratio it suits shy critics and loud ones. It
shrinks four candidates that all met by 2 %, two by 5 %: little, because what it takes away is missing in the intervals.
"""

ARMS = 1.5
"""How many standard deviations a verdict may be off before it pulls no more strongly; 96 % as exact as squares."""
STEPS = 4
"""Reweightings; more gain a thousandth of tau and cost as much again."""
MAD = 1.4826
"""Standard deviation of normal noise for a median absolute one of 1."""
LEAST_NOISE = 0.1
"""In logits: nobody is wildly wrong by less. Where most verdicts are exact draws, the others are no mistakes for it."""
NO_EDGE = 1e-9
DECIMALS = 9
"""Strengths are rounded so far: three that beat one another in a circle are equally strong, whatever floats say."""


@dataclass(frozen=True)
class Result:
    """What one matchup says."""

    a: str
    b: str
    logit: float
    """Log-odds that a beats b, finite; 0 is a draw."""
    weight: float = 1.0
    """How many verdicts of the usual noise it is worth; above 0."""


class Strength(Record):
    """How strong a candidate is among those of its prompt."""

    value: float
    """Logits above the average candidate; differences are log-odds of beating one another."""
    se: float | None
    """The true strength is within 1.96 of these in 95 of 100 cases. None where no matchup is left over that could tell
    how noisy the verdicts are, as with two candidates; wide where there are few (three candidates: 6.5 times the bare
    standard error), because Student's t is in it."""


def strengths(results: Sequence[Result]) -> dict[str, Strength]:
    """Return the strength of everybody who met somebody, centred on 0.

    Groups that never met each other are each centred on 0 by the prior: nothing is known of which group is the better
    one, and their standard errors say so.
    """
    names = {name: place for place, name in enumerate(dict.fromkeys(n for r in results for n in (r.a, r.b)))}
    if not names:
        return {}
    x, logits, weights = _design(results, names)
    trust = _trust(x, logits, weights)
    values, spread = _fit(x, logits, weights * trust)
    noise = _noise_sd(x, logits, weights, trust)
    return {
        name: Strength(
            value=round(float(values[place]), DECIMALS) + 0.0,
            se=None if noise is None else float(noise * spread[place]),
        )
        for name, place in names.items()
    }


def _design(results: Sequence[Result], names: dict[str, int]) -> tuple[Array, Array, Array]:
    """Return who met whom (results, candidates) as +1 and -1, the log-odds, and the weights."""
    x = np.zeros((len(results), len(names)))
    for row, result in zip(x, results, strict=True):
        row[names[result.a]] += 1
        row[names[result.b]] -= 1
    return x, np.array([r.logit for r in results]), np.array([r.weight for r in results])


def _trust(x: Array, logits: Array, weights: Array) -> Array:
    """Return how much of its weight each result keeps, in (0, 1]: by Huber's rule, reweighted step by step.

    All of it up to four candidates, or where so few met: the others could not outvote the one that is wrong.
    """
    count, candidates = x.shape
    trust = np.ones(count)
    if count < 2 * candidates - 1:
        return trust
    prior, left = PRIOR * np.eye(candidates), count - candidates + 1
    for _ in range(STEPS):
        pull = x.T * (weights * trust)
        off = np.sqrt(weights) * np.abs(logits - x @ np.linalg.solve(pull @ x + prior, pull @ logits))
        usual = max(LEAST_NOISE, MAD * np.sort(off)[count // 2] * (count / left) ** 0.5)
        trust = np.minimum(1, ARMS * usual / np.maximum(off, LEAST_NOISE))
    return trust


def _fit(x: Array, logits: Array, weights: Array) -> tuple[Array, Array]:
    """Return the strengths and, for noise of 1, their standard errors; both of how far from the mean they are."""
    inverse = np.linalg.inv((x.T * weights) @ x + PRIOR * np.eye(x.shape[1]))
    centred = inverse - inverse.mean(axis=0)
    centred = centred - centred.mean(axis=1, keepdims=True)
    return inverse @ (x.T @ (weights * logits)), np.sqrt(np.diagonal(centred).clip(0))


def _noise_sd(x: Array, logits: Array, weights: Array, trust: Array) -> float | None:
    """Return the noise of a verdict as residuals tell it, times what Student's t adds to 1.96; None where none can.

    Residuals are taken without the prior, which is no noise. They hold all that strengths don't explain: noise of the
    verdicts, and circles that the critic means.
    """
    root = np.sqrt(weights * trust)
    u, sizes, _ = np.linalg.svd(x * root[:, None], full_matrices=False)
    explained = u[:, sizes > NO_EDGE]
    left = len(x) - explained.shape[1]
    if not left:
        return None
    residuals = root * logits - explained @ (explained.T @ (root * logits))
    # A result that keeps half of its weight is half a result.
    variance = residuals @ residuals / (left - (1 - trust).sum())
    return float(np.sqrt(variance)) * student_t(left) / student_t(None)
