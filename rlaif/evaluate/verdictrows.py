"""Verdicts that somebody else collected, row by row: one item, judged in both orders.

What a row names as winner is an answer (1 or 2) or, where `names` says so, a place (first or second shown). A tie is a
tie and null is unreadable; anything else that is no winner is a fault of its line, never a guess.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rlaif.datasets.files import read_rows
from rlaif.errors import GoldError

Winner = Literal[1, 2, "tie"] | None
"""The answer named; None is unreadable."""

Names = Literal["answer", "position"]

FIELDS = ("judge", "strategy", "idx", "label", "winner_original", "winner_swapped", "p_original", "p_swapped")

_WINNERS: Mapping[str, Winner] = {"1": 1, "2": 2, "a": 1, "b": 2, "tie": "tie", "equal": "tie", "0": "tie"}
_UNREADABLE = {"", "none", "null", "unreadable"}


@dataclass(frozen=True)
class VerdictRow:
    """One item with its label and what a judge said in both orders."""

    judge: str
    strategy: str
    by: tuple[str, ...]
    """Values of the columns to group by."""
    item: tuple[str, ...]
    """What names the item; verdicts on one item are not independent."""
    label: Winner
    original: Winner
    """The answer named when answer 1 is shown first."""
    swapped: Winner
    """The answer named when answer 2 is shown first."""
    p_original: float | None = None
    """Probability that answer 1 is the better one, when it is shown first."""
    p_swapped: float | None = None
    """The same, when answer 2 is shown first."""


def read_verdicts(
    path: Path, columns: Mapping[str, str], by: Sequence[str] = (), names: Names = "answer"
) -> Iterator[VerdictRow]:
    """Yield the rows of a file. Raises GoldError (or PromptsError) with file and line for what can't be used."""
    if path.is_dir():
        raise GoldError(f"{path}: is a folder; name the file of verdicts in it")
    if not path.is_file():
        raise GoldError(f"{path}: no such file of verdicts")
    count = 0
    for where, row in read_rows(path):
        count += 1
        yield _verdict_row(where, row, columns, by, names)
    if not count:
        raise GoldError(f"{path}: there is no verdict in it")


def _verdict_row(where: str, row: Any, columns: Mapping[str, str], by: Sequence[str], names: Names) -> VerdictRow:  # noqa: ANN401
    if not isinstance(row, dict):
        raise GoldError(f"{where}: must be an object with one item's verdicts, found {type(row).__name__}")
    _check_columns(where, row, columns, by)
    place = {field: columns.get(field, field) for field in FIELDS}
    p1, p2 = (_probability(where, row, place[field]) for field in ("p_original", "p_swapped"))
    if names == "position" and p2 is not None:
        p2 = 1 - p2
    idx = row.get(place["idx"])
    return VerdictRow(
        judge=_text(row.get(place["judge"])),
        strategy=_text(row.get(place["strategy"])),
        by=tuple(_text(row.get(column)) for column in by),
        item=(_text(row.get("subset")), where if idx is None else str(idx)),
        label=_winner(where, row, place["label"]),
        original=_said(where, row, place["winner_original"], p1),
        swapped=_said(where, row, place["winner_swapped"], p2, turned=names == "position"),
        p_original=p1,
        p_swapped=p2,
    )


def _check_columns(where: str, row: Mapping[str, Any], columns: Mapping[str, str], by: Sequence[str]) -> None:
    has = f"it has {', '.join(map(str, row)) or 'none'}"
    for column in (*columns.values(), *by, columns.get("label", "label")):
        if column not in row:
            raise GoldError(f"{where}: has no column {column!r}; {has}")
    for order in ("original", "swapped"):
        if not any(columns.get(f"{what}_{order}", f"{what}_{order}") in row for what in ("winner", "p")):
            raise GoldError(
                f"{where}: has neither winner_{order} nor p_{order} ({has}); map one with --column winner_{order}=NAME"
            )


def _said(where: str, row: Mapping[str, Any], column: str, p: float | None, *, turned: bool = False) -> Winner:
    """Return the winner named, or the one a probability of answer 1 points to."""
    if column in row:
        winner = _winner(where, row, column)
        return {1: 2, 2: 1}.get(winner, winner) if turned and isinstance(winner, int) else winner  # type: ignore[return-value]
    if p is None:
        return None
    return "tie" if p == 0.5 else 1 if p > 0.5 else 2


def _winner(where: str, row: Mapping[str, Any], column: str) -> Winner:
    value = row.get(column)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a table with gaps holds whole numbers as floats
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    text = "" if missing else str(value).strip().lower()
    if text in _UNREADABLE:
        return None
    if text not in _WINNERS or isinstance(value, bool):
        raise GoldError(f"{where}: {column} is {value!r}; must be 1, 2, A, B, tie, or null for what can't be read")
    return _WINNERS[text]


def _probability(where: str, row: Mapping[str, Any], column: str) -> float | None:
    value = row.get(column)
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return None
    try:
        p = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        p = math.nan
    if not 0 <= p <= 1:
        raise GoldError(f"{where}: {column} is {value!r}; must be a probability between 0 and 1, or null")
    return p


def _text(value: object) -> str:
    return "–" if value is None else str(value)
