"""The plots of one run, in the order of the page; those with nothing to show are left out."""

from rlaif.constitution.schema import Constitution
from rlaif.report.measures import Measures
from rlaif.report.plots import Plot
from rlaif.report.plots_of_answers import lengths_plot, revisions_plot, texts_plot
from rlaif.report.plots_of_judging import margins_plot, position_plot, principles_plot


def run_plots(measures: Measures, constitution: Constitution, min_margin: float) -> list[Plot]:
    """Return the plots of a run. The first is always there, and says so when nothing was judged."""
    bootstrap = measures.bootstrap()
    principles = [principle.id for principle in constitution.comparing]
    plots = [margins_plot(measures, min_margin)]
    if any(principle in measures.favoured for principle in principles):
        plots.append(principles_plot(measures, bootstrap, principles))
    if measures.biases:
        plots.append(position_plot(measures, principles))
    if bootstrap.total(("unequal",)):
        plots.append(lengths_plot(bootstrap))
    if bootstrap.total(("pairs",)):
        plots.append(texts_plot(bootstrap))
    if bootstrap.total(("revised",)):
        drawn_by = [principle.id for principle in constitution.revising]
        plots.append(revisions_plot(bootstrap, "principle", drawn_by))
        tags = {
            key[2] for tally in measures.tallies for key in tally if isinstance(key, tuple) and key[1:2] == ("tag",)
        }
        if tags:
            plots.append(revisions_plot(bootstrap, "tag", sorted(tags)))
    return plots
