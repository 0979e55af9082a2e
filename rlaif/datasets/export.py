"""Export a run as a dataset: Parquet or JSON lines, one file per split; with a dataset card in the format `trl`."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from rlaif.datasets.card import dataset_card
from rlaif.datasets.card_head import Contents, Size, prompts_name
from rlaif.datasets.columns import column_names, features, with_empty_calls
from rlaif.datasets.formats import FORMATS, TRL, Format, with_votes
from rlaif.datasets.spool import Spool, place_of
from rlaif.errors import StorageError, UsageError
from rlaif.preferences.pairs import Conclusion
from rlaif.records import Trace
from rlaif.runs.certificate import CERTIFICATE
from rlaif.runs.certified import CertifiedRun
from rlaif.runs.reader import Run
from rlaif.runs.reviewed import ReviewedRun
from rlaif.runs.rows import Row
from rlaif.runs.summary import Summary, summarise, warnings_of
from rlaif.seeds import content_hash
from rlaif.text.language import language_shares

EachTrace: TypeAlias = Callable[[Trace, Conclusion], None]
MARK = "rlaif.json"
"""File that marks a folder as an export: the run's manifest, the numbers of rows, and the run's warnings."""


def export(run: Run, format_: str, out: Path | None = None) -> Path:
    """Write a run's dataset and return the folder. Raises UsageError for a folder with other files.

    Of a `CertifiedRun`, only the certified pairs are written, of a `ReviewedRun`, pairs with people's labels; raises
    UsageError for a format that is not made of pairs.
    """
    if format_ not in FORMATS:
        raise UsageError(f"no format {format_!r}; choose one of {', '.join(FORMATS)}")
    about = _about_pairs(run)
    if about and not any(table.of_pairs for table in FORMATS[format_].tables.values()):
        raise UsageError(f"format {format_} is not made of pairs, so {about} about its rows")
    folder = out or run.path / _place(run, format_)
    if format_ == "trl":
        export_trl(run, folder)
    else:
        write_dataset(run, FORMATS[format_], folder)
    return folder


def _about_pairs(run: Run) -> str | None:
    """Return what a run has that concerns its pairs only, as the beginning of a clause; None for a whole run."""
    if isinstance(run, CertifiedRun):
        return "a certificate says nothing"
    return "people's labels of pairs say nothing" if isinstance(run, ReviewedRun) else None


def _place(run: Run, format_: str) -> str:
    if isinstance(run, CertifiedRun):
        return f"exports/{format_}-certified"
    if isinstance(run, ReviewedRun):
        return f"exports/{format_}-people"
    return "dataset" if format_ == "trl" else f"exports/{format_}"


def export_trl(run: Run, folder: Path, summary: Summary | None = None, spool: Spool | None = None) -> dict[str, int]:
    """Write preference and SFT data as Parquet with a dataset card; return the number of rows by `config/split`.

    `datasets.load_dataset(FOLDER, "preference")` returns a dataset for TRL's DPOTrainer. A run without pairs gets a
    card without preference files. `summary` and `spool` are the run's summary and rows, if the caller has them already.
    """
    return write_dataset(run, TRL, folder, card=summary or summarise(run), spool=spool)


def write_dataset(
    run: Run, format_: Format, folder: Path, *, card: Summary | None = None, spool: Spool | None = None
) -> dict[str, int]:
    """Write a dataset, with a card if `card` is given; return the number of rows by `table/split`.

    A temporary folder is written and then replaces the old one, so that an export is either complete or absent. Raises
    UsageError for a folder with other files, StorageError when it cannot be written.
    """
    people = run.people if isinstance(run, ReviewedRun) else None
    format_ = with_votes(format_) if people else format_
    folder = folder.resolve()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; choose another --out")
    if folder.exists() and not (folder / MARK).is_file() and any(folder.iterdir()):
        raise UsageError(f"{folder} contains files that are not an export of this program; choose another --out")
    unfinished, rows = (folder.with_name(f".{folder.name}{part}.unfinished") for part in ("", ".rows"))
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        spool = spool or _spooled(run, format_, rows)
        spool.close()
        written = _write_tables(unfinished, spool, format_, languages=card is not None)
        if card is not None:
            (unfinished / "README.md").write_text(dataset_card(run, card, written, format_.tables), encoding="utf-8")
        manifest = run.manifest.model_dump() | {"prompts": prompts_name(run)}  # it may be published: no local paths
        mark: dict[str, Any] = {"run": manifest, "rows": written.counts, "warnings": warnings_of(run)}
        if card is not None and card.root:
            mark |= {"root": card.root, "traces": card.traces}
        mark |= {"people": people.model_dump()} if people else {}
        (unfinished / MARK).write_text(json.dumps(mark, indent=2))
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(rows, ignore_errors=True)
    return dict(written.counts)


def spooled_while_concluding(run: Run, folder: Path) -> tuple[Spool, EachTrace] | None:
    """Return a spool, and the function that puts one trace's rows of the format `trl` into it.

    A run with a certificate needs all pairs before it can mark one; then None is returned, and the rows are made later.
    """
    if (run.path / CERTIFICATE).is_file():
        return None
    spool = Spool(folder, run.config.pairs.test_fraction)

    def add(trace: Trace, conclusion: Conclusion) -> None:
        for row in run.preference_rows_of(trace, conclusion):
            spool.add("preference", row)
        for revision in run.revision_rows_of(trace, conclusion):
            spool.add("sft", revision)

    return spool, add


def _spooled(run: Run, format_: Format, folder: Path) -> Spool:
    """Return the rows of all tables of a format, on disk."""
    spool = Spool(folder, run.config.pairs.test_fraction)
    for name, table in format_.tables.items():
        for row in table.rows_of(run):
            spool.add(name, row)
    return spool


def _write_tables(folder: Path, spool: Spool, format_: Format, *, languages: bool) -> Contents:
    sizes: dict[str, Size] = {}
    counts = {place_of(name, split): 0 for name in format_.tables for split in ("train", "test")}
    for name, table in format_.tables.items():
        for split in ("train", "test"):
            place = place_of(name, split)
            counts[place] = spool.counts[place]
            if counts[place]:
                (folder / name).mkdir(exist_ok=True)
                file = folder / name / f"{split}.{format_.suffix}"
                in_memory = _write_rows(file, table.row, spool, place)
                sizes[place] = Size(in_memory, file.stat().st_size)
    texts = next((spool.texts[name].texts for name in format_.tables if name in spool.texts), [])
    hashes = {name: _hash_of_files(folder / name) for name in format_.tables}
    shares = language_shares(texts) if languages and texts else {}
    return Contents(counts, hashes, spool.tools, sizes, shares, spool.also)


def _write_rows(path: Path, table: type[Row], spool: Spool, place: str) -> int:
    """Write the rows of one split; return the bytes of a Parquet file's rows in memory (0 for JSON lines)."""
    columns = column_names(table, tools=spool.tools, also=spool.also)
    batches = ([{name: row[name] for name in columns} for row in batch] for batch in spool.batches(place))
    if path.suffix == ".jsonl":
        with path.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for batch in batches for row in batch)
        return 0
    return _write_parquet(path, batches, features(table, tools=spool.tools, also=spool.also), tools=spool.tools)


def _write_parquet(path: Path, batches: Iterator[list[dict[str, Any]]], features: Any, *, tools: bool) -> int:  # noqa: ANN401
    import datasets  # noqa: PLC0415
    import pyarrow.parquet  # noqa: PLC0415

    datasets.disable_progress_bars()
    size = 0
    with pyarrow.parquet.ParquetWriter(path, features.arrow_schema, write_page_index=True) as writer:
        for batch in batches:
            rows = with_empty_calls(batch) if tools else batch
            made = datasets.Dataset.from_list(rows, features=features).data.table
            writer.write_table(made)
            size += int(made.nbytes)
    return size


def _hash_of_files(folder: Path) -> str:
    digests = []
    for path in sorted(folder.glob("*")):
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "blake2b").digest())
    return content_hash(*digests)
