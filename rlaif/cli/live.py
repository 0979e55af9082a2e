"""Progress on stderr: one line that refreshes on a terminal, or a plain line every 15 seconds elsewhere."""

import os
import sys
import time
from collections import deque
from dataclasses import dataclass
from typing import Self

from rich.live import Live
from rich.text import Text

from rlaif.cli.console import SafeConsole
from rlaif.models.model import Meter, Step
from rlaif.progress import Progress
from rlaif.train.metrics import Progress as TrainingProgress

PLAIN_EVERY_S = 15.0
RECENT_S = 30.0


@dataclass(frozen=True)
class _Count:
    """The meter's counters at one time."""

    time_s: float
    replies: int
    read: int
    written: int


class Recent:
    """The rate of replies and tokens over the last half minute."""

    def __init__(self) -> None:
        self._counts: deque[_Count] = deque()

    def add(self, meter: Meter, now: float) -> None:
        """Store the counters at the time `now` (seconds)."""
        self._counts.append(_Count(now, meter.fresh, meter.prompt_tokens, meter.completion_tokens))
        while len(self._counts) > 2 and self._counts[1].time_s < now - RECENT_S:
            self._counts.popleft()

    def words(self) -> str:
        """Return the rates as text; fewer than one reply in two seconds is shown as a count in the time passed."""
        if not self._counts:
            return ""
        first, last = self._counts[0], self._counts[-1]
        seconds, replies = last.time_s - first.time_s, last.replies - first.replies
        if seconds < 1:
            return "waiting for the first replies"
        if replies == 0:
            return f"no reply in the last {seconds:.0f} s"
        rate = (
            f"{replies / seconds:.1f} replies/s" if replies >= seconds / 2 else f"{replies} replies in {seconds:.0f} s"
        )
        written, read = (last.written - first.written) / seconds, (last.read - first.read) / seconds
        return f"{rate}, {written:,.0f} tokens/s written, {read:,.0f} read"


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


def progress_line(progress: Progress, recent: Recent | None = None) -> str:
    """Return one line: items done, requests in progress, recent rates, and the estimated time left."""
    parts = [f"{progress.unit} {progress.done}/{progress.prompts}"]
    parts += [f"{progress.failed} failed"] if progress.failed else []
    parts += [asking] if (asking := _asking(progress.meter)) else []
    parts += [recent.words()] if recent is not None else []
    parts += [left] if (left := _time_left(progress)) else []
    return "  ".join(parts)


STEP_NAMES: dict[Step, str] = {
    "sampling": "sampling",
    "critique": "criticising",
    "revision": "revising",
    "judging": "judging",
}


def _asking(meter: Meter) -> str:
    open_requests = {step: use.asking for step, use in meter.steps.items() if use.asking}
    return ", ".join(f"{name} {open_requests[step]}" for step, name in STEP_NAMES.items() if step in open_requests)


def _time_left(progress: Progress) -> str:
    left = progress.seconds_left()
    if left is None or progress.left <= 0 or left < 0.5:
        return ""
    return f"about {left / 60:.0f} min left" if left >= 90 else f"about {left:.0f} s left"


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
