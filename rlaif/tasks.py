"""Run coroutines concurrently (all results, or the first error with the rest cancelled), or from synchronous code."""

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from rlaif.errors import RlaifError

Result = TypeVar("Result")


async def together(*jobs: Coroutine[Any, Any, Result]) -> list[Result]:
    """Return the results in order. When a job fails, cancel the others and raise its error."""
    if len(jobs) == 1:
        return [await jobs[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in jobs]
    except BaseExceptionGroup as failed:
        raise first_error(failed) from None
    return [task.result() for task in tasks]


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first RlaifError of a group, or else its first exception."""
    ours, others = group.split(RlaifError)
    error: BaseException = ours or others or group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def run_in_loop(job: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Return the result of a coroutine: on uvloop if installed, in another thread if this one already runs a loop."""
    try:
        import uvloop  # noqa: PLC0415

        factory = uvloop.new_event_loop
    except ImportError:
        factory = asyncio.new_event_loop

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with _rare_collections(), asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(job())
    return _in_thread(job, factory)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Let Python search for cyclic garbage rarely, and not among what exists already: modules, classes, models.

    With hundreds of prompts open, the usual thresholds spend a third of the time on searches that find nothing.
    """
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def _in_thread(
    job: Callable[[], Coroutine[Any, Any, Result]], factory: Callable[[], asyncio.AbstractEventLoop]
) -> Result:
    """Return the result of a job run in another thread; a KeyboardInterrupt here cancels the job, too."""
    started: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def stoppable() -> Result:
        task = asyncio.current_task()
        assert task is not None
        started.append((asyncio.get_running_loop(), task))
        return await job()

    def run() -> Result:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(stoppable())

    with ThreadPoolExecutor(1, thread_name_prefix="rlaif") as executor:  # its end waits for the thread
        future = executor.submit(run)
        try:
            return future.result()
        except KeyboardInterrupt:
            for loop, task in started:
                loop.call_soon_threadsafe(task.cancel)
            raise
