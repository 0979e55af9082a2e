"""A limit on the requests that are open at one server: by priority, and adjustable while it works."""

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class PriorityLimiter:
    """A semaphore that admits waiting tasks by priority, then in order of arrival."""

    def __init__(self, slots: int) -> None:
        self.limit = slots
        """Slots that may be held at once; change it with `set_limit`."""
        self.held = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    @property
    def is_full(self) -> bool:
        """Whether a further task would have to wait."""
        return self.held >= self.limit

    def set_limit(self, slots: int) -> None:
        """Change the number of slots: more are given to waiting tasks at once; slots that are held stay held."""
        self.limit = slots
        self._admit()

    @asynccontextmanager
    async def slot(self, priority: int) -> AsyncIterator[None]:
        """Hold one slot until the block ends."""
        await self._acquire(priority)
        try:
            yield
        finally:
            self._release()

    async def _acquire(self, priority: int) -> None:
        if not self.is_full:
            self.held += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._order), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._release()
            raise

    def _release(self) -> None:
        self.held -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and not self.is_full:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                self.held += 1
                turn.set_result(None)
