"""The rows of a dataset on their way into its files: on disk, so that a dataset of any size takes the same memory."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from rlaif.datasets.columns import columns_used, uses_tools
from rlaif.runs.rows import Row, split_of
from rlaif.text.language import SAMPLE

AT_ONCE = 1000
"""Rows in memory at the same time."""


class Spool:
    """Rows by table and split, as JSON lines in a temporary folder, and what is known once all are there."""

    def __init__(self, folder: Path, test_fraction: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._test_fraction = folder, test_fraction
        self._files: dict[str, TextIO] = {}
        self.counts: Counter[str] = Counter()
        """Rows by `table/split`, or by split where the table has no name."""
        self.tools = False
        """Whether some row has tools, or a turn with more than a role and a text."""
        self.also: frozenset[str] = frozenset()
        """Columns that only some datasets have, and that have a value here."""
        self.texts: dict[str, EvenSample] = {}
        """By table: some of the conversations, as texts."""

    def add(self, table: str, row: Row) -> None:
        """Write a row to the split of its prompt."""
        entry = row.model_dump(mode="json")
        place = place_of(table, split_of(entry["conversation"] or entry["prompt_id"], self._test_fraction))
        if place not in self._files:
            self._files[place] = self._file(place).open("w", encoding="utf-8")
        self._files[place].write(json.dumps(entry, ensure_ascii=False) + "\n")
        self.counts[place] += 1
        self.tools = self.tools or uses_tools(entry)
        self.also |= columns_used([entry])
        self.texts.setdefault(table, EvenSample()).add(entry)

    def batches(self, place: str) -> Iterator[list[dict[str, Any]]]:
        """Yield the rows of one split, AT_ONCE at a time."""
        if place not in self._files:
            return
        with self._file(place).open(encoding="utf-8") as lines:
            rows = map(json.loads, lines)
            while batch := list(islice(rows, AT_ONCE)):
                yield batch

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()

    def _file(self, place: str) -> Path:
        return self._folder / f"{place.replace('/', '-')}.jsonl"


def place_of(table: str, split: str) -> str:
    """Return `table/split`, or the split where the table has no name."""
    return f"{table}/{split}" if table else split


class EvenSample:
    """At most SAMPLE of any number of conversations, evenly spaced."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._seen, self._step = 0, 1

    def add(self, row: dict[str, Any]) -> None:
        """Take a row's conversation or leave it out."""
        if self._seen % self._step == 0:
            self.texts.append(_text_of(row))
            if len(self.texts) > SAMPLE:
                self.texts, self._step = self.texts[::2], self._step * 2
        self._seen += 1


def _text_of(row: dict[str, Any]) -> str:
    """Return the texts of a row's conversation: its prompt and the response to learn."""
    if not isinstance(row.get("prompt"), list):
        return ""
    turns = [*row["prompt"], *(row.get("chosen") or row.get("completion") or [])]
    return "\n".join(turn["content"] for turn in turns if turn.get("content"))
