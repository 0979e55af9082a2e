"""The plots of a policy's evaluation: wins, differences of shares, reliability; and its typical phrases."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from rlaif.evaluate.policy.choices import ChoiceBin
from rlaif.evaluate.policy.evaluation import PolicyEvaluation
from rlaif.evaluate.policy.line_text import difference_of, value_of
from rlaif.evaluate.policy.lines import SIDES, Line
from rlaif.evaluate.policy.phrases import Phrase, Phrases
from rlaif.report.plots import (
    FAINT,
    INTERVALS,
    ONE,
    THREE,
    TWO,
    Plot,
    Table,
    at_value,
    drawn,
    interval,
    name_rows,
    number,
    panels,
    percent_axis,
    rows_height,
    share_rows,
    with_interval,
)
from rlaif.stats.estimates import Estimate


def policy_plots(found: PolicyEvaluation) -> list[Plot]:
    """Return the plots; those with nothing to show are left out."""
    plots = [wins_plot(found)]
    shares = [line for line in found.lines if line.unit == "share" and line.base is not None and _is_measured(line)]
    if shares:
        plots.append(shares_plot(shares))
    if any(one.questions for side in SIDES for one in found.reliability[side]):
        plots.append(reliability_plot(found))
    return plots


def wins_plot(found: PolicyEvaluation) -> Plot:
    """Return the win rates under all constitutions, as they came and with length taken out."""
    rows: list[tuple[str, Estimate]] = []
    for one in found.wins:
        rows += [
            (f"{one.constitution}: wins, ties apart", one.win_rate),
            (f"{one.constitution}: at equal length", one.at_equal_length),
            (f"{one.constitution}: answers of similar length", one.similar_length),
        ]
    names, figures = [name for name, _ in rows], [estimate for _, estimate in rows]
    title = "How often the tuned model's answer wins against the base's"
    counts = [
        (f"{one.constitution}: {outcome}", str(count)) for one in found.wins for outcome, count in one.outcomes.items()
    ]
    return Plot(
        name="wins",
        title=title,
        reading=(
            "The dotted line is one half: no difference. Where the win rate is above it and the two figures with "
            f"length taken out are not, the win may be one of length. {INTERVALS}"
        ),
        table=Table(
            ("what", "share or duels"),
            (*((name, with_interval(estimate)) for name, estimate in rows), *counts),
        ),
        svg=share_rows("wins", title, names, figures, "share of the decided duels", middle=0.5),
    )


def shares_plot(lines: Sequence[Line]) -> Plot:
    """Return the differences of all shares, tuned minus base."""
    title = "What the tuned model does more often than the base, and what less"
    colours = {"loss": TWO, "gain": ONE, "change": THREE}

    def draw(canvas: Canvas) -> None:
        (ax,) = panels(canvas, len(lines), [1])
        name_rows(ax, [line.label for line in lines])
        at_value(ax, 0, "no difference")
        for place, line in enumerate(lines):
            interval(ax, place, line.difference, colours.get(line.finding, FAINT))
        ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:+.0f}")
        ax.set_xlabel("percentage points, tuned minus base")

    return Plot(
        name="shares",
        title=title,
        reading=f"Grey where the interval holds zero and nothing can be said. {INTERVALS}",
        table=Table(
            ("what", "base", "tuned", "difference", "finding"),
            tuple(
                (line.label, value_of(line.base, "share"), value_of(line.tuned, "share"), difference_of(line),
                 line.finding)
                for line in lines
            ),
        ),
        svg=drawn("shares", title, rows_height(len(lines)), draw),
    )  # fmt: skip


def reliability_plot(found: PolicyEvaluation) -> Plot:
    """Return confidence against the share right, before and after."""
    title = "How sure each model is of its answers to questions with four options, and how often it is right"

    def draw(canvas: Canvas) -> None:
        axes = canvas.subplots(
            1, 2, sharey=True, gridspec_kw={"left": 0.12, "right": 0.97, "top": 0.86, "bottom": 0.2, "wspace": 0.12}
        )
        for ax, side in zip(axes, SIDES, strict=True):
            _reliability(ax, found.reliability[side])
            ax.set_title(side, fontsize=11.5)
        axes[0].set_ylabel("share right")

    return Plot(
        name="reliability",
        title=title,
        reading=f"On the dotted line a model is as often right as it is sure; below it, it is too sure. {INTERVALS}",
        table=Table(
            ("confidence", "base, questions", "base, right", "tuned, questions", "tuned, right"),
            tuple(
                (f"{base.low:.2f} to {base.high:.2f}", str(base.questions), with_interval(base.right),
                 str(tuned.questions), with_interval(tuned.right))
                for base, tuned in zip(found.reliability["base"], found.reliability["tuned"], strict=True)
                if base.questions or tuned.questions
            ),
        ),
        svg=drawn("reliability", title, 3.2, draw),
    )  # fmt: skip


def _reliability(ax: Axes, bins: Sequence[ChoiceBin]) -> None:
    ax.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (2, 2)))
    for one in bins:
        if one.confidence is not None:
            interval(ax, one.confidence, one.right, upright=True)
    ax.set_xlim(0.2, 1.02)
    ax.set_ylim(-0.02, 1.05)
    percent_axis(ax.yaxis)
    ax.set_xticks([0.25, 0.5, 0.75, 1], ["25%", "50%", "75%", "100%"])
    ax.set_xlabel("confidence")


@dataclass(frozen=True)
class Typical:
    """The phrases that became typical, as the page shows them."""

    title: str
    reading: str
    table: Table


def typical_phrases(of: Phrases) -> Typical:
    """Return what is said of phrases."""
    rows = tuple(_phrase(one) for one in (*of.gained, *of.lost))
    return Typical(
        title="Phrases that became typical of the tuned model, and those of the base" if rows else "Typical phrases",
        reading=(
            f"{'' if rows else 'None was found. '}{of.looked_at:,} phrases of one to three words were compared by "
            "their log-odds ratio with an informative Dirichlet prior (Monroe et al. 2008); named are those beyond "
            f"|z| = {of.threshold:.2f}, which the largest of all exceeds in one case of twenty where the two models' "
            "answers change places at random. A prompt counts by the share of its answers that hold the phrase."
        ),
        table=Table(("phrase", "base, prompts", "tuned, prompts", "log-odds ratio", "z"), rows),
    )


def _phrase(one: Phrase) -> tuple[str, ...]:
    return (f"“{one.text}”", number(one.base, 1), number(one.tuned, 1), number(one.log_odds), number(one.z, 1))


def _is_measured(line: Line) -> bool:
    return line.difference.value is not None
