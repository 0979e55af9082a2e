"""How far a long job is, and who watches it."""

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
    """Tells how long the rest of a job takes."""

    finished: int
    """Items finished in this session."""

    def finish(self, usage: Usage) -> None:
        """Count a finished item and what it took."""

    def seconds_for(self, unfinished: int, meter: Meter, elapsed: float) -> float | None:
        """Return the seconds that so many unfinished items still take, open ones included; None where unknown."""


@dataclass
class Progress:
    """How far a run is; read by whatever shows it."""

    prompts: int = 0
    """How many there are of what is worked off; `unit` says what that is."""
    done: int = 0
    """Traces, those of earlier sessions included."""
    done_before: int = 0
    open: int = 0
    failed: int = 0
    started: float = field(default_factory=time.monotonic)
    meter: Meter = field(default_factory=Meter)
    unit: str = "prompts"
    forecast: Forecast | None = None
    """Tells how long the rest takes from the start on, where the work can be planned."""
    limit_s: float | None = None
    """Seconds after which no work should be going on."""
    said_slow: bool = False
    """Whether a person was told that not all will be done by then."""

    @property
    def seconds(self) -> float:
        """How long the work has been going on, without the starting of servers."""
        now, meter = time.monotonic(), self.meter
        starting = meter.starting_s + (now - meter.waiting_since if meter.waiting else 0.0)
        return max(0.0, now - self.started - starting)

    @property
    def left(self) -> int:
        """How many are neither done nor failed."""
        return self.prompts - self.done - self.failed

    def seconds_left(self) -> float | None:
        """Return how long all that will be done will take; None while nothing tells."""
        if self.forecast is None:
            done_now = self.done - self.done_before
            return self.left * self.seconds / done_now if done_now else None
        left = self.forecast.seconds_for(self.left, self.meter, self.seconds)
        if left is None or self.limit_s is None:
            return left
        begun = self.forecast.seconds_for(self.open, self.meter, self.seconds) or 0.0
        return min(left, max(begun, self.limit_s - self.seconds))

    def has_time_for_another(self) -> bool:
        """Whether what is open and one more would be finished within the limit; the first always is tried."""
        if self.limit_s is None or self.forecast is None or self.open + self.forecast.finished == 0:
            return True
        needed = self.forecast.seconds_for(self.open + 1, self.meter, self.seconds)
        return needed is None or self.seconds + needed <= self.limit_s

    def session(self) -> dict[str, float]:
        """Return what this process did and spent so far."""
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
    """Whoever watches a run."""

    def say(self, line: str) -> None:
        """Show one line."""

    def show(self, progress: Progress) -> None:
        """Show how far the run is; called often."""


class Silent:
    """Shows nothing."""

    def say(self, line: str) -> None:
        """Do nothing."""

    def show(self, progress: Progress) -> None:
        """Do nothing."""


@asynccontextmanager
async def shown_often(progress: Progress, screen: Screen) -> AsyncIterator[None]:
    """Show how far a job is while it is worked on inside, and once more at its end."""

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
