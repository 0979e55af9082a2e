"""Many questions of one kind put to one model: a bounded number open, those that fail for good counted."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rlaif.errors import RequestError
from rlaif.generation import ALL_FAIL_LIMIT, Progress, Screen
from rlaif.tasks import together

OPEN = 64
"""Questions worked on at the same time."""

Question = TypeVar("Question")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Failed:
    """A question that failed for good."""

    error: str


async def ask_each(
    questions: Sequence[Question],
    ask: Callable[[Question, int], Awaitable[Result]],
    progress: Progress,
    screen: Screen,
) -> list[Result | Failed]:
    """Ask every question, with its place as priority; return what came of each, in order.

    Raises RequestError when all of them fail, or so many of the first that it is not their fault.
    """
    found: list[Result | Failed | None] = [None] * len(questions)
    todo = iter(range(len(questions)))
    ticker = asyncio.create_task(_show_often(progress, screen))
    state = _State(limit=min(ALL_FAIL_LIMIT, len(questions)))
    try:
        workers = max(1, min(OPEN, len(questions)))
        await together(*(_work_off(questions, ask, todo, found, progress, state) for _ in range(workers)))
    finally:
        ticker.cancel()
    screen.show(progress)
    return [one for one in found if one is not None]


@dataclass
class _State:
    """How these questions fare, apart from those asked before."""

    limit: int
    done: int = 0
    failed: int = 0


async def _work_off(
    questions: Sequence[Question],
    ask: Callable[[Question, int], Awaitable[Result]],
    todo: Iterator[int],
    found: list[Result | Failed | None],
    progress: Progress,
    state: _State,
) -> None:
    for place in todo:
        progress.open += 1
        try:
            found[place] = await ask(questions[place], place)
        except RequestError as error:
            progress.failed += 1
            state.failed += 1
            found[place] = Failed(f"{type(error).__name__}: {error}")
            if state.failed == state.limit and not state.done:
                raise
        else:
            progress.done += 1
            state.done += 1
        finally:
            progress.open -= 1


async def _show_often(progress: Progress, screen: Screen) -> None:
    while True:
        screen.show(progress)
        await asyncio.sleep(0.25)
