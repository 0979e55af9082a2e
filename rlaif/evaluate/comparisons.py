"""Run many comparisons of two responses at the same time.

The input is comparisons and the function that asks the judges about one of them, the output their results in the same
order. A question that fails after all retries becomes a failed result, and the others continue.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rlaif.config.judging import JudgingConfig
from rlaif.constitution.schema import Constitution, Principle
from rlaif.errors import CheckError, RequestError, RunError
from rlaif.executor import ALL_FAIL_LIMIT, Failed, always, execute
from rlaif.judges.base import Comparison
from rlaif.models.model import StoredReply
from rlaif.preferences.judgement import judge_matchup
from rlaif.progress import Progress, Screen
from rlaif.records import Matchup, Prompt, Response
from rlaif.seeds import derive_seed

OPEN = 64
"""Questions open at the same time; one comparison asks all its principles in both orders."""
MOST_FAILED = 0.1
"""Share of the questions that may fail; with more, the command fails."""

Question = TypeVar("Question")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Compared:
    """The result of one comparison."""

    matchup: Matchup | None
    """None if the comparison failed."""
    replies: Sequence[StoredReply] = ()
    error: str | None = None


async def compare_all(
    compare: Callable[[Comparison], Awaitable[tuple[Matchup, Sequence[StoredReply]]]],
    comparisons: Sequence[Comparison],
    progress: Progress,
    screen: Screen,
) -> list[Compared]:
    """Return the result of every comparison, in order. Raises what `ask_each` raises."""
    progress.prompts = len(comparisons)

    async def ask(comparison: Comparison, _: int) -> Compared:
        return Compared(*await compare(comparison))

    found = await ask_each(comparisons, ask, progress, screen)
    return [Compared(None, (), one.error) if isinstance(one, Failed) else one for one in found]


async def ask_each(
    questions: Sequence[Question],
    ask: Callable[[Question, int], Awaitable[Result]],
    progress: Progress,
    screen: Screen,
) -> list[Result | Failed]:
    """Ask every question, with its index as priority, and return the results in order.

    Raises RequestError or CheckError when all questions fail, or the first `ALL_FAIL_LIMIT` of them.
    """
    results: dict[int, Result | Failed] = {}

    async def job(place: int) -> Result:
        return await ask(questions[place], place)

    def give_up(_: int, error: Exception) -> Exception | None:
        all_failed = all(isinstance(one, Failed) for one in results.values())
        enough = all_failed and len(results) == min(ALL_FAIL_LIMIT, len(questions))
        return error if enough or not isinstance(error, RequestError | CheckError) else None

    await execute(
        iter(range(len(questions))),
        job,
        results.__setitem__,
        open_items=always(OPEN),
        progress=progress,
        screen=screen,
        give_up=give_up,
    )
    return [results[place] for place in sorted(results)]


def raise_if_many_failed(failed: int, asked: int, error: str | None) -> None:
    """Raise RunError where more than MOST_FAILED of the questions failed, so that a script sees it."""
    if failed > MOST_FAILED * asked:
        raise RunError(
            f"{failed} of {asked} questions failed (first error: {error}); the results are from the others, and the "
            "same command asks the failed ones again"
        )


def given_response(name: str, text: str) -> Response:
    """Return a `Response` with a text from a file, not sampled in this run."""
    return Response(id=name, text=text, origin="sample", model="a person", seed=0, finish_reason="stop", reply="")


def comparison_of(
    prompt: Prompt,
    responses: tuple[Response, Response],
    principles: Sequence[Principle],
    judging: JudgingConfig,
    seeded_by: Sequence[str],
    priority: int,
) -> Comparison:
    """Return a comparison in which a seed decides which response is `a`, the one shown first if one order is asked."""
    a, b = responses[::-1] if derive_seed(0, *seeded_by, "which is a") % 2 else responses
    return Comparison(
        prompt=prompt,
        a=a,
        b=b,
        purpose="design",
        principles=principles,
        both_orders=judging.orders == "both",
        priority=priority,
    )


def log_odds_of(response: str, matchup: Matchup, constitution: Constitution, judging: JudgingConfig) -> float | None:
    """Return the log-odds that a response (by id) is better, averaged over orders and principles.

    There are no thresholds or corrections; None where no verdict is readable.
    """
    rule = judging.without_thresholds.rule(constitution.weights, constitution.priorities)
    judgement = judge_matchup(matchup, rule)
    if judgement.logit is None:
        return None
    return judgement.logit if judgement.a == response else -judgement.logit
