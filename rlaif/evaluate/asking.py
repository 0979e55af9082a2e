"""Many questions put to models: a bounded number open, those that fail for good counted, the rest kept."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rlaif.errors import CheckError, RequestError, RunError
from rlaif.models.model import Answer
from rlaif.progress import ALL_FAIL_LIMIT, Progress, Screen, shown_often
from rlaif.records import Matchup
from rlaif.steps.comparison import Comparison
from rlaif.tasks import together

OPEN = 64
"""Questions worked on at the same time; a comparison asks all its principles in both orders."""

Question = TypeVar("Question")
Result = TypeVar("Result")
Make = Callable[[int], Comparison]
"""From a comparison's place to the comparison."""
Decide = Callable[[Comparison], Awaitable[tuple[Matchup, Sequence[Answer]]]]
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
    answers: Sequence[Answer] = ()
    error: str | None = None


@dataclass(frozen=True)
class Failed:
    """A question that failed for good."""

    error: str


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
    todo = iter(range(len(questions)))
    state = _State(limit=min(ALL_FAIL_LIMIT, len(questions)))
    workers = max(1, min(OPEN, len(questions)))
    async with shown_often(progress, screen):
        await together(*(_work_off(questions, ask, todo, found, progress, state) for _ in range(workers)))
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
        except (RequestError, CheckError) as error:
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
