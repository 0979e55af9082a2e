"""Texts in a temporary file, read back by their number: memory does not grow with their length."""

import tempfile
from array import array
from types import TracebackType
from typing import Self


class TextFile:
    """Texts in the order in which they are added."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="rlaif-curate-")  # noqa: SIM115  (closed by __exit__)
        self._ends = array("Q", [0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        return len(self._ends) - 1

    def add(self, text: str) -> None:
        """Append a text."""
        raw = text.encode("utf-8", "surrogatepass")
        self._file.seek(self._ends[-1])
        self._file.write(raw)
        self._ends.append(self._ends[-1] + len(raw))

    def __getitem__(self, number: int) -> str:
        start, end = self._ends[number], self._ends[number + 1]
        self._file.seek(start)
        return self._file.read(end - start).decode("utf-8", "surrogatepass")
