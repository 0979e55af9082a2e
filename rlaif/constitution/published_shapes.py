"""The shapes in which principles are published as JSON, read into drafts: dicts of critique, revise, compare and why.

Every entry is understood or an error with its place; nothing is left out in silence.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rlaif.errors import ConfigError
from rlaif.yaml_file import shortened

_CONTAINERS = ("constitutions", "constitution", "principles", "rules", "instructions")
_NAMES = ("id", "name", "title", "key")
_CRITIQUES = ("critique", "critic", "critique_request", "critique_prompt", "critique_instruction", "prompt")
_REVISIONS = (
    *("revise", "revision", "revision_request", "revision_prompt", "revision_instruction"),
    *("edit", "edit_request", "edit_prompt"),
)
_COMPARISONS = (
    *("compare", "comparison", "comparison_request", "comparison_question", "comparison_prompt"),
    *("preference", "judge", "question", "principle"),
)
_WHYS = ("why", "rationale", "description")
_FRAMES = (
    "critiquerequest",
    "critique request",
    "critique",
    "revisionrequest",
    "revision request",
    "revision",
    "options",
)


class _RepeatedKeyError(Exception):
    """Of two values under one key, JSON readers keep one without a word."""


def read_drafts(path: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the fields of each principle, the name it was given under `id`, and the keys that hold something else.

    Raises ConfigError that says what was found instead.
    """
    entries, ignored = _entries(_read(path), path)
    return [_draft(entry, where) | {"id": given} for given, entry, where in entries], ignored


def _read(path: Path) -> Any:  # noqa: ANN401  (whatever somebody published)
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig"), object_pairs_hook=_no_key_twice)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except _RepeatedKeyError as error:
        raise ConfigError(f"{path}: key {shortened(repr(error.args[0]))} is given twice") from None
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise ConfigError(f"{path}:{line}: is no JSON: {getattr(error, 'msg', 'nested too deeply')}") from None


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise _RepeatedKeyError(next(key for key in keys if keys.count(key) > 1))
    return found


def _entries(data: Any, path: Path) -> tuple[list[tuple[str | None, Any, str]], list[str]]:  # noqa: ANN401
    """Return (given name, entry, where it stands) of every principle, and the keys that hold something else."""
    ignored: list[str] = []
    if isinstance(data, dict):
        inside = next((key for key in _CONTAINERS if isinstance(data.get(key), list | dict)), None)
        if inside is not None:
            ignored = [key for key in data if key != inside]
            data = data[inside]
    if isinstance(data, dict) and _is_entry(data):
        data = [data]
    if not isinstance(data, list | dict) or not data:
        kind = "nothing" if data in ({}, [], None) else f"{type(data).__name__} {shortened(json.dumps(data))}"
        raise ConfigError(f"{path}: found {kind}; expected a list or a dict of principles")
    return list(_walk(data, path)), ignored


def _walk(data: list[Any] | dict[str, Any], path: Path) -> Iterator[tuple[str | None, Any, str]]:
    if isinstance(data, dict):
        for name, entry in data.items():
            where = f"{path}: entry {shortened(json.dumps(name, ensure_ascii=False))}"
            yield _given(entry) or (None if name.isdecimal() else name), entry, where
        return
    for number, entry in enumerate(data, start=1):
        yield _given(entry), entry, f"{path}: entry {number}"


def _given(entry: Any) -> str | None:  # noqa: ANN401
    return next((text for key in _NAMES if isinstance(text := _lowered(entry).get(key), str)), None)


def _is_entry(data: dict[str, Any]) -> bool:
    parts = (*_CRITIQUES, *_REVISIONS, *_COMPARISONS)
    return any(isinstance(value, str | list) for key, value in _lowered(data).items() if key in parts)


def _draft(entry: Any, where: str) -> dict[str, Any]:  # noqa: ANN401
    """Return the fields of a principle, without its id."""
    if isinstance(entry, str):
        return {"compare": _text(entry, where), "compare_only": True}
    if not isinstance(entry, dict):
        raise ConfigError(f"{where}: is {type(entry).__name__}; expected a text or a dict with critique and revision")
    fields = _lowered(entry)
    parts = {"critique": _CRITIQUES, "revise": _REVISIONS, "compare": _COMPARISONS, "why": _WHYS}
    found = {part: _first(fields, keys, where) for part, keys in parts.items()}
    draft: dict[str, Any] = {part: text for part, text in found.items() if text is not None}
    if "critique" in draft and "revise" in draft:
        return draft if "compare" in draft else draft | {"critique_only": True}
    if "compare" in draft:
        return draft | {"compare_only": True}
    missing = [part for part in ("critique", "revise") if part not in draft]
    raise ConfigError(
        f"{where}: has no {' and no '.join(missing)} instruction and no comparison; "
        f"found the keys {shortened(', '.join(entry) or 'none')}"
    )


def _first(fields: dict[str, Any], keys: tuple[str, ...], where: str) -> str | None:
    return next((_text(fields[key], f"{where}: {key}") for key in keys if fields.get(key) is not None), None)


def _text(value: Any, where: str) -> str:  # noqa: ANN401
    """Return a text, or a list of texts as one, without the frame it was cut from."""
    pieces = value if isinstance(value, list) else [value]
    if not pieces or not all(isinstance(piece, str) for piece in pieces):
        raise ConfigError(f"{where}: expected a text, found {shortened(json.dumps(value, ensure_ascii=False))}")
    text = "\n".join(_unframed(piece) for piece in pieces).strip()
    if not text:
        raise ConfigError(f"{where}: is empty")
    return text


def _unframed(text: str) -> str:
    frame = "|".join(_FRAMES)
    text = re.sub(rf"^\s*(?:{frame})\s*:\s*", "", text, flags=re.I)
    return re.sub(rf"(?:^|(?<=\s))(?:{frame})\s*:\s*$", "", text, flags=re.I).strip()


def _lowered(entry: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return an entry with keys like `critiqueRequest` and `Critique Request` as `critique_request`."""
    if not isinstance(entry, dict):
        return {}
    return {re.sub(r"(?<=[a-z])(?=[A-Z])|[\s-]+", "_", key.strip()).lower(): value for key, value in entry.items()}
