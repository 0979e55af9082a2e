"""How often does the interval of `rlaif review --results` contain the true alpha of planted reviewers?

    python -m benchmarks.reviewers [ROUNDS]

Each planted reviewer calls a pair a tie with a known probability and otherwise names the truly better response with a
known reliability, independently. The true alpha is 1 - Do / De with the probabilities themselves. Prompts have one or
four pairs; those of a prompt have the same reviewers in a good or a bad moment (reliability -0.1 or +0.1), so that they
depend on one another.
"""

import sys
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from rlaif.stats.estimates import Estimate
from rlaif.stats.nominal_alpha import alpha_of_pairs


@dataclass(frozen=True)
class World:
    """Planted reviewers, and pairs of which some have the same prompt."""

    name: str
    reliabilities: tuple[float, ...]
    ties: float = 0.0
    """Probability that a reviewer calls a pair a tie."""

    def alpha(self, moment: float) -> float:
        """Return the true alpha."""
        differ = np.mean([self._differ(*pair, moment) for pair in combinations(self.reliabilities, 2)])
        return float(1 - differ / (1 - 2 * ((1 - self.ties) / 2) ** 2 - self.ties**2))

    def _differ(self, one: float, other: float, moment: float) -> float:
        """Return the probability that two reviewers say different things of a pair."""
        shifted = [(min(one + s, 1), min(other + s, 1)) for s in (-moment, moment)]
        same = sum(p * q + (1 - p) * (1 - q) for p, q in shifted) / 2
        return 1 - (1 - self.ties) ** 2 * same - self.ties**2

    def reviewed(self, pairs: int, per_prompt: int, seed: int) -> Estimate:
        """Return the alpha of a review."""
        rng = np.random.default_rng((seed, pairs, per_prompt))
        prompts = np.arange(pairs) // per_prompt
        moment = MOMENT if per_prompt > 1 else 0.0
        shift = rng.choice([-moment, moment], prompts[-1] + 1)[prompts]
        better = rng.integers(0, 2, pairs)
        counts = np.zeros((pairs, 3), dtype=int)
        for reliability in self.reliabilities:
            right = rng.random(pairs) < np.minimum(reliability + shift, 1)
            said = np.where(rng.random(pairs) < self.ties, 2, np.where(right, better, 1 - better))
            counts[np.arange(pairs), said] += 1
        return alpha_of_pairs(counts, prompts.tolist())


WORLDS = (
    World("0.95 and 0.85", (0.95, 0.85)),
    World("0.8 and 0.8", (0.8, 0.8)),
    World("0.6 and 0.6", (0.6, 0.6)),
    World("0.8 and 0.8, ties 20 %", (0.8, 0.8), ties=0.2),
    World("0.9, 0.8 and 0.7", (0.9, 0.8, 0.7)),
)
PAIRS = (20, 50, 200)
MOMENT = 0.1


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print("| reliability | pairs for each prompt | true alpha | pairs | intervals with it | mean alpha | mean width |")
    print("|---|---|---|---|---|---|---|")
    for world in WORLDS:
        for per_prompt in (1, 4):
            true = world.alpha(MOMENT if per_prompt > 1 else 0.0)
            for pairs in PAIRS:
                found = [world.reviewed(pairs, per_prompt, seed) for seed in range(rounds)]
                held = np.mean([estimate.holds(true) for estimate in found])
                mean = np.mean([estimate.value for estimate in found if estimate.value is not None])
                width = np.mean([e.high - e.low for e in found if e.low is not None and e.high is not None])
                cells = (world.name, per_prompt, f"{true:.2f}", pairs, f"{held:.1%}", f"{mean:.2f}", f"{width:.2f}")
                print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
