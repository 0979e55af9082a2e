"""The plots of a comparison that look into the rule sets: principles, conflicts, texts, and the critic under each."""

from matplotlib.figure import Figure as Canvas

from rlaif.compare.comparison import Comparison, RuleSetMetrics
from rlaif.evaluate.text_metrics import TextMetrics
from rlaif.report.plots import (
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
    rows_height,
    share_rows,
    with_interval,
)
from rlaif.report.plots_of_texts import plot_of_texts
from rlaif.stats.estimates import Estimate, apart, highest_is_shown

MOST_GUILTY = 12
MOST_CONFLICTS = 12


def guilty_plot(found: Comparison) -> Plot:
    """Return the principles without which the labels would not differ."""
    rows = [
        (f"{guilt.rules}/{guilt.principle} (against {two.other if guilt.rules == two.one else two.one})", guilt.undone)
        for two in found.pairs
        for guilt in two.guilty
    ]
    rows = sorted(rows, key=lambda row: -(row[1].value or 0))[:MOST_GUILTY]
    title = "No principle is shown to make more of the flips than the others"
    if highest_is_shown([share for _, share in rows]):
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
        svg=share_rows("guilty", title, [row[0] for row in rows], [row[1] for row in rows], "flips it makes"),
    )


def principles_plot(rules: RuleSetMetrics) -> Plot:
    """Return what every principle of one rule set contributes."""
    # By what is shown, not by a lucky few matchups.
    rows = sorted(rules.principles, key=lambda p: (-(p.decisive.low or 0), -(p.decisive.value or 0)))
    rows = [row for row in rows if row.decisive.value is not None or row.agrees.value is not None]
    if not rows:
        table = Table(("principle",), ())
        return Plot(f"principles-{rules.name}", f"{rules.name}: nothing was read", "No verdict counts.", table, None)
    title = f"{rules.name}: no principle is shown to tip more labels than another"
    if apart(rows[0].decisive, rows[-1].decisive):
        title = f"{rules.name}: “{rows[0].id}” tips most labels, “{rows[-1].id}” fewest"
    if len(rows) == 1:
        title = f"{rules.name}: “{rows[0].id}” alone decides"

    def draw(canvas: Canvas) -> None:
        axes = panels(canvas, len(rows), [1, 1, 1])
        name_rows(axes[0], [row.id for row in rows])
        at_value(axes[1], 0.5)
        for place, row in enumerate(rows):
            for ax, estimate, colour in zip(
                axes, (row.decisive, row.agrees, row.turned), (ONE, THREE, TWO), strict=True
            ):
                interval(ax, place, estimate, colour)
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


def conflicts_plot(rules: RuleSetMetrics) -> Plot:
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
        svg=share_rows(
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
    makers: list[tuple[str, TextMetrics]] = [
        ("the policy's samples", found.samples),
        *((f"revisions by {rules.name}", rules.texts) for rules in found.rule_sets if rules.texts.answers),
    ]
    longest = max(makers, key=lambda maker: maker[1].words.value or 0)
    title = "In length, answers and revisions are not shown to differ"
    if highest_is_shown([texts.words for _, texts in makers]):
        title = f"Longest on average: {longest[0]}, {number(longest[1].words.value, 0)} words"
    return plot_of_texts(title, makers)


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
            interval(bias, place, Estimate(value=rules.critic.overall), TWO)
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
