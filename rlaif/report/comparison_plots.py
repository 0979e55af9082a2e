"""The plots of a comparison: label flips and noise, their causes, win rates of revisions, rule sets, principles."""

from collections.abc import Sequence

from rlaif.compare.comparison_schema import Comparison, Matrix, RuleSetMetrics, RuleSetPair
from rlaif.report.drawing import FAINT, FULL, ONE, THREE, TWO, Mark, Panel, Plot, Table, number, row_plot, with_interval
from rlaif.report.run_plots import texts_plot
from rlaif.stats.estimates import Estimate, apart, highest_is_shown

MOST_FLIP_CAUSES = 12
MOST_CONFLICTS = 8


def comparison_plots(found: Comparison) -> list[Plot]:
    """Return the plots of a comparison; those without data are left out."""
    plots = [flips_plot(found)]
    if any(two.guilty for two in found.pairs):
        plots.append(flip_causes_plot(found))
    if _has_values(found.over_parent):
        plots.append(revisions_plot(found))
    plots.append(rule_sets_plot(found))
    plots += [principles_plot(rules) for rules in found.rule_sets if len(rules.principles) > 1]
    if any(rules.conflicts or rules.group_conflicts for rules in found.rule_sets):
        plots.append(conflicts_plot(found))
    return [*plots, texts_of_revisions_plot(found)]


def flips_plot(found: Comparison) -> Plot:
    """Return the plot of labels that flip between rule sets, and between two passes of the same rule set."""
    again = [(f"{rules.name}, asked again", rules.noise_floor) for rules in found.rule_sets if rules.noise_floor]
    no_values = [""] * len(again)
    flips = [*(two.flips for two in found.pairs), *(floor for _, floor in again)]
    beyond = [*(two.beyond_noise for two in found.pairs), *(None for _ in again)]
    panels = [Panel("labels that flip", flips, [ONE] * len(found.pairs) + [FAINT] * len(again))]
    reading = "Share of the matchups labelled by both rule sets that get different labels."
    if any(beyond):
        panels.append(Panel("beyond noise, points", beyond, TWO, "points", None, 0, "noise"))
        reading = (
            f"Left: {reading[0].lower()}{reading[1:]} Grey, the noise floor: the same rules asked again with another "
            "seed and another wording. Right: flips minus the judge's own noise; an interval that contains 0 shows no "
            "difference. Where the noise floors of the two differ, one or two points may come from that alone."
        )
    return row_plot(
        ("flips", _flips_title(found.pairs)),
        reading,
        ("rule sets", [*(f"{two.one} / {two.other}" for two in found.pairs), *(name for name, _ in again)]),
        panels,
        "matchups",
        {
            "Cohen's kappa": [*(with_interval(two.kappa, percent=False) for two in found.pairs), *no_values],
            "Kendall's tau": [*(with_interval(two.rank_correlation, percent=False) for two in found.pairs), *no_values],
            "labelled by one only": [*(with_interval(two.one_sided) for two in found.pairs), *no_values],
        },
    )


def flip_causes_plot(found: Comparison) -> Plot:
    """Return the plot of the principles that cause most of the flips."""
    rows = [
        (f"{cause.rules}/{cause.principle} (against {two.other if cause.rules == two.one else two.one})", cause.undone)
        for two in found.pairs
        for cause in two.guilty
    ]
    rows = sorted(rows, key=lambda row: -(row[1].value or 0))[:MOST_FLIP_CAUSES]
    title = "No principle is shown to cause more of the flips than the others"
    if highest_is_shown([share for _, share in rows]):
        title = f"Flips are caused most by {rows[0][0]}"
    return row_plot(
        ("flip-causes", title),
        "Share of the flips between two rule sets where one of them, without this principle, would give the other's "
        "label. The shares of several principles need not add up to 100%.",
        ("principle", [name for name, _ in rows]),
        [Panel("flips that it causes", [share for _, share in rows], limits=FULL)],
        "flips",
    )


def revisions_plot(found: Comparison) -> Plot:
    """Return the plot of revisions' win rates, by rule set that judges and rule set that made the revision."""
    titles = {"beats its sample": found.over_parent, "beats other rule sets' revisions": found.rivals}
    titles = {what: matrix for what, matrix in titles.items() if _has_values(matrix)}
    names: list[str] = []
    marks: list[list[Mark]] = [[] for _ in titles]
    colours: list[str] = []
    for judge, *cells in zip(found.over_parent.judges, *(matrix.cells for matrix in titles.values()), strict=True):
        names.append(f"under {judge}")
        colours.append(FAINT)
        for column in marks:
            column.append(None)
        for maker, *estimates in zip(found.over_parent.makers, *cells, strict=True):
            if any(cell.value is not None for cell in estimates):
                names.append(f"by {maker}")
                colours.append(ONE if maker == judge else THREE)
                for column, cell in zip(marks, estimates, strict=True):
                    column.append(cell)
    title, *others = [_matrix_title(what, matrix) for what, matrix in titles.items()]
    return row_plot(
        ("revisions", title),
        "Mean probability that a revision wins, by the rule set that judges and the one that made the revision; blue: "
        f"both are the same. {''.join(f'Right: {other[0].lower()}{other[1:]}.' for other in others)}",
        ("revisions", names),
        [
            Panel(what, column, colours, "share", FULL, 0.5, "loses | wins")
            for what, column in zip(titles, marks, strict=True)
        ],
    )


def rule_sets_plot(found: Comparison) -> Plot:
    """Return the plot of each rule set's share of labels, order agreement, label mass and position bias."""
    every = found.rule_sets
    reasons = sorted({reason for rules in every for reason in rules.abstained})
    shares = [rules.order_agreement.value for rules in every if rules.order_agreement.value is not None]
    orders = "No verdict is readable in both orders."
    if shares:
        orders = f"At best {max(shares):.0%} of the verdicts stay the same when the responses are swapped."
    biases = [Estimate(value=rules.critic.overall) for rules in every]
    return row_plot(
        ("rule-sets", _labelled_title(every)),
        f"{orders} From left to right: share of the judged matchups that get a label; share of the questions with the "
        "same winner in both orders; probability of the two labels together; median log-odds of the response shown "
        "first, which cancels in the mean of both orders but may dominate single verdicts.",
        ("rule set", [rules.name for rules in every]),
        [
            Panel("labelled", [rules.labelled for rules in every], limits=FULL),
            Panel("orders agree", [rules.order_agreement for rules in every], limits=FULL),
            Panel("label mass", [rules.label_mass for rules in every], THREE, limits=FULL),
            Panel("position bias", biases, TWO, "number", None, 0),
        ],
        "judged",
        {reason: [str(rules.abstained.get(reason, 0)) for rules in every] for reason in reasons}
        | {"verdicts": [str(rules.critic.verdicts) for rules in every]},
    )


def principles_plot(rules: RuleSetMetrics) -> Plot:
    """Return the plot of one rule set's principles: labels that depend on each, agreement, changes with the order."""
    # Sorted by the lower end of the interval, so that a principle with few matchups does not come first by chance.
    rows = sorted(rules.principles, key=lambda p: (-(p.decisive.low or 0), -(p.decisive.value or 0)))
    rows = [row for row in rows if row.decisive.value is not None or row.agrees.value is not None]
    if not rows:
        table = Table(("principle",), ())
        return Plot(f"principles-{rules.name}", f"{rules.name}: no readable verdict", "Nothing to show.", table, None)
    title = f"{rules.name}: no principle is shown to decide more labels than another"
    if apart(rows[0].decisive, rows[-1].decisive):
        title = f"{rules.name}: “{rows[0].id}” decides most labels, “{rows[-1].id}” fewest"
    if len(rows) == 1:
        title = f"{rules.name}: “{rows[0].id}” alone decides"
    return row_plot(
        (f"principles-{rules.name}", title),
        "Left: share of the labels that would be different, or missing, without the principle. Middle: how often it "
        "names the same winner as the others together. Right: how often its winner changes with the order in which "
        "the responses are shown.",
        ("principle", [row.id for row in rows]),
        [
            Panel("decides the label", [row.decisive for row in rows]),
            Panel("agrees with the rest", [row.agrees for row in rows], THREE, limits=FULL, reference=0.5),
            Panel("changes with the order", [row.turned for row in rows], TWO, limits=FULL),
        ],
        more={"weight": [f"{row.weight:g}" for row in rows]},
    )


def conflicts_plot(found: Comparison) -> Plot:
    """Return the plot of the pairs of principles, or of groups, that most often name different winners."""
    conflicts = [
        (f"{rules.name}: {kind}{conflict.one} / {conflict.other}", conflict.against)
        for rules in found.rule_sets
        for kind, some in (("groups ", rules.group_conflicts), ("", rules.conflicts))
        for conflict in some
    ]
    conflicts = sorted(conflicts, key=lambda row: -(row[1].low or 0))[:MOST_CONFLICTS]
    worst, against = conflicts[0]
    title = "No two principles are shown to contradict each other"
    if (against.low or 0) > 0.5:
        title = f"{worst} contradict each other most"
    return row_plot(
        ("conflicts", title),
        "Of the matchups where both principles name a winner, the share with different winners; the largest shares of "
        "all rule sets. At 50% the two are unrelated; far above 50%, they cancel each other.",
        ("principles", [name for name, _ in conflicts]),
        [Panel("name different winners", [share for _, share in conflicts], limits=FULL, reference=0.5)],
        "matchups",
    )


def texts_of_revisions_plot(found: Comparison) -> Plot:
    """Return the plot of text metrics of the revisions, beside the samples that they revise."""
    makers = [
        ("samples of the policy", found.samples),
        *((f"by {rules.name}", rules.texts) for rules in found.rule_sets if rules.texts.answers),
    ]
    longest = max(makers, key=lambda maker: maker[1].words.value or 0)
    title = "Samples and revisions are not shown to differ in length"
    if highest_is_shown([texts.words for _, texts in makers]):
        title = f"Longest on average: {longest[0]}, {number(longest[1].words.value, 0)} words"
    return texts_plot(title, makers)


def _flips_title(pairs: Sequence[RuleSetPair]) -> str:
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


def _labelled_title(rule_sets: Sequence[RuleSetMetrics]) -> str:
    known = [(rules.labelled.value, rules.name) for rules in rule_sets if rules.labelled.value]
    if not known:
        return "No rule set labels anything"
    if not highest_is_shown([rules.labelled for rules in rule_sets]):
        return "The rule sets are not shown to differ in how much they label"
    share, name = max(known)
    return f"{name} labels most of what it judges: {share:.0%}"


def _matrix_title(what: str, matrix: Matrix) -> str:
    cells = [
        (cell, f"under {judge}, when written by {maker}")
        for judge, row in zip(matrix.judges, matrix.cells, strict=True)
        for maker, cell in zip(matrix.makers, row, strict=True)
        if cell.value is not None
    ]
    (lowest, low), (highest, high) = (extreme(cells, key=lambda row: row[0].value or 0) for extreme in (min, max))
    if all(cell.holds(0.5) for cell, _ in cells):
        return f"A revision {what} about half of the time: no rate is shown to differ from 50%"
    if not apart(lowest, highest):
        return f"A revision {what}: no rule set is shown to do so more often than another"
    return f"A revision {what} most often {high}; least {low}"


def _has_values(matrix: Matrix) -> bool:
    return any(cell.value is not None for cells in matrix.cells for cell in cells)
