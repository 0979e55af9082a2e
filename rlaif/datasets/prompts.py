"""Prompts in: JSONL, JSON, CSV, Parquet or a hub dataset; plain strings or conversations.

Every fault names its file and line (or row). Prompts with the same conversation are dropped and counted.
"""

import csv
import io
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rlaif.config import PromptsConfig
from rlaif.datasets.prompt_checks import decoded, read_checks
from rlaif.errors import PromptsError
from rlaif.hashing import canonical_json, content_hash, derive_seed
from rlaif.records import Message, Prompt
from rlaif.shipped import DATA, SEED_PROMPTS

_FIELDS = ("prompt", "messages", "id", "tags", "checks")
_Row = tuple[str, Any]
"""Where it stands (`file:line`), and what stands there."""


@dataclass(frozen=True)
class PromptSet:
    """The prompts of a run and what happened on the way."""

    prompts: list[Prompt]
    duplicates: int
    source: str

    @property
    def hash(self) -> str:
        """Content hash over ids, conversations, tags and checks, in order."""
        # Prompts without checks keep the hash that they had before there were any.
        return content_hash(
            *(prompt.model_dump_json(exclude=None if prompt.checks else {"checks"}) for prompt in self.prompts)
        )


def read_prompts(config: PromptsConfig, run_seed: int = 0) -> PromptSet:
    """Read the prompts of a run. Raises PromptsError with file and line for what cannot be used."""
    source = _locate(config.path)
    prompts: list[Prompt] = []
    ids: dict[str, str] = {}
    contents: set[str] = set()
    duplicates = 0
    for where, row in _rows(source, config):
        prompt = _prompt(where, row, config.columns)
        content = canonical_json(prompt.model_dump(mode="json", include={"messages", "checks"}))
        if content in contents:
            duplicates += 1
            continue
        if prompt.id in ids:
            raise PromptsError(f"{where}: id {prompt.id!r} is used before, at {ids[prompt.id]}, for another prompt")
        contents.add(content)
        ids[prompt.id] = where
        prompts.append(prompt)
        if len(prompts) == config.limit and not config.shuffle:
            break
    if not prompts:
        raise PromptsError(f"{config.path}: there is no prompt in it")
    if config.shuffle:
        random.Random(derive_seed(run_seed, "prompts")).shuffle(prompts)
        prompts = prompts[: config.limit]
    return PromptSet(prompts, duplicates, config.path)


def _locate(path: str) -> Path | str:
    """Return the file, or the id of a hub dataset."""
    if path == SEED_PROMPTS:
        return DATA / "seed_prompts.jsonl"
    if Path(path).is_file():
        return Path(path)
    if Path(path).is_dir():
        raise PromptsError(f"{path}: is a folder; give a JSONL, JSON, CSV or Parquet file")
    looks_like_file = Path(path).suffix in {".jsonl", ".json", ".csv", ".parquet", ".txt", ".ndjson"}
    if looks_like_file or path.startswith((".", "/", "~")) or path.count("/") != 1:
        raise PromptsError(f"{path}: no such file (and {SEED_PROMPTS!r} stands for the project's own prompts)")
    return path


def _rows(source: Path | str, config: PromptsConfig) -> Iterator[_Row]:
    if isinstance(source, str):
        return _hub_rows(source, config.split)
    match source.suffix.lower():
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


def _jsonl_rows(path: Path) -> Iterator[_Row]:
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if line.strip():
            try:
                yield f"{path}:{number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                raise PromptsError(f"{path}:{number}: is no JSON: {error}") from None


def _json_rows(path: Path) -> Iterator[_Row]:
    try:
        data = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise PromptsError(f"{path}:{getattr(error, 'lineno', 1)}: is no JSON: {error}") from None
    if not isinstance(data, list):
        raise PromptsError(f"{path}: must be a list of prompts (for one JSON object per line, name it .jsonl)")
    for number, row in enumerate(data, start=1):
        yield f"{path}: entry {number}", row


def _csv_rows(path: Path) -> Iterator[_Row]:
    reader = csv.DictReader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if None in row:
                raise PromptsError(f"{where}: has more cells than the header; put quotes around text with commas")
            yield where, {key: value or None for key, value in row.items()}
    except csv.Error as error:
        raise PromptsError(f"{path}:{reader.reader.line_num}: is no CSV: {error}") from None


def _parquet_rows(path: Path) -> Iterator[_Row]:
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
        raise PromptsError(f"{path}: is no Parquet file: {error}") from None


def _hub_rows(name: str, split: str) -> Iterator[_Row]:
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


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise PromptsError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise PromptsError(f"{path}: cannot be read: {error.strerror}") from None
    if not text.strip():
        raise PromptsError(f"{path}: the file is empty")
    return text


def _prompt(where: str, row: object, columns: dict[Any, str]) -> Prompt:
    if isinstance(row, str):
        row = {"prompt": row}
    if not isinstance(row, dict):
        raise PromptsError(f"{where}: must be an object with `prompt` or `messages`, found {type(row).__name__}")
    missing = [column for column in columns.values() if column not in row]
    if missing:
        raise PromptsError(f"{where}: has no column {missing[0]!r}; it has {', '.join(map(str, row)) or 'none'}")
    fields = {field: row.get(columns.get(field, field)) for field in _FIELDS}
    if "prompt" in columns and "messages" not in columns:
        fields["messages"] = None
    messages = _messages(where, fields["prompt"], fields["messages"], row)
    checks = read_checks(where, fields["checks"])
    given = fields["id"]
    turns = [f"{message.role}\n{message.content}" for message in messages]
    made = content_hash(*turns, *(canonical_json(check.model_dump(mode="json")) for check in checks))
    try:
        prompt = Prompt(
            id=made if given is None or given == "" else str(given),
            messages=messages,
            tags=_tags(fields["tags"]),
            checks=checks,
        )
    except ValidationError as error:
        raise PromptsError(f"{where}: {error.errors()[0]['msg']}") from None
    _check_encodable(where, prompt)
    return prompt


def _messages(where: str, prompt: object, messages: object, row: dict[str, Any]) -> tuple[Message, ...]:
    turns = messages if messages is not None else prompt
    if isinstance(turns, str) and messages is not None:
        turns = decoded(where, turns, "messages")
    if turns is None:
        has = ", ".join(map(str, row)) or "nothing"
        raise PromptsError(
            f"{where}: has neither `prompt` nor `messages` (it has {has}); map one with --column prompt=NAME"
        )
    if isinstance(turns, str):
        turns = [{"role": "user", "content": turns}]
    if not isinstance(turns, Iterable) or isinstance(turns, dict):
        raise PromptsError(f"{where}: the prompt must be a text or a list of messages")
    try:
        read = tuple(
            Message.model_validate({"role": t.get("role"), "content": t.get("content")} if isinstance(t, dict) else t)
            for t in turns
        )
    except ValidationError as error:
        detail = error.errors()[0]
        raise PromptsError(
            f"{where}: a message's {detail['loc'][0] if detail['loc'] else 'shape'} is wrong: {detail['msg']}"
        ) from None
    if not read or read[-1].role != "user":
        raise PromptsError(f"{where}: the last message must be the user's")
    if not read[-1].content.strip():
        raise PromptsError(f"{where}: the prompt has no text")
    return read


def _check_encodable(where: str, prompt: Prompt) -> None:
    try:
        for text in (prompt.id, *prompt.tags, *(message.content for message in prompt.messages)):
            text.encode("utf-8")
    except UnicodeEncodeError:
        raise PromptsError(f"{where}: the text holds half a surrogate pair, which no server takes") from None


def _tags(tags: object) -> tuple[str, ...]:
    if tags is None:
        return ()
    if isinstance(tags, str):
        return tuple(tag.strip() for tag in tags.split(",") if tag.strip())
    return tuple(str(tag) for tag in tags) if isinstance(tags, Iterable) else (str(tags),)
