"""Jobs that Ctrl-C and SIGTERM end in order."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from rlaif.errors import StoppedError
from rlaif.tasks import run_in_loop

Result = TypeVar("Result")

GOES_ON = "stopped; what is finished is kept, the same command goes on from there"


def run_stoppable(job: Callable[[], Coroutine[Any, Any, Result]], *, stopped: str = GOES_ON) -> Result:
    """Run a job to its end; Ctrl-C and SIGTERM both end it in order, servers and all, as StoppedError."""

    async def stoppable() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
        return await job()

    try:
        return run_in_loop(stoppable)
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise StoppedError(stopped) from None
