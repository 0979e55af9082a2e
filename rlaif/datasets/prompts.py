"""Read prompts from JSONL, JSON, CSV, Parquet or a hub dataset: texts or conversations, optionally with checks.

Every error names file and line (or row). Repeated prompts are dropped and counted.
"""

import json
import random
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rlaif.checks import Check, NamedCheck
from rlaif.config.run import PromptsConfig
from rlaif.datasets.conversation import conversation_of, tools_of
from rlaif.datasets.files import read_rows
from rlaif.datasets.personal import Personal
from rlaif.datasets.prompt_file import PromptFile
from rlaif.errors import PromptsError
from rlaif.records import PROMPT_CHECK, Message, Prompt, PromptSet
from rlaif.rubric import rubric_of
from rlaif.seeds import canonical_json, content_hash, derive_seed
from rlaif.shipped import DATA, SEED_PROMPTS
from rlaif.yaml_file import explain_validation

_FIELDS = ("prompt", "messages", "id", "tags", "checks", "tools", "rubric")


def read_prompts(config: PromptsConfig, run_seed: int = 0) -> PromptSet:
    """Return the prompts of a run. Raises PromptsError with file and line of an invalid row."""
    source = locate(config.path)
    prompts = PromptFile()
    ids: set[bytes] = set()
    contents: set[bytes] = set()
    duplicates = dropped = 0
    personal = Personal(config.drop, config.mask)
    for where, found in read_rows(source, config.split):
        if personal.drops(found):
            dropped += 1
            continue
        prompt = prompt_of_row(where, personal.masked(found), config.columns)
        content = _digest(prompt.model_dump_json(include={"messages", "tools", "checks", "rubric"}))
        if content in contents:
            duplicates += 1
            continue
        if (own := _digest(prompt.id)) in ids:
            raise PromptsError(
                f"{where}: id {prompt.id!r} is already used by another prompt, {_where(config, prompt.id)}"
            )
        contents.add(content)
        ids.add(own)
        prompts.append(prompt)
        if len(prompts) == config.limit and not config.shuffle:
            break
    if not prompts:
        left_out = f" beside {dropped} that are dropped" if dropped else ""
        raise PromptsError(f"{config.path}: contains no prompt{left_out}")
    if config.shuffle:
        prompts.shuffle(random.Random(derive_seed(run_seed, "prompts")))
        prompts.keep(config.limit)
    return PromptSet(prompts, duplicates, config.path, dropped)


def _digest(text: str) -> bytes:
    return bytes.fromhex(content_hash(text, digits=32))


def _where(config: PromptsConfig, prompt_id: str) -> str:
    """Return the place of the first prompt with an id, found by reading the file again."""
    rows = read_rows(locate(config.path), config.split)
    found = (where for where, row in rows if prompt_of_row(where, row, config.columns).id == prompt_id)
    return f"at {next(found, 'an earlier place')}"


def locate(path: str) -> Path | str:
    """Return the file, or the id of a hub dataset."""
    if path == SEED_PROMPTS:
        return DATA / "seed_prompts.jsonl"
    if Path(path).is_file():
        return Path(path)
    if Path(path).is_dir():
        raise PromptsError(f"{path}: is a folder; give a JSONL, JSON, CSV or Parquet file")
    looks_like_file = Path(path).suffix in {".jsonl", ".json", ".csv", ".parquet", ".txt", ".ndjson"}
    if looks_like_file or path.startswith((".", "/", "~")) or path.count("/") != 1:
        raise PromptsError(f"{path}: no such file ({SEED_PROMPTS!r} is the name of the project's own prompts)")
    return path


def prompt_of_row(where: str, row: object, columns: Mapping[Any, str]) -> Prompt:
    """Return the prompt of one row. Raises PromptsError that begins with `where`."""
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
    tools = tools_of(where, fields["tools"])
    asked = decoded(where, fields["rubric"], "rubric") if isinstance(fields["rubric"], str) else fields["rubric"]
    rubric = rubric_of(where, asked) or None
    given = fields["id"]
    turns = [f"{message.role}\n{message.readable}" for message in messages]
    parts = (*turns, *filter(None, [tools]), *(canonical_json(check.model_dump(mode="json")) for check in checks))
    parts += tuple(item.model_dump_json() for item in rubric or ())
    try:
        prompt = Prompt(
            id=content_hash(*parts) if given is None or given == "" else str(given),
            messages=messages,
            tools=tools,
            tags=_tags(fields["tags"]),
            checks=checks,
            rubric=rubric,
        )
    except ValidationError as error:
        raise PromptsError(f"{where}: {error.errors()[0]['msg']}") from None
    _check_encodable(where, prompt)
    return prompt


def _messages(where: str, prompt: object, messages: object, row: dict[str, Any]) -> tuple[Message, ...]:
    turns = messages if messages is not None else prompt
    if isinstance(messages, str):
        turns = decoded(where, messages, "messages")
    if turns is None:
        has = ", ".join(map(str, row)) or "nothing"
        raise PromptsError(
            f"{where}: has neither `prompt` nor `messages` (it has {has}); map one with --column prompt=NAME"
        )
    return conversation_of(where, turns, "prompt" if messages is None else "messages")


def _check_encodable(where: str, prompt: Prompt) -> None:
    try:
        for text in (prompt.id, *prompt.tags, prompt.tools or "", *(message.readable for message in prompt.messages)):
            text.encode("utf-8")
    except UnicodeEncodeError:
        raise PromptsError(f"{where}: the text contains an unpaired surrogate, which no server accepts") from None


def _tags(tags: object) -> tuple[str, ...]:
    if tags is None:
        return ()
    if isinstance(tags, str):
        return tuple(tag.strip() for tag in tags.split(",") if tag.strip())
    return tuple(str(tag) for tag in tags) if isinstance(tags, Iterable) else (str(tags),)


_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def read_checks(where: str, checks: object) -> tuple[NamedCheck, ...]:
    """Return a row's checks; those without an id are named `check:1` and so on. Raises PromptsError."""
    if isinstance(checks, str):
        checks = decoded(where, checks, "checks")
    if checks is None:
        return ()
    if not isinstance(checks, list | tuple):
        raise PromptsError(f'{where}: `checks` must be a list such as [{{"lines": 2}}], found {type(checks).__name__}')
    named: dict[str, NamedCheck] = {}
    for number, entry in enumerate(checks, start=1):
        check = _check(f"{where}: check {number}", number, entry)
        if check.id in named:
            raise PromptsError(f"{where}: check {number}: the id {check.id.removeprefix(PROMPT_CHECK)!r} is used twice")
        named[check.id] = check
    return tuple(named.values())


def decoded(where: str, text: str, column: str) -> object:
    """Return the value of a cell that contains JSON text. Raises PromptsError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise PromptsError(f"{where}: `{column}` is a text, but not a JSON list of {column}") from None


def _check(where: str, number: int, entry: object) -> NamedCheck:
    if not isinstance(entry, dict):
        raise PromptsError(f'{where}: must be an object such as {{"lines": 2}}, found {type(entry).__name__}')
    given = entry.get("id")
    if given is not None and not (isinstance(given, str) and _NAME.fullmatch(given)):
        raise PromptsError(f"{where}: the id {given!r:.60} is not lower-case words with hyphens between them")
    try:
        check = Check.model_validate(_without_nulls({key: value for key, value in entry.items() if key != "id"}))
        canonical_json(check.model_dump()).encode("utf-8")
    except ValidationError as error:
        raise PromptsError(f"{where}: {explain_validation(error, Check)}") from None
    except UnicodeEncodeError:
        raise PromptsError(f"{where}: the text contains an unpaired surrogate") from None
    return NamedCheck(id=f"{PROMPT_CHECK}{given or number}", check=check)


def _without_nulls(entry: dict[str, Any]) -> dict[str, Any]:
    """Return a check without nulls: columnar files have a null under every key that any row has."""
    kept = {key: value for key, value in entry.items() if value is not None}
    for count in ("lines", "words", "sentences", "characters"):
        if isinstance(kept.get(count), dict):
            kept[count] = {key: value for key, value in kept[count].items() if value is not None}
    return kept
