"""The progress of a long job, and the screen that shows it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from rlaif.models.model import Meter
from rlaif.records import Usage

SHOW_EVERY_S = 0.25


class Forecast(Protocol):
    """Forecasts how long the rest of a job takes."""

    finished: int
    """Items finished in this session."""

    def finish(self, usage: Usage) -> None:
        """Count a finished item and its tokens."""

    def seconds_for(self, unfinished: int, meter: Meter, elapsed: float) -> float | None:
        """Return the seconds that `unfinished` items still take, open ones included; None where it is unknown."""


@dataclass
class Progress:
    """The progress of a job; updated while it runs and read by the screen."""

    prompts: int = 0
    """Number of items in all; `unit` names them."""
    done: int = 0
    """Finished items, those of earlier sessions included."""
    done_before: int = 0
    """Items that earlier sessions finished."""
    open: int = 0
    """Items in progress."""
    failed: int = 0
    started: float = field(default_factory=time.monotonic)
    meter: Meter = field(default_factory=Meter)
    unit: str = "prompts"
    forecast: Forecast | None = None
    """Forecasts the time left from the start on; None where the work cannot be planned."""
    limit_s: float | None = None
    """Time limit in seconds: only items that are expected to be finished by then are started."""
    stopped: str = ""
    """The limit that ended the job before all items were done, in words."""
    said_slow: bool = False
    """Whether the user was warned that the time limit is too short for all items."""

    @property
    def seconds(self) -> float:
        """Seconds of work so far, without the time that servers took to start."""
        now, meter = time.monotonic(), self.meter
        starting = meter.starting_s + (now - meter.waiting_since if meter.waiting else 0.0)
        return max(0.0, now - self.started - starting)

    @property
    def left(self) -> int:
        """Number of items that are neither done nor failed."""
        return self.prompts - self.done - self.failed

    def seconds_left(self) -> float | None:
        """Return the seconds until the job ends, the time limit included; None while it is unknown."""
        if self.forecast is None:
            done_now = self.done - self.done_before
            return self.left * self.seconds / done_now if done_now else None
        left = self.forecast.seconds_for(self.left, self.meter, self.seconds)
        if left is None or self.limit_s is None:
            return left
        begun = self.forecast.seconds_for(self.open, self.meter, self.seconds) or 0.0
        return min(left, max(begun, self.limit_s - self.seconds))

    def has_time_for_another(self) -> bool:
        """Whether one more item would be finished within the limit besides the open ones; True for the first item."""
        if self.limit_s is None or self.forecast is None or self.open + self.forecast.finished == 0:
            return True
        needed = self.forecast.seconds_for(self.open + 1, self.meter, self.seconds)
        return needed is None or self.seconds + needed <= self.limit_s

    def session(self) -> dict[str, float]:
        """Return the counts of this session: seconds, traces, replies and tokens."""
        meter = self.meter
        return {
            "seconds": round(self.seconds, 1),
            "traces": self.done - self.done_before,
            "replies": meter.replies,
            "from_store": meter.from_store,
            "prompt_tokens": meter.prompt_tokens,
            "cached_tokens": meter.cached_tokens,
            "completion_tokens": meter.completion_tokens,
        }


class Screen(Protocol):
    """Shows lines and progress to the user."""

    def say(self, line: str) -> None:
        """Show one line."""

    def show(self, progress: Progress) -> None:
        """Show the progress; called often."""


class Silent:
    """A screen that shows nothing."""

    def say(self, line: str) -> None:
        """Do nothing."""

    def show(self, progress: Progress) -> None:
        """Do nothing."""


@asynccontextmanager
async def shown_often(progress: Progress, screen: Screen) -> AsyncIterator[None]:
    """Show the progress every SHOW_EVERY_S seconds inside the block, and once at its end."""

    async def ticker() -> None:
        while True:
            screen.show(progress)
            await asyncio.sleep(SHOW_EVERY_S)

    tick = asyncio.create_task(ticker())
    try:
        yield
    finally:
        tick.cancel()
        screen.show(progress)
