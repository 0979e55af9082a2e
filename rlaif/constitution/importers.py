"""Import principles that others published as JSON into a constitution.

Accepted: a list, or a dict by name, of entries with a critique and a revision instruction (the Constitutional AI
paper's `prompt` and `edit_request`, `critic` and `revision`, LangChain's `critique_request` and `revision_request`),
with or without a comparison; and of plain texts, which become comparison questions. The list may be under a key such as
`constitutions` or `principles`. Texts are kept without the markers ("CritiqueRequest:", "Options:") of the prompts that
they come from. An entry of another shape is an error with its place, and is never skipped.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rlaif.checks.json_shape import RepeatedKeyError, unique_keys
from rlaif.constitution.load import flat_yaml, from_flat
from rlaif.constitution.schema import Constitution
from rlaif.errors import ConfigError
from rlaif.records import Record
from rlaif.yaml_file import explain_validation, read_text, shortened

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
_MARKERS = "critiquerequest|critique request|critique|revisionrequest|revision request|revision|options"
_ASKS = re.compile(r"\?|\b(which|choose|select|pick|prefer|compare|indicate)\b", re.I)


class Imported(Record):
    """A constitution made from a published file, and what was left out."""

    constitution: Constitution
    yaml: str
    """The constitution as YAML text."""
    duplicates: int
    """Entries with the same text as an earlier one."""
    ignored: tuple[str, ...]
    """Other keys of the file, which were left out, such as `system_chat`."""
    no_question: int
    """Number of comparisons without a question mark and without a word such as "choose"."""

    @property
    def critique_only(self) -> int:
        """Number of principles that cannot be put to a judge."""
        return sum(principle.critique_only for principle in self.constitution.principles)

    @property
    def compare_only(self) -> int:
        """Number of principles that cannot be used for critique and revision."""
        return sum(principle.compare_only for principle in self.constitution.principles)


def import_constitution(path: Path, name: str | None = None) -> Imported:
    """Return the constitution of a JSON file of principles. Raises ConfigError."""
    entries, ignored = _entries(_read(path), path)
    drafts = [_draft(entry, where) | {"id": given} for given, entry, where in entries]
    unique: dict[tuple[Any, ...], dict[str, Any]] = {}
    for draft in drafts:
        unique.setdefault(tuple(draft.get(part) for part in ("critique", "revise", "compare")), draft)
    kept = list(unique.values())
    content = {
        "name": _slug(name or path.stem) or "imported",
        "version": 1,
        "description": f"Imported from {path.name!r}.",
        "principles": [draft | {"id": given} for draft, given in zip(kept, _ids(kept), strict=True)],
    }
    try:
        constitution = Constitution.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain_validation(error, Constitution)}") from None
    comment = f"Imported from {path.name!r}; its text belongs to its authors and is under their licence."
    if any(principle.critique_only for principle in constitution.principles):
        comment += "\nPrinciples marked critique_only compare nothing: add a `compare` question and remove the mark."
    text = flat_yaml(constitution, comment)
    if from_flat(text, "the imported file") != constitution:
        raise ConfigError(f"{path}: contains text that YAML cannot represent")
    return Imported(
        constitution=constitution,
        yaml=text,
        duplicates=len(drafts) - len(kept),
        ignored=tuple(ignored),
        no_question=sum(not p.critique_only and not _ASKS.search(p.compare or "") for p in constitution.principles),
    )


def _ids(drafts: list[dict[str, Any]]) -> list[str]:
    """Return one id for each draft: made from its name, or `imported-N`; a number is added to repeated ids."""
    taken: dict[str, None] = {}
    for number, draft in enumerate(drafts, start=1):
        wanted = _slug(draft["id"] or "") or f"imported-{number}"
        attempt, candidate = 1, wanted
        while candidate in taken:
            attempt += 1
            candidate = f"{wanted[:56].rstrip('-')}-{attempt}"
        taken[candidate] = None
    return list(taken)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:64].rstrip("-")


def _read(path: Path) -> Any:  # noqa: ANN401  (whatever somebody published)
    try:
        return json.loads(read_text(path), object_pairs_hook=unique_keys)
    except RepeatedKeyError as error:
        raise ConfigError(f"{path}: key {shortened(repr(error.key))} is given twice") from None
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise ConfigError(f"{path}:{line}: not valid JSON: {getattr(error, 'msg', 'nested too deeply')}") from None


def _entries(data: Any, path: Path) -> tuple[list[tuple[str | None, Any, str]], list[str]]:  # noqa: ANN401
    """Return ((given name, entry, place) of every principle, keys that are ignored)."""
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
    """Return a text without markers; a list of texts is joined by line breaks."""
    pieces = value if isinstance(value, list) else [value]
    if not pieces or not all(isinstance(piece, str) for piece in pieces):
        raise ConfigError(f"{where}: expected a text, found {shortened(json.dumps(value, ensure_ascii=False))}")
    text = "\n".join(_unmarked(piece) for piece in pieces).strip()
    if not text:
        raise ConfigError(f"{where}: is empty")
    return text


def _unmarked(text: str) -> str:
    text = re.sub(rf"^\s*(?:{_MARKERS})\s*:\s*", "", text, flags=re.I)
    return re.sub(rf"(?:^|(?<=\s))(?:{_MARKERS})\s*:\s*$", "", text, flags=re.I).strip()


def _lowered(entry: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return an entry with its keys in snake case: `critiqueRequest` becomes `critique_request`."""
    if not isinstance(entry, dict):
        return {}
    return {re.sub(r"(?<=[a-z])(?=[A-Z])|[\s-]+", "_", key.strip()).lower(): value for key, value in entry.items()}
