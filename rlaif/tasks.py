"""Doing several things at once (all results, or the first error and nothing left running), in a loop of one's own."""

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from rlaif.errors import RlaifError

Result = TypeVar("Result")


async def together(*jobs: Coroutine[Any, Any, Result]) -> list[Result]:
    """Return the results in order. The first job that fails cancels the others, and its error is raised."""
    if len(jobs) == 1:
        return [await jobs[0]]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in jobs]
    except BaseExceptionGroup as failed:
        raise first_error(failed) from None
    return [task.result() for task in tasks]


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error a person should read: ours before any other."""
    ours, others = group.split(RlaifError)
    found: BaseException = ours or others or group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def run_in_loop(job: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine to its end: on uvloop where present, in a thread of its own when a loop runs here already."""
    try:
        import uvloop  # noqa: PLC0415

        factory = uvloop.new_event_loop
    except ImportError:
        factory = asyncio.new_event_loop

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(job())
    return _in_thread(job, factory)


def _in_thread(
    job: Callable[[], Coroutine[Any, Any, Result]], factory: Callable[[], asyncio.AbstractEventLoop]
) -> Result:
    """Run a job beside a loop that is running here; interrupting the caller stops the job, too."""
    started: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def stoppable() -> Result:
        task = asyncio.current_task()
        assert task is not None
        started.append((asyncio.get_running_loop(), task))
        return await job()

    def run() -> Result:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(stoppable())

    with ThreadPoolExecutor(1, thread_name_prefix="rlaif") as beside:  # leaving it waits for the thread
        outcome = beside.submit(run)
        try:
            return outcome.result()
        except KeyboardInterrupt:
            for loop, task in started:
                loop.call_soon_threadsafe(task.cancel)
            raise
