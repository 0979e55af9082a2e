"""Many items through one async function: a bounded number open, failures kept as what they are, fatal errors at once.

The only loop of its kind: generation, comparisons and evaluations all go through it. An item is begun in its order, an
error that is the item's own becomes a `Failed`, and one that concerns every item (no server, wrong key, full disk, a
person's mistake) ends the job at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from rlaif.errors import RunError, UsageError
from rlaif.progress import Progress, Screen, shown_often
from rlaif.tasks import first_error

Item = TypeVar("Item")
Result = TypeVar("Result")

ALL_FAIL_LIMIT = 20
"""When so many items fail before one succeeds, the job stops: it is not the items' fault."""


@dataclass(frozen=True)
class Failed:
    """An item that failed for good."""

    cause: Exception

    @property
    def error(self) -> str:
        """The error's class and message."""
        return f"{type(self.cause).__name__}: {self.cause}"


GiveUp: TypeAlias = Callable[[int, Exception], Exception | None]
"""From how many failed and the last error to the error that ends the job, or None to go on."""


async def execute(  # noqa: PLR0913
    items: Iterator[Item],
    job: Callable[[Item], Awaitable[Result]],
    keep: Callable[[Item, Result | Failed], None],
    *,
    open_items: int,
    progress: Progress,
    screen: Screen,
    give_up: GiveUp,
    may_begin: Callable[[], Awaitable[bool]] | None = None,
) -> None:
    """Take every item through `job` and hand what came of it to `keep`, as soon as it is there.

    `give_up` is asked after each failure; `may_begin` before each item (False: no further item is begun, what is open
    is finished). Raises RunError and UsageError of `job`, and what `give_up` returns.
    """

    async def worker() -> None:
        while may_begin is None or await may_begin():
            try:
                item = next(items)
            except StopIteration:
                return
            progress.open += 1
            try:
                await _one(item, job, keep, progress, give_up)
            finally:
                progress.open -= 1
            screen.show(progress)

    try:
        async with shown_often(progress, screen), asyncio.TaskGroup() as group:
            for _ in range(max(1, min(open_items, progress.left))):
                group.create_task(worker())
    except BaseExceptionGroup as failed:
        raise first_error(failed) from None


async def _one(
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
