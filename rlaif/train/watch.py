"""What is looked at while TRL trains: it is written down and shown, and a training gone wrong is stopped.

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
"""What the best checkpoint is chosen by: accuracy, and of equal ones the lower loss; for sft, the loss alone."""
WINDOW = 5
"""Steps over which a fall must go on to count as one without end."""


@dataclass(frozen=True)
class Fall:
    """When the chosen answers have become unlikely beyond what preference optimisation does to them."""

    most: float
    """Nats a token."""
    beta: float
    tokens: float
    """Tokens of a chosen answer, on average."""


class Watch(TrainerCallback):  # type: ignore[misc]
    """Writes metrics, shows progress, stops when asked to or when the model falls apart."""

    def __init__(self, stage: Stage, metrics: Path, fall: Fall | None, show: Callable[[Progress], None]) -> None:
        self.stop_asked = False
        self.stopped_at: int | None = None
        self.progress = Progress(stage, steps=0)
        self._metrics = metrics
        self._fall = fall
        self._falls: deque[float] = deque(maxlen=2 * WINDOW)
        self._show = show

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401
        """Forget what was logged after the checkpoint that it goes on from."""
        self.progress = Progress(self.progress.stage, state.max_steps, state.global_step, state.global_step)
        if state.is_world_process_zero:
            keep_until(self._metrics, state.global_step)
        self._show(self.progress)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:  # noqa: ANN401
        """Write one line; raise TrainingError when going on is of no use."""
        if "train_runtime" in logs:
            return
        numbers = {name: value for name, value in logs.items() if isinstance(value, int | float)}
        if state.is_world_process_zero:
            with self._metrics.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": state.global_step, "seconds": self._seconds(), **numbers}) + "\n")
        self.progress.step = state.global_step
        self.progress.heard(numbers)
        self._show(self.progress)
        self._refuse_no_numbers(numbers)
        self._refuse_a_fall_without_end(numbers)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any) -> None:  # noqa: ANN401
        """Add what the best checkpoint is chosen by."""
        loss = metrics["eval_loss"]
        if self.progress.stage == "sft":
            metrics[f"eval_{BEST}"] = -loss
        else:
            share = loss / (1 + loss) if loss >= 0 else 0.0
            metrics[f"eval_{BEST}"] = metrics[f"eval_{ACCURACY[self.progress.stage]}"] - 1e-6 * share

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ANN401
        """Save and end where a person asked for it."""
        if self.stop_asked and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True
            self.stopped_at = state.global_step

    @contextmanager
    def stoppable(self, say: Callable[[str], None]) -> Iterator[None]:
        """Take the first Ctrl-C or SIGTERM for a wish to stop after the step; the second one ends at once.

        So does the first before any step, when there is nothing to save.
        """

        def ask(_number: int, _frame: object) -> None:
            if self.stop_asked or not self.progress.steps:
                raise KeyboardInterrupt
            self.stop_asked = True
            say("stopping after this step (once more: at once)")

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _seconds(self) -> float:
        """Return the time since this process began to train; a training gone on with begins at 0 again."""
        return round(time.monotonic() - self.progress.started, 3)

    def _refuse_no_numbers(self, numbers: dict[str, float]) -> None:
        bad = [name for name in ("loss", "grad_norm", "eval_loss") if not math.isfinite(numbers.get(name, 0.0))]
        if bad:
            raise TrainingError(
                f"the {bad[0].replace('_', ' ')} is {numbers[bad[0]]} at step {self.progress.step}, so nothing more "
                "would be learned; lower --learning-rate, and look at metrics.jsonl for where it began"
            )

    def _refuse_a_fall_without_end(self, numbers: dict[str, float]) -> None:
        """The chosen answers' mean log-ratio is their reward over beta (Rafailov et al. 2023, eq. 5)."""
        if self._fall is None or "rewards/chosen" not in numbers:
            return
        self._falls.append(-numbers["rewards/chosen"] / self._fall.beta / self._fall.tokens)
        before, now = list(self._falls)[:WINDOW], list(self._falls)[WINDOW:]
        if len(now) < WINDOW or sum(now) / WINDOW <= self._fall.most or sum(now) <= sum(before):
            return
        raise TrainingError(
            f"the chosen answers are {sum(now) / WINDOW:.1f} nats a token less likely than at the start, and falling "
            f"(step {self.progress.step}): good answers are unlearned like bad ones. Lower --learning-rate, raise "
            "--beta, or add the chosen answers' own loss (--trl loss_type=[sigmoid,sft]); max_fall sets the limit"
        )
