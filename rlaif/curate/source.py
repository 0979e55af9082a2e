"""The pairs of a run, an exported dataset, a file or a hub dataset, read one by one and never held all together.

A run is exported to a temporary folder first, so that its pairs are those that the run has now.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b, file_digest
from pathlib import Path
from typing import Any

from rlaif.curate.recipe import Input
from rlaif.datasets.conversation import conversation_of, response_of
from rlaif.datasets.export import MARK, export_trl
from rlaif.datasets.files import read_rows
from rlaif.datasets.prompts import locate
from rlaif.errors import PromptsError
from rlaif.records import Message
from rlaif.runs.reader import Run
from rlaif.seeds import canonical_json

SUFFIXES = (".parquet", ".jsonl", ".json", ".csv")
TABLE = "preference"
SFT = "sft"


@dataclass(frozen=True)
class Source:
    """Where pairs are read from."""

    name: str
    """Name of the run, folder or file; no local path."""
    files: Mapping[str, Path | str]
    """By split: the file of its pairs, or the id of a hub dataset."""
    sft: Mapping[str, Path] = field(default_factory=dict)
    """By split: the file of its revisions."""
    folder: Path | None = None
    """The exported dataset that the files belong to."""
    truncated: frozenset[tuple[str, str]] | None = None
    """(prompt id, response id) of the responses that were cut at the token limit; None where that is not recorded."""
    table: str = TABLE
    """Subfolder of the files; empty where they stand in the folder itself."""


@dataclass(frozen=True, slots=True)
class SourcePair:
    """One row of a source."""

    where: str
    """The place for messages."""
    row: str
    """Split and number, such as `train:12`."""
    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    columns: Mapping[str, Any]
    """All columns of the row."""

    @property
    def asked(self) -> str:
        """The turns without those of the system and the developer, which many prompts share."""
        return "\n".join(turn.readable for turn in self.prompt if turn.role not in {"system", "developer"})

    @property
    def id(self) -> str | None:
        """The `prompt_id` or `id`."""
        found = next((self.columns[name] for name in ("prompt_id", "id") if self.columns.get(name) is not None), None)
        return None if found is None else str(found)

    @property
    def p_chosen(self) -> float | None:
        """The probability that `chosen` is better. Raises PromptsError for another value."""
        value = self.columns.get("p_chosen")
        if value is None:
            return None
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = -1.0
        if not 0 <= number <= 1:
            raise PromptsError(f"{self.where}: p_chosen is {value!r}; must be a probability between 0 and 1")
        return number


@contextmanager
def opened(source: str) -> Iterator[Source]:
    """Yield the source of this name. Raises PromptsError where there is none, RunDirectoryError for a bad run."""
    path = Path(source)
    if (path / "manifest.json").is_file():
        with tempfile.TemporaryDirectory(prefix="rlaif-curate-") as folder:
            yield _of_run(Run(path), Path(folder) / "dataset")
    elif path.is_dir():
        yield _of_folder(path)
    else:
        found = locate(source)
        name = found.name if isinstance(found, Path) else found
        yield Source(name=name, files={"train": found}, table="")


def _of_run(run: Run, folder: Path) -> Source:
    export_trl(run, folder)
    cut = frozenset(
        (trace.prompt.id, response.id)
        for trace in run.traces()
        for response in trace.responses
        if response.finish_reason == "length"
    )
    files = _splits(folder / TABLE)
    if not files:
        raise PromptsError(f"{run.path}: has no pairs; see `rlaif show {run.path}`")
    return Source(name=run.path.resolve().name, files=files, sft=_splits(folder / SFT), folder=folder, truncated=cut)


def _of_folder(path: Path) -> Source:
    for table in (TABLE, ""):
        files = _splits(path / table)
        if files:
            sft = _splits(path / SFT) if table else {}
            folder = path if (path / MARK).is_file() else None
            return Source(name=path.resolve().name, files=files, sft=sft, folder=folder, table=table)
    raise PromptsError(f"{path}: is neither a run directory nor a dataset with train.parquet or train.jsonl")


def _splits(folder: Path) -> dict[str, Path]:
    found = {
        split: next((file for suffix in SUFFIXES if (file := folder / f"{split}{suffix}").is_file()), None)
        for split in ("train", "test")
    }
    return {split: file for split, file in found.items() if file is not None}


def pairs(source: Source) -> Iterator[SourcePair]:
    """Yield the pairs of all splits in order. Raises PromptsError for a row that is not a pair."""
    for split, file in source.files.items():
        for number, (where, row) in enumerate(read_rows(file), start=1):
            yield _pair(where, f"{split}:{number}", row)


def _pair(where: str, name: str, row: object) -> SourcePair:
    if not isinstance(row, dict):
        raise PromptsError(f"{where}: must be an object with columns, found {type(row).__name__}")
    prompt, chosen = response_of(where, "chosen", row.get("chosen"))
    same, rejected = response_of(where, "rejected", row.get("rejected"))
    if prompt != same:
        raise PromptsError(f"{where}: `chosen` and `rejected` belong to different conversations")
    turns = prompt or conversation_of(where, row.get("prompt"))
    return SourcePair(where=where, row=name, prompt=turns, chosen=chosen, rejected=rejected, columns=row)


def input_of(file: Path | str, name: str, split: str, rows: int) -> Input:
    """Return the hash of a file, or of the rows of a hub dataset, under a name."""
    if isinstance(file, Path):
        with file.open("rb") as stream:
            return Input(name=name, hash=file_digest(stream, _blake).hexdigest(), rows=rows)
    digest = _blake()
    for _, row in read_rows(file, split):
        digest.update(canonical_json(json.loads(json.dumps(row, default=str))).encode())
    return Input(name=name, hash=digest.hexdigest(), rows=rows)


def _blake() -> Any:  # noqa: ANN401  (hashlib's own type has no public name)
    return blake2b(digest_size=16)
