"""How what was said about a matchup becomes one decision: weights, levels, thresholds, and who reads what was said."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from rlaif.preferences.logits import PrincipleLogit
from rlaif.preferences.position import PositionBias
from rlaif.records import PROMPT_CHECK, Matchup

Read: TypeAlias = Callable[[Matchup], Mapping[str, Sequence[PrincipleLogit]]]
"""From a matchup's facts to what each judge said, under the principles; the judges know how."""
Strategy: TypeAlias = Literal["by-priority", "weighted", "pareto"]


@dataclass(frozen=True)
class Rule:
    """How the principles' log-odds become one decision."""

    read: Read
    weights: Mapping[str, float]
    """Of the constitution's principles, in its order."""
    priorities: Mapping[str, int] = field(default_factory=dict)
    """Levels; 1 for a principle that is not named."""
    strategy: Strategy = "by-priority"
    min_margin: float = 0.1
    allow_order_noise: bool = False
    judge_weights: Mapping[str, float] = field(default_factory=dict)
    """Shares in the mean over judges under one principle."""
    aspect_weights: Mapping[str, float] = field(default_factory=dict)
    """Of what judges decide beside the constitution's principles, under `JUDGE:ASPECT`."""
    keeps_judges_apart: bool = False
    """Whether it is noted what each judge said, where only one spoke under a principle."""
    bias: PositionBias | None = None
    """Over the whole run; without it nothing can be said about order noise."""
    recalibrate: Callable[[float], float] | None = None
    """From log-odds to log-odds; odd and rising, so that it turns no winner round."""

    def weight(self, principle: str) -> float:
        """Return a principle's weight; 1 for a prompt's own check, and what the run file says of an aspect."""
        if ":" not in principle:
            return self.weights[principle]
        return 1.0 if principle.startswith(PROMPT_CHECK) else self.aspect_weights.get(principle, 1.0)
