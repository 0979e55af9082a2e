"""The plots of a comparison: flips against noise, whose revisions win, the principles behind it, texts, the judge."""

from collections.abc import Callable, Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from rlaif.compare.figures import Comparison, Matrix, RuleSetFigures, Two
from rlaif.compare.texts import TextFigures
from rlaif.intervals import Figure
from rlaif.report.plots import (
    FAINT,
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
    with_interval,
)

INTERVALS = "Lines are 95% intervals from a bootstrap over prompts."
MOST_GUILTY = 12
MOST_CONFLICTS = 12

Column = tuple[str, Callable[[Axes], None]]


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
        _few_percents(left)
        left.set_xlabel("labels that flip")
        _few_percents(right)
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
            for place, figure in enumerate(figures):
                interval(ax, place, figure)
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
    most = max(known, default=(0.0, "nobody"))
    title = f"{most[1]} labels most of what it judges: {most[0]:.0%}" if known else "No rule set labels anything"
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
        svg=_rows("labelled", title, [rules.name for rules in found.rule_sets], shares, "matchups that get a label"),
    )


def matrix_plot(name: str, what: str, matrix: Matrix) -> Plot:
    """Return under whose rules (panels of rows) whose revisions win."""
    rows = [
        (f"under {judge}: by {maker}", cell, ONE if judge == maker else THREE)
        for judge, cells in zip(matrix.judges, matrix.cells, strict=True)
        for maker, cell in zip(matrix.makers, cells, strict=True)
        if cell.value is not None
    ]
    low, high = (extreme(rows, key=lambda row: row[1].value or 0)[0] for extreme in (min, max))
    best, worst = (name.replace(": by", ", when written by") for name in (high, low))
    title = f"{what[0].upper()}{what[1:]} most often {best}; least {worst}"

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


def guilty_plot(found: Comparison) -> Plot:
    """Return the principles without which the labels would not differ."""
    rows = [
        (f"{guilt.rules}/{guilt.principle} (against {two.other if guilt.rules == two.one else two.one})", guilt.undone)
        for two in found.pairs
        for guilt in two.guilty
    ]
    rows = sorted(rows, key=lambda row: -(row[1].value or 0))[:MOST_GUILTY]
    title = f"Flips are made most by {rows[0][0]}"
    return Plot(
        name="guilty",
        title=title,
        reading=(
            "Share of the flips between two rule sets where the one, without this principle, would give the other's "
            f"label. Shares of several principles need not add up to 100%. {INTERVALS}"
        ),
        table=Table(
            ("principle", "flips it makes", "flips"),
            tuple((name, with_interval(undone), f"{undone.n:.0f}") for name, undone in rows),
        ),
        svg=_rows("guilty", title, [row[0] for row in rows], [row[1] for row in rows], "flips it makes"),
    )


def principles_plot(rules: RuleSetFigures) -> Plot:
    """Return what every principle of one rule set contributes."""
    rows = sorted(rules.principles, key=lambda p: -(p.decisive.value or 0))
    rows = [row for row in rows if row.decisive.value is not None or row.agrees.value is not None]
    if not rows:
        table = Table(("principle",), ())
        return Plot(f"principles-{rules.name}", f"{rules.name}: nothing was read", "No verdict counts.", table, None)
    title = f"{rules.name}: “{rows[0].id}” tips most labels, “{rows[-1].id}” fewest"

    def draw(canvas: Canvas) -> None:
        axes = panels(canvas, len(rows), [1, 1, 1])
        name_rows(axes[0], [row.id for row in rows])
        at_value(axes[1], 0.5)
        for place, row in enumerate(rows):
            for ax, figure, colour in zip(axes, (row.decisive, row.agrees, row.turned), (ONE, THREE, TWO), strict=True):
                interval(ax, place, figure, colour)
        for ax, label in zip(axes, ("tips the label", "agrees with the rest", "turns with the order"), strict=True):
            ax.set_xlim(-0.04, 1.04)
            ax.set_xticks([0, 0.5, 1], ["0%", "50%", ""])
            ax.set_xlabel(label)

    return Plot(
        name=f"principles-{rules.name}",
        title=title,
        reading=(
            "Left: share of the labels that would be another, or none, without the principle. Middle: how often it "
            "names the same winner as the others together. Right: how often its winner changes with the order in "
            f"which the answers are shown. {INTERVALS}"
        ),
        table=Table(
            ("principle", "tips the label", "agrees with the rest", "turns with the order", "weight"),
            tuple(
                (r.id, with_interval(r.decisive), with_interval(r.agrees), with_interval(r.turned), f"{r.weight:g}")
                for r in rows
            ),
        ),
        svg=drawn(f"principles-{rules.name}", title, rows_height(len(rows)), draw),
    )


def conflicts_plot(rules: RuleSetFigures) -> Plot:
    """Return which principles of one rule set vote against each other."""
    conflicts = [*rules.group_conflicts, *rules.conflicts[:MOST_CONFLICTS]]
    names = [f"{c.one} / {c.other}" for c in conflicts]
    names = [f"groups {name}" if place < len(rules.group_conflicts) else name for place, name in enumerate(names)]
    worst = max(conflicts, key=lambda c: c.against.low or 0)
    title = f"{rules.name}: no two principles are shown to contradict each other"
    if (worst.against.low or 0) > 0.5:
        title = f"{rules.name}: {worst.one} and {worst.other} contradict each other most"
    return Plot(
        name=f"conflicts-{rules.name}",
        title=title,
        reading=(
            "Share of the matchups in which both name a winner, and not the same one. Around 50% they have nothing to "
            f"do with each other; well above, one undoes the other. {INTERVALS}"
        ),
        table=Table(
            ("two principles", "vote against each other", "matchups"),
            tuple(
                (name, with_interval(c.against), f"{c.against.n:.0f}") for name, c in zip(names, conflicts, strict=True)
            ),
        ),
        svg=_rows(
            f"conflicts-{rules.name}",
            title,
            names,
            [c.against for c in conflicts],
            "name different winners",
            middle=0.5,
        ),
    )


def texts_plot(found: Comparison) -> Plot:
    """Return what the revisions are like as texts, beside the samples they come from."""
    makers: list[tuple[str, TextFigures]] = [
        ("the policy's samples", found.samples),
        *((f"revisions by {rules.name}", rules.texts) for rules in found.rule_sets if rules.texts.answers),
    ]
    longest = max(makers, key=lambda maker: maker[1].words.value or 0)
    title = f"Longest on average: {longest[0]}, {number(longest[1].words.value, 0)} words"
    columns: list[tuple[str, Callable[[TextFigures], Figure], bool]] = [
        ("words", lambda t: t.words, False),
        ("refuse", lambda t: t.refusals, True),
        ("hedge", lambda t: t.hedged, True),
        ("variety", lambda t: t.variety, False),
    ]

    def draw(canvas: Canvas) -> None:
        axes = panels(canvas, len(makers), [1] * len(columns))
        name_rows(axes[0], [name for name, _ in makers])
        for ax, (label, figure, share) in zip(axes, columns, strict=True):
            for place, (_, texts) in enumerate(makers):
                interval(ax, place, figure(texts), FAINT if place == 0 else ONE)
            ax.margins(x=0.15)
            ax.set_xlabel(label)
            if share:
                _few_percents(ax)
            else:
                ax.xaxis.set_major_locator(MaxNLocator(2))

    return Plot(
        name="texts",
        title=title,
        reading=(
            "Words of an answer; share that refuses; share with a hedge or a stock phrase (both by rules for English); "
            f"and variety: the share of different words in windows of 50, which does not depend on length. {INTERVALS}"
        ),
        table=Table(
            (
                "answers", "how many", "words", "refuse", "refuse in part", "hedge",
                "hedges per 100 words", "stock phrases per 100 words", "variety",
            ),
            tuple(
                (
                    name,
                    str(t.answers),
                    with_interval(t.words, percent=False),
                    with_interval(t.refusals),
                    with_interval(t.partial_refusals),
                    with_interval(t.hedged),
                    with_interval(t.hedges, percent=False),
                    with_interval(t.boilerplate, percent=False),
                    with_interval(t.variety, percent=False),
                )
                for name, t in makers
            ),
        ),
        svg=drawn("texts", title, rows_height(len(makers)), draw),
    )  # fmt: skip


def judge_plot(found: Comparison) -> Plot:
    """Return how the critic bears the questions of every rule set."""
    names = [rules.name for rules in found.rule_sets]
    best = max(found.rule_sets, key=lambda rules: rules.order_agreement.value or 0)
    share = best.order_agreement.value
    title = (
        "No question was read in both orders"
        if share is None
        else f"At best {share:.0%} of the verdicts survive swapping the answers"
    )

    def draw(canvas: Canvas) -> None:
        agree, mass, bias = panels(canvas, len(names), [1, 1, 1])
        name_rows(agree, names)
        at_value(bias, 0)
        for place, rules in enumerate(found.rule_sets):
            interval(agree, place, rules.order_agreement)
            interval(mass, place, rules.label_mass, THREE)
            interval(bias, place, Figure(value=rules.critic.overall), TWO)
        for ax, label in ((agree, "orders agree"), (mass, "label mass")):
            ax.set_xlim(-0.04, 1.04)
            ax.set_xticks([0, 0.5, 1], ["0%", "50%", ""])
            ax.set_xlabel(label)
        bias.margins(x=0.3)
        bias.set_xlabel("position bias (log-odds)")

    return Plot(
        name="judge",
        title=title,
        reading=(
            "Left: share of the questions whose winner is the same in both orders. Middle: probability on the two "
            "labels together. Right: the median log-odds that being shown first is worth; it cancels in the mean of "
            f"both orders, but a critic led by it hears little else. {INTERVALS}"
        ),
        table=Table(
            ("rule set", "orders agree", "label mass", "position bias", "verdicts"),
            tuple(
                (
                    rules.name,
                    with_interval(rules.order_agreement),
                    with_interval(rules.label_mass),
                    number(rules.critic.overall),
                    str(rules.critic.verdicts),
                )
                for rules in found.rule_sets
            ),
        ),
        svg=drawn("judge", title, rows_height(len(names)), draw),
    )


def _rows(
    name: str, title: str, names: Sequence[str], figures: Sequence[Figure], label: str, *, middle: float | None = None
) -> Markup:
    """Return one panel of shares."""

    def draw(canvas: Canvas) -> None:
        (ax,) = panels(canvas, len(names), [1])
        name_rows(ax, names)
        if middle is not None:
            at_value(ax, middle)
        for place, figure in enumerate(figures):
            interval(ax, place, figure)
        ax.set_xlim(-0.02, 1.02)
        percent_axis(ax.xaxis)
        ax.set_xlabel(label)

    return drawn(name, title, rows_height(len(names)), draw)


def _few_percents(ax: Axes) -> None:
    ax.xaxis.set_major_locator(MaxNLocator(3))
    ax.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g}%")


def _flips_title(pairs: Sequence[Two]) -> str:
    known = [two for two in pairs if two.flips.value is not None]
    if not known:
        return "No matchup is labelled by two rule sets"
    most = max(known, key=lambda two: two.flips.value or 0)
    title = f"{most.one} and {most.other} differ most: {most.flips.value:.0%} of their labels flip"
    if most.beyond_noise is None or most.beyond_noise.low is None:
        return title
    return f"{title}, {'more than' if most.beyond_noise.low > 0 else 'not shown to be more than'} noise"


def _has_values(matrix: Matrix) -> bool:
    return any(cell.value is not None for cells in matrix.cells for cell in cells)
