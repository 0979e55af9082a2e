"""Durable writes to SQLite from an event loop: one thread, many rows per transaction.

Rows are committed together, at most `LONGEST_DELAY_S` after `put`. In WAL mode a committed row survives `kill -9`; only
a loss of power can lose the last transactions.
"""

import contextlib
import os
import queue
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

from rlaif.errors import StorageError

LONGEST_DELAY_S = 0.05

_Statement = tuple[str, tuple[Any, ...]]


class BatchWriter:
    """Writes to one SQLite file in a thread of its own. `put` is thread-safe and never waits."""

    def __init__(self, path: Path, schema: str) -> None:
        self.path = path
        self._failure: StorageError | None = None
        self._ended = False  # asking a thread whether it lives takes a lock, which costs more than a queued row
        self._queue: queue.SimpleQueue[_Statement | threading.Event | None] = queue.SimpleQueue()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connect(path).executescript(schema).connection.close()
        except (sqlite3.Error, OSError) as error:
            raise _storage_error(path, error) from None
        self._thread = threading.Thread(target=self._run, name=f"writer of {path.name}", daemon=True)
        self._thread.start()

    def put(self, sql: str, values: tuple[Any, ...]) -> None:
        """Queue one statement. Raises StorageError when an earlier one could not be written."""
        if self._failure is not None:
            raise self._failure
        if self._ended:
            raise StorageError(f"{self.path}: cannot be written: the writer thread has ended")
        self._queue.put((sql, values))

    def flush(self) -> None:
        """Wait until all queued statements are committed. Raises StorageError when they could not be."""
        written = threading.Event()
        self._queue.put(written)
        while not written.wait(0.5):
            if not self._thread.is_alive():
                break
        if self._failure is not None:
            raise self._failure
        if not written.is_set():
            raise StorageError(f"{self.path}: cannot be written: the writer thread has ended")

    def close(self) -> None:
        """Commit the rest of the queue and end the thread; never raises."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            connection = connect(self.path)
        except sqlite3.Error as error:
            self._failure = _storage_error(self.path, error)
            return
        try:
            going = True
            while going:
                batch = [self._queue.get()]
                time.sleep(0 if isinstance(batch[0], threading.Event) else LONGEST_DELAY_S)
                while not self._queue.empty():
                    batch.append(self._queue.get())
                self._commit(connection, [item for item in batch if isinstance(item, tuple)])
                for item in batch:
                    if isinstance(item, threading.Event):
                        item.set()
                going = None not in batch
        finally:
            self._ended = True
            with contextlib.suppress(sqlite3.Error):  # moves all rows from the WAL into the file itself
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.close()

    def _commit(self, connection: sqlite3.Connection, statements: list[_Statement]) -> None:
        if not statements or self._failure is not None:
            return
        try:
            with connection:
                for sql, values in statements:
                    connection.execute(sql, values)
        except (sqlite3.Error, OSError, OverflowError, UnicodeError) as error:
            self._failure = _storage_error(self.path, error)


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """Open a SQLite file in WAL mode; its statements wait up to a minute for another process's write."""
    if read_only and not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists():
        return sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)
    if read_only:
        return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=60)
    connection = sqlite3.connect(path, timeout=60)
    _switch_to_wal(connection)
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Switch the file to WAL mode, and retry while another process does the same: SQLite's timeout does not apply."""
    deadline = time.monotonic() + 60
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _storage_error(path: Path, error: Exception) -> StorageError:
    reason = str(error)
    if "full" in reason or "disk I/O" in reason:
        reason = f"the disk is full, or the file has reached a size limit ({reason})"
    if "not a database" in reason or "malformed" in reason:
        return StorageError(
            f"{path}: is not a SQLite file, or is damaged ({reason}); move it away and run the same command again"
        )
    return StorageError(
        f"{path}: cannot be written: {reason}. All earlier rows are kept: free some space and run the same command "
        "again"
    )
