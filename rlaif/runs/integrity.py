"""Whether a run is whole and as it was written: its hashes are computed again, and what differs is named.

Found: records, templates, constitution, prompts and manifest that were changed by an accident or by hand, and a damaged
file. Not found: changes by somebody who computes all hashes again; then the root differs from the one in a dataset's
card that was published before. Records of versions without hashes are counted as not verifiable.
"""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field, ValidationError

from rlaif.constitution.schema import Constitution
from rlaif.errors import RlaifError
from rlaif.records import Record, Trace, hash_of_prompts
from rlaif.runs.directory import TRACES, Manifest, read_manifest, read_text
from rlaif.runs.reader import Run
from rlaif.runs.store import TraceReader, record_hash
from rlaif.seeds import content_hash
from rlaif.yaml_file import read_yaml

MOST_NAMED = 20
"""Records that are named one by one; of more, the number."""


class Verified(Record):
    """What `verify` found in a run."""

    run: str
    records: int = 0
    without_hash: int = 0
    """Records of an earlier version, which cannot be verified."""
    root: str = ""
    problems: tuple[str, ...] = Field(default=())

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(path: Path) -> Verified:
    """Compute the hashes of a run again. Raises RunDirectoryError for a folder that is not a run."""
    manifest = read_manifest(path)
    problems = list(_changed_files(path, manifest))
    damage = _damage(path / TRACES)
    if damage is not None:
        return Verified(run=str(path), problems=(*problems, damage))
    with TraceReader(path / TRACES, Trace) as reader:
        problems += _changed_prompts(reader, manifest)
        changed, records, without = _changed_records(reader)
    problems += changed[:MOST_NAMED]
    problems += [f"and {len(changed) - MOST_NAMED} further records"] if len(changed) > MOST_NAMED else []
    root = "" if problems else Run(path).root()
    problems += _other_root(path, root, records) if root else []
    return Verified(run=str(path), records=records, without_hash=without, root=root, problems=tuple(problems))


def _changed_files(path: Path, manifest: Manifest) -> Iterator[str]:
    """Yield the constitution and the templates that are not those of the manifest."""
    try:
        if read_yaml(path / "constitution.yaml", Constitution).hash != manifest.constitution_hash:
            yield "constitution.yaml was changed after the run"
    except RlaifError as error:
        yield str(error)
    for name, kept in manifest.templates.items():
        if content_hash(read_text(path / "prompts" / f"{name}.jinja")) != kept:
            yield f"prompts/{name}.jinja was changed or is missing"


def _damage(store: Path) -> str | None:
    """Return what SQLite finds wrong with a file; None for a whole one."""
    if not store.is_file():
        return f"{store.name} is missing"
    try:
        connection = sqlite3.connect(f"{store.resolve().as_uri()}?mode=ro", uri=True)
        try:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.Error as error:
        found = str(error)
    return None if found == "ok" else f"{store.name} is damaged ({found}); `rlaif runs repair` saves what can be read"


def _changed_prompts(reader: TraceReader[Trace], manifest: Manifest) -> Iterator[str]:
    """Yield whether the prompts are not those of the manifest; the hash is that of `PromptSet.hash`."""
    try:
        if hash_of_prompts(reader.prompts()) != manifest.prompts_hash:
            yield "the prompts are not those that the run began with, or manifest.json was changed"
    except RlaifError as error:
        yield str(error)
    if reader.prompt_count() != manifest.prompt_count:
        yield f"manifest.json says {manifest.prompt_count} prompts, {TRACES} has {reader.prompt_count()}"


def _changed_records(reader: TraceReader[Trace]) -> tuple[list[str], int, int]:
    """Return (problems, records, records without a hash)."""
    problems, records, without = [], 0, 0
    for prompt_id, text, kept in reader.texts():
        records += 1
        without += kept is None
        if kept is not None and kept != record_hash(prompt_id, text):
            problems.append(f"the record of prompt {prompt_id!r} was changed after it was written")
        elif not _is_trace_of(prompt_id, text):
            problems.append(f"the record of prompt {prompt_id!r} is not a trace of it")
    return problems, records, without


def _is_trace_of(prompt_id: str, text: str) -> bool:
    try:
        return Trace.model_validate_json(text).prompt.id == prompt_id
    except ValidationError:
        return False


def _other_root(path: Path, root: str, records: int) -> Iterator[str]:
    """Yield where summary or dataset were made from as many records with another root."""
    for file in (path / "summary.json", path / "dataset" / "rlaif.json"):
        try:
            found = json.loads(read_text(file))
            kept, counted = found["root"], found["traces"]
        except (ValueError, LookupError, TypeError):
            continue  # none, or of an earlier version
        if counted == records and kept != root:
            yield f"{file.relative_to(path)} was made from other records or another manifest (hash {kept}, now {root})"
