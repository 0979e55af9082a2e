"""Read gold labels: pairs of responses with a person's label of which one is better.

Two layouts: {prompt or messages, chosen, rejected} and {input, output_1, output_2, label}; `id` and `subset` are
optional. Responses may be texts, or messages as in preference datasets. A row that cannot be used raises an error with
file and line; no row is skipped.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rlaif.datasets.conversation import response_of
from rlaif.datasets.files import read_rows
from rlaif.datasets.prompts import prompt_of_row
from rlaif.errors import GoldError
from rlaif.records import Message, Prompt, Record
from rlaif.seeds import content_hash

FIELDS = ("prompt", "messages", "chosen", "rejected", "input", "output_1", "output_2", "label", "subset", "id")


class GoldItem(Record):
    """Two responses to one prompt, and which one is better."""

    id: str
    """From the file, or `row N`; unique within its subset."""
    subset: str | None
    prompt: Prompt
    chosen: str
    """The better response."""
    rejected: str
    principle: str | None = None
    """The only principle that it is judged under, for a case of a constitution; None for all principles."""
    chosen_first: bool | None
    """Whether the better response is first in the file; None where the file has no order (chosen, rejected)."""

    @property
    def conversation(self) -> str:
        """Hash of the prompt's messages; items with the same prompt are not independent."""
        return content_hash(*(f"{message.role}\n{message.readable}" for message in self.prompt.messages))


class Gold(Record):
    """The gold labels of one file."""

    file: str
    hash: str
    """Content hash over all items, in order."""
    items: tuple[GoldItem, ...]


def read_gold(path: Path, columns: Mapping[str, str] | None = None, limit: int | None = None) -> Gold:
    """Return the first `limit` gold labels of a file. Raises GoldError or PromptsError with file and line."""
    if path.is_dir():
        raise GoldError(f"{path}: is a folder; give a file of gold labels")
    if not path.is_file():
        raise GoldError(f"{path}: no such file of gold labels")
    items: list[GoldItem] = []
    taken: dict[tuple[str | None, str], str] = {}
    for where, row in read_rows(path):
        item = _item(where, row, columns or {}, len(items) + 1)
        key = (item.subset, item.id)
        if key in taken:
            raise GoldError(f"{where}: id {item.id!r} is already used at {taken[key]}")
        taken[key] = where
        items.append(item)
        if len(items) == limit:
            break
    if not items:
        raise GoldError(f"{path}: contains no gold labels")
    return Gold(file=str(path), hash=content_hash(*(item.model_dump_json() for item in items)), items=tuple(items))


def _item(where: str, row: Any, columns: Mapping[str, str], number: int) -> GoldItem:  # noqa: ANN401
    if not isinstance(row, dict):
        raise GoldError(f"{where}: must be an object with a prompt and two responses, found {type(row).__name__}")
    missing = [column for column in columns.values() if column not in row]
    if missing:
        raise GoldError(f"{where}: has no column {missing[0]!r}; it has {', '.join(map(str, row)) or 'none'}")
    fields = {field: row.get(columns.get(field, field)) for field in FIELDS}
    conversation, chosen, rejected, chosen_first = _responses(where, row, fields)
    subset, given = fields["subset"], fields["id"]
    if fields["prompt"] is None and fields["messages"] is None:
        fields["prompt"] = fields["input"]
    if conversation:  # the whole conversation; a `prompt` beside it is often only its last turn
        fields["messages"], fields["prompt"] = conversation, None
    elif isinstance(fields["prompt"], list | tuple) and fields["messages"] is None:
        fields["messages"], fields["prompt"] = fields["prompt"], None
    prompt = prompt_of_row(where, {name: fields[name] for name in ("prompt", "messages", "id")}, {})
    return GoldItem(
        id=f"row {number}" if given is None or given == "" else str(given),
        subset=None if subset is None else str(subset),
        prompt=prompt,
        chosen=chosen,
        rejected=rejected,
        chosen_first=chosen_first,
    )


def _responses(
    where: str, row: Mapping[str, Any], fields: Mapping[str, Any]
) -> tuple[list[dict[str, str]], str, str, bool | None]:
    """Return (turns before the responses where the responses have some, chosen, rejected, whether chosen is first)."""
    if fields["chosen"] is not None and fields["rejected"] is not None:
        better, worse, first = fields["chosen"], fields["rejected"], None
    elif fields["output_1"] is not None and fields["output_2"] is not None:
        one, two = fields["output_1"], fields["output_2"]
        first = _first_is_better(where, fields["label"])
        better, worse = (one, two) if first else (two, one)
    else:
        raise GoldError(
            f"{where}: needs `chosen` and `rejected`, or `output_1`, `output_2` and `label` (it has {_columns(row)}); "
            "map them with --column chosen=NAME"
        )
    (before, better), (before_worse, worse) = (_response(where, *one) for one in (("better", better), ("worse", worse)))
    if before != before_worse:
        raise GoldError(f"{where}: the two responses belong to different conversations")
    if better.strip() == worse.strip():
        raise GoldError(f"{where}: both responses are the same, so neither is better")
    return [turn.model_dump() for turn in before], better, worse, first


def _columns(row: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} (empty)" if value is None else str(name) for name, value in row.items()) or "nothing"


def _response(where: str, name: str, value: object) -> tuple[tuple[Message, ...], str]:
    """Return (turns before a response, the response) from a text or messages; a text has no turns before it."""
    if isinstance(value, list | tuple):
        before, text = response_of(where, f"the {name} response", value)
    elif isinstance(value, str) and value.strip():
        before, text = (), value
    else:
        raise GoldError(f"{where}: the {name} response must be a text or messages and must not be empty")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise GoldError(f"{where}: the {name} response contains half a surrogate pair, which no server accepts")
    return before, text


def _first_is_better(where: str, label: object) -> bool:
    if isinstance(label, bool) or str(label).strip() not in {"1", "2", "1.0", "2.0"}:
        raise GoldError(f"{where}: label is {label!r}; must be 1 or 2, the number of the better response")
    return str(label).strip()[0] == "1"
