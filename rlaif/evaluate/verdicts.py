"""Verdicts collected in both orders to figures: does a judge keep its word when the answers change places, is it right?

Comes in: rows. Goes out: per judge, strategy and further columns, figures with 95 % intervals from a bootstrap over
items. Ties and unreadable verdicts are counted and are neither right nor wrong; so are items without a label. The names
counted in a tally:

    verdicts, decided, tie, unreadable   single verdicts: all, those naming a winner, ties, neither
    first                                of the decided, those naming the answer shown first
    both, agree                          rows decided in both orders; of these, those naming the same answer
    judged, right                        decided verdicts on a labelled item, right ones (also by order)
    agreed_judged, agreed_right          the same of rows whose orders agree
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

from rlaif.evaluate.verdictrows import VerdictRow
from rlaif.records import Record
from rlaif.stats.bootstrap import bootstrap_of
from rlaif.stats.estimates import Bootstrap, Estimate, Tally


class Coin(Record):
    """What needs no judge: the shares that a judge has to beat."""

    first_original: Estimate
    """Accuracy of "the answer shown first wins" in the original order: labels that say 1."""
    first_swapped: Estimate
    """The same in the swapped order: labels that say 2. Both orders together always give one half."""
    coin: float = 0.5
    """Accuracy, order agreement and share of the first position of a coin that is thrown for every verdict."""


class VerdictMetrics(Record):
    """How one judge, asked in one way, did on some items."""

    judge: str
    strategy: str
    by: dict[str, str]
    """Further columns it was grouped by, and their values."""
    rows: int
    items: int
    """Different items (subset and idx); intervals are over these."""
    order_agreement: Estimate
    """Of the rows decided in both orders, those that name the same answer in both."""
    accuracy: Estimate
    """Of all decided verdicts, both orders, on items with a label."""
    accuracy_original: Estimate
    accuracy_swapped: Estimate
    accuracy_agreed: Estimate
    """Of the rows whose orders agree."""
    agreed: Estimate
    """Rows whose orders agree, of all rows: what asking in both orders leaves."""
    first: Estimate
    """Of the decided verdicts, those that name the answer shown first."""
    unreadable: Estimate
    """Of all verdicts (two a row)."""
    ties: Estimate
    unlabelled: int
    """Rows whose label is missing or a tie: they count for agreement, not for accuracy."""
    brier: Estimate
    """Mean squared error of the probability given to the labelled answer, orders averaged; value None without any."""
    baselines: Coin


class VerdictReport(Record):
    """All groups of a file."""

    file: str
    rows: int
    by: tuple[str, ...]
    groups: tuple[VerdictMetrics, ...]


def evaluate_verdicts(file: str, rows: Iterable[VerdictRow], by: Sequence[str] = ()) -> VerdictReport:
    """Group the rows by judge, strategy and the columns in `by`, and measure every group."""
    groups: dict[tuple[str, ...], list[VerdictRow]] = defaultdict(list)
    for row in rows:
        groups[row.judge, row.strategy, *row.by].append(row)
    return VerdictReport(
        file=file,
        rows=sum(map(len, groups.values())),
        by=tuple(by),
        groups=tuple(_figures(groups[key], by) for key in sorted(groups)),
    )


def tally_row(row: VerdictRow) -> Tally:
    """Return what one row counts for, by the names above."""
    tally = Tally()
    labelled = row.label in {1, 2}
    tally["rows"] = 1
    tally["unlabelled"] = not labelled
    orders: tuple[tuple[Literal["original", "swapped"], int], ...] = (("original", 1), ("swapped", 2))
    for order, first in orders:
        said = row.original if order == "original" else row.swapped
        tally["verdicts"] += 1
        tally["unreadable"] += said is None
        tally["tie"] += said == "tie"
        if said in {1, 2}:
            tally["decided"] += 1
            tally["first"] += said == first
            for name in ("", order) if labelled else ():
                tally["judged", name] += 1
                tally["right", name] += said == row.label
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


def _figures(rows: Sequence[VerdictRow], by: Sequence[str]) -> VerdictMetrics:
    found = bootstrap_of((row.item, tally_row(row)) for row in rows)
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
        baselines=_baselines(found),
    )


def _baselines(found: Bootstrap) -> Coin:
    return Coin(
        first_original=found.ratio(("first_right", "original"), "labelled"),
        first_swapped=found.ratio(("first_right", "swapped"), "labelled"),
    )
