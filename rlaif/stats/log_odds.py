"""Conversion between probabilities and log-odds."""

import math

LARGEST = 4.0
"""Log-odds are clipped here, at a probability of 98 %: a surer judge asks for no wider gap between two scores."""


def log_odds(p: float) -> float:
    """Return log(p / (1 - p)), the difference of two Bradley-Terry scores, in [-LARGEST, LARGEST]."""
    if p in {0.0, 1.0}:
        return math.copysign(LARGEST, p - 0.5)
    return max(-LARGEST, min(LARGEST, math.log(p / (1 - p))))


def sigmoid(x: float) -> float:
    """Return 1 / (1 + exp(-x)) without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))
