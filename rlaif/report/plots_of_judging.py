"""Plots of the verdicts: how sure they are, what each principle adds, and what the order was worth."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from rlaif.report.measures import Measures
from rlaif.report.plots import (
    INTERVALS,
    ONE,
    RULE,
    TWO,
    Plot,
    Spread,
    Table,
    at_value,
    drawn,
    interval,
    name_rows,
    number,
    panels,
    rows_height,
    spread,
    with_interval,
)
from rlaif.stats.estimates import Bootstrap

BINS = np.linspace(0, 0.5, 26)
"""Of margins: 0.02 wide."""


def margins_plot(measures: Measures, min_margin: float) -> Plot:
    """Return how far from a tie the matchups are, and where the threshold cuts."""
    decided: Sequence[float] = measures.margins.get("decided", [])
    abstained = {reason: values for reason, values in sorted(measures.margins.items()) if reason != "decided"}
    reasons = {reason: len(values) for reason, values in abstained.items()}
    if measures.unreadable:
        reasons["unreadable"] = measures.unreadable
    total = len(decided) + sum(reasons.values())
    rows = [("decided", str(len(decided)), number(_median(decided)))]
    rows += [(f"abstained: {why}", str(n), number(_median(abstained.get(why, [])))) for why, n in reasons.items()]
    table = Table(("matchups", "count", "median margin"), tuple(rows))
    if not total:
        return Plot("margins", "No matchup was judged", "There are no verdicts to draw.", table, None)
    title = f"{len(decided) / total:.0%} of the matchups are decided"
    if decided:
        title += f", half of them with a probability of at least {0.5 + (_median(decided) or 0):.2f}"

    def draw(canvas: Canvas) -> None:
        left, right = canvas.subplots(
            1,
            2,
            width_ratios=[2.6, 1],
            gridspec_kw={"left": 0.11, "right": 0.97, "bottom": 0.18, "top": 0.91, "wspace": 0.25},
        )
        _margins_histogram(left, decided, list(abstained.values()), min_margin)
        _counts(right, {"decided": len(decided), **reasons})

    return Plot(
        name="margins",
        title=title,
        reading=(
            "Each matchup's probability, as its distance from an even 0.5. Filled: decided; outlined: abstained"
            + (f" (dashed line: closer than {min_margin:g} is too close to call)" if min_margin else "")
            + ". Right: how many, with those that cannot "
            "be read and so have no margin."
        ),
        table=table,
        svg=drawn("margins", title, 3.4, draw),
    )


def principles_plot(measures: Measures, bootstrap: Bootstrap, principles: Sequence[str]) -> Plot:
    """Return how strongly every principle speaks, and how often it alone decides."""
    rows = [
        (k, Spread.of(measures.favoured[k]), bootstrap.ratio(("decisive", k), ("labelled", k)))
        for k in principles
        if k in measures.favoured
    ]
    rows.sort(key=lambda row: -(row[1].median if row[1] else 0))
    title = "For the favoured answer, " + ("; ".join(f"“{k}” says {s.median:.2f}" for k, s, _ in _ends(rows) if s))

    def draw(canvas: Canvas) -> None:
        strength, decisive = panels(canvas, len(rows), [2.2, 1])
        name_rows(strength, [row[0] for row in rows])
        at_value(strength, 0.5, "against  |  for")
        for place, (_, found, share) in enumerate(rows):
            spread(strength, place, found)
            interval(decisive, place, share, TWO)
        strength.set_xlim(-0.02, 1.02)
        strength.set_xlabel("probability for the favoured answer")
        decisive.set_xlim(left=0)
        decisive.xaxis.set_major_locator(MaxNLocator(3))
        decisive.xaxis.set_major_formatter(lambda value, _: f"{100 * value:g}%")
        decisive.set_xlabel("decides alone")

    return Plot(
        name="principles",
        title=title,
        reading=(
            "Left: the probability each principle gives the answer that all together favour: dot median, thick line "
            "the middle half, thin line the middle 90% of the matchups. Right: share of the labels that would be "
            f"another, or none, without it. {INTERVALS}"
        ),
        table=Table(
            ("principle", "median p", "middle half", "middle 90%", "matchups", "decides alone"),
            tuple((k, *_spread_cells(found, 2), with_interval(share)) for k, found, share in rows),
        ),
        svg=drawn("principles", title, rows_height(len(rows)), draw),
    )


def position_plot(measures: Measures, principles: Sequence[str]) -> Plot:
    """Return what being shown first was worth, by principle."""
    rows = [(k, found) for k in principles if (found := Spread.of(measures.biases.get(k, [])))]
    rows.sort(key=lambda row: -row[1].median)
    medians = [found.median for _, found in rows]
    overall = float(np.median(np.concatenate([np.asarray(measures.biases[k]) for k, _ in rows])))
    title = f"Being shown first is worth {overall:+.2f} logits"
    if len(rows) > 1:
        title += f", from {min(medians):+.2f} to {max(medians):+.2f} by principle"

    def draw(canvas: Canvas) -> None:
        (ax,) = panels(canvas, len(rows), [1])
        name_rows(ax, [k for k, _ in rows])
        at_value(ax, 0, "favours second  |  favours first")
        for place, (_, found) in enumerate(rows):
            spread(ax, place, found)
        reach = max(0.5, *(abs(end) for _, found in rows for end in (found.p5, found.p95))) * 1.05
        ax.set_xlim(-reach, reach)
        ax.set_xlabel("position bias, in logits")

    return Plot(
        name="position",
        title=title,
        reading=(
            "Half the sum of a question's two log-odds: nothing but the order can move it. Dot median, thick line the "
            "middle half, thin line the middle 90% of the matchups. The median cancels in every label; the width "
            "around it is noise, and may make a matchup abstain as order noise."
        ),
        table=Table(
            ("principle", "median, logits", "middle half", "middle 90%", "matchups"),
            tuple((k, *_spread_cells(found, 2, signed=True)) for k, found in rows),
        ),
        svg=drawn("position", title, rows_height(len(rows)), draw),
    )


def _margins_histogram(ax: Axes, decided: Sequence[float], abstained: Sequence[Sequence[float]], cut: float) -> None:
    others = np.concatenate([np.asarray(values) for values in abstained]) if abstained else np.array([])
    kept, lost = (np.histogram(values, BINS)[0] for values in (np.asarray(decided), others))
    width = BINS[1] - BINS[0]
    ax.bar(BINS[:-1], kept, width * 0.86, align="edge", color=ONE)
    some = lost > 0  # an empty one would draw a line
    ax.bar(BINS[:-1][some], lost[some], width * 0.86, bottom=kept[some], align="edge", facecolor="none", edgecolor=TWO)
    if cut:
        at_value(ax, cut, f"too close below {cut:g}")
    ax.set_xlim(0, 0.5)
    ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    ax.set_xlabel("margin: |p − 0.5|")
    ax.set_ylabel("matchups")


def _counts(ax: Axes, counts: dict[str, int]) -> None:
    for place, (name, count) in enumerate(counts.items()):
        kept = name == "decided"
        ax.barh(place, count, 0.5, facecolor=ONE if kept else "none", edgecolor=ONE if kept else TWO, linewidth=1)
        ax.annotate(
            f"{name} {count:,}", (0, place - 0.42), (3, 0), textcoords="offset points", va="center", fontsize=11
        )
    ax.set_ylim(max(len(counts), 4) - 0.5, -0.8)
    ax.yaxis.set_visible(False)
    ax.spines["left"].set_color(RULE)
    ax.spines["bottom"].set_visible(False)
    ax.xaxis.set_visible(False)


def _ends(rows: Sequence[Any]) -> Sequence[Any]:
    """Return the first and the last."""
    return [rows[0], rows[-1]] if len(rows) > 1 else rows


def _spread_cells(found: Spread | None, digits: int, *, signed: bool = False) -> tuple[str, ...]:
    if found is None:
        return ("–", "–", "–", "0")

    def shown(value: float) -> str:
        return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"

    return (
        shown(found.median),
        f"{shown(found.p25)} … {shown(found.p75)}",
        f"{shown(found.p5)} … {shown(found.p95)}",
        f"{found.n:,}",
    )


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if len(values) else None
