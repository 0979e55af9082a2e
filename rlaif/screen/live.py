"""How far a run is: one line that refreshes on a terminal, plain lines now and then elsewhere. All on stderr."""

import sys
import time
from typing import Self

from rich.live import Live
from rich.text import Text

from rlaif.progress import Progress
from rlaif.screen import SafeConsole

PLAIN_EVERY_S = 15.0


class LiveScreen:
    """Shows a run on stderr; use as a context manager."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = SafeConsole(stderr=True, highlight=False, soft_wrap=True)
        self._quiet = quiet
        self._live: Live | None = None
        self._last = 0.0
        self._shown = ""
        self._finished = False
        self._latest: Progress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
        elif self._latest is not None and not self._finished and not self._quiet:
            self._console.print(progress_line(self._latest), markup=False)

    def say(self, line: str) -> None:
        """Show one line."""
        if not self._quiet:
            self._console.print(line, markup=False)

    def show(self, progress: Progress) -> None:
        """Refresh the view; cheap to call often. While a server starts there is nothing to tell but that."""
        if self._latest is not progress:  # one job after another
            self._finished = False
        self._latest = progress
        if progress.meter.waiting:
            return
        finished = progress.done + progress.failed >= progress.prompts and not self._finished
        now = time.monotonic()
        if self._quiet or (now - self._last < (0.1 if sys.stderr.isatty() else PLAIN_EVERY_S) and not finished):
            return
        self._last, self._finished = now, self._finished or finished
        line = progress_line(progress)
        if sys.stderr.isatty():
            if self._live is None:
                self._live = Live(console=self._console, auto_refresh=False)
                self._live.start()
            self._live.update(Text(line), refresh=True)
        elif line != self._shown:
            self._console.print(line, markup=False)
        self._shown = line


def progress_line(progress: Progress) -> str:
    """Return the state of a run in one line."""
    meter = progress.meter
    seconds = max(progress.seconds, 1e-6)
    fresh = meter.replies - meter.from_store
    cached = meter.cached_tokens / meter.prompt_tokens if meter.prompt_tokens else 0.0
    parts = [
        f"{progress.unit} {progress.done}/{progress.prompts}",
        f"open {progress.open}",
        f"failed {progress.failed}",
        f"replies {meter.replies:,} ({meter.from_store:,} from store)",
        f"{fresh / seconds:.1f} replies/s",
        f"{meter.completion_tokens / seconds:,.0f} tokens/s",
        f"cached {cached:.0%}",
    ]
    left = _time_left(progress, seconds)
    return "  ".join([*parts, left] if left else parts)


def _time_left(progress: Progress, seconds: float) -> str:
    done_now = progress.done - progress.done_before
    to_do = progress.prompts - progress.done - progress.failed
    if done_now == 0 or to_do <= 0:
        return ""
    left = to_do * seconds / done_now
    return f"about {left / 60:.0f} min left" if left >= 90 else f"about {left:.0f} s left"
