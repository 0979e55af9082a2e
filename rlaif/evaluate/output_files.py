"""The files that evaluations write, and which files of others they must not overwrite."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlaif.errors import StorageError, UsageError
from rlaif.evaluate.collected_verdicts import VerdictReport
from rlaif.runs.directory import COMPARISON, write_text

EVALUATION = "evaluation.json"
"""The evaluation of judges, or of a policy, in the folder of --out."""
ENDINGS = (".csv", ".parquet", ".json")
OTHER_FOLDERS = {
    "manifest.json": "a run",
    "training.json": "a trained model",
    "comparison.json": "a comparison",
    COMPARISON: "a comparison",
}
"""Files that show what a folder holds."""


def check_verdicts_file(path: Path, source: Path) -> None:
    """Raise UsageError, before anything is computed, where --out can't be written or is somebody's data."""
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"--out {path}: must end in {', '.join(ENDINGS)}")
    if path.is_dir():
        raise UsageError(f"--out {path}: is a folder")
    if path.exists() and source.exists() and path.samefile(source):
        raise UsageError(f"--out {path}: is the file of verdicts itself; choose another")
    if path.exists() and not {"judge", "strategy", "order_agreement"} <= _columns(path):
        raise UsageError(f"--out {path}: is not a table of this program and is not overwritten; choose another")


def _columns(path: Path) -> set[str]:
    """Return the names of a table's columns; an empty set for a file that is not a table."""
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


def check_evaluation_folder(out: Path | None, own_key: str, files: Sequence[str]) -> None:
    """Raise UsageError for --out where an evaluation can't be written, or would mix with something else.

    `own_key` is a key that the evaluation.json of this kind has and no other; `files` will be written beside it.
    """
    if out is None or not out.exists():
        return
    if not out.is_dir():
        raise UsageError(f"--out {out}: is a file; name a folder")
    for file, what in OTHER_FOLDERS.items():
        if (out / file).exists():
            raise UsageError(f"--out {out}: holds {what}; choose another folder")
    evaluation = out / EVALUATION
    if evaluation.exists() and own_key not in _keys(evaluation):
        raise UsageError(f"--out {out}: its evaluation.json is one of another kind and is left alone; choose another")
    strange = [file for file in files if (out / file).exists() and not evaluation.exists()]
    if strange:
        raise UsageError(f"--out {out}: holds a {strange[0]} that no evaluation wrote; choose another folder")


def _keys(path: Path) -> set[str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return set()
    return set(content) if isinstance(content, dict) else set()


def write_verdict_report(path: Path, report: VerdictReport) -> None:
    """Write a report: JSON as it is, else one row per group. Raises StorageError."""
    if path.suffix.lower() == ".json":
        write_text(path, report.model_dump_json(indent=1))
    else:
        write_rows(path, [_flat(group.model_dump(mode="json")) for group in report.groups])


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


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a record as one row: an interval as `x`, `x_low`, `x_high`, `x_n`; a record within as `outer_inner`."""
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
