"""The line that shows how far a job is: items done, requests in progress, recent rates, and the time left."""

from collections import deque
from dataclasses import dataclass

from rlaif.models.model import Meter, Step
from rlaif.progress import Progress

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
