"""Read gold labels: pairs of responses with a person's label of which one is better.

The layouts are those of `rlaif.datasets.shapes`; `id` and `subset` are optional. A row with several labels (one chosen
and several rejected, scores of several completions) gives several items. A row that cannot be used raises an error with
file and line; no row is skipped.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rlaif.datasets.files import read_rows
from rlaif.datasets.prompts import prompt_of_row
from rlaif.datasets.shapes.known import COLUMNS
from rlaif.datasets.shapes.recognition import ShapeReader
from rlaif.datasets.shapes.row import RefusedRowError, ResponseRow
from rlaif.errors import GoldError
from rlaif.records import Prompt, Record
from rlaif.runs.file_labels import better_worse_of
from rlaif.seeds import content_hash

FIELDS = (*COLUMNS, "subset", "id")


class GoldItem(Record):
    """Two responses to one prompt, and which one is better."""

    id: str
    """From the file, or `row N`; unique within its subset."""
    subset: str | None
    prompt: Prompt
    chosen: str
    """The better response."""
    rejected: str
    principle: str | None = None
    """The only principle that it is judged under, for a case of a constitution; None for all principles."""
    chosen_first: bool | None
    """Whether the better response is first in the file; None where the file has no order (chosen, rejected)."""

    @property
    def conversation(self) -> str:
        """Hash of the prompt's messages; items with the same prompt are not independent."""
        return self.prompt.conversation


class Gold(Record):
    """The gold labels of one file."""

    file: str
    hash: str
    """Content hash over all items, in order."""
    items: tuple[GoldItem, ...]


def read_gold(
    path: Path, columns: Mapping[str, str] | None = None, limit: int | None = None, shape: str | None = None
) -> Gold:
    """Return the gold labels of the first `limit` rows of a file. Raises GoldError or PromptsError with the place."""
    if path.is_dir():
        raise GoldError(f"{path}: is a folder; give a file of gold labels")
    if not path.is_file():
        raise GoldError(f"{path}: no such file of gold labels")
    reader = ShapeReader(shape, columns)
    items: list[GoldItem] = []
    taken: dict[tuple[str | None, str], str] = {}
    for number, (where, row) in enumerate(read_rows(path), start=1):
        for item in _items(where, row, reader, number):
            key = (item.subset, item.id)
            if key in taken:
                raise GoldError(f"{where}: id {item.id!r} is already used at {taken[key]}")
            taken[key] = where
            items.append(item)
        if number == limit:
            break
    if not items:
        raise GoldError(f"{path}: contains no gold labels")
    return Gold(file=str(path), hash=content_hash(*(item.model_dump_json() for item in items)), items=tuple(items))


def _items(where: str, row: Any, reader: ShapeReader, number: int) -> Iterator[GoldItem]:  # noqa: ANN401
    """Yield an item for each label of a row; those of a row with several are named ID/1, ID/2, …"""
    try:
        read = reader.read(where, row)
    except RefusedRowError as error:
        raise GoldError(f"{where}: {error}") from None
    labels, _ = better_worse_of(read.responses)
    labels = [places for places in labels if all(read.responses[place].text.strip() for place in places)]
    if not labels:
        raise GoldError(f"{where}: {_no_label(row)}")
    name = read.id or f"row {number}"
    prompt = _prompt_of(where, read)
    for count, (better, worse) in enumerate(labels, start=1):
        yield GoldItem(
            id=name if len(labels) == 1 else f"{name}/{count}",
            subset=read.subset,
            prompt=prompt,
            chosen=read.responses[better].text,
            rejected=read.responses[worse].text,
            chosen_first=read.first_is_better,
        )


def _no_label(row: Any) -> str:  # noqa: ANN401
    if "label" in row:
        return f"label is {row['label']!r:.60}; gold labels must name the better response"
    return "has no label of which response is better, or only ties"


def _prompt_of(where: str, read: ResponseRow) -> Prompt:
    fields = {name: read.asked[name] for name in ("prompt", "messages", "tools") if name in read.asked}
    return prompt_of_row(where, fields | {"id": read.id}, {})
