"""Plots as SVG that stands in the page: its colours follow light and dark, its text is text, its bytes repeat.

Comes in: numbers. Goes out: `Plot`s, each with a title that says what is seen, how to read it, and its numbers as a
table. Colours are drawn as stand-ins and replaced by the page's CSS variables. Figures are as wide as a phone; a page
sets two side by side.
"""

import io
import math
import re
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from rlaif.stats.estimates import Estimate

WIDTH = 6.4
"""Inches of 72 points: as many CSS pixels wide as a column of the page."""

INK, FAINT, RULE, ONE, TWO, THREE, PAPER = (f"#0{n}0{n}0{n}" for n in range(1, 8))
"""Stand-ins for the page's colours."""

INTERVALS = "Lines are 95% intervals from a bootstrap over prompts."

_VARIABLES = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    RULE: "var(--rule)",
    ONE: "var(--one)",
    TWO: "var(--two)",
    THREE: "var(--three)",
    PAPER: "var(--paper)",
}

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 11.5,
    "axes.labelsize": 11.5,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "axes.edgecolor": RULE,
    "axes.labelcolor": FAINT,
    "axes.linewidth": 1,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": FAINT,
    "ytick.labelcolor": FAINT,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "text.color": INK,
    "hatch.linewidth": 1,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
    "text.parse_math": False,
}


@dataclass(frozen=True)
class Table:
    """Numbers for reading; the first column names the row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Plot:
    """A figure of a page with all that is said about it."""

    name: str
    """Unique in the page."""
    title: str
    """Says what is seen, not what was drawn."""
    reading: str
    """How to read it, one or two sentences."""
    table: Table
    svg: Markup | None
    """None where there was nothing to draw; `reading` then says why."""


@dataclass(frozen=True)
class Row:
    """A row of `interval_rows` or `spread_rows`: its name, and what is drawn in it."""

    name: str
    estimate: Estimate
    note: str = ""
    """Stands at the right end, such as how many it was measured on."""


@dataclass(frozen=True)
class Spread:
    """Where many numbers lie: their median, middle half, and middle 90 %."""

    p5: float
    p25: float
    median: float
    p75: float
    p95: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread | None":
        """Return the spread of some numbers; None of none."""
        if not len(values):
            return None
        p5, p25, median, p75, p95 = (float(q) for q in np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95]))
        return cls(p5, p25, median, p75, p95, n=len(values))


def drawn(name: str, title: str, height: float, draw: Callable[[Canvas], None]) -> Markup:
    """Return what `draw` puts on a canvas of this height (inches) as an SVG element that is safe to embed."""
    with _drawing(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a tag in a script that the measuring font lacks; the reader's has it
        canvas = Canvas(figsize=(WIDTH, height))
        draw(canvas)
        file = io.StringIO()
        with style.context({"svg.hashsalt": name}):
            canvas.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return Markup(_for_the_page(file.getvalue(), title))


def panels(canvas: Canvas, rows: int, widths: Sequence[float], *, top: float = 0.3) -> list[Axes]:
    """Return axes side by side for `rows` named rows, that share their rows; `top` inches stay free above."""
    height = canvas.get_figheight()
    axes = canvas.subplots(
        1,
        len(widths),
        squeeze=False,
        sharey=True,
        width_ratios=list(widths),
        gridspec_kw={"left": 0.02, "right": 0.96, "top": 1 - top / height, "bottom": 0.5 / height, "wspace": 0.12},
    )[0]
    for ax in axes:
        ax.set_ylim(rows - 0.3, -0.75)
        ax.yaxis.set_visible(False)
        ax.spines["left"].set_visible(False)
    return list(axes)


def rows_height(rows: int, *, top: float = 0.3) -> float:
    """Return the height in inches of a plot with so many named rows."""
    return 0.45 * rows + 0.2 + 0.5 + top


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Write every row's name above its line, so that even long names leave the width to the numbers."""
    for place, name in enumerate(names):
        label = name if len(name) <= 60 else f"{name[:59]}…"
        ax.text(
            0,
            place - 0.34,
            label,
            transform=ax.get_yaxis_transform(),
            va="center",
            fontsize=11,
            color=INK,
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1},
        )


def interval(ax: Axes, place: float, estimate: Estimate, colour: str = ONE, *, upright: bool = False) -> None:
    """Draw a figure with its interval at a row (or, upright, at a column)."""
    if estimate.value is None:
        return
    low, high = (estimate.value if end is None else end for end in (estimate.low, estimate.high))
    ends, places = (low, high), (place, place)
    line = (places, ends) if upright else (ends, places)
    ax.plot(*line, color=colour, linewidth=2, solid_capstyle="butt")
    dot = (place, estimate.value) if upright else (estimate.value, place)
    ax.plot(*dot, "o", color=colour, markersize=6, clip_on=False)


def spread(ax: Axes, place: float, found: Spread | None, colour: str = ONE) -> None:
    """Draw a spread at a row: thin line for the middle 90 %, thick for the middle half, a dot for the median."""
    if found is None:
        return
    ax.plot((found.p5, found.p95), (place, place), color=colour, linewidth=1)
    ax.plot((found.p25, found.p75), (place, place), color=colour, linewidth=5, alpha=0.45, solid_capstyle="butt")
    ax.plot(found.median, place, "o", color=colour, markersize=5)


def at_value(ax: Axes, value: float, label: str = "", *, upright: bool = True) -> None:
    """Draw a line of reference through the whole panel, with its name at the end."""
    (ax.axvline if upright else ax.axhline)(value, color=FAINT, linewidth=1, linestyle=(0, (2, 2)), zorder=0)
    if label and upright:
        ax.annotate(
            label,
            (value, 1),
            (0, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=10.5,
            color=FAINT,
        )


def percent_axis(axis: Any, *, step: float = 0.25) -> None:  # noqa: ANN401
    """Label an axis of shares as 0, 25, 50 … %."""
    ticks = [n * step for n in range(round(1 / step) + 1)]
    axis.set_ticks(ticks, [f"{tick:.0%}" for tick in ticks])


def share_rows(
    name: str, title: str, names: Sequence[str], figures: Sequence[Estimate], label: str, *, middle: float | None = None
) -> Markup:
    """Return a plot of one panel of shares, a row to each; `middle` marks a share that says nothing."""

    def draw(canvas: Canvas) -> None:
        (ax,) = panels(canvas, len(names), [1])
        name_rows(ax, names)
        if middle is not None:
            at_value(ax, middle)
        for place, estimate in enumerate(figures):
            interval(ax, place, estimate)
        ax.set_xlim(-0.02, 1.02)
        percent_axis(ax.xaxis)
        ax.set_xlabel(label)

    return drawn(name, title, rows_height(len(names)), draw)


def few_percents(ax: Axes) -> None:
    """Label a share axis with three or four percentages of the range drawn."""
    ax.xaxis.set_major_locator(MaxNLocator(3))
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")


def number(value: float | None, digits: int = 2) -> str:
    """Return a number for a table, an en dash for none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def with_interval(estimate: Estimate, *, percent: bool = True) -> str:
    """Return a figure for a table, such as `62% [58, 66]`."""
    if estimate.value is None:
        return "–"
    scale, digits, unit = (100, 0, "%") if percent else (1, 2, "")
    text = f"{estimate.value * scale:.{digits}f}{unit}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} [{estimate.low * scale:.{digits}f}, {estimate.high * scale:.{digits}f}]"


def _drawing() -> AbstractContextManager[None]:
    """Return a context in which a person's own matplotlib settings do not count."""
    context: AbstractContextManager[None] = style.context(["default", _STYLE])
    return context


def _for_the_page(svg: str, title: str) -> str:
    """Return the SVG element alone, named for screen readers, with the page's colours and font."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[a-zA-Z_]+_\d+">', "<g>", svg)  # the same names stand in every plot
    svg = re.sub(r'style="[^"]*"', lambda found: _with_variables(found[0]), svg)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)  # each label again, as a comment
    label = escape(title)
    head, _, body = svg.partition(">")
    box = head.partition('viewBox="')[2].partition('"')[0]
    body = re.sub(r">\s*\n\s*<", "><", body).strip()
    return f'<svg role="img" aria-label="{label}" viewBox="{box}"><title>{label}</title>{body}'


def _with_variables(css: str) -> str:
    for stand_in, variable in _VARIABLES.items():
        css = css.replace(stand_in, variable)
    return re.sub(r"'?DejaVu Sans'?(, ?[^;\"]*)?", "var(--sans)", css)
