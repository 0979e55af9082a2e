"""Plots of the answers: does length decide, what would be learnt, and where do revisions help?

Each is made of tallies with intervals.
"""

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.figure import Figure as Canvas

from rlaif.evaluate.text_metrics import text_metrics
from rlaif.report.measures import KINDS_OF_ANSWERS, LENGTH_RATIOS
from rlaif.report.plots import (
    FAINT,
    INTERVALS,
    THREE,
    Plot,
    Row,
    Table,
    at_value,
    drawn,
    interval,
    name_rows,
    panels,
    percent_axis,
    rows_height,
    with_interval,
)
from rlaif.report.plots_of_texts import plot_of_texts
from rlaif.stats.estimates import Bootstrap, Estimate

MOST_TAGS = 12
"""Rows of the plot by tag."""
FEWEST_PROMPTS = 6
"""Of prompts that differ: fewer may all do so in one direction by chance (a sign test reaches 5 % with six)."""


def lengths_plot(bootstrap: Bootstrap) -> Plot:
    """Return whether the longer answer is preferred, and by how much for which difference."""
    wins = bootstrap.ratio(("longer wins",), ("unequal",))
    names = [f"{low:g}–{high:g}" for low, high in pairwise(LENGTH_RATIOS)]
    names.append(f"over {LENGTH_RATIOS[-1]:g}")
    figures = [bootstrap.ratio(("p longer", place), ("met", place)) for place in range(len(names))]
    title = f"The longer answer wins {with_interval(wins)} of the labels"

    def draw(canvas: Canvas) -> None:
        ax = canvas.subplots(gridspec_kw={"left": 0.14, "right": 0.97, "bottom": 0.18, "top": 0.95})
        at_value(ax, 0.5, upright=False)
        for place, estimate in enumerate(figures):
            interval(ax, place, estimate, upright=True)
            ax.text(place, 0.02, f"{estimate.n:,.0f}", ha="center", fontsize=10.5, color=FAINT)
        ax.set_xticks(range(len(names)), names)
        ax.set_xlim(-0.6, len(names) - 0.4)
        ax.set_ylim(0, 1)
        percent_axis(ax.yaxis)
        ax.set_xlabel("times as long (characters)")
        ax.set_ylabel("mean probability of the longer")

    return Plot(
        name="lengths",
        title=title,
        reading=(
            "Matchups by how much longer one answer is than the other; the dot is the mean probability that the longer "
            "one is better, the number at the foot how many matchups. Flat at 50%: length says nothing. A slope may "
            f"be the critic's taste for length, or longer answers being better. {INTERVALS}"
        ),
        table=Table(
            ("times as long", "p(longer better)", "matchups"),
            tuple((name, with_interval(f), f"{f.n:,.0f}") for name, f in zip(names, figures, strict=True)),
        ),
        svg=drawn("lengths", title, 3.4, draw),
    )


def texts_plot(bootstrap: Bootstrap) -> Plot:
    """Return what was chosen and what was rejected as texts, beside all samples and revisions."""
    kinds = {kind: text_metrics(bootstrap, kind) for kind in KINDS_OF_ANSWERS}
    return plot_of_texts(
        _what_training_would_learn(bootstrap),
        [(name, figures) for name, figures in kinds.items() if figures.answers],
        "What training on these pairs would teach beside the rules. ",
    )


def _what_training_would_learn(bootstrap: Bootstrap) -> str:
    """Return the first way in which chosen answers are shown to differ from the rejected ones of the same pairs."""
    for what, verb in (("more refusals", "refuses"), ("more hedges", "hedges")):
        estimate = bootstrap.ratio((what,), ("pairs",), share=False)
        if bootstrap.total((what, "prompts")) >= FEWEST_PROMPTS and not estimate.holds(0):
            more = "chosen" if (estimate.value or 0) > 0 else "rejected"
            share = 100 * abs(estimate.value or 0)
            points = "less than a point" if share < 1 else f"{share:.0f} points"
            return f"The {more} answer {verb} more often than the other of its pair, by {points}"
    return "Chosen and rejected answers are not shown to differ in refusing or hedging"


def revisions_plot(bootstrap: Bootstrap, kind: str, names: Sequence[str]) -> Plot:
    """Return where a revision beats what it goes back to, by `principle` drawn for its critique or by `tag`."""
    overall = bootstrap.ratio(("p revision",), ("revised",))
    rows = [
        Row(name, estimate, f"{estimate.n:,.0f}")
        for name in names
        if (estimate := bootstrap.ratio(("p revision", kind, name), ("revised", kind, name))).value is not None
    ]
    left_out = 0
    if kind == "tag":
        by_count = sorted(rows, key=lambda row: (-row.estimate.n, row.name))
        rows, left_out = by_count[:MOST_TAGS], max(0, len(rows) - MOST_TAGS)
    rows.sort(key=lambda row: -(row.estimate.value or 0))
    title = (
        f"A revision beats its parent with a mean probability of {with_interval(overall)}"
        if kind == "principle"
        else _extremes(rows)
    )
    what = "principle drawn for the critique" if kind == "principle" else "tag of the prompt"
    more = f" The {MOST_TAGS} most frequent tags; {left_out} more are left out." if left_out else ""
    return Plot(
        name=f"revisions-by-{kind}",
        title=title,
        reading=(
            f"Mean probability that a revision beats the answer it goes back to, by {what}; at the right how many. "
            f"Dashed: all revisions. {INTERVALS} Of many rows, some stand apart by chance alone.{more}"
        ),
        table=Table(
            (kind, "p(revision better)", "revisions", "prompts"),
            tuple((r.name, with_interval(r.estimate), r.note, str(r.estimate.prompts)) for r in rows),
        ),
        svg=drawn(f"revisions-{kind}", title, rows_height(len(rows)), lambda canvas: _draw_rows(canvas, rows, overall)),
    )


def _draw_rows(canvas: Canvas, rows: Sequence[Row], overall: Estimate) -> None:
    (ax,) = panels(canvas, len(rows), [1])
    name_rows(ax, [row.name for row in rows])
    at_value(ax, 0.5, "made worse  |  made better")
    if overall.value is not None:
        ax.axvline(overall.value, color=THREE, linewidth=1, linestyle=(0, (4, 2)), zorder=0)
    for place, row in enumerate(rows):
        interval(ax, place, row.estimate)
        ax.text(
            1,
            place - 0.34,
            row.note,
            transform=ax.get_yaxis_transform(),
            ha="right",
            va="center",
            fontsize=10.5,
            color=FAINT,
        )
    ax.set_xlim(0, 1)
    percent_axis(ax.xaxis)
    ax.set_xlabel("probability that the revision is better")


def _extremes(rows: Sequence[Row]) -> str:
    """Return what the best and the worst tag show; of many, some differ by chance, so no more is said."""
    ends = [f"{row.estimate.value or 0:.0%} (“{row.name}”)" for row in (rows[-1], rows[0])]
    return f"By tag, a revision wins with {' to '.join(dict.fromkeys(ends))}"
