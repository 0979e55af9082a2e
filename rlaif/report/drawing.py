"""Draw plots as SVG elements of a page, each with a title, a text on how to read it, and a table of its numbers.

Most are row plots (`row_plot`): each row has a name on the left and one mark in each panel. Colours are placeholders
that become the page's CSS variables, so that a plot follows the light and dark theme. Text is not converted to paths.
The same numbers give the same bytes.
"""

import io
import math
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap
from typing import Any, Literal, TypeAlias

import numpy as np
from markupsafe import Markup
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rlaif.stats.estimates import Estimate

WIDTH = 6.0
"""Inches of 72 points; a page shows a plot between 350 and 500 CSS pixels wide."""
FULL = (-0.02, 1.02)
"""Axis limits that show the whole range of a share."""
LONGEST_LINE = 27
"""Characters after which a row's name is wrapped, beside several panels; beside one panel, a third more."""

_VARIABLES = {f"#0{n}0{n}0{n}": name for n, name in enumerate(("ink", "faint", "rule", "one", "two", "three"), 1)}
"""Placeholders for the colours of the page, and the names of its CSS variables."""
INK, FAINT, RULE, ONE, TWO, THREE = _VARIABLES

_TICKS = {"color": RULE, "labelcolor": FAINT, "labelsize": 10, "major.size": 3}
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "text.color": INK,
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": RULE,
    "axes.labelcolor": FAINT,
    "axes.labelsize": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **{f"{axis}tick.{key}": value for axis in "xy" for key, value in _TICKS.items()},
}


@dataclass(frozen=True)
class Table:
    """A table of texts; the first column names the row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, columns: Mapping[str, Sequence[str]]) -> "Table":
        """Return a table of columns of the same length."""
        return cls(tuple(columns), tuple(zip(*columns.values(), strict=True)))


@dataclass(frozen=True)
class Plot:
    """A plot of a page, with its title, explanation and table."""

    name: str
    """Unique in the page."""
    title: str
    """States the result."""
    reading: str
    """How to read it, one or two sentences."""
    table: Table
    svg: Markup | None
    """None where there was nothing to draw; `reading` then says why."""


@dataclass(frozen=True)
class Spread:
    """Quantiles of many numbers."""

    p5: float
    p25: float
    median: float
    p75: float
    p95: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread | None":
        """Return the spread of some numbers; None if there are none."""
        if not len(values):
            return None
        return cls(*(float(quantile) for quantile in np.quantile(values, [0.05, 0.25, 0.5, 0.75, 0.95])))


Mark: TypeAlias = Estimate | Spread | None


@dataclass(frozen=True)
class Panel:
    """One column of a row plot, with an axis of its own."""

    label: str
    marks: Sequence[Mark]
    """One for each row. A row without a mark in any panel is a heading."""
    colours: str | Sequence[str] = ONE
    unit: Literal["share", "points", "number"] = "share"
    limits: tuple[float, float] | None = None
    """Ends of the axis; by default what the marks need."""
    reference: float | None = None
    """Value at which a dotted line is drawn, such as no difference."""
    sides: str = ""
    """Label of the reference line, or of its two sides: `loses | wins`."""
    width: float = 1
    """Relative to the other panels."""

    def columns(self) -> dict[str, list[str]]:
        """Return the columns of the table for this panel."""
        spreads = [mark if isinstance(mark, Spread) else None for mark in self.marks]
        if not any(spreads):
            return {self.label: [_cell(mark, self.unit) for mark in self.marks]}
        return {
            f"{self.label}: median [middle half]": [_cell(mark, self.unit) for mark in self.marks],
            f"{self.label}: middle 90%": ["" if s is None else f"{s.p5:.2f} to {s.p95:.2f}" for s in spreads],
        }


def row_plot(
    title: tuple[str, str],
    reading: str,
    rows: tuple[str, Sequence[str]],
    panels: Sequence[Panel],
    counted: str = "",
    more: Mapping[str, Sequence[str]] | None = None,
) -> Plot:
    """Return a plot with one row for each name.

    `title` is (name, title) of the plot; `rows` is (what the rows are, their names); `counted` names what the first
    panel's estimates are measured on, whose number is then written at the end of each row; `more` holds further
    columns of the table.
    """
    what, names = rows
    counts = [f"{mark.n:,.0f}" if isinstance(mark, Estimate) else "" for mark in panels[0].marks] if counted else []
    columns: dict[str, Sequence[str]] = {what: names, **({counted: counts} if counted else {})}
    for panel in panels:
        columns |= panel.columns()
    longest = LONGEST_LINE if len(panels) > 1 else LONGEST_LINE * 4 // 3
    lines = [wrap(name, longest, max_lines=4, placeholder=" …") or [""] for name in names]
    places = _Places.of(lines, panels, counted)
    svg = drawn(*title, places.height, lambda canvas: _draw_rows(canvas, lines, panels, (counted, counts), places))
    return Plot(*title, reading, Table.of(columns | dict(more or {})), svg)


def drawn(name: str, title: str, height: float, draw: Callable[[Figure], None]) -> Markup:
    """Return an SVG element, safe to embed, of what `draw` draws on a figure of this height (inches)."""
    # "default" first: it overrides the user's own matplotlib settings.
    with style.context(["default", _STYLE, {"svg.hashsalt": name}]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # glyphs missing in matplotlib's font; the reader's browser draws the text
        canvas = Figure(figsize=(WIDTH, height))
        draw(canvas)
        file = io.StringIO()
        canvas.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return Markup(_for_the_page(file.getvalue(), title))


def interval(ax: Axes, place: float, estimate: Estimate, colour: str = ONE, *, upright: bool = False) -> None:
    """Draw an estimate with its interval at y = `place`, or, if `upright`, at x = `place`."""
    if estimate.value is None:
        return
    ends = tuple(estimate.value if end is None else end for end in (estimate.low, estimate.high))
    line, dot = (ends, (place, place)), (estimate.value, place)
    ax.plot(*(line[::-1] if upright else line), color=colour, linewidth=2, solid_capstyle="butt")
    ax.plot(*(dot[::-1] if upright else dot), "o", color=colour, markersize=5.5, clip_on=False)


def at_value(ax: Axes, value: float, label: str = "") -> None:
    """Draw a dotted vertical line at x = `value`, with its label above."""
    ax.axvline(value, color=FAINT, linewidth=1, linestyle=(0, (2, 2)), zorder=0)
    where: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "va": "bottom"}
    below, _, above = label.rpartition(" | ")
    for text, x, side in ((below, -5, "right"), (above, 5, "left")) if below else ((above, 0, "center"),):
        ax.annotate(text, (value, 1), (x, 3), color=FAINT, fontsize=10, ha=side, **where)


def number(value: float | None, digits: int = 2) -> str:
    """Return a number as text for a table; an en dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def with_interval(estimate: Estimate, *, percent: bool = True) -> str:
    """Return an estimate with its interval as text for a table, such as `62% [58, 66]`."""
    if estimate.value is None:
        return "–"
    scale, digits, unit = (100, 0, "%") if percent else (1, 2, "")
    text = f"{estimate.value * scale:.{digits}f}{unit}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} [{estimate.low * scale:.{digits}f}, {estimate.high * scale:.{digits}f}]"


def _cell(mark: Mark, unit: str) -> str:
    if isinstance(mark, Spread):
        return f"{mark.median:.2f} [{mark.p25:.2f}, {mark.p75:.2f}]"
    return "" if mark is None else with_interval(mark, percent=unit != "number")


@dataclass(frozen=True)
class _Places:
    """Positions of the parts of a row plot, in inches."""

    left: float
    right: float
    top: float
    bottom: float
    gap: float
    rows: Sequence[float]
    """Distance of each row's middle from the top of the panels."""
    body: float
    """Height of the panels."""
    labels: Sequence[str]
    """Names of the panels' axes, wrapped to the panels' widths."""

    @classmethod
    def of(cls, lines: Sequence[Sequence[str]], panels: Sequence[Panel], counted: str) -> "_Places":
        heights = [0.12 + 0.165 * len(some) for some in lines]
        left = 0.2 + 0.078 * max((len(line) for some in lines for line in some), default=0)
        right, gap = WIDTH - (0.65 if counted else 0.25), 0.36
        room = (right - left - gap * (len(panels) - 1)) / sum(panel.width for panel in panels)
        labels = ["\n".join(wrap(panel.label, max(11, int(room * panel.width / 0.078)))) for panel in panels]
        return cls(
            left=left,
            right=right,
            top=0.3 if counted or any(panel.sides for panel in panels) else 0.08,
            bottom=0.35 + 0.17 * max(label.count("\n") + 1 for label in labels),
            gap=gap,
            rows=[sum(heights[:place]) + height / 2 for place, height in enumerate(heights)],
            body=sum(heights),
            labels=labels,
        )

    @property
    def height(self) -> float:
        return self.top + self.body + self.bottom


def _draw_rows(
    canvas: Figure,
    lines: Sequence[Sequence[str]],
    panels: Sequence[Panel],
    counted: tuple[str, Sequence[str]],
    places: _Places,
) -> None:
    axes = canvas.subplots(
        1,
        len(panels),
        squeeze=False,
        sharey=True,
        width_ratios=[panel.width for panel in panels],
        gridspec_kw={
            "left": places.left / WIDTH,
            "right": places.right / WIDTH,
            "top": 1 - places.top / places.height,
            "bottom": places.bottom / places.height,
            "wspace": places.gap * len(panels) / (places.right - places.left - places.gap * (len(panels) - 1)),
        },
    )[0]
    for ax, panel, label in zip(axes, panels, places.labels, strict=True):
        _draw_panel(ax, panel, places)
        ax.set_xlabel(label)
    where = ("figure fraction", axes[0].transData)
    beside: dict[str, Any] = {"xycoords": where, "va": "center", "annotation_clip": False}
    for place, (y, some) in enumerate(zip(places.rows, lines, strict=True)):
        heading = all(panel.marks[place] is None for panel in panels)
        colour = FAINT if heading else INK
        axes[0].annotate("\n".join(some), (0.01, y), color=colour, **beside)
        for ax in [] if heading else axes:
            ax.axhline(y, color=RULE, linewidth=0.6, zorder=-1)
    for text, y in zip((counted[0], *counted[1]), (-0.12, *places.rows), strict=False):
        axes[-1].annotate(text, (0.995, y), color=FAINT, fontsize=10, ha="right", **beside)


def _draw_panel(ax: Axes, panel: Panel, places: _Places) -> None:
    colours = [panel.colours] * len(panel.marks) if isinstance(panel.colours, str) else panel.colours
    if panel.reference is not None:
        at_value(ax, panel.reference, panel.sides)
    for y, mark, colour in zip(places.rows, panel.marks, colours, strict=True):
        if isinstance(mark, Spread):
            ax.plot((mark.p5, mark.p95), (y, y), color=colour, linewidth=1)
            ax.plot((mark.p25, mark.p75), (y, y), color=colour, linewidth=5, alpha=0.45, solid_capstyle="butt")
            ax.plot(mark.median, y, "o", color=colour, markersize=5)
        elif mark is not None:
            interval(ax, y, mark, colour)
    ax.set_ylim(places.body, 0)
    ax.yaxis.set_visible(False)
    ax.spines["left"].set_visible(False)
    ax.margins(x=0.1)
    if panel.limits is not None:
        ax.set_xlim(*panel.limits)
    elif panel.unit == "share":
        end = min(1.0, ax.get_xlim()[1])
        ax.set_xlim(-0.02 * end, 1.02 * end)
    width = ax.get_position().width * WIDTH
    low, high = ax.get_xlim()
    whole = panel.unit == "number" and high - low > 3
    bins = max(2, min(5, int(width / 0.55)))
    ax.xaxis.set_major_locator(MaxNLocator(bins, steps=[1, 2, 2.5, 5, 10], integer=whole))
    ax.xaxis.set_major_formatter(lambda value, _: _tick(value, panel.unit))


def _tick(value: float, unit: str) -> str:
    if unit == "number":
        return f"{value:.3g}"
    return f"{100 * value:.3g}%" if unit == "share" else f"{'+' if value > 0 else ''}{100 * value:.3g}"


def _for_the_page(svg: str, title: str) -> str:
    """Return only the SVG element, with a title for screen readers and the page's colours and font."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[a-zA-Z_]+_\d+">', "<g>", svg)  # these ids would repeat in every plot of the page
    svg = re.sub(r'style="[^"]*"', lambda found: _with_variables(found[0]), svg)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)  # matplotlib repeats each label as a comment
    label = escape(title)
    head, _, body = svg.partition(">")
    box = head.partition('viewBox="')[2].partition('"')[0]
    body = re.sub(r">\s*\n\s*<", "><", body).strip()
    return f'<svg role="img" aria-label="{label}" viewBox="{box}"><title>{label}</title>{body}'


def _with_variables(css: str) -> str:
    for placeholder, variable in _VARIABLES.items():
        css = css.replace(placeholder, f"var(--{variable})")
    return re.sub(r"'?DejaVu Sans'?(, ?[^;\"]*)?", "var(--sans)", css)
