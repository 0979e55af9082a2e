"""Reviews for the tests: a run on disk, a person's session on it, and its server."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rlaif.cli.review import open_review, session_of
from rlaif.review.server import review_server
from rlaif.review.session import Session
from rlaif.runs.reader import Run
from rlaif.runs.reviews import ReviewFile, file_of
from tests.report.runs import EVIL, make_run, plain


def reviewed_run(path: Path, constitution: Path, prompts: int = 40) -> Run:
    return make_run(path, constitution, prompts=prompts, spread=1.0, write=hostile)


def hostile(rng: random.Random, name: str) -> str:
    return f"{plain(rng, 'answer')} {rng.random()} {EVIL}"


def session(run: Run, reviewer: str, pairs: int | None = None, share: float | None = None) -> Session:
    opened = open_review(run.path, reviewer, pairs, share, None)
    return session_of(opened, ReviewFile(file_of(run.path, reviewer)))


@asynccontextmanager
async def served(run: Run, reviewer: str = "ann", pairs: int | None = None) -> AsyncIterator[tuple[Session, str]]:
    """Yield a review and the address of its page."""
    opened = session(run, reviewer, pairs)
    async with review_server(opened) as url:
        yield opened, url
