"""Write the files of evaluations, and refuse to overwrite other files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlaif.errors import StorageError, UsageError
from rlaif.evaluate.collected_verdicts import VerdictReport
from rlaif.runs.directory import COMPARISON, write_text

EVALUATION = "evaluation.json"
"""File with the evaluation of judges or of a policy, in the folder of --out."""
ENDINGS = (".csv", ".parquet", ".json")
OTHER_FOLDERS = {
    "manifest.json": "a run",
    "training.json": "a trained model",
    "comparison.json": "a comparison",
    COMPARISON: "a comparison",
}
"""Files by which the folders of other commands are recognised."""


def check_verdicts_file(path: Path, source: Path) -> None:
    """Raise UsageError where --out cannot be written, or is a file that this command did not write."""
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"--out {path}: must end in {', '.join(ENDINGS)}")
    if path.is_dir():
        raise UsageError(f"--out {path}: is a folder; give a file")
    if path.exists() and source.exists() and path.samefile(source):
        raise UsageError(f"--out {path}: is the input file; choose another")
    if path.exists() and not {"judge", "strategy", "order_agreement"} <= _columns(path):
        raise UsageError(f"--out {path}: is not a table of this program, so it is not overwritten; choose another")


def _columns(path: Path) -> set[str]:
    """Return the column names of a table; an empty set for another file."""
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
    """Raise UsageError where --out is not a folder, or has files of another command.

    `own_key` is a key that only this kind of evaluation.json has; `files` will be written beside it.
    """
    if out is None or not out.exists():
        return
    if not out.is_dir():
        raise UsageError(f"--out {out}: is a file; give a folder")
    for file, what in OTHER_FOLDERS.items():
        if (out / file).exists():
            raise UsageError(f"--out {out}: contains {what}; choose another folder")
    evaluation = out / EVALUATION
    if evaluation.exists() and own_key not in _keys(evaluation):
        raise UsageError(f"--out {out}: has an evaluation.json of another kind; choose another folder")
    unknown = [file for file in files if (out / file).exists() and not evaluation.exists()]
    if unknown:
        raise UsageError(f"--out {out}: contains a {unknown[0]} that no evaluation wrote; choose another folder")


def _keys(path: Path) -> set[str]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return set()
    return set(content) if isinstance(content, dict) else set()


def write_verdict_report(path: Path, report: VerdictReport) -> None:
    """Write a report as JSON, or as CSV or Parquet with one row per group. Raises StorageError."""
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
    """Return a record as one row: an estimate as `x`, `x_low`, `x_high`, `x_n`; a nested record as `outer_inner`."""
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
