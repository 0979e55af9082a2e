"""Write the kept rows as a dataset of the same layout, columns and card, with the recipe and the dropped rows.

Rows are copied as they are: Parquet batch by batch, JSON lines for every other source. One column may change:
`certified` is emptied where certified rows were dropped, because a certificate is about all rows at or above its
threshold, and says nothing about a selection of them.
"""

import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from rlaif.curate.card import curated_card
from rlaif.curate.curating import Decisions
from rlaif.curate.recipe import Recipe
from rlaif.curate.source import SFT, Source
from rlaif.datasets.export import MARK
from rlaif.datasets.files import read_rows
from rlaif.errors import StorageError, UsageError

RECIPE = "curation.json"
DROPPED = "dropped.jsonl"
BATCH = 2048


def check_folder(folder: Path, source: Source) -> None:
    """Raise UsageError for a folder that holds something else, or the source itself."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; choose another --out")
    for file in (*source.files.values(), *source.sft.values()):
        if isinstance(file, Path) and file.resolve().is_relative_to(folder.resolve()):
            raise UsageError(
                f"--out {folder} contains the source {file.name}; nothing of the source may be overwritten"
            )
    if folder.exists() and not (folder / RECIPE).is_file() and any(folder.iterdir()):
        raise UsageError(f"{folder} contains files that `rlaif curate` did not write; choose another --out")


def write_curated(folder: Path, source: Source, found: Decisions, recipe: Recipe) -> dict[str, int]:
    """Write a curated dataset, whole or not at all; return the rows by `table/split`. Raises StorageError."""
    folder = folder.resolve()
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        rows = _write_tables(unfinished, source, found, certified=_stays_certified(found))
        (unfinished / RECIPE).write_text(recipe.model_dump_json(indent=2) + "\n", encoding="utf-8")
        _write_dropped(unfinished / DROPPED, found)
        _write_mark(unfinished, source, rows, recipe)
        card = curated_card(unfinished, source, recipe, rows, certified=_stays_certified(found))
        (unfinished / "README.md").write_text(card, encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return rows


def _stays_certified(found: Decisions) -> bool:
    return not found.certified[False]


def _write_tables(folder: Path, source: Source, found: Decisions, *, certified: bool) -> dict[str, int]:
    rows: dict[str, int] = {}
    start = 0
    for split, file in source.files.items():
        kept = _Kept(found, start)
        place = folder / source.table / f"{split}{_suffix(file)}"
        rows["/".join(filter(None, (source.table, split)))] = _copy(file, place, kept, certified=certified)
        start += kept.seen
    names = {found.names[row].id for row in range(len(found.names)) if row not in found.dropped}
    for split, file in source.sft.items():
        rows[f"{SFT}/{split}"] = _copy(file, folder / SFT / f"{split}{_suffix(file)}", _OfPrompts(names))
    return rows


class _Kept:
    """Whether the next row is kept."""

    def __init__(self, found: Decisions, start: int) -> None:
        self._dropped, self._start, self.seen = found.dropped, start, 0

    def __call__(self, prompt_id: object) -> bool:
        self.seen += 1
        return self._start + self.seen - 1 not in self._dropped


class _OfPrompts:
    """Whether a row's prompt has a kept pair."""

    def __init__(self, names: Collection[str | None]) -> None:
        self._names = names

    def __call__(self, prompt_id: object) -> bool:
        return str(prompt_id) in self._names


def revisions(source: Source, found: Decisions) -> tuple[int, int] | None:
    """Return (revisions, those whose prompt has a kept pair); None where the source has no table of them."""
    if not source.sft:
        return None
    keep = _OfPrompts({found.names[row].id for row in range(len(found.names)) if row not in found.dropped})
    all_ = [keep(row["prompt_id"]) for file in source.sft.values() for _, row in read_rows(file)]
    return len(all_), sum(all_)


def _suffix(file: Path | str) -> str:
    return ".parquet" if isinstance(file, Path) and file.suffix == ".parquet" else ".jsonl"


def _copy(file: Path | str, place: Path, keep: Any, *, certified: bool = True) -> int:  # noqa: ANN401
    place.parent.mkdir(exist_ok=True)
    copy = _copy_parquet if place.suffix == ".parquet" else _copy_rows
    count = copy(Path(file) if place.suffix == ".parquet" else file, place, keep, certified=certified)  # type: ignore[arg-type]
    if not count:
        place.unlink()  # as in an export: a split without rows has no file
        if not any(place.parent.iterdir()):
            place.parent.rmdir()
    return count


def _copy_parquet(file: Path, place: Path, keep: Any, *, certified: bool) -> int:  # noqa: ANN401
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    read, count = pq.ParquetFile(file), 0
    schema = read.schema_arrow
    with pq.ParquetWriter(place, schema) as writer:
        for batch in read.iter_batches(BATCH):
            ids = batch.column("prompt_id").to_pylist() if "prompt_id" in schema.names else [None] * len(batch)
            table = pa.Table.from_batches([batch], schema).filter(pa.array([keep(one) for one in ids], pa.bool_()))
            if not certified and "certified" in schema.names:
                at = schema.get_field_index("certified")
                table = table.set_column(at, schema.field(at), pa.nulls(len(table), schema.field(at).type))
            if len(table):
                writer.write_table(table)
                count += len(table)
    return count


def _copy_rows(file: Path | str, place: Path, keep: Any, *, certified: bool) -> int:  # noqa: ANN401
    count = 0
    with place.open("w", encoding="utf-8") as out:
        for _, row in read_rows(file):
            if keep(row.get("prompt_id")):
                changed = {} if certified or "certified" not in row else {"certified": None}
                out.write(json.dumps(row | changed, ensure_ascii=False, default=str) + "\n")
                count += 1
    return count


def _write_dropped(path: Path, found: Decisions) -> None:
    with path.open("w", encoding="utf-8") as out:
        for row in sorted(found.dropped):
            out.write(found.dropped[row].model_dump_json() + "\n")


def _write_mark(folder: Path, source: Source, rows: Mapping[str, int], recipe: Recipe) -> None:
    mark: dict[str, Any] = {"warnings": []}
    if source.folder is not None:
        mark |= json.loads((source.folder / MARK).read_text(encoding="utf-8"))
    mark["warnings"] = list(dict.fromkeys([*mark["warnings"], *recipe.warnings]))
    (folder / MARK).write_text(json.dumps(mark | {"rows": dict(rows)}, indent=2), encoding="utf-8")


def kept_by_split(found: Decisions) -> dict[str, int]:
    """Return the number of kept rows by split."""
    splits = (name.row.partition(":")[0] for row, name in enumerate(found.names) if row not in found.dropped)
    return dict(_counted(splits))


def _counted(splits: Iterator[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for split in splits:
        counts[split] = counts.get(split, 0) + 1
    return counts
