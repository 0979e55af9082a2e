"""Many questions put to models: a bounded number open, those that fail for good counted, the rest kept."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rlaif.errors import CheckError, RequestError, RunError
from rlaif.executor import ALL_FAIL_LIMIT, Failed, execute
from rlaif.judges.base import Comparison
from rlaif.models.model import StoredReply
from rlaif.progress import Progress, Screen
from rlaif.records import Matchup

OPEN = 64
"""Questions worked on at the same time; a comparison asks all its principles in both orders."""

Question = TypeVar("Question")
Result = TypeVar("Result")
Make = Callable[[int], Comparison]
"""From a comparison's place to the comparison."""
Decide = Callable[[Comparison], Awaitable[tuple[Matchup, Sequence[StoredReply]]]]
"""Asks whoever decides a comparison."""


MOST_FAILED = 0.1
"""Share of the questions that may fail before what was measured is held to be broken."""


def end_where_many_failed(failed: int, asked: int, error: str | None) -> None:
    """Raise RunError where so many questions failed that no script should take the figures for done."""
    if failed > MOST_FAILED * asked:
        raise RunError(
            f"{failed} of {asked} questions could not be asked, the first because {error}; the figures are of the "
            "others, and the same command asks again"
        )


@dataclass(frozen=True)
class Asked:
    """One comparison and the critic's answer to it."""

    matchup: Matchup | None
    answers: Sequence[StoredReply] = ()
    error: str | None = None


async def ask_all(decide: Decide, count: int, make: Make, progress: Progress, screen: Screen) -> list[Asked]:
    """Ask `count` comparisons and return what came of each, in order. Raises what `ask_each` raises."""
    progress.prompts = count

    async def ask(_: int, place: int) -> Asked:
        return Asked(*await decide(make(place)))

    found = await ask_each(range(count), ask, progress, screen)
    return [Asked(None, (), one.error) if isinstance(one, Failed) else one for one in found]


async def ask_each(
    questions: Sequence[Question],
    ask: Callable[[Question, int], Awaitable[Result]],
    progress: Progress,
    screen: Screen,
) -> list[Result | Failed]:
    """Ask every question, with its place as priority; return what came of each, in order.

    Raises RequestError or CheckError when all of them fail, or so many of the first that it is not their fault.
    """
    found: list[Result | Failed | None] = [None] * len(questions)
    answered = failed_here = 0

    async def job(place: int) -> Result:
        return await ask(questions[place], place)

    def keep(place: int, result: Result | Failed) -> None:
        nonlocal answered, failed_here
        found[place] = result
        answered += not isinstance(result, Failed)
        failed_here += isinstance(result, Failed)

    def give_up(_: int, error: Exception) -> Exception | None:
        enough = failed_here == min(ALL_FAIL_LIMIT, len(questions)) and not answered
        return error if enough or not isinstance(error, RequestError | CheckError) else None

    await execute(
        iter(range(len(questions))),
        job,
        keep,
        open_items=min(OPEN, len(questions)),
        progress=progress,
        screen=screen,
        give_up=give_up,
    )
    return [one for one in found if one is not None]
