"""How far a training is: what the screen shows and `metrics.jsonl` keeps. No torch here."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rlaif.train.config import Stage

ACCURACY: dict[Stage, str] = {"dpo": "rewards/accuracies", "reward": "accuracy", "sft": "mean_token_accuracy"}
"""What TRL calls the share of pairs (for sft, of tokens) that a model gets right."""


@dataclass
class Progress:
    """The state of a training, updated in place."""

    stage: Stage
    steps: int
    step: int = 0
    first_step: int = 0
    """Where this process began; above 0 when it goes on from a checkpoint."""
    loss: float | None = None
    accuracy: float | None = None
    held_out: float | None = None
    """Accuracy on the held-out examples when last looked at; for sft, the loss."""
    held_out_step: int = 0
    started: float = field(default_factory=time.monotonic)

    def heard(self, metrics: Mapping[str, float]) -> None:
        """Take over what was logged."""
        self.loss = metrics.get("loss", self.loss)
        self.accuracy = metrics.get(ACCURACY[self.stage], self.accuracy)
        held_out = metrics.get(f"eval_{'loss' if self.stage == 'sft' else ACCURACY[self.stage]}")
        if held_out is not None:
            self.held_out, self.held_out_step = held_out, self.step


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Return the lines of a metrics file; a last line cut off is left out."""
    return list(_lines(path))


def keep_until(path: Path, step: int) -> None:
    """Drop what was logged after a step: going on from its checkpoint will log it again."""
    kept = [line for line in _lines(path) if line["step"] <= step]
    path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")


def _lines(path: Path) -> Iterator[dict[str, float]]:
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                return
