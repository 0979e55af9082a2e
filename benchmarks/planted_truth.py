"""Does the arithmetic find what was planted? The full size of tests/preferences/test_planted_truth.py.

    python -m benchmarks.planted_truth [SEEDS] [MATCHUPS]

For noise of 0.5, 1 and 2 logits on each verdict, over worlds of a drawn position bias (up to 3 logits) and worth of
length (up to 1), with 5 % unreadable verdicts and 10 % ties: how far labels' probabilities are from the planted ones,
and how often intervals hold what was planted. Then the ranking: Kendall's tau to the planted order.
"""

import sys
import time
from collections.abc import Callable
from statistics import fmean

import numpy as np

from rlaif.compare.tallies import kendall_tau
from rlaif.preferences.ranking import Result, design, strengths
from rlaif.stats.estimates import Array
from tests.preferences.planted import sigma, study, world

NOISES = (0.5, 1.0, 2.0)
PROMPTS = 800
SPREAD = 2.0


def main() -> None:
    """Print both tables."""
    seeds, matchups = (int(given) for given in (*sys.argv[1:], "200", "5000")[:2])
    print(f"{seeds} worlds of {matchups:,} matchups; calibration error as said, without length; held")
    for noise in NOISES:
        print(f"noise {noise}: {_probabilities(seeds, matchups, noise)}", flush=True)
    print(f"\nKendall's tau to the planted order, {PROMPTS} prompts, spread {SPREAD}: {', '.join(RANKINGS)}; ms of CPU")
    for candidates in (4, 8, 12):
        for noise in NOISES:
            print(f"{candidates} candidates, noise {noise}: {_rankings(candidates, noise)}", flush=True)
        print(f"{candidates} candidates, noise 0.7, 5 % wild: {_rankings(candidates, 0.7, wild=0.05)}", flush=True)


def _probabilities(seeds: int, matchups: int, noise: float) -> str:
    worlds = [world(seed, matchups, noise) for seed in range(seeds)]
    found = [study(one) for one in worlds]
    errors = [(one.error_of_critic, one.error_without_length) for one in found]
    position = fmean(one.position.holds(true.position) for true, one in zip(worlds, found, strict=True))
    length = fmean(one.length.linear.holds(true.length) for true, one in zip(worlds, found, strict=True))
    wrong, labels = sum(one.wrongly_labelled for one in found), sum(one.labels for one in found)
    means, worst = np.mean(errors, axis=0).round(4), np.max(errors, axis=0).round(4)
    held = f"position {position:.1%}, length {length:.1%}"
    return f"{means} (worst {worst}); {held}; {wrong} of {labels:,} labels wrongly given"


def by_least_squares(x: Array, logits: Array, ratio: float) -> Array:
    """The best there is where none is wild: the mean of the strengths given the verdicts, noise and spread known."""
    return np.linalg.solve(x.T @ x + ratio**2 * np.eye(x.shape[1]), x.T @ logits)


def by_cross_entropy(x: Array, logits: Array, _: float) -> Array:
    """Bradley and Terry's likelihood with sigma(l) as a soft label, prior with a standard deviation of 2, by Newton."""
    found, prior = np.zeros(x.shape[1]), np.eye(x.shape[1]) / 4
    for _ in range(30):
        p = sigma(x @ found)
        found = found + np.linalg.solve((x.T * p * (1 - p)) @ x + prior, x.T @ (sigma(logits) - p) - prior @ found)
    return found


def by_mean_probability(x: Array, logits: Array, _: float) -> Array:
    """How likely one beats those one met, on average."""
    won = np.where(x > 0, sigma(logits)[:, None], sigma(-logits)[:, None])
    return (won * np.abs(x)).sum(axis=0) / np.abs(x).sum(axis=0)


RANKINGS: dict[str, Callable[[Array, Array, float], Array] | None] = {
    "strengths": None,
    "best possible": by_least_squares,
    "cross-entropy": by_cross_entropy,
    "mean probability": by_mean_probability,
}


def _rankings(candidates: int, noise: float, wild: float = 0.0) -> str:
    taus, spent = [], []
    for seed in range(PROMPTS):
        rng = np.random.default_rng([seed, candidates])
        true = rng.normal(0, SPREAD, candidates)
        pairs = [(int(a), int(b)) for a, b in design([str(k) for k in range(candidates)], {}, seed)]
        x = np.zeros((len(pairs), candidates))
        for row, (a, b) in zip(x, pairs, strict=True):
            row[a], row[b] = 1, -1
        sd = noise * np.where(rng.random(len(pairs)) < wild, 8, 1)
        logits = x @ true + rng.normal(0, sd)
        results = [Result(str(a), str(b), float(logit)) for (a, b), logit in zip(pairs, logits, strict=True)]
        started = time.process_time()
        mine = strengths(results)
        spent.append(time.process_time() - started)
        ranked = [
            [mine[str(k)].value for k in range(candidates)] if way is None else way(x, logits, noise / SPREAD)
            for way in RANKINGS.values()
        ]
        taus.append([kendall_tau(_named(one), _named(true)) for one in ranked])
    return f"{np.mean(taus, axis=0).round(3)}; {1000 * np.median(spent):.2f} ms"


def _named(values: Array | list[float]) -> dict[str, float]:
    return {str(place): float(value) for place, value in enumerate(values)}


if __name__ == "__main__":
    main()
