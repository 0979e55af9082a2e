"""The plots of one run, in the order of the page, and `texts_plot`, which a comparison also uses."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rlaif.constitution.schema import Constitution
from rlaif.evaluate.text_metrics import TextMetrics, text_metrics
from rlaif.report.drawing import (
    FAINT,
    FULL,
    ONE,
    THREE,
    TWO,
    Panel,
    Plot,
    Spread,
    Table,
    at_value,
    drawn,
    number,
    row_plot,
    with_interval,
)
from rlaif.report.run_measures import KINDS_OF_RESPONSES, LENGTH_RATIOS, Measures
from rlaif.stats.estimates import Estimate, Tallies

BINS = np.linspace(0, 0.5, 26)
"""Edges of the bins of |p - 0.5|, each 0.02 wide."""
MOST_TAGS = 12
FEWEST_PROMPTS = 6
"""Least number of prompts that differ; fewer may all differ in one direction by chance (a sign test needs six)."""


def run_plots(measures: Measures, constitution: Constitution, min_margin: float) -> list[Plot]:
    """Return the plots of a run; the first is always included, without a drawing where nothing was judged."""
    tallies = Tallies(measures.tallies)
    principles = [p.id for p in constitution.comparing if p.id in measures.favoured]
    plots = [margins_plot(measures, min_margin)]
    if principles:
        plots.append(principles_plot(measures, tallies, principles))
    if tallies.total(("unequal",)):
        plots.append(lengths_plot(tallies))
    if tallies.total(("pairs",)):
        plots.append(texts_of_pairs_plot(tallies))
    if tallies.total(("revised",)):
        tags = {key[2] for tally in measures.tallies for key in tally if isinstance(key, tuple) and "tag" in key[1:2]}
        plots.append(revisions_plot(tallies, [p.id for p in constitution.revising], sorted(tags)))
    return plots


def margins_plot(measures: Measures, min_margin: float) -> Plot:
    """Return the histogram of the matchups' |p - 0.5|, with the threshold `min_margin`."""
    decided: Sequence[float] = measures.margins.get("decided", [])
    abstained = {reason: values for reason, values in sorted(measures.margins.items()) if reason != "decided"}
    total = len(decided) + sum(map(len, abstained.values())) + measures.unreadable
    rows = [("decided", f"{len(decided):,}", number(_median(decided)))]
    rows += [(f"abstained: {why}", f"{len(some):,}", number(_median(some))) for why, some in abstained.items()]
    if measures.unreadable:
        rows.append(("abstained: unreadable", f"{measures.unreadable:,}", "–"))
    table = Table(("matchups", "count", "median margin"), tuple(rows))
    if not total:
        return Plot("margins", "No matchup was judged", "There are no verdicts.", table, None)
    title = f"{len(decided) / total:.0%} of the matchups are decided"
    if decided:
        title += f", half of them with a probability of at least {0.5 + (_median(decided) or 0):.2f}"

    def draw(canvas: Figure) -> None:
        ax = canvas.subplots(gridspec_kw={"left": 0.13, "right": 0.96, "bottom": 0.2, "top": 0.9})
        others = [margin for values in abstained.values() for margin in values]
        kept, lost = (np.histogram(values, BINS)[0] for values in (decided, others))
        ax.bar(BINS[:-1], kept, width=0.017, color=ONE, align="edge")
        filled = lost > 0  # a bar of height 0 would be drawn as a line
        ax.bar(BINS[:-1][filled], lost[filled], 0.017, kept[filled], facecolor="none", edgecolor=TWO, align="edge")
        if min_margin:
            at_value(ax, min_margin, f"too close below {min_margin:g}")
        ax.set_xlim(0, 0.5)
        ax.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        ax.set_xlabel("margin: |p − 0.5|")
        ax.set_ylabel("matchups")

    return Plot(
        name="margins",
        title=title,
        reading=(
            "Distance of each matchup's probability from 0.5. Filled: decided; outlined: abstained"
            + (f" (left of the dotted line at {min_margin:g}: too close)." if min_margin else ".")
            + (f" {measures.unreadable:,} matchups have no readable verdict." * bool(measures.unreadable))
        ),
        table=table,
        svg=drawn("margins", title, 2.6, draw),
    )


def principles_plot(measures: Measures, tallies: Tallies, principles: Sequence[str]) -> Plot:
    """Return the plot of each principle's support for the overall winner, its influence, and its position bias."""
    strengths = {k: Spread.of(measures.favoured[k]) for k in principles}
    ranked = sorted(principles, key=lambda k: -(found.median if (found := strengths[k]) else 0))
    shown = [f"“{k}” ({found.median:.2f})" for k in (ranked[0], ranked[-1]) if (found := strengths[k])]
    title = f"{shown[0]} supports the overall winner most"
    title = f"{title}, {shown[-1]} least" if len(ranked) > 1 else f"“{ranked[0]}” alone decides"
    decisive = [tallies.ratio(("decisive", k), ("labelled", k)) for k in ranked]
    biases = [bias for k in principles for bias in measures.biases.get(k, [])]
    panels = [
        Panel("probability of the winner", [strengths[k] for k in ranked], ONE, "number", FULL, 0.5, width=1.2),
        Panel("decides alone", decisive, TWO),
    ]
    reading = (
        "First panel: the probability that a principle gives to the response that all principles together prefer. "
        "Second: share of the labels that would be different, or missing, without it."
    )
    if biases:
        spreads = [Spread.of(measures.biases.get(k, [])) for k in ranked]
        panels.append(Panel("position bias, logits", spreads, THREE, "number", None, 0))
        reading += (
            f" Third: half the sum of the log-odds of both orders; its median over all principles is "
            f"{np.median(biases):+.2f} logits for the response shown first. This median cancels in every label; the "
            "spread around it is noise."
        )
    return row_plot(
        ("principles", title),
        f"{reading} Dot: median; thick line: middle half; thin line: middle 90% of the matchups.",
        ("principle", ranked),
        panels,
        more={"matchups": [f"{len(measures.favoured[k]):,}" for k in ranked]},
    )


def lengths_plot(tallies: Tallies) -> Plot:
    """Return the plot of the longer response's mean probability, by length ratio."""
    names = [f"{low:g}–{high:g} times as long" for low, high in pairwise(LENGTH_RATIOS)]
    names.append(f"over {LENGTH_RATIOS[-1]:g} times")
    probabilities = [tallies.ratio(("p longer", place), ("met", place), share=False) for place in range(len(names))]
    wins = tallies.ratio(("longer wins",), ("unequal",))
    return row_plot(
        ("lengths", f"The longer response wins {with_interval(wins)} of the labels"),
        "Matchups by the ratio of the two responses' lengths in characters. If all are at 50%, length has no effect. A "
        "slope may come from the critic's length bias, or from longer responses being better.",
        ("length", names),
        [Panel("mean probability of the longer", probabilities, ONE, "share", FULL, 0.5, "shorter | longer")],
        "matchups",
    )


def texts_of_pairs_plot(tallies: Tallies) -> Plot:
    """Return the plot of text metrics of chosen and rejected responses, beside all samples and revisions."""
    kinds = {kind: text_metrics(tallies, kind) for kind in KINDS_OF_RESPONSES}
    return texts_plot(
        _refusal_or_hedging_difference(tallies),
        [(name, texts) for name, texts in kinds.items() if texts.answers],
        "What training on these pairs may teach besides the rules. ",
    )


def texts_plot(title: str, kinds: Sequence[tuple[str, TextMetrics]], reading: str = "") -> Plot:
    """Return the plot of text metrics, one row for each kind of responses; the first, the reference, is grey."""
    colours = [FAINT, *[ONE] * (len(kinds) - 1)]
    every = [texts for _, texts in kinds]
    return row_plot(
        ("texts", title),
        f"{reading}Words per response; share that refuses, in whole or in part; share with a hedge or a stock phrase "
        "(both detected by rules for English, which miss some refusals); variety: share of different words in windows "
        "of 50 words, independent of length.",
        ("responses", [name for name, _ in kinds]),
        [
            Panel("words", [texts.words for texts in every], colours, "number"),
            Panel("refuse", [texts.refusals for texts in every], colours),
            Panel("hedge", [texts.hedged for texts in every], colours),
            Panel("variety", [texts.variety for texts in every], colours, "number"),
        ],
        "number",
        {
            "hedges per 100 words": [with_interval(texts.hedges, percent=False) for texts in every],
            "stock phrases per 100 words": [with_interval(texts.boilerplate, percent=False) for texts in every],
        },
    )


def _refusal_or_hedging_difference(tallies: Tallies) -> str:
    """Return a sentence on whether chosen and rejected responses of a pair differ in refusals, else in hedges."""
    for what, verb in (("more refusals", "refuses"), ("more hedges", "hedges")):
        estimate = tallies.ratio((what,), ("pairs",), share=False)
        if tallies.total((what, "prompts")) >= FEWEST_PROMPTS and not estimate.holds(0):
            more = "chosen" if (estimate.value or 0) > 0 else "rejected"
            share = 100 * abs(estimate.value or 0)
            points = "less than a point" if share < 1 else f"{share:.0f} points"
            return f"The {more} response {verb} more often than the other of its pair, by {points}"
    return "Chosen and rejected responses are not shown to differ in refusing or hedging"


def revisions_plot(tallies: Tallies, principles: Sequence[str], tags: Sequence[str]) -> Plot:
    """Return the plot of revisions' mean p against their parents: all, by principle of the critique, by prompt tag."""
    overall = tallies.ratio(("p revision",), ("revised",), share=False)
    names = ["all revisions"]
    marks: list[Estimate | None] = [overall]
    of_tags = f"by tag, the {MOST_TAGS} most frequent" if len(tags) > MOST_TAGS else "by tag of the prompt"
    for kind, heading, values in (("principle", "by principle of the critique", principles), ("tag", of_tags, tags)):
        found = {k: tallies.ratio(("p revision", kind, k), ("revised", kind, k), share=False) for k in values}
        found = {k: estimate for k, estimate in found.items() if estimate.value is not None}
        if kind == "tag":
            found = dict(sorted(found.items(), key=lambda item: (-item[1].n, item[0]))[:MOST_TAGS])
        if found:
            best_first = sorted(found, key=lambda k: -(found[k].value or 0))
            names += [heading, *best_first]
            marks += [None, *(found[k] for k in best_first)]
    return row_plot(
        ("revisions", f"A revision beats its parent with a mean probability of {with_interval(overall)}"),
        "Mean probability that a revision is better than the response it revises. With many rows, some differ from the "
        "others by chance.",
        ("revisions", names),
        [Panel("mean probability that it is better", marks, ONE, "share", FULL, 0.5, "made worse | made better")],
        "number",
        {"prompts": [str(mark.prompts) if mark else "" for mark in marks]},
    )


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if len(values) else None
