"""The plots of a policy's evaluation: win rates, differences of shares, reliability."""

from collections.abc import Sequence
from dataclasses import replace

from matplotlib.figure import Figure

from rlaif.evaluate.policy.gains_and_losses import SIDES, Line, difference_text, value_text
from rlaif.evaluate.policy.policy_report import PolicyEvaluation
from rlaif.report.drawing import (
    FAINT,
    FULL,
    ONE,
    THREE,
    TWO,
    Mark,
    Panel,
    Plot,
    Table,
    drawn,
    interval,
    row_plot,
    with_interval,
)


def policy_plots(found: PolicyEvaluation) -> list[Plot]:
    """Return the plots of the evaluation; those without data are left out."""
    plots = [wins_plot(found)]
    shares = [line for line in found.lines if line.unit == "share" and line.base and line.difference.value is not None]
    if shares:
        plots.append(shares_plot(shares))
    if any(one.questions for side in SIDES for one in found.reliability[side]):
        plots.append(reliability_plot(found))
    return plots


def wins_plot(found: PolicyEvaluation) -> Plot:
    """Return the plot of the win rates under all constitutions, with and without the effect of length."""
    rates = [f"{with_interval(one.win_rate)} under {one.constitution}" for one in found.wins]
    names: list[str] = []
    marks: list[Mark] = []
    for one in found.wins:
        names += [f"under {one.constitution}", "all, without ties", "at equal length", "of similar length"]
        marks += [None, one.win_rate, one.at_equal_length, one.similar_length]
    plot = row_plot(
        ("wins", f"Win rate of the tuned model's responses: {', '.join(rates) or 'not measured'}"),
        "Where the win rate is above 50% and the two rates that account for length are not, the tuned model may win "
        "only by length.",
        ("win rate", names),
        [Panel("share of the decided matchups", marks, ONE, "share", FULL, 0.5, "base wins | tuned wins")],
    )
    counts = [
        (f"under {one.constitution}: {outcome}", str(count))
        for one in found.wins
        for outcome, count in one.outcomes.items()
    ]
    return replace(plot, table=Table(("what", "share or matchups"), (*plot.table.rows, *counts)))


def shares_plot(lines: Sequence[Line]) -> Plot:
    """Return the plot of the differences of all shares, tuned minus base, in percentage points."""
    counts = {kind: sum(line.finding == kind for line in lines) for kind in ("loss", "gain", "change")}
    found = ", ".join(f"{count} a {kind}" for kind, count in counts.items() if count)
    colours = {"loss": TWO, "gain": ONE, "change": THREE}
    plot = row_plot(
        ("shares", f"Of {len(lines)} shares, shown to differ: {found or 'none'}"),
        "Orange: a loss; blue: a gain; green: a change that is neither; grey: no difference is shown, because the "
        "interval contains zero or excludes it as one of many may by chance.",
        ("what", [line.label for line in lines]),
        [
            Panel(
                "tuned minus base, percentage points",
                [line.difference for line in lines],
                [colours.get(line.finding, FAINT) for line in lines],
                "points",
                reference=0,
                sides="less often | more often",
            )
        ],
    )
    columns: dict[str, Sequence[str]] = {
        "what": [line.label for line in lines],
        "base": [value_text(line.base, "share") for line in lines],
        "tuned": [value_text(line.tuned, "share") for line in lines],
        "difference": [difference_text(line) for line in lines],
        "finding": [line.finding for line in lines],
    }
    return replace(plot, table=Table.of(columns))


def reliability_plot(found: PolicyEvaluation) -> Plot:
    """Return the plot of the share of right answers by confidence, for both models."""
    title = "Confidence and share right on questions with four options, for both models"

    def draw(canvas: Figure) -> None:
        ax = canvas.subplots(gridspec_kw={"left": 0.14, "right": 0.75, "top": 0.96, "bottom": 0.17})
        ax.plot([0.2, 1], [0.2, 1], color=FAINT, linewidth=1, linestyle=(0, (2, 2)))
        for side, colour, shift in zip(SIDES, (FAINT, ONE), (-0.006, 0.006), strict=True):
            bins = [(one.confidence, one.right) for one in found.reliability[side] if one.confidence is not None]
            for confidence, right in bins:
                interval(ax, confidence + shift, right, colour, upright=True)
            ax.plot([], [], "o-", color=colour, label=side)
        ax.set(xlim=(0.2, 1.02), ylim=(-0.02, 1.05), xlabel="confidence", ylabel="share right")
        ax.set_yticks([0, 0.5, 1], ["0%", "50%", "100%"])
        ax.set_xticks([0.25, 0.5, 0.75, 1], ["25%", "50%", "75%", "100%"])
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1.02, 0.5))

    return Plot(
        name="reliability",
        title=title,
        reading="On the dotted line a model is calibrated; below it, it is overconfident; above it, underconfident.",
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
