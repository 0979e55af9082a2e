"""The checks that stand in a row of prompts: a list of them, each perhaps with an id; JSON text in a cell of a CSV."""

import json
import re
from typing import Any

from pydantic import ValidationError

from rlaif.checks import Check, NamedCheck
from rlaif.errors import PromptsError
from rlaif.records import PROMPT_CHECK
from rlaif.seeds import canonical_json
from rlaif.yaml_file import explain_validation

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def read_checks(where: str, checks: object) -> tuple[NamedCheck, ...]:
    """Return a row's checks, named `check:1` and so on where they have no id of their own. Raises PromptsError."""
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
    """Return what a cell holds as JSON text. Raises PromptsError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise PromptsError(f"{where}: `{column}` is a text, but no JSON list of {column}") from None


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
        raise PromptsError(f"{where}: the text holds half a surrogate pair") from None
    return NamedCheck(id=f"{PROMPT_CHECK}{given or number}", check=check)


def _without_nulls(entry: dict[str, Any]) -> dict[str, Any]:
    """Leave out the nulls that columnar files write under every key that any row has."""
    kept = {key: value for key, value in entry.items() if value is not None}
    for count in ("lines", "words", "sentences", "characters"):
        if isinstance(kept.get(count), dict):
            kept[count] = {key: value for key, value in kept[count].items() if value is not None}
    return kept
