"""Many comparisons of two responses, put to judges at the same time.

Comes in: comparisons, and the function that asks the judges about one. Goes out: their results in the same order. A
question that fails for good is counted and kept as failed; the rest goes on.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rlaif.config.judging import JudgingConfig
from rlaif.constitution.schema import Constitution, Principle
from rlaif.errors import CheckError, RequestError, RunError
from rlaif.executor import ALL_FAIL_LIMIT, Failed, execute
from rlaif.judges.base import Comparison
from rlaif.models.model import StoredReply
from rlaif.preferences.judgement import judge_matchup
from rlaif.progress import Progress, Screen
from rlaif.records import Matchup, Prompt, Response
from rlaif.seeds import derive_seed

OPEN = 64
"""Questions open at the same time; a comparison asks all its principles in both orders."""
MOST_FAILED = 0.1
"""Share of the questions that may fail; with more, the measurement counts as failed."""

Question = TypeVar("Question")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Compared:
    """The result of one comparison."""

    matchup: Matchup | None
    """None where it failed."""
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
    """Ask every question, with its place as priority, and return the results in order.

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
        open_items=min(OPEN, len(questions)),
        progress=progress,
        screen=screen,
        give_up=give_up,
    )
    return [results[place] for place in sorted(results)]


def raise_if_many_failed(failed: int, asked: int, error: str | None) -> None:
    """Raise RunError where so many questions failed that a script must not take the results for complete."""
    if failed > MOST_FAILED * asked:
        raise RunError(
            f"{failed} of {asked} questions could not be asked, the first because {error}; the figures are of the "
            "others, and the same command asks again"
        )


def given_response(name: str, text: str) -> Response:
    """Return a response whose text was given, not sampled in this run."""
    return Response(id=name, text=text, origin="sample", model="a person", seed=0, finish_reason="stop", reply="")


def comparison_of(
    prompt: Prompt,
    responses: tuple[Response, Response],
    principles: Sequence[Principle],
    judging: JudgingConfig,
    seeded_by: Sequence[str],
    priority: int,
) -> Comparison:
    """Return a comparison for which a seed draws which response is `a`: `a` is shown first where one order is asked."""
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
    """Return the log-odds that a response is the better one, without thresholds and corrections.

    Averaged over orders and principles; None where nothing could be read.
    """
    rule = judging.without_thresholds.rule(constitution.weights, constitution.priorities)
    judgement = judge_matchup(matchup, rule)
    if judgement.logit is None:
        return None
    return judgement.logit if judgement.a == response else -judgement.logit
