"""Figures and verdicts as files for one's own questions: CSV, Parquet or JSON, by the name's ending."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlaif.errors import StorageError, UsageError
from rlaif.evaluate.verdicts import VerdictReport
from rlaif.records import Record
from rlaif.runs.directory import COMPARISON, write_bytes

EVALUATION = "evaluation.json"
"""Figures of judges, or of a policy, in the folder of --out."""
ENDINGS = (".csv", ".parquet", ".json")


def check_ending(path: Path) -> None:
    """Raise UsageError, before anything is computed, for a file that could not be written in the end."""
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"--out {path}: must end in {', '.join(ENDINGS)}")
    if path.is_dir():
        raise UsageError(f"--out {path}: is a folder")


def refuse_a_strangers_file(path: Path, source: Path) -> None:
    """Raise UsageError where writing would take somebody's data away: the very file that is read, or no such table."""
    if path.exists() and source.exists() and path.samefile(source):
        raise UsageError(f"--out {path}: is the file of verdicts itself; choose another")
    if path.exists() and not {"judge", "strategy", "order_agreement"} <= _columns(path):
        raise UsageError(f"--out {path}: is no table of this program and is left alone; choose another")


def _columns(path: Path) -> set[str]:
    """Return the names of a table's columns; none of a file that is no table."""
    import pandas  # noqa: PLC0415

    try:
        match path.suffix.lower():
            case ".csv":
                return set(pandas.read_csv(path, nrows=0).columns)
            case ".parquet":
                return set(pandas.read_parquet(path).columns)
            case _:
                return set(json.loads(path.read_text(encoding="utf-8"))["groups"][0])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return set()


def refuse_a_strangers_folder(out: Path | None, own: str, files: Sequence[str]) -> None:
    """Raise UsageError for --out where an evaluation can't be written, or would mix with something else.

    `own` is a key that the evaluation.json of this kind has and no other; `files` will be written beside it.
    """
    if out is None or not out.exists():
        return
    if not out.is_dir():
        raise UsageError(f"--out {out}: is a file; name a folder")
    for file, what in (
        ("manifest.json", "a run"),
        ("training.json", "a trained model"),
        ("comparison.json", "a comparison"),
        (COMPARISON, "a comparison"),
    ):
        if (out / file).exists():
            raise UsageError(f"--out {out}: holds {what}; choose another folder")
    figures = out / EVALUATION
    if figures.exists() and own not in _keys(figures):
        raise UsageError(f"--out {out}: its evaluation.json is one of another kind and is left alone; choose another")
    strange = [file for file in files if (out / file).exists() and not figures.exists()]
    if strange:
        raise UsageError(f"--out {out}: holds a {strange[0]} that no evaluation wrote; choose another folder")


def _keys(path: Path) -> set[str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return set()
    return set(content) if isinstance(content, dict) else set()


def write_verdict_report(path: Path, report: VerdictReport) -> None:
    """Write a report: JSON as it is, else one row per group."""
    if path.suffix.lower() == ".json":
        write_file(path, report.model_dump_json(indent=1))
    else:
        write_rows(path, [flat(group) for group in report.groups])


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as CSV or Parquet. Raises StorageError."""
    import pandas  # noqa: PLC0415

    table = pandas.DataFrame(list(rows))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".csv":
            table.to_csv(path, index=False)
        else:
            table.to_parquet(path, index=False)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written: {error.strerror or error}") from None


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file, folders included, as a whole or not at all. Raises StorageError."""
    write_bytes(path, content.encode() if isinstance(content, str) else content)


def flat(record: Record) -> dict[str, Any]:
    """Return a record as one row: an interval as `x`, `x_low`, `x_high`, `x_n`; a record within as `outer_inner`."""
    return _flat(json.loads(record.model_dump_json()))


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, value in content.items():
        if isinstance(value, dict) and {"value", "low", "high", "n", "prompts"} == set(value):
            row[f"{prefix}{name}"] = value["value"]
            row |= {f"{prefix}{name}_{end}": value[end] for end in ("low", "high", "n")}
        elif isinstance(value, dict):
            row |= _flat(value, "" if name == "by" else f"{prefix}{name}_")
        else:
            row[f"{prefix}{name}"] = value
    return row
