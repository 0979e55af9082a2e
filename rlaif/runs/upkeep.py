"""The runs in a folder, the repair of a damaged one, and what may be deleted."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import filelock
from pydantic import ValidationError

from rlaif.base import Record
from rlaif.errors import RlaifError, RunDirectoryError, StorageError
from rlaif.records import Failure, Prompt, Trace
from rlaif.runs.directory import TRACES, free_place, locked, read_manifest
from rlaif.runs.reader import Run
from rlaif.runs.store import TraceReader, TraceWriter, record_hash

LEFTOVERS = ("*.unfinished", ".*.unfinished", f"{TRACES}.damaged*")
"""Files and folders of a run that nothing reads any more: exports that were interrupted, files that were repaired."""
DEEPEST = 4
"""Levels of folders in which runs are looked for."""


class ListedRun(Record):
    """One line of the list of runs."""

    path: str
    state: str
    """`finished`, `open`, `being written` or `damaged`."""
    constitution: str = ""
    prompts: int = 0
    traces: int = 0
    failures: int = 0
    bytes: int = 0
    """Size on disk, with dataset and logs."""
    changed: float = 0.0
    """Time of the last change, in seconds since 1970."""
    problem: str = ""


def list_runs(folder: Path) -> Iterator[ListedRun]:
    """Yield the runs in a folder and its subfolders, by path."""
    for path in sorted(_run_folders(folder, DEEPEST)):
        yield _listed(path)


def _run_folders(folder: Path, depth: int) -> Iterator[Path]:
    if (folder / "manifest.json").is_file():
        yield folder
    elif depth and folder.is_dir():
        for inner in folder.iterdir():
            if inner.is_dir() and not inner.name.startswith("."):
                yield from _run_folders(inner, depth - 1)


def _listed(path: Path) -> ListedRun:
    facts = {"path": str(path), "bytes": size_of(path), "changed": _changed(path)}
    try:
        run = Run(path)
        with TraceReader(path / TRACES, Trace) as reader:
            prompts, traces, failures = reader.prompt_count(), reader.trace_count(), len(list(reader.failures()))
    except RlaifError as error:
        return ListedRun.model_validate(facts | {"state": "damaged", "problem": str(error)})
    state = "being written" if _is_locked(path) else "finished" if traces == prompts else "open"
    counts = {"prompts": prompts, "traces": traces, "failures": failures}
    return ListedRun.model_validate(facts | counts | {"state": state, "constitution": run.manifest.constitution})


def _is_locked(path: Path) -> bool:
    if not (path / "run.lock").exists() or not os.access(path, os.W_OK):
        return False
    try:
        with filelock.FileLock(path / "run.lock", timeout=0):
            return False
    except filelock.Timeout:
        return True


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*") if file.is_file() or file.is_symlink())


def _changed(path: Path) -> float:
    files = (path / TRACES, path / f"{TRACES}-wal", path / "manifest.json")
    return max(file.stat().st_mtime for file in files if file.is_file())


class Repaired(Record):
    """What a repair saved of a run, and what it took out."""

    prompts: int
    """Prompts that were saved."""
    lost_prompts: int
    """Prompts that could not be read."""
    records: int
    """Records that were saved."""
    taken_out: tuple[str, ...]
    """Ids of the prompts whose records were changed or cannot be read; they are made again."""
    kept: str
    """The file as it was, beside the new one."""


def repair(path: Path) -> Repaired:
    """Write a run's store anew from all rows that can be read and are as they were written; keep the old file.

    Raises RunDirectoryError while the run is being written, or where no prompt can be read.
    """
    expected = read_manifest(path).prompt_count
    with locked(path):
        new = path / f"{TRACES}.repairing"
        for leftover in path.glob(f"{new.name}*"):
            leftover.unlink()
        prompts, records, taken_out = _salvage(path / TRACES, new)
        if not prompts:
            new.unlink(missing_ok=True)
            raise RunDirectoryError(f"{path / TRACES}: no prompt can be read; start the run again in another --out")
        old = _put_aside(path)
        new.rename(path / TRACES)
    return Repaired(
        prompts=prompts,
        lost_prompts=max(0, expected - prompts),
        records=records,
        taken_out=tuple(taken_out),
        kept=str(old),
    )


def _salvage(old: Path, new: Path) -> tuple[int, int, list[str]]:
    """Copy what can be read; return (prompts, records, ids of the prompts whose records were left out)."""
    records, taken_out, prompts = 0, [], []
    for _, text in _readable(old, "SELECT position, prompt FROM prompts ORDER BY position"):
        try:
            prompts.append(Prompt.model_validate_json(text))
        except ValidationError:
            continue
    known = {prompt.id for prompt in prompts}
    writer = TraceWriter(new)
    try:
        writer.put_prompts(prompts)
        for prompt_id, text, *kept in _traces(old):
            try:
                trace = Trace.model_validate_json(text)
            except ValidationError:
                trace = None
            sound = trace is not None and kept in ([], [None], [record_hash(prompt_id, text)])
            if trace is not None and sound and prompt_id == trace.prompt.id and prompt_id in known:
                writer.put_trace(trace)
                records += 1
            else:
                taken_out.append(prompt_id)
        for (text,) in _readable(old, "SELECT failure FROM failures"):
            writer.put_failure(Failure.model_validate_json(text))
        writer.flush()
    finally:
        writer.close()
    return len(prompts), records, taken_out


def _traces(old: Path) -> list[tuple[str, ...]]:
    """Return (prompt id, text, hash) of the records, without hashes where the file has none."""
    with_hashes = list(_readable(old, "SELECT prompt_id, trace, hash FROM traces"))
    return with_hashes or list(_readable(old, "SELECT prompt_id, trace FROM traces"))


def _readable(file: Path, sql: str) -> Iterator[tuple[str, ...]]:
    """Yield the rows up to the first that cannot be read."""
    try:
        connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)
        try:
            yield from connection.execute(sql)
        finally:
            connection.close()
    except sqlite3.Error:
        return


def _put_aside(path: Path) -> Path:
    old = path / f"{TRACES}.damaged"
    old = free_place(old) if old.exists() else old
    (path / TRACES).rename(old)
    for suffix in ("-wal", "-shm"):
        (path / f"{TRACES}{suffix}").unlink(missing_ok=True)
    return old


def leftovers(folder: Path) -> Iterator[tuple[Path, int]]:
    """Yield (path, bytes) of what may be deleted in the runs of a folder; nothing of a run that is being written."""
    for run in sorted(_run_folders(folder, DEEPEST)):
        if not _is_locked(run):
            for pattern in LEFTOVERS:
                yield from ((path, size_of(path)) for path in sorted(run.glob(pattern)))


def delete(path: Path) -> None:
    """Delete a file or folder. Raises StorageError."""
    try:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path}: cannot be deleted: {error.strerror}") from None
