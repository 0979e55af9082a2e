"""How many requests to keep open at a server so that it is never idle: found while it works, from its own queue.

A vLLM server says how many of its requests wait for a place; more are opened until some wait. Of other servers only the
rate of replies is known; more are opened as long as the rate grows with them. A server that refuses (429, 503) or does
not reply in time gets fewer.
"""

import asyncio
import math
from dataclasses import dataclass, field
from typing import Protocol

from rlaif.models.limiter import PriorityLimiter

FIRST, LEAST, MOST = 64, 4, 1024
"""Open requests at the start, and the fewest and most that are tried."""
WINDOW_S = 0.5
REPLIES_TO_JUDGE = 1.5
"""Mean times of a reply in a window, where the rate of replies is all that is known."""
WORTH_MORE = 1.1
"""Growth of the rate of replies after which even more requests are opened."""
SLACK = 1.25
"""Open requests, relative to the last number that was worth it, so that some always wait in the server."""
TRY_AGAIN_S = 60.0
"""Seconds until more requests are tried again, after more of them did not help or were refused."""


@dataclass(frozen=True)
class Load:
    """The requests in a server, those of all its clients."""

    running: int
    waiting: int
    """Requests that wait for a place among the running ones."""


class Server(Protocol):
    """What is asked of a backend here."""

    async def load(self) -> Load | None:
        """Return the requests in the server; None where it does not say."""


@dataclass
class Saturation:
    """Adjusts the limit of one server."""

    slots: PriorityLimiter
    replies: int = 0
    """Replies in this window."""
    seconds: float = 0.0
    """Seconds that these replies took, added up."""
    refused: int = 0
    """Requests that the server refused as too many or did not reply to in time, in this window."""
    _fewer: tuple[int, float] | None = field(default=None)
    """(Limit, replies per second) before the last growth."""
    _quiet_until: float = -math.inf

    async def follow(self, server: Server) -> None:
        """Adjust the limit window by window; never returns."""
        loop, window = asyncio.get_running_loop(), WINDOW_S
        while True:
            began = loop.time()
            await asyncio.sleep(window)
            load = await server.load()
            self.adjust(load, loop.time() - began, loop.time())
            slow = 0.0 if load is not None or not self.replies else REPLIES_TO_JUDGE * self.seconds / self.replies
            window = max(WINDOW_S, slow)
            self.replies, self.seconds, self.refused = 0, 0.0, 0

    def adjust(self, load: Load | None, window: float, now: float) -> None:
        """Set the limit after a window of so many seconds that ended at `now`."""
        if self.refused:
            self._set(self.slots.limit * 0.7)
            self._fewer, self._quiet_until = None, now + TRY_AGAIN_S
        elif load is not None and load.waiting > max(LEAST, load.running // 4):
            self._set(min(self.slots.limit, self.slots.held) - load.waiting // 2)
        elif not self.slots.is_full or now < self._quiet_until:
            return
        elif load is not None:
            if load.waiting == 0:
                self._set(self.slots.limit * 2)
        else:
            self._judge_growth(self.replies / window, now)

    def _judge_growth(self, rate: float, now: float) -> None:
        """Open twice as many requests while that makes the replies come faster, else as many as before."""
        if not rate:
            return
        if self._fewer is not None and rate < WORTH_MORE * self._fewer[1]:
            self._set(self._fewer[0] * SLACK)
            self._fewer, self._quiet_until = None, now + TRY_AGAIN_S
        else:
            self._fewer = self.slots.limit, rate
            self._set(self.slots.limit * 2)

    def _set(self, limit: float) -> None:
        self.slots.set_limit(round(min(MOST, max(LEAST, limit))))
