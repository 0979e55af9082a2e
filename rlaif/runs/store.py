"""The SQLite file of one run: prompts, traces, failures. One writer, any number of readers.

A finished trace is written at once and is on disk within a tenth of a second, with a hash of its text: a record that
was changed afterwards is refused when it is read. Whoever changes the hash, too, is only found by the root, which is
the hash of all of them and stands in the dataset's card. Files of earlier versions have no hashes.
"""

import contextlib
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

from pydantic import BaseModel, ValidationError

from rlaif.errors import RunDirectoryError
from rlaif.records import Failure, Prompt
from rlaif.seeds import content_hash
from rlaif.storage import BatchWriter, connect

Parsed = TypeVar("Parsed", bound=BaseModel)
Recorded = TypeVar("Recorded", bound=BaseModel)

CHARACTERS_PER_TOKEN = 4.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS prompts (position INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, prompt TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS traces (
  prompt_id TEXT PRIMARY KEY REFERENCES prompts (id), trace TEXT NOT NULL, hash TEXT
);
CREATE TABLE IF NOT EXISTS failures (prompt_id TEXT PRIMARY KEY REFERENCES prompts (id), failure TEXT NOT NULL);
"""


_IN_ORDER = "FROM traces JOIN prompts ON prompts.id = prompt_id ORDER BY position"


def record_hash(prompt_id: str, text: str) -> str:
    """Return the hash that is stored with the record of a prompt."""
    return content_hash("record", prompt_id, text, digits=32)


class Traced(Protocol):
    """The record of one prompt, such as a Trace."""

    @property
    def prompt(self) -> Prompt:
        """The prompt of the record."""

    def model_dump_json(self, *, exclude_none: bool = False) -> str:
        """Return the record as JSON."""


class TraceReader(Generic[Recorded]):
    """Reads a run's traces (or other records of prompts); safe while another process writes."""

    def __init__(self, path: Path, record: type[Recorded]) -> None:
        if not path.is_file():
            raise RunDirectoryError(
                f"{path.parent} is not a run directory: {path.name} is missing; start the run again in another --out"
            )
        self._path = path
        self._record = record
        self._db = connect(path, read_only=True)
        columns = [row[1] for row in self._rows("PRAGMA table_info(traces)")]
        self._hash = "hash" if "hash" in columns else "NULL"
        """The column of hashes, as SQL; files of earlier versions have none."""

    def prompt_count(self) -> int:
        """Return the number of prompts."""
        return self._count("SELECT count(*) FROM prompts")

    def trace_count(self) -> int:
        """Return the number of traces."""
        return self._count("SELECT count(*) FROM traces")

    def prompt_ids(self) -> Iterator[str]:
        """Yield all prompt ids in the order of the prompts file."""
        for (prompt_id,) in self._rows("SELECT id FROM prompts ORDER BY position"):
            yield prompt_id

    def prompts(self) -> Iterator[Prompt]:
        """Yield all prompts in order, one in memory at a time."""
        for (text,) in self._rows("SELECT prompt FROM prompts ORDER BY position"):
            yield self._parsed(Prompt, text)

    def mean_given(self) -> float:
        """Return the mean number of given responses of a prompt; 0 where none are given."""
        sql = "SELECT coalesce(avg(json_array_length(prompt, '$.given')), 0) FROM prompts"
        return float(next(self._rows(sql))[0])

    def mean_tokens(self) -> float:
        """Return about how many tokens the turns of a prompt have on average."""
        sql = "SELECT coalesce(avg(length(json_extract(prompt, '$.messages'))), 0) FROM prompts"
        return float(next(self._rows(sql))[0]) / CHARACTERS_PER_TOKEN

    def todo(self) -> Iterator[tuple[int, Prompt]]:
        """Yield (position, prompt) of all prompts without a trace, in order."""
        sql = (
            "SELECT position, prompt FROM prompts WHERE position > ? AND id NOT IN (SELECT prompt_id FROM traces) "
            "ORDER BY position LIMIT 256"
        )
        position = -1
        while rows := list(self._rows(sql, (position,))):
            for position, text in rows:
                yield position, self._parsed(Prompt, text)

    def todo_at(self, positions: Collection[int]) -> Iterator[tuple[int, Prompt]]:
        """Yield (position, prompt) of the prompts at these positions without a trace, in order."""
        sql = "SELECT prompt FROM prompts WHERE position = ? AND id NOT IN (SELECT prompt_id FROM traces)"
        for position in sorted(positions):
            for (text,) in list(self._rows(sql, (position,))):
                yield position, self._parsed(Prompt, text)

    def traces_at(self, positions: Collection[int]) -> Iterator[Recorded]:
        """Yield the traces of the prompts at these positions, in order."""
        sql = f"SELECT prompt_id, trace, {self._hash} FROM traces JOIN prompts ON prompts.id = prompt_id"
        for position in sorted(positions):
            for prompt_id, text, kept in list(self._rows(f"{sql} WHERE position = ?", (position,))):
                yield self._parsed(self._record, self._unchanged(prompt_id, text, kept))

    def traces(self) -> Iterator[Recorded]:
        """Yield all traces in the order of the prompts file, one in memory at a time."""
        for prompt_id, text, kept in self.texts():
            yield self._parsed(self._record, self._unchanged(prompt_id, text, kept))

    def trace(self, prompt_id: str) -> Recorded | None:
        """Return the trace of a prompt, or None."""
        row = next(self._rows(f"SELECT trace, {self._hash} FROM traces WHERE prompt_id = ?", (prompt_id,)), None)
        return self._parsed(self._record, self._unchanged(prompt_id, *row)) if row else None

    def texts(self) -> Iterator[tuple[str, str, str | None]]:
        """Yield (prompt id, text, hash or None) of all traces in the order of the prompts file, unchecked."""
        yield from self._rows(f"SELECT prompt_id, trace, {self._hash} {_IN_ORDER}")

    def root(self) -> str:
        """Return the hash of the hashes of all traces, in the order of the prompts; a missing one is empty."""
        root = blake2b(digest_size=16)
        for prompt_id, kept in self._rows(f"SELECT prompt_id, {self._hash} {_IN_ORDER}"):
            root.update(content_hash(prompt_id, kept or "", digits=32).encode())
        return root.hexdigest()

    def _unchanged(self, prompt_id: str, text: str, kept: str | None) -> str:
        if kept is not None and kept != record_hash(prompt_id, text):
            raise RunDirectoryError(
                f"{self._path}: the record of prompt {prompt_id!r} was changed after it was written; `rlaif runs "
                f"verify {self._path.parent}` lists such records, `rlaif runs repair` takes them out to be made again"
            )
        return text

    def failures(self) -> Iterator[Failure]:
        """Yield the failures of prompts that still have no trace."""
        sql = "SELECT failure FROM failures WHERE prompt_id NOT IN (SELECT prompt_id FROM traces) ORDER BY prompt_id"
        for (text,) in self._rows(sql):
            yield self._parsed(Failure, text)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _count(self, sql: str) -> int:
        return int(next(self._rows(sql))[0])

    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._db.execute(sql, values)
        except sqlite3.Error as error:
            raise self._damaged(error) from None

    def _parsed(self, model: type[Parsed], text: str) -> Parsed:
        try:
            return model.model_validate_json(text)
        except ValidationError as error:
            raise self._damaged(error) from None

    def _damaged(self, error: Exception) -> RunDirectoryError:
        reason = str(error).splitlines()[0]
        return RunDirectoryError(
            f"{self._path} is damaged ({reason}); start the run again in another --out: its replies are still in the "
            "reply store"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TraceWriter:
    """Writes a run's prompts, traces and failures."""

    def __init__(self, path: Path) -> None:
        if path.is_file():
            _add_hashes(path)
        self._writer = BatchWriter(path, _SCHEMA)

    def put_prompts(self, prompts: Iterable[Prompt], *, after: int = 0) -> None:
        """Write prompts in order, with positions from `after` on."""
        for position, prompt in enumerate(prompts, start=after):
            self._writer.put("INSERT INTO prompts VALUES (?, ?, ?)", (position, prompt.id, prompt.model_dump_json()))
        self._writer.flush()

    def put_trace(self, trace: Traced) -> None:
        """Write a finished trace; a second trace of the same prompt is an error."""
        prompt_id, text = trace.prompt.id, trace.model_dump_json(exclude_none=True)
        sql = "INSERT INTO traces (prompt_id, trace, hash) VALUES (?, ?, ?)"
        self._writer.put(sql, (prompt_id, text, record_hash(prompt_id, text)))

    def put_failure(self, failure: Failure) -> None:
        """Write the failure of a prompt; it replaces an earlier one."""
        self._writer.put(
            "INSERT OR REPLACE INTO failures VALUES (?, ?)", (failure.prompt_id, failure.model_dump_json())
        )

    def flush(self) -> None:
        """Wait until everything is on disk."""
        self._writer.flush()

    def close(self) -> None:
        """Write the rest and end the writer thread; never raises."""
        self._writer.close()


def _add_hashes(path: Path) -> None:
    """Add the column of hashes to a file of an earlier version; its records stay without."""
    connection = sqlite3.connect(path, timeout=60)
    try:
        with contextlib.suppress(sqlite3.Error):  # what is not such a file is refused by the writer
            columns = [row[1] for row in connection.execute("PRAGMA table_info(traces)")]
            if columns and "hash" not in columns:
                connection.execute("ALTER TABLE traces ADD COLUMN hash TEXT")
                connection.commit()
    finally:
        connection.close()
