"""The plot of what answers are like as texts, for kinds of answers that stand beside each other."""

from collections.abc import Callable, Sequence

from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from rlaif.evaluate.text_metrics import TextMetrics
from rlaif.report.plots import (
    FAINT,
    INTERVALS,
    ONE,
    Plot,
    Table,
    drawn,
    few_percents,
    interval,
    name_rows,
    panels,
    rows_height,
    with_interval,
)
from rlaif.stats.estimates import Estimate

_COLUMNS: tuple[tuple[str, Callable[[TextMetrics], Estimate], bool], ...] = (
    ("words", lambda t: t.words, False),
    ("refuse", lambda t: t.refusals, True),
    ("hedge", lambda t: t.hedged, True),
    ("variety", lambda t: t.variety, False),
)
"""What is drawn: its name, the figure, whether it is a share."""


def plot_of_texts(title: str, kinds: Sequence[tuple[str, TextMetrics]], reading: str = "") -> Plot:
    """Return a plot with one row for each kind of answers; the first, what others are held against, is faint."""
    return Plot(
        name="texts",
        title=title,
        reading=(
            f"{reading}Words of an answer; share that refuses; share with a hedge or a stock phrase (both by rules for "
            "English); and variety: the share of different words in windows of 50, which does not depend on length. "
            f"{INTERVALS}"
        ),
        table=_table(kinds),
        svg=drawn("texts", title, rows_height(len(kinds)), lambda canvas: _draw(canvas, kinds)),
    )


def _draw(canvas: Canvas, kinds: Sequence[tuple[str, TextMetrics]]) -> None:
    axes = panels(canvas, len(kinds), [1] * len(_COLUMNS))
    name_rows(axes[0], [name for name, _ in kinds])
    for ax, (label, estimate, share) in zip(axes, _COLUMNS, strict=True):
        for place, (_, texts) in enumerate(kinds):
            interval(ax, place, estimate(texts), FAINT if place == 0 else ONE)
        ax.margins(x=0.15)
        ax.set_xlabel(label)
        if share:
            few_percents(ax)
        else:
            ax.xaxis.set_major_locator(MaxNLocator(2))


def _table(kinds: Sequence[tuple[str, TextMetrics]]) -> Table:
    columns = (
        "answers", "how many", "words", "refuse", "refuse in part", "hedge",
        "hedges per 100 words", "stock phrases per 100 words", "variety",
    )  # fmt: skip
    return Table(columns, tuple(_row(name, texts) for name, texts in kinds))


def _row(name: str, texts: TextMetrics) -> tuple[str, ...]:
    return (
        name,
        str(texts.answers),
        with_interval(texts.words, percent=False),
        with_interval(texts.refusals),
        with_interval(texts.partial_refusals),
        with_interval(texts.hedged),
        with_interval(texts.hedges, percent=False),
        with_interval(texts.boilerplate, percent=False),
        with_interval(texts.variety, percent=False),
    )
