"""The prompts of a run while they are read: in a temporary file, so that their number does not matter to the memory."""

import random
import tempfile
import weakref
from array import array
from collections.abc import Iterator, Sequence
from typing import overload

from rlaif.errors import StorageError
from rlaif.records import Prompt

IN_MEMORY = 2**23
"""Bytes from which the prompts are on disk."""


class PromptFile(Sequence[Prompt]):
    """A sequence of prompts on disk; each access reads and parses one."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY, prefix="rlaif-prompts-")  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._places = array("Q")
        self._end = 0

    def append(self, prompt: Prompt) -> None:
        """Add a prompt at the end."""
        line = prompt.model_dump_json().encode() + b"\n"
        try:
            self._file.seek(self._end)
            self._file.write(line)
        except OSError as error:
            raise StorageError(f"the folder of temporary files cannot be written: {error.strerror or error}") from None
        self._places.append(self._end)
        self._end += len(line)

    def shuffle(self, rng: random.Random) -> None:
        """Shuffle the prompts in place, as `rng` shuffles a list of as many."""
        rng.shuffle(self._places)

    def keep(self, most: int | None) -> None:
        """Keep only the first ones."""
        self._places = self._places[:most]

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Prompt]:
        return map(self._at, self._places)

    @overload
    def __getitem__(self, index: int) -> Prompt: ...

    @overload
    def __getitem__(self, index: slice) -> list[Prompt]: ...

    def __getitem__(self, index: int | slice) -> Prompt | list[Prompt]:
        if isinstance(index, slice):
            return [self._at(place) for place in self._places[index]]
        return self._at(self._places[index])

    def _at(self, place: int) -> Prompt:
        self._file.seek(place)
        return Prompt.model_validate_json(self._file.readline())
