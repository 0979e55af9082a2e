"""How reliable the labels of a file are, and which are likely wrong, from a critic's probabilities for them.

With q the critic's probability that the response which a label calls better is the better one, and r the probability
that a label of the file is right whatever the pair (as in Dawid & Skene 1979, with two raters of whom one reports
probabilities), and errors that are independent given which response is better:

    P(label) = r q + (1 - r) (1 - q)
    P(wrong | label, r) = (1 - r) (1 - q) / (r q + (1 - r) (1 - q))

r has a uniform prior and is integrated out on a grid, so that few labels claim little. The labels of one prompt count
as one together. An overconfident critic makes the labels look less reliable than they are: r and what follows from it
hold only as far as the critic's probabilities do.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rlaif.stats.estimates import Array, Estimate, estimate_of
from rlaif.stats.jackknife import Weights

GRID = (np.arange(200) + 0.5) / 200
"""Values of r."""
CHUNK = 20_000
"""Labels whose probabilities are computed at once."""


@dataclass(frozen=True)
class LabelNoise:
    """The posterior distribution of the reliability of a file's labels."""

    weights: Array
    """(200,) probabilities of the values in GRID."""
    reliability: Estimate
    """Probability that a label is right: mean of the posterior, its interval over prompts."""

    def p_wrong(self, qs: Sequence[float]) -> list[float]:
        """Return the probability that each label is wrong, from the critic's (n,) probabilities that it is right."""
        found: list[float] = []
        for start in range(0, len(qs), CHUNK):
            q = np.array(qs[start : start + CHUNK])[:, None]
            wrong = (1 - GRID) * (1 - q) / (GRID * q + (1 - GRID) * (1 - q))
            found += (wrong @ self.weights).tolist()
        return found


def fit_label_noise(qs: Sequence[float], prompts: Sequence[str]) -> LabelNoise | None:
    """Estimate the reliability from the critic's (n,) probabilities that a label is right, and the labels' prompts.

    None without labels.
    """
    if not qs:
        return None
    sizes = Counter(prompts)
    place = {prompt: number for number, prompt in enumerate(sizes)}
    logs = np.zeros((len(sizes), len(GRID)))
    for q, prompt in zip(qs, prompts, strict=True):
        logs[place[prompt]] += np.log(GRID * q + (1 - GRID) * (1 - q)) / sizes[prompt]
    total = logs.sum(0)
    weights = _normalised(total)
    left_out = np.concatenate(
        [_normalised(total - part) @ GRID for part in np.array_split(logs, len(logs) // 1000 + 1)]
    )
    equal = Weights.of_sizes(np.ones(len(sizes)))
    return LabelNoise(weights, estimate_of(float(weights @ GRID), left_out, equal, len(qs), "fraction"))


def _normalised(logs: Array) -> Array:
    weights = np.exp(logs - logs.max(-1, keepdims=True))
    result: Array = weights / weights.sum(-1, keepdims=True)
    return result
