"""The plots of a comparison: flips against noise, agreement, labels, whose revisions win."""

from collections.abc import Sequence

from matplotlib.figure import Figure as Canvas

from rlaif.compare.comparison import Comparison, Matrix, Two
from rlaif.report.comparison_plots_of_rules import conflicts_plot, guilty_plot, judge_plot, principles_plot, texts_plot
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
    few_percents,
    interval,
    name_rows,
    panels,
    percent_axis,
    rows_height,
    share_rows,
    with_interval,
)
from rlaif.stats.estimates import apart, highest_is_shown


def comparison_plots(found: Comparison) -> list[Plot]:
    """Return the plots of a comparison; those with nothing to show are left out or say why."""
    plots = [flips_plot(found), agreement_plot(found), labelled_plot(found)]
    if _has_values(found.over_parent):
        plots.append(matrix_plot("over-parent", "a revision beats its sample", found.over_parent))
    if _has_values(found.rivals):
        plots.append(matrix_plot("rivals", "a revision beats the other rule sets' revisions", found.rivals))
    if any(two.guilty for two in found.pairs):
        plots.append(guilty_plot(found))
    plots += [principles_plot(rules) for rules in found.rule_sets if len(rules.principles) > 1]
    plots += [conflicts_plot(rules) for rules in found.rule_sets if rules.conflicts or rules.group_conflicts]
    return [*plots, texts_plot(found), judge_plot(found)]


def flips_plot(found: Comparison) -> Plot:
    """Return how many labels change with the rules, beside how many change when the same rules are asked again."""
    rows = [(f"{two.one} / {two.other}", two.flips, two.beyond_noise, ONE) for two in found.pairs]
    floors = [
        (f"{rules.name}, asked again", rules.noise_floor, None, FAINT)
        for rules in found.rule_sets
        if rules.noise_floor is not None
    ]
    title = _flips_title(found.pairs)

    def draw(canvas: Canvas) -> None:
        every = [*rows, *floors]
        left, right = panels(canvas, len(every), [1.4, 1])
        name_rows(left, [row[0] for row in every])
        at_value(right, 0, "noise")
        for place, (_, flips, beyond, colour) in enumerate(every):
            interval(left, place, flips, colour)
            if beyond is not None:
                interval(right, place, beyond, TWO)
        left.set_xlim(left=-0.01)
        few_percents(left)
        left.set_xlabel("labels that flip")
        few_percents(right)
        right.set_xlabel("flips beyond noise")

    return Plot(
        name="flips",
        title=title,
        reading=(
            "Left: of the matchups that both label, the share that gets another label; in grey the same rules asked "
            "again with another seed and in other words: the noise floor. Right: what is left of the flips when the "
            f"judge's own noise is taken off; an interval that holds 0 shows no difference. Where the two "
            f"floors differ, a point or two may come from that alone. {INTERVALS}"
        ),
        table=Table(
            ("who", "labels that flip", "matchups", "beyond noise"),
            tuple(
                (name, with_interval(flips), f"{flips.n:.0f}", with_interval(beyond) if beyond else "–")
                for name, flips, beyond, _ in [*rows, *floors]
            ),
        ),
        svg=drawn("flips", title, rows_height(len(rows) + len(floors)), draw),
    )


def agreement_plot(found: Comparison) -> Plot:
    """Return kappa and rank correlation of every two rule sets."""
    names = [f"{two.one} / {two.other}" for two in found.pairs]
    title = "How far the rule sets agree once chance is taken off, and on the order of a prompt's answers"

    def draw(canvas: Canvas) -> None:
        left, right = panels(canvas, len(names), [1, 1])
        name_rows(left, names)
        for ax, figures in ((left, [t.kappa for t in found.pairs]), (right, [t.rank_correlation for t in found.pairs])):
            at_value(ax, 0)
            for place, estimate in enumerate(figures):
                interval(ax, place, estimate)
            ax.set_xlim(-1.05, 1.05)
            ax.set_xticks([-1, -0.5, 0, 0.5, 1])
        left.set_xlabel("Cohen's kappa of the labels")
        right.set_xlabel("Kendall's tau of the rankings")

    return Plot(
        name="agreement",
        title=title,
        reading=(
            "1: the same; 0: as if drawn independently; below 0: against each other. Kappa counts matchups that both "
            f"label, tau all that both could read. {INTERVALS}"
        ),
        table=Table(
            ("two rule sets", "kappa", "rank correlation", "labelled by one only"),
            tuple(
                (
                    name,
                    with_interval(two.kappa, percent=False),
                    with_interval(two.rank_correlation, percent=False),
                    with_interval(two.one_sided),
                )
                for name, two in zip(names, found.pairs, strict=True)
            ),
        ),
        svg=drawn("agreement", title, rows_height(len(names)), draw),
    )


def labelled_plot(found: Comparison) -> Plot:
    """Return how much of the pool every rule set gives a label to, and why not more."""
    reasons = sorted({reason for rules in found.rule_sets for reason in rules.abstained})
    shares = [rules.labelled for rules in found.rule_sets]
    known = [(share.value, rules.name) for share, rules in zip(shares, found.rule_sets, strict=True) if share.value]
    title = "No rule set labels anything"
    if known:
        most = max(known)
        title = f"{most[1]} gives a label to the largest share of what it judges: {most[0]:.0%}"
        title = title if highest_is_shown(shares) else "The rule sets are not shown to differ in how much they label"
    return Plot(
        name="labelled",
        title=title,
        reading=(
            "Share of the matchups a rule set judged that get a label at all; on the rest it abstains. A matchup whose "
            f"prompt none of its principles applies to is not judged. {INTERVALS}"
        ),
        table=Table(
            ("rule set", "labelled", "matchups judged", *reasons),
            tuple(
                (
                    rules.name,
                    with_interval(rules.labelled),
                    str(rules.matchups),
                    *(str(rules.abstained.get(reason, 0)) for reason in reasons),
                )
                for rules in found.rule_sets
            ),
        ),
        svg=share_rows(
            "labelled", title, [rules.name for rules in found.rule_sets], shares, "matchups that get a label"
        ),
    )


def matrix_plot(name: str, what: str, matrix: Matrix) -> Plot:
    """Return under whose rules (panels of rows) whose revisions win."""
    rows = [
        (f"under {judge}: by {maker}", cell, ONE if judge == maker else THREE)
        for judge, cells in zip(matrix.judges, matrix.cells, strict=True)
        for maker, cell in zip(matrix.makers, cells, strict=True)
        if cell.value is not None
    ]
    (low, lowest, _), (high, highest, _) = (extreme(rows, key=lambda row: row[1].value or 0) for extreme in (min, max))
    best, worst = (name.replace(": by", ", when written by") for name in (high, low))
    title = f"{what[0].upper()}{what[1:]} most often {best}; least {worst}"
    if all(cell.holds(0.5) for _, cell, _ in rows):
        title = f"{what[0].upper()}{what[1:]} about every second time: nowhere shown to differ from one half"
    elif not apart(lowest, highest):
        title = f"{what[0].upper()}{what[1:]}: no rule set is shown to do so more often than another"

    def draw(canvas: Canvas) -> None:
        (ax,) = panels(canvas, len(rows), [1])
        name_rows(ax, [row[0] for row in rows])
        at_value(ax, 0.5, "loses  |  wins")
        for place, (_, cell, colour) in enumerate(rows):
            interval(ax, place, cell, colour)
        ax.set_xlim(-0.02, 1.02)
        percent_axis(ax.xaxis)
        ax.set_xlabel("mean probability of winning")

    return Plot(
        name=name,
        title=title,
        reading=(
            f"Mean probability that {what}, judged under each rule set's rules, by whose revision it is. The first "
            f"colour marks a rule set judging its own. {INTERVALS}"
        ),
        table=Table(
            ("under the rules of", *(f"by {maker}" for maker in matrix.makers)),
            tuple(
                (judge, *(with_interval(cell) for cell in cells))
                for judge, cells in zip(matrix.judges, matrix.cells, strict=True)
            ),
        ),
        svg=drawn(name, title, rows_height(len(rows)), draw),
    )


def _flips_title(pairs: Sequence[Two]) -> str:
    known = [two for two in pairs if two.flips.value is not None]
    if not known:
        return "No matchup is labelled by two rule sets"
    most = max(known, key=lambda two: two.flips.value or 0)
    title = f"{most.one} and {most.other} differ most: {most.flips.value:.0%} of their labels flip"
    if len(known) == 1:
        title = f"{most.one} and {most.other}: {most.flips.value:.0%} of their labels flip"
    elif not highest_is_shown([two.flips for two in known]):
        title = f"No two rule sets are shown to differ more than others; up to {most.flips.value:.0%} of labels flip"
    if most.beyond_noise is None or most.beyond_noise.low is None:
        return title
    return f"{title}, {'more than' if most.beyond_noise.low > 0 else 'not shown to be more than'} noise"


def _has_values(matrix: Matrix) -> bool:
    return any(cell.value is not None for cells in matrix.cells for cell in cells)
