"""Many comparisons put to one critic: a bounded number open, those that fail for good counted, the rest kept."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from rlaif.errors import CheckError, RequestError
from rlaif.generation import ALL_FAIL_LIMIT, Progress, Screen
from rlaif.models.model import Answer
from rlaif.records import Matchup
from rlaif.steps.comparison import Comparison
from rlaif.tasks import together

OPEN = 64
"""Comparisons worked on at the same time; each asks all its principles in both orders."""

Make = Callable[[int], Comparison]
"""From a comparison's place to the comparison."""
Decide = Callable[[Comparison], Awaitable[tuple[Matchup, Sequence[Answer]]]]
"""Asks whoever decides a comparison."""


@dataclass(frozen=True)
class Asked:
    """One comparison and the critic's answer to it."""

    matchup: Matchup | None
    answers: Sequence[Answer] = ()
    error: str | None = None


async def ask_all(decide: Decide, count: int, make: Make, progress: Progress, screen: Screen) -> list[Asked]:
    """Ask `count` comparisons and return what came of each, in order.

    Raises RequestError or CheckError when all of them fail, or so many of the first that it is not their fault.
    """
    progress.prompts = count
    found: list[Asked | None] = [None] * count
    todo = iter(range(count))
    ticker = asyncio.create_task(_show_often(progress, screen))
    try:
        await together(*(_work_off(decide, todo, make, found, progress) for _ in range(max(1, min(OPEN, count)))))
    finally:
        ticker.cancel()
    screen.show(progress)
    return [one for one in found if one is not None]


async def _work_off(
    decide: Decide, todo: Iterator[int], make: Make, found: list[Asked | None], progress: Progress
) -> None:
    for place in todo:
        progress.open += 1
        try:
            matchup, answers = await decide(make(place))
        except (RequestError, CheckError) as error:
            progress.failed += 1
            found[place] = Asked(None, (), f"{type(error).__name__}: {error}")
            if progress.failed == min(ALL_FAIL_LIMIT, progress.prompts) and not progress.done:
                raise
        else:
            progress.done += 1
            found[place] = Asked(matchup, answers)
        finally:
            progress.open -= 1


async def _show_often(progress: Progress, screen: Screen) -> None:
    while True:
        screen.show(progress)
        await asyncio.sleep(0.25)
