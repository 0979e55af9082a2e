"""Apply one async function to many items: a bounded number at a time, failures as records, fatal errors at once.

Generation, comparisons and evaluations all use this loop. Items are started in their order. An error that concerns one
item becomes a `Failed`; one that concerns every item (no server, wrong key, full disk, a user's mistake) ends the job.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from rlaif.errors import RunError, UsageError
from rlaif.progress import Progress, Screen, shown_often
from rlaif.tasks import first_error

Item = TypeVar("Item")
Result = TypeVar("Result")

LOOK_AGAIN_S = 0.01
"""Seconds after which it is asked again how many items may be open, where none ended in between."""
ALL_FAIL_LIMIT = 20
"""The job ends when this many items fail before one succeeds: the items are then not the cause."""


@dataclass(frozen=True)
class Failed:
    """An item that failed for good."""

    cause: Exception

    @property
    def error(self) -> str:
        """The error's class and message."""
        return f"{type(self.cause).__name__}: {self.cause}"


GiveUp: TypeAlias = Callable[[int, Exception], Exception | None]
"""From (number of failed items, last error) to the error that ends the job, or None to continue."""


async def execute(  # noqa: PLR0913
    items: Iterator[Item],
    job: Callable[[Item], Awaitable[Result]],
    keep: Callable[[Item, Result | Failed], None],
    *,
    open_items: Callable[[int], int],
    progress: Progress,
    screen: Screen,
    give_up: GiveUp,
    may_begin: Callable[[], Awaitable[bool]] | None = None,
) -> None:
    """Call `job` on every item and pass its result, or a `Failed`, to `keep` at once.

    `open_items` is given the number of open items and returns how many may be open. `give_up` is called after each
    failure. `may_begin` is called before each item: after False no further item is started, and open ones are finished.
    Raises RunError and UsageError of `job`, and what `give_up` returns.
    """
    ended = asyncio.Event()

    async def run(item: Item) -> None:
        try:
            await _run_item(item, job, keep, progress, give_up)
        finally:
            progress.open -= 1
            ended.set()
        screen.show(progress)

    try:
        async with shown_often(progress, screen), asyncio.TaskGroup() as group:
            async for _ in _places(open_items, progress, ended):
                if may_begin is not None and not await may_begin():
                    break
                try:
                    item = next(items)
                except StopIteration:
                    break
                progress.open += 1
                group.create_task(run(item))
    except BaseExceptionGroup as failed:
        raise first_error(failed) from None


async def _places(open_items: Callable[[int], int], progress: Progress, ended: asyncio.Event) -> AsyncIterator[None]:
    """Yield once for every item that may be started, and wait while enough of them are open."""
    while True:
        allowed = open_items(progress.open)
        while progress.open < allowed:
            yield
        ended.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_AGAIN_S):
                await ended.wait()


def always(number: int) -> Callable[[int], int]:
    """Return a fixed number of open items, as `execute` takes it."""
    return lambda _: number


async def _run_item(
    item: Item,
    job: Callable[[Item], Awaitable[Result]],
    keep: Callable[[Item, Result | Failed], None],
    progress: Progress,
    give_up: GiveUp,
) -> None:
    try:
        result = await job(item)
    except (RunError, UsageError):
        raise
    except Exception as error:  # noqa: BLE001  (the one place where an error becomes a record)
        keep(item, Failed(error))
        progress.failed += 1
        if (fatal := give_up(progress.failed, error)) is not None:
            raise fatal from None
        return
    keep(item, result)
    progress.done += 1
