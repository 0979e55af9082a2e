"""Prompts in: JSONL, JSON, CSV, Parquet or a hub dataset; plain strings or conversations.

Every fault names its file and line (or row). Prompts with the same conversation are dropped and counted.
"""

import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rlaif.config.run import PromptsConfig
from rlaif.datasets.files import read_rows
from rlaif.datasets.prompt_checks import decoded, read_checks
from rlaif.errors import PromptsError
from rlaif.records import Message, Prompt, PromptSet
from rlaif.seeds import canonical_json, content_hash, derive_seed
from rlaif.shipped import DATA, SEED_PROMPTS

_FIELDS = ("prompt", "messages", "id", "tags", "checks")


def read_prompts(config: PromptsConfig, run_seed: int = 0) -> PromptSet:
    """Read the prompts of a run. Raises PromptsError with file and line for what cannot be used."""
    source = _locate(config.path)
    prompts: list[Prompt] = []
    ids: dict[str, str] = {}
    contents: set[str] = set()
    duplicates = 0
    for where, row in read_rows(source, config.split):
        prompt = prompt_of_row(where, row, config.columns)
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


def prompt_of_row(where: str, row: object, columns: Mapping[Any, str]) -> Prompt:
    """Return the prompt that stands in one row. Raises PromptsError that begins with `where`."""
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
