"""Stopping without losing what is paid for: open calls of models finish, and no new ones begin.

`stoppable` holds the state for the job that runs in it; `open_call` is around every call of a model.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass

LONGEST_S = 30.0
"""Seconds that open calls may take to finish after a person stopped the job."""
STORE_S = 0.1
"""Seconds between the last reply and the end, in which it is stored."""


@dataclass
class Drain:
    """The open calls of a job, and whether they are the last ones."""

    cancel: Callable[[], object]
    """Ends the job."""
    open: int = 0
    requested: bool = False

    def request(self) -> bool:
        """Let open calls finish and then end the job; return False where there are none, and the job ends at once."""
        self.requested = True
        if self.open == 0:
            self.cancel()
            return False
        asyncio.get_running_loop().call_later(LONGEST_S, self.cancel)
        return True

    def end_call(self) -> None:
        """Count the end of a call."""
        self.open -= 1
        if self.requested and self.open == 0:
            asyncio.get_running_loop().call_later(STORE_S, self.cancel)


DRAIN: ContextVar[Drain | None] = ContextVar("DRAIN", default=None)


@asynccontextmanager
async def open_call() -> AsyncIterator[None]:
    """Count a call of a model until the block ends; wait for the job's end where no new call may begin."""
    drain = DRAIN.get()
    if drain is None:
        yield
        return
    if drain.requested:
        await asyncio.Event().wait()
    drain.open += 1
    try:
        yield
    finally:
        drain.end_call()
