"""Reviews for the tests: a run on disk, a person's session on it, and its server."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from rlaif.cli.review import Opened, open_review, session_of
from rlaif.evaluate.review_plan import sides
from rlaif.review.server import review_server
from rlaif.review.session import Given, Session
from rlaif.runs.pair_ids import id_of
from rlaif.runs.reader import Run
from rlaif.runs.reviews import Drawn, ReviewFile, file_of
from rlaif.runs.rows import PreferenceRow
from tests.report.runs import EVIL, make_run, plain


def reviewed_run(path: Path, constitution: Path, prompts: int = 40) -> Run:
    return make_run(path, constitution, prompts=prompts, spread=1.0, write=hostile)


def hostile(rng: random.Random, name: str) -> str:
    return f"{plain(rng, 'answer')} {rng.random()} {EVIL}"


def session(run: Run, reviewer: str, pairs: int | None = None, share: float | None = None) -> Session:
    opened = open_review(run.path, reviewer, pairs, share, None)
    return session_of(opened, ReviewFile(file_of(run.path, reviewer)))


Decide = Callable[[PreferenceRow, Drawn], str | None]
"""What a planted person says of a pair: the id of the better response, `tie`, or None where they cannot tell."""


def review_all(opened: Opened, reviewer: str, decide: Decide, until: int | None = None) -> None:
    """Let a planted person review the queue of a run."""
    asked = session_of(replace(opened, reviewer=reviewer), ReviewFile(file_of(opened.run.path, reviewer)))
    for place, planned in enumerate(opened.queue[:until]):
        said, shown = decide(planned.row, planned.drawn), dict(zip(sides(planned.row, reviewer), CHOICES, strict=True))
        verdict = "cannot-tell" if said is None else shown.get(said, "tie")
        asked.judge(place, Given.model_validate({"id": planned.id, "verdict": verdict}))


CHOICES = ("first", "second")


def truth(row: PreferenceRow) -> str:
    """Return the id of the truly better response, which has nothing to do with the critic."""
    return random.Random(id_of(row)).choice(sorted((row.chosen_id, row.rejected_id)))


def other(row: PreferenceRow, response: str) -> str:
    return row.rejected_id if response == row.chosen_id else row.chosen_id


def reliable(name: str, reliability: float) -> Decide:
    """Return a person who names the truly better response with a probability, independently of all others."""

    def decide(row: PreferenceRow, drawn: Drawn) -> str:
        right = random.Random(f"{name} {id_of(row)}").random() < reliability
        return truth(row) if right else other(row, truth(row))

    return decide


@asynccontextmanager
async def served(run: Run, reviewer: str = "ann", pairs: int | None = None) -> AsyncIterator[tuple[Session, str]]:
    """Yield a review and the address of its page."""
    opened = session(run, reviewer, pairs)
    async with review_server(opened) as url:
        yield opened, url
