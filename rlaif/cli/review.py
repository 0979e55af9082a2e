"""`rlaif review`: people review a run's pairs on a local page; what they say, and how far they agree."""

import asyncio
import html
import json
import os
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from rlaif.cli.console import run_stoppable
from rlaif.cli.options import Json
from rlaif.cli.review_results import results_job
from rlaif.errors import StoppedError, UsageError
from rlaif.evaluate.review_plan import Planned, queue, settle_plan
from rlaif.review.server import review_server
from rlaif.review.session import RuleText, Session
from rlaif.runs.reader import Run
from rlaif.runs.reviews import ReviewFile, file_of, reviewing
from rlaif.text.wording import counted


def review_command(  # noqa: PLR0913, PLR0917  (a command line's flags)
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    reviewer: Annotated[str | None, typer.Option(help="Name of the person who reviews.")] = None,
    pairs: Annotated[int | None, typer.Option(min=1, help="Pairs to review; 100 by default, or all.")] = None,
    random: Annotated[
        float | None, typer.Option(min=0, max=1, help="Share that is drawn at random; 0.5 by default.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the random share and of the order.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the page; a free one by default.")] = 0,
    results: Annotated[
        bool, typer.Option("--results", help="Print what the reviewers say, and how far they agree.")
    ] = False,
    gold: Annotated[Path | None, typer.Option(help="With --results: write people's labels, as .jsonl.")] = None,
    labels: Annotated[
        Path | None, typer.Option(help="With --results: write the random share's labels for `rlaif certify`.")
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address of the page.")] = False,
    json_: Json = False,
) -> None:
    """Review a run's pairs by hand, on a page that only this machine can open.

    The page shows a prompt and two responses, in a random order and without anything that the critic says of them.
    Every verdict is on disk at once, in RUN/reviews/NAME.jsonl; the same reviewer goes on where they stopped. Half of
    the pairs are a random sample of the run's, the others those from which most is learned.

    \b
    Examples:
      rlaif review runs/first --reviewer ann --pairs 100
      rlaif review runs/first --reviewer ben             # the same pairs, other sides
      rlaif review runs/first --results                  # counts, agreement with one another and with the critic
      rlaif review runs/first --results --gold gold.jsonl
      rlaif review runs/first --results --labels labels.csv && rlaif certify runs/first --gold labels.csv
    """
    if results:
        if reviewer is not None:
            raise UsageError("--results prints the verdicts of all reviewers; leave out --reviewer")
        results_job(run, gold, labels, as_json=json_)
        return
    if gold is not None or labels is not None:
        raise UsageError("--gold and --labels are files of the results; give --results, too")
    if reviewer is None:
        raise UsageError("--reviewer NAME is missing: who reviews? (or --results)")
    opened = open_review(run, reviewer, pairs, random, seed)
    serve_job(opened, port, open_it=not no_browser, as_json=json_)


@dataclass(frozen=True)
class Opened:
    """A review that is about to be served."""

    run: Run
    reviewer: str
    queue: list[Planned]
    changes: list[str]
    """What differs from the review's plan so far."""


def open_review(path: Path, reviewer: str, pairs: int | None, share: float | None, seed: int | None) -> Opened:
    """Settle the plan of a run's review. Raises UsageError for a run without pairs, and for a bad name or number."""
    run = Run(path)
    rows = list(run.preference_rows())
    if not rows:
        raise UsageError(f"{path} has no pairs; see `rlaif show {path}`")
    file_of(path, reviewer)
    plan, changes = settle_plan(path, rows, pairs, share, seed)
    return Opened(run, reviewer, queue(rows, plan), changes)


def serve_job(opened: Opened, port: int, *, open_it: bool, as_json: bool) -> None:
    """Serve the page of a review until Ctrl-C, and print how far it got."""
    file = file_of(opened.run.path, opened.reviewer)
    with reviewing(file) as verdicts:
        session = session_of(opened, verdicts)

        async def serve() -> None:
            async with review_server(session, port) as url:
                _announce(opened, session, url, as_json=as_json)
                with _open_page(file, url, wanted=open_it):
                    await asyncio.Event().wait()

        with suppress(StoppedError):  # the usual end
            run_stoppable(serve)
    if not as_json:
        print(f"\nreviewed {session.done} of {counted(len(session.queue), 'pair')}: {file}")
        print(f"next     rlaif review {opened.run.path} --results")


def session_of(opened: Opened, verdicts: ReviewFile) -> Session:
    """Return a person's review, with what the page shows of the run."""
    rules = opened.run.constitution
    return Session(
        run=opened.run.path.resolve().name,
        reviewer=opened.reviewer,
        constitution=f"{rules.name} v{rules.version}",
        rules=tuple(RuleText(name=one.id, text=one.decides_by) for one in rules.comparing),
        queue=opened.queue,
        file=verdicts,
    )


def _announce(opened: Opened, session: Session, url: str, *, as_json: bool) -> None:
    sampled = sum(one.drawn == "random" for one in session.queue)
    total, done, path = len(session.queue), session.done, session.file.path
    if as_json:
        found = {"url": url, "reviewer": opened.reviewer, "pairs": total, "done": done, "changes": opened.changes}
        print(json.dumps(found, ensure_ascii=False), flush=True)
        return
    if opened.changes:
        print(f"! the plan of this review changed: {'; '.join(opened.changes)}; verdicts are kept")
    print(f"review   {counted(total, 'pair')} of {opened.run.path}, {sampled} of them drawn at random; {done} done")
    print(f"file     {path}")
    print(f"open     {url}   (on this machine; keep it to yourself)")
    print("stop     Ctrl-C: every verdict is on disk at once, and the same command continues", flush=True)


@contextmanager
def _open_page(file: Path, url: str, *, wanted: bool) -> Iterator[None]:
    """Open the page in the browser, by a file that only this user can read: other users see a program's arguments."""
    if not wanted:
        yield
        return
    opener = file.with_name(f".{file.stem}.html").resolve()
    opener.unlink(missing_ok=True)
    descriptor = os.open(opener, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as page:
            page.write(f'<!doctype html><meta http-equiv="refresh" content="0;url={html.escape(url)}">')
        if not webbrowser.open(opener.as_uri()):
            print("no web browser could be started; open the address above yourself", file=sys.stderr)
        yield
    finally:
        opener.unlink(missing_ok=True)
