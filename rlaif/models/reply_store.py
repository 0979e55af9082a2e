"""The reply store: all replies of models, by a hash of the request and the model.

One SQLite file, shared by the runs in its folder and safe for several processes. Without it, requests are sent again;
nothing else is lost, because traces contain all texts.
"""

import sqlite3
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from rlaif.errors import StorageError
from rlaif.models.backend import Reply
from rlaif.models.salvage import Limits
from rlaif.storage import BatchWriter, connect

_SCHEMA = "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL) WITHOUT ROWID"
_INSERT = "INSERT OR IGNORE INTO replies VALUES (?, ?)"
_SELECT = "SELECT reply FROM replies WHERE key = ?"
_DELETE = "DELETE FROM replies WHERE key = ?"
_MOST_UNWRITTEN = 10_000


class ReplyStore:
    """Stores replies durably; read and written from one event loop."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = BatchWriter(path, _SCHEMA)
        self._reader: sqlite3.Connection = connect(path)
        self._unwritten: dict[str, str] = {}
        self.earlier: Mapping[Any, Collection[Limits]] = {}
        """By step: limits of earlier requests whose replies may be here, too, and of use under larger limits."""

    def get(self, key: str) -> Reply | None:
        """Return the reply of a key; None where there is none, or where it cannot be parsed."""
        text = self._unwritten.get(key) or self._select(key)
        try:
            return None if text is None else Reply.model_validate_json(text)
        except ValidationError:
            self.delete(key)
            return None

    def delete(self, key: str) -> None:
        """Delete a reply that is of no use, so that another one can be stored."""
        self._unwritten.pop(key, None)
        self._writer.put(_DELETE, (key,))

    def _select(self, key: str) -> str | None:
        try:
            row: tuple[str] | None = self._reader.execute(_SELECT, (key,)).fetchone()
        except sqlite3.Error as error:
            raise StorageError(
                f"{self.path} cannot be read as a reply store ({error}); move it away (requests are then sent again), "
                "or choose another one with --cache"
            ) from None
        return row[0] if row else None

    def put(self, key: str, reply: Reply) -> None:
        """Store a reply; it is on disk within a tenth of a second. Raises StorageError when it cannot be written."""
        text = reply.model_dump_json(exclude_defaults=True)
        if len(self._unwritten) >= _MOST_UNWRITTEN:
            self._writer.flush()
            self._unwritten.clear()
        self._unwritten[key] = text
        self._writer.put(_INSERT, (key, text))

    def flush(self) -> None:
        """Wait until everything is on disk. Raises StorageError when it could not be written."""
        self._writer.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._reader.close()
