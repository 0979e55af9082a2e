"""Export a run as a dataset: Parquet or JSON lines, one file per split; with a dataset card in the format `trl`."""

import hashlib
import json
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from rlaif.datasets.card import dataset_card
from rlaif.datasets.card_head import Contents, Size, prompts_name
from rlaif.datasets.columns import column_names, columns_used, features, uses_tools, with_empty_calls
from rlaif.datasets.formats import FORMATS, TRL, Format, Table, with_votes
from rlaif.errors import StorageError, UsageError
from rlaif.runs.certified import CertifiedRun
from rlaif.runs.reader import Run
from rlaif.runs.reviewed import ReviewedRun
from rlaif.runs.rows import Row, split_of
from rlaif.runs.summary import Summary, summarise, warnings_of
from rlaif.seeds import content_hash
from rlaif.text.language import language_shares

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


def export_trl(run: Run, folder: Path, summary: Summary | None = None) -> dict[str, int]:
    """Write preference and SFT data as Parquet with a dataset card; return the number of rows by `config/split`.

    `datasets.load_dataset(FOLDER, "preference")` returns a dataset for TRL's DPOTrainer. A run without pairs gets a
    card without preference files. `summary` is the run's summary, if the caller has it already.
    """
    return write_dataset(run, TRL, folder, card=summary or summarise(run))


def write_dataset(run: Run, format_: Format, folder: Path, *, card: Summary | None = None) -> dict[str, int]:
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
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        written = _write_tables(unfinished, run, format_, languages=card is not None)
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
    return dict(written.counts)


def _write_tables(folder: Path, run: Run, format_: Format, *, languages: bool) -> Contents:
    counts: dict[str, int] = {}
    sizes: dict[str, Size] = {}
    texts: list[str] = []
    tools, also = False, frozenset[str]()
    for name, table in format_.tables.items():
        by_split = _by_split(table, run)
        tools |= any(uses_tools(row) for rows in by_split.values() for row in rows)
        also |= columns_used(row for rows in by_split.values() for row in rows)
        for split, rows in by_split.items():
            place = "/".join(filter(None, (name, split)))
            counts[place] = len(rows)
            if rows:
                (folder / name).mkdir(exist_ok=True)
                file = folder / name / f"{split}.{format_.suffix}"
                in_memory = _write_rows(file, table.row, rows, tools=tools, also=also)
                sizes[place] = Size(in_memory, file.stat().st_size)
        texts = texts or [_text_of(row) for rows in by_split.values() for row in rows] if languages else []
    hashes = {name: _hash_of_files(folder / name) for name in format_.tables}
    return Contents(counts, hashes, tools, sizes, language_shares(texts) if texts else {}, also)


def _text_of(row: Mapping[str, Any]) -> str:
    """Return the texts of a row's conversation: its prompt and the response to learn."""
    turns = [*row["prompt"], *(row.get("chosen") or row.get("completion") or [])]
    return "\n".join(turn["content"] for turn in turns if turn.get("content"))


def _by_split(table: Table, run: Run) -> Mapping[str, list[dict[str, Any]]]:
    by_split: dict[str, list[dict[str, Any]]] = {"train": [], "test": []}
    for row in table.rows_of(run):
        entry = row.model_dump(mode="json")
        prompt = entry["conversation"] or entry["prompt_id"]
        by_split[split_of(prompt, run.config.pairs.test_fraction)].append(entry)
    return by_split


def _write_rows(path: Path, table: type[Row], rows: list[dict[str, Any]], *, tools: bool, also: Collection[str]) -> int:
    """Write rows into a file; return the bytes of a Parquet file's rows in memory (0 for JSON lines)."""
    columns = column_names(table, tools=tools, also=also)
    rows = [{name: row[name] for name in columns} for row in rows]
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        return 0
    import datasets  # noqa: PLC0415

    datasets.disable_progress_bars()
    rows = with_empty_calls(rows) if tools else rows
    made = datasets.Dataset.from_list(rows, features=features(table, tools=tools, also=also))
    made.to_parquet(path)
    return int(made.data.nbytes)


def _hash_of_files(folder: Path) -> str:
    digests = []
    for path in sorted(folder.glob("*")):
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "blake2b").digest())
    return content_hash(*digests)
