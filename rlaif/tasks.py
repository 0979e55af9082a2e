"""Doing several things at once: all results, or the first error at once and nothing left running."""

import asyncio
from collections.abc import Coroutine
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
