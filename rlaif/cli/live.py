"""Progress on stderr: one line that refreshes on a terminal, or a plain line every 15 seconds elsewhere."""

import os
import sys
import time
from typing import Self

from rich.live import Live
from rich.text import Text

from rlaif.cli.console import SafeConsole
from rlaif.progress import Progress
from rlaif.progress_line import Recent, progress_line
from rlaif.train.metrics import Progress as TrainingProgress

PLAIN_EVERY_S = 15.0


class LiveLine:
    """A line that refreshes on a terminal, or plain lines every 15 seconds elsewhere; use as a context manager."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = SafeConsole(stderr=True, highlight=False, soft_wrap=True)
        self._quiet = quiet
        self._live: Live | None = None
        self._last = 0.0
        self._shown = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.rest()

    def rest(self) -> None:
        """End the line that refreshes; the next output is below it."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, line: str) -> None:
        """Show one line."""
        if not self._quiet:
            self._console.print(line, markup=False)

    def due(self) -> bool:
        """Whether enough time has passed since the last refresh."""
        return time.monotonic() - self._last >= (0.1 if sys.stderr.isatty() else PLAIN_EVERY_S)

    def refresh(self, line: str) -> None:
        """Show `line` in place of the one before."""
        self._last = time.monotonic()
        if self._quiet:
            return
        if sys.stderr.isatty():
            if self._live is None:
                self._live = Live(console=self._console, auto_refresh=False)
                self._live.start()
            self._live.update(Text(line), refresh=True)
        elif line != self._shown:
            self._console.print(line, markup=False)
        self._shown = line


class LiveScreen(LiveLine):
    """Shows the progress of a job that asks models."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet)
        self._finished = False
        self._latest: Progress | None = None
        self._recent = Recent()

    def __exit__(self, *_: object) -> None:
        refreshed = self._live is not None
        self.rest()
        if not refreshed and self._latest is not None and not self._finished and not self._quiet:
            self._console.print(progress_line(self._latest, self._recent), markup=False)

    def show(self, progress: Progress) -> None:
        """Refresh the line; cheap to call often. Shows nothing while a server starts."""
        if self._latest is not progress:  # one job after another
            self._finished, self._recent = False, Recent()
        self._latest = progress
        if progress.meter.waiting:
            self._recent = Recent()
            return
        self._recent.add(progress.meter, time.monotonic())
        finished = progress.done + progress.failed >= progress.prompts and not self._finished
        if self._quiet or not (self.due() or finished):
            return
        self._finished = self._finished or finished
        self.refresh(progress_line(progress, self._recent))


class TrainScreen(LiveLine):
    """Shows the progress of a training. Of several processes only the first one shows anything."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet or os.environ.get("RANK", "0") != "0")

    def show(self, progress: TrainingProgress) -> None:
        """Refresh the line; cheap to call often."""
        if (self.due() or progress.step == progress.steps) and (progress.step or sys.stderr.isatty()):
            self.refresh(training_line(progress))


def training_line(progress: TrainingProgress) -> str:
    """Return one line: step, loss, accuracy in training and on held-out examples, and the estimated time left."""
    parts = [f"step {progress.step}/{progress.steps}"]
    if progress.loss is not None:
        parts.append(f"loss {progress.loss:.4f}")
    if progress.accuracy is not None:
        parts.append(f"{'tokens' if progress.stage == 'sft' else 'pairs'} right {progress.accuracy:.0%}")
    if progress.held_out is not None:
        held_out = f"{progress.held_out:.4f}" if progress.stage == "sft" else f"{progress.held_out:.1%}"
        parts.append(f"held out {held_out} (step {progress.held_out_step})")
    done = progress.step - progress.first_step
    if done and progress.step < progress.steps:
        left = (time.monotonic() - progress.started) / done * (progress.steps - progress.step)
        parts.append(f"about {left / 60:.0f} min left" if left >= 90 else f"about {left:.0f} s left")
    return "  ".join(parts)
