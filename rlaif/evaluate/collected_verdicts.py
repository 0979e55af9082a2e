"""Measure verdicts from another source, collected in both orders: do a judge's orders agree, and is it right?

The input is a file with one item per row. A row's winner is a response (1 or 2) or, with `names="position"`, a position
(shown first or second); null is unreadable, and any other value is an error. The result is, per judge, strategy and
further columns, metrics with 95 % intervals over items. Ties, unreadable verdicts and items without a
label are counted, and are neither right nor wrong. The keys of a tally:

    verdicts, decided, tie, unreadable   single verdicts: all, those that name a winner, ties, unreadable ones
    first                                of the decided, those that name the response shown first
    both, agree                          rows decided in both orders; of these, those that name the same response
    judged, right                        decided verdicts on labelled items; of these, the right ones (also by order)
    agreed_judged, agreed_right          the same for rows whose orders agree
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rlaif.datasets.files import read_rows
from rlaif.errors import GoldError
from rlaif.records import Record
from rlaif.stats.estimates import Estimate, Tally, tallies_of

Winner = Literal[1, 2, "tie"] | None
"""The response that a verdict names; None is unreadable."""

Names = Literal["answer", "position"]

FIELDS = ("judge", "strategy", "idx", "label", "winner_original", "winner_swapped", "p_original", "p_swapped")

_WINNERS: Mapping[str, Winner] = {"1": 1, "2": 2, "a": 1, "b": 2, "tie": "tie", "equal": "tie", "0": "tie"}
_UNREADABLE = {"", "none", "null", "unreadable"}


@dataclass(frozen=True)
class VerdictRow:
    """One item with its label and a judge's verdicts in both orders."""

    judge: str
    strategy: str
    by: tuple[str, ...]
    """Values of the further columns to group by."""
    item: tuple[str, ...]
    """Key of the item; verdicts on the same item are not independent."""
    label: Winner
    original: Winner
    """The response named when response 1 is shown first."""
    swapped: Winner
    """The response named when response 2 is shown first."""
    p_original: float | None = None
    """Probability that response 1 is better, when it is shown first."""
    p_swapped: float | None = None
    """Probability that response 1 is better, when response 2 is shown first."""


def read_verdicts(
    path: Path, columns: Mapping[str, str], by: Sequence[str] = (), names: Names = "answer"
) -> Iterator[VerdictRow]:
    """Yield the rows of a file. Raises GoldError (or PromptsError) with file and line for a row that cannot be used."""
    if path.is_dir():
        raise GoldError(f"{path}: is a folder; give a file of verdicts")
    if not path.is_file():
        raise GoldError(f"{path}: no such file of verdicts")
    count = 0
    for where, row in read_rows(path):
        count += 1
        yield _verdict_row(where, row, columns, by, names)
    if not count:
        raise GoldError(f"{path}: contains no verdicts")


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
        original=_named(where, row, place["winner_original"], p1),
        swapped=_named(where, row, place["winner_swapped"], p2, swap=names == "position"),
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


def _named(where: str, row: Mapping[str, Any], column: str, p: float | None, *, swap: bool = False) -> Winner:
    """Return the winner in `column`, else the one that `p`, the probability of response 1, implies."""
    if column in row:
        winner = _winner(where, row, column)
        return winner if not swap or winner not in {1, 2} else 2 if winner == 1 else 1
    if p is None:
        return None
    return "tie" if p == 0.5 else 1 if p > 0.5 else 2


def _winner(where: str, row: Mapping[str, Any], column: str) -> Winner:
    value = row.get(column)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a table with missing values stores integers as floats
    text = "" if _is_missing(value) else str(value).strip().lower()
    if text in _UNREADABLE:
        return None
    if text not in _WINNERS or isinstance(value, bool):
        raise GoldError(f"{where}: {column} is {value!r}; must be 1, 2, A, B, tie, or null for unreadable")
    return _WINNERS[text]


def _probability(where: str, row: Mapping[str, Any], column: str) -> float | None:
    value: Any = row.get(column)
    if _is_missing(value) or value == "":
        return None
    try:
        p = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        p = math.nan
    if not 0 <= p <= 1:
        raise GoldError(f"{where}: {column} is {value!r}; must be a probability between 0 and 1, or null")
    return p


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _text(value: object) -> str:
    return "–" if value is None else str(value)


class Coin(Record):
    """Baselines that need no judge."""

    first_original: Estimate
    """Accuracy of "the response shown first wins" in the original order: share of labels that are 1."""
    first_swapped: Estimate
    """The same in the swapped order: share of labels that are 2. Over both orders it is always 50 %."""
    coin: float = 0.5
    """Accuracy, order agreement and share of the first position of random verdicts."""


class VerdictMetrics(Record):
    """Metrics of one judge with one strategy on a group of items."""

    judge: str
    strategy: str
    by: dict[str, str]
    """Values of the further columns that group the rows."""
    rows: int
    items: int
    """Number of different items (subset and idx); intervals are over these."""
    order_agreement: Estimate
    """Share of the rows decided in both orders that name the same response in both."""
    accuracy: Estimate
    """Share of right verdicts among the decided ones on labelled items, in both orders."""
    accuracy_original: Estimate
    accuracy_swapped: Estimate
    accuracy_agreed: Estimate
    """Accuracy on the rows whose orders agree."""
    agreed: Estimate
    """Share of all rows whose orders agree."""
    first: Estimate
    """Share of the decided verdicts that name the response shown first."""
    unreadable: Estimate
    """Share of all verdicts (two per row)."""
    ties: Estimate
    unlabelled: int
    """Rows whose label is missing or a tie; they count for agreement, not for accuracy."""
    brier: Estimate
    """Mean squared error of the labelled response's probability, averaged over orders; value None without any."""
    baselines: Coin


class VerdictReport(Record):
    """Metrics of all groups of a file."""

    file: str
    rows: int
    by: tuple[str, ...]
    groups: tuple[VerdictMetrics, ...]


def evaluate_verdicts(file: str, rows: Iterable[VerdictRow], by: Sequence[str] = ()) -> VerdictReport:
    """Return the metrics of every group of rows with the same judge, strategy and columns in `by`."""
    groups: dict[tuple[str, ...], list[VerdictRow]] = defaultdict(list)
    for row in rows:
        groups[row.judge, row.strategy, *row.by].append(row)
    return VerdictReport(
        file=file,
        rows=sum(map(len, groups.values())),
        by=tuple(by),
        groups=tuple(_metrics(groups[key], by) for key in sorted(groups)),
    )


def tally_row(row: VerdictRow) -> Tally:
    """Return the tally of one row, with the keys listed above."""
    tally = Tally()
    labelled = row.label in {1, 2}
    tally["rows"] = 1
    tally["unlabelled"] = not labelled
    for order, first, winner in (("original", 1, row.original), ("swapped", 2, row.swapped)):
        tally["verdicts"] += 1
        tally["unreadable"] += winner is None
        tally["tie"] += winner == "tie"
        if winner in {1, 2}:
            tally["decided"] += 1
            tally["first"] += winner == first
            for name in ("", order) if labelled else ():
                tally["judged", name] += 1
                tally["right", name] += winner == row.label
        if labelled:
            tally["labelled"] = 1
            tally["first_right", order] = row.label == first
    tally.add(_both_orders(row, labelled=labelled))
    return tally


def _both_orders(row: VerdictRow, *, labelled: bool) -> Tally:
    tally = Tally()
    if row.original in {1, 2} and row.swapped in {1, 2}:
        tally["both"] = 1
        tally["agree"] = row.original == row.swapped
        if labelled and tally["agree"]:
            tally["agreed_judged"] = 1
            tally["agreed_right"] = row.original == row.label
    if labelled and row.p_original is not None and row.p_swapped is not None:
        p = (row.p_original + row.p_swapped) / 2
        tally["scored"] = 1
        tally["squared"] = ((row.label == 1) - p) ** 2
    return tally


def _metrics(rows: Sequence[VerdictRow], by: Sequence[str]) -> VerdictMetrics:
    found = tallies_of((row.item, tally_row(row)) for row in rows)
    return VerdictMetrics(
        judge=rows[0].judge,
        strategy=rows[0].strategy,
        by=dict(zip(by, rows[0].by, strict=True)),
        rows=len(rows),
        items=len({row.item for row in rows}),
        order_agreement=found.ratio("agree", "both"),
        accuracy=found.ratio(("right", ""), ("judged", "")),
        accuracy_original=found.ratio(("right", "original"), ("judged", "original")),
        accuracy_swapped=found.ratio(("right", "swapped"), ("judged", "swapped")),
        accuracy_agreed=found.ratio("agreed_right", "agreed_judged"),
        agreed=found.ratio("agree", "rows"),
        first=found.ratio("first", "decided"),
        unreadable=found.ratio("unreadable", "verdicts"),
        ties=found.ratio("tie", "verdicts"),
        unlabelled=int(found.total("unlabelled")),
        brier=found.ratio("squared", "scored", share=False),
        baselines=Coin(
            first_original=found.ratio(("first_right", "original"), "labelled"),
            first_swapped=found.ratio(("first_right", "swapped"), "labelled"),
        ),
    )
