"""Read rows of JSONL, JSON and CSV (each also .gz), Parquet, or a hub dataset.

Each row comes with its place (`file:line`). The rows may be prompts, gold labels, verdicts or training examples: the
caller knows which; `conversation.py` reads the conversations in their cells.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlaif.errors import PromptsError

SourceRow = tuple[str, Any]
"""(place such as `file:line`, contents of the row)."""


def read_rows(source: Path | str, split: str = "train") -> Iterator[SourceRow]:
    """Yield the rows of a file (a Path) or of a hub dataset's split (a str). Raises PromptsError with the place."""
    if isinstance(source, str):
        return _hub_rows(source, split)
    match source.with_suffix("").suffix.lower() if source.suffix == ".gz" else source.suffix.lower():
        case ".jsonl" | ".ndjson":
            return _jsonl_rows(source)
        case ".json":
            return _json_rows(source)
        case ".csv":
            return _csv_rows(source)
        case ".parquet":
            return _parquet_rows(source)
        case suffix:
            raise PromptsError(
                f"{source}: cannot read {suffix or 'a file without suffix'}; use JSONL, JSON, CSV or Parquet"
            )


def _jsonl_rows(path: Path) -> Iterator[SourceRow]:
    empty = True
    for number, line in _lines(path):
        if line.strip():
            empty = False
            try:
                yield f"{path}:{number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                raise PromptsError(f"{path}:{number}: is not JSON: {error}") from None
    if empty:
        raise PromptsError(f"{path}: the file is empty")


def _json_rows(path: Path) -> Iterator[SourceRow]:
    try:
        data = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise PromptsError(f"{path}:{getattr(error, 'lineno', 1)}: is not JSON: {error}") from None
    if not isinstance(data, list):
        raise PromptsError(f"{path}: must be a list of rows (for one JSON object per line, name it .jsonl)")
    for number, row in enumerate(data, start=1):
        yield f"{path}: entry {number}", row


def _csv_rows(path: Path) -> Iterator[SourceRow]:
    reader = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if None in row:
                raise PromptsError(f"{where}: has more cells than the header; put quotes around text with commas")
            yield where, {key: value or None for key, value in row.items()}
    except csv.Error as error:
        raise PromptsError(f"{path}:{reader.reader.line_num}: is not CSV: {error}") from None


def _parquet_rows(path: Path) -> Iterator[SourceRow]:
    import pyarrow  # noqa: PLC0415
    import pyarrow.parquet  # noqa: PLC0415

    try:
        file = pyarrow.parquet.ParquetFile(path)
        number = 0
        for batch in file.iter_batches(1024):
            for row in batch.to_pylist():
                number += 1
                yield f"{path}: row {number}", row
    except (pyarrow.ArrowException, OSError) as error:
        raise PromptsError(f"{path}: is not a Parquet file: {error}") from None


def _hub_rows(name: str, split: str) -> Iterator[SourceRow]:
    import datasets  # noqa: PLC0415

    try:
        dataset = datasets.load_dataset(name, split=split)
    except Exception as error:  # noqa: BLE001  (the hub's client raises anything)
        raise PromptsError(
            f"{name}: no such file, and the hub dataset of this name cannot be loaded: "
            f"{' '.join(str(error).split())[:200]}"
        ) from None
    for number, row in enumerate(dataset, start=1):
        yield f"{name}[{split}]: row {number}", row


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (number, line), one in memory at a time."""
    number = 0
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig", newline=None) as lines:
            for number, line in enumerate(lines, start=1):
                yield number, line.removesuffix("\n")
    except UnicodeDecodeError as error:
        raise PromptsError(f"{path}: is not UTF-8 text ({error.reason}, after line {number})") from None
    except (OSError, EOFError, zlib.error) as error:
        raise PromptsError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _text(path: Path) -> str:
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        text = io.StringIO(raw.decode("utf-8-sig"), newline=None).read()
    except UnicodeDecodeError as error:
        raise PromptsError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start})") from None
    except (OSError, EOFError, zlib.error) as error:
        raise PromptsError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not text.strip():
        raise PromptsError(f"{path}: the file is empty")
    return text
