"""Verdicts of people on a run's pairs: `reviews/NAME.jsonl` in the run directory, one file for each reviewer.

A line is one verdict, written and flushed to the disk before the next pair is shown. Nothing is ever changed or
removed: of several lines about one pair, the last one counts. A last line that a crash cut off is left out.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import filelock
from pydantic import Field, ValidationError

from rlaif.base import SparseRecord
from rlaif.errors import RunDirectoryError, StorageError, UsageError

REVIEWS = "reviews"
"""Folder in a run directory."""
LONGEST_WORDS = 4000
_NAME = re.compile(r"\w[\w.-]{0,63}")

Choice = Literal["first", "second", "tie", "cannot-tell"]
Drawn = Literal["random", "teaching"]
"""`random`: the pair belongs to the random sample of the run's pairs; `teaching`: it was chosen as one from which much
is learned."""


class PersonVerdict(SparseRecord):
    """What one person says of one pair, which was shown without anything that the critic says of it."""

    id: str
    """The pair, by its texts (`pair_ids.py`)."""
    prompt_id: str
    first: str
    """Id of the response that was shown as number 1."""
    second: str
    verdict: Choice
    """The better response by its number; `cannot-tell` is not a vote, `tie` is one."""
    words: str | None = Field(default=None, max_length=LONGEST_WORDS)
    drawn: Drawn
    """How the pair came into the review when it was shown."""
    seconds: float | None = Field(default=None, ge=0)
    """Time between the display of the pair and the verdict."""
    at: str
    """Time of the verdict (UTC)."""

    @property
    def better(self) -> str | None:
        """Id of the better response; None for a tie and where the person cannot tell."""
        return {"first": self.first, "second": self.second}.get(self.verdict)


Reviews = Mapping[str, Mapping[str, PersonVerdict]]
"""By reviewer, then by the id of the pair: the verdict that counts."""


def file_of(run: Path, reviewer: str) -> Path:
    """Return the file of a reviewer's verdicts. Raises UsageError for a name that cannot be a file's."""
    if not _NAME.fullmatch(reviewer):
        raise UsageError(
            f"--reviewer {reviewer!r}: must be 1 to 64 letters, digits, dots, hyphens or underscores, and begin with a "
            "letter or digit"
        )
    for other in reviewers_of(run):
        if other != reviewer and other.casefold() == reviewer.casefold():
            raise UsageError(f"--reviewer {reviewer}: {other} has reviewed this run already; use that name, or another")
    return run / REVIEWS / f"{reviewer}.jsonl"


def reviewers_of(run: Path) -> list[str]:
    """Return the names of those who have reviewed a run, sorted."""
    return sorted(file.stem for file in (run / REVIEWS).glob("*.jsonl"))


def read_reviews(run: Path) -> Reviews:
    """Return the verdicts of all reviewers of a run. Raises RunDirectoryError with file and line."""
    return {name: read_verdicts(run / REVIEWS / f"{name}.jsonl") for name in reviewers_of(run)}


def read_verdicts(file: Path) -> dict[str, PersonVerdict]:
    """Return the last verdict on each pair in a file; empty where there is no file. Raises RunDirectoryError."""
    if not file.exists():
        return {}
    *lines, unfinished = file.read_bytes().split(b"\n")
    found: dict[str, PersonVerdict] = {}
    for number, line in enumerate(lines, start=1):
        try:
            verdict = PersonVerdict.model_validate_json(line)
        except ValidationError as error:
            raise RunDirectoryError(
                f"{file}:{number}: is not a verdict ({error.errors()[0]['msg']}); remove this line or restore the file"
            ) from None
        found[verdict.id] = verdict
    with suppress(ValidationError):
        if unfinished:
            last = PersonVerdict.model_validate_json(unfinished)
            found[last.id] = last
    return found


class ReviewFile:
    """One reviewer's verdicts on a run, open for more. Raises RunDirectoryError for a damaged file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.verdicts = read_verdicts(path)

    def add(self, verdict: PersonVerdict) -> None:
        """Write a verdict; when this returns, it is on the disk. Raises StorageError, and then nothing was written."""
        line = verdict.model_dump_json().encode() + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            new = not self.path.exists()
            with self.path.open("ab+", buffering=0) as file:
                _append(file.fileno(), _end_of_verdicts(self.path), line)
            if new:
                _flush_folder(self.path.parent)
        except OSError as error:
            raise StorageError(f"{self.path}: cannot be written: {error.strerror or error}") from None
        self.verdicts[verdict.id] = verdict


def _end_of_verdicts(path: Path) -> tuple[int, bytes]:
    """Return the size of a file without a last line that was cut off, and what is to be written before the next."""
    content = path.read_bytes()
    unfinished = content.rpartition(b"\n")[2]
    try:
        complete = bool(unfinished) and bool(PersonVerdict.model_validate_json(unfinished))
    except ValidationError:
        complete = False
    return (len(content), b"\n") if complete else (len(content) - len(unfinished), b"")


def _append(descriptor: int, end: tuple[int, bytes], line: bytes) -> None:
    """Write a line after the complete ones and flush it; on an error the file is as before."""
    size, before = end
    os.ftruncate(descriptor, size)
    data = before + line
    try:
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def reviewing(file: Path) -> Iterator[ReviewFile]:
    """Lock a reviewer's file for one process. Raises RunDirectoryError when another one writes to it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(file.with_name(f".{file.stem}.lock"), timeout=0)
        lock.acquire()
    except filelock.Timeout:
        raise RunDirectoryError(
            f"{file}: {file.stem} is reviewing this run in another process; stop that one, or choose another --reviewer"
        ) from None
    except OSError as error:
        raise StorageError(f"{file.parent}: cannot be written: {error.strerror or error}") from None
    try:
        yield ReviewFile(file)
    finally:
        lock.release()
