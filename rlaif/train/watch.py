"""A callback of TRL's trainer that writes and shows the metrics, and stops a training that fails.

Imports transformers.
"""

import json
import math
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from rlaif.errors import TrainingError
from rlaif.train.metrics import ACCURACY, Progress, keep_until
from rlaif.train.trl_options import Stage

BEST = "held_out"
"""Name of the metric of the best checkpoint: accuracy, with the lower loss if equal; for sft, the loss."""
WINDOW = 5
"""Number of steps whose mean is compared with the mean of as many steps before."""


@dataclass(frozen=True)
class Fall:
    """Limit on the fall of the chosen responses' log-probability."""

    most: float
    """Nats per token."""
    beta: float
    tokens: float
    """Mean number of tokens of a chosen response."""


class Watch(TrainerCallback):  # type: ignore[misc]
    """Writes metrics, shows progress, and stops a training on request or when the model degenerates."""

    def __init__(self, stage: Stage, metrics: Path, fall: Fall | None, show: Callable[[Progress], None]) -> None:
        self.stop_asked = False
        self.stopped_at: int | None = None
        self.progress = Progress(stage, steps=0)
        self._metrics = metrics
        self._fall = fall
        self._falls: deque[float] = deque(maxlen=2 * WINDOW)
        self._show = show

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401
        """Drop the metrics logged after the checkpoint that the training continues from."""
        self.progress = Progress(self.progress.stage, state.max_steps, state.global_step, state.global_step)
        if state.is_world_process_zero:
            keep_until(self._metrics, state.global_step)
        self._show(self.progress)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:  # noqa: ANN401
        """Write one line of metrics. Raises TrainingError when the training has failed."""
        if "train_runtime" in logs:
            return
        numbers = {name: value for name, value in logs.items() if isinstance(value, int | float)}
        if state.is_world_process_zero:
            with self._metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": state.global_step, "seconds": self._seconds(), **numbers}) + "\n")
        self.progress.step = state.global_step
        self.progress.update(numbers)
        self._show(self.progress)
        self._check_finite(numbers)
        self._check_fall(numbers)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any) -> None:  # noqa: ANN401
        """Add the metric BEST, by which the best checkpoint is chosen."""
        loss = metrics["eval_loss"]
        if self.progress.stage == "sft":
            metrics[f"eval_{BEST}"] = -loss
        else:
            share = loss / (1 + loss) if loss >= 0 else 0.0
            metrics[f"eval_{BEST}"] = metrics[f"eval_{ACCURACY[self.progress.stage]}"] - 1e-6 * share

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401
        """Save a checkpoint and stop, if the user asked for it."""
        if self.stop_asked and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True
            self.stopped_at = state.global_step

    @contextmanager
    def stoppable(self, say: Callable[[str], None]) -> Iterator[None]:
        """Stop after the current step on the first Ctrl-C or SIGTERM, and immediately on the second one.

        Before the first step, when there is nothing to save, the first one stops immediately.
        """

        def ask(_number: int, _frame: object) -> None:
            if self.stop_asked or not self.progress.steps:
                raise KeyboardInterrupt
            self.stop_asked = True
            say("stopping after this step (press Ctrl-C again to stop immediately)")

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _seconds(self) -> float:
        """Return the seconds since this process started to train; a training that continues starts at 0 again."""
        return round(time.monotonic() - self.progress.started, 3)

    def _check_finite(self, numbers: dict[str, float]) -> None:
        bad = [name for name in ("loss", "grad_norm", "eval_loss") if not math.isfinite(numbers.get(name, 0.0))]
        if bad:
            raise TrainingError(
                f"the {bad[0].replace('_', ' ')} is {numbers[bad[0]]} at step {self.progress.step}, so training stops; "
                "lower --learning-rate, and see metrics.jsonl for the steps before"
            )

    def _check_fall(self, numbers: dict[str, float]) -> None:
        """Raise TrainingError when the chosen responses' log-ratio (reward / beta; Rafailov et al. 2023, eq. 5)
        falls too far."""
        if self._fall is None or "rewards/chosen" not in numbers:
            return
        self._falls.append(-numbers["rewards/chosen"] / self._fall.beta / self._fall.tokens)
        before, now = list(self._falls)[:WINDOW], list(self._falls)[WINDOW:]
        if len(now) < WINDOW or sum(now) / WINDOW <= self._fall.most or sum(now) <= sum(before):
            return
        raise TrainingError(
            f"at step {self.progress.step} the chosen responses are {sum(now) / WINDOW:.1f} nats per token less likely "
            "than at the start, and still falling: the model also unlearns good responses. Lower --learning-rate, "
            "raise --beta, or add the loss of the chosen responses (--trl loss_type=[sigmoid,sft]); max_fall is the "
            "limit"
        )
