"""The report of one run: everything that its page says is gathered here, and nothing is asked of a model.

Comes in: a run, finished or not. Goes out: one HTML file that stands alone. The same run gives the same bytes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rlaif.records import Record, Trace
from rlaif.report.browser import TraceView, browser_data, view_of, view_of_failure
from rlaif.report.choice import sample, telling
from rlaif.report.measures import Note, measure
from rlaif.report.page import embedded, render, write_page
from rlaif.report.plots import Plot
from rlaif.report.printed import printed
from rlaif.report.run_facts import facts_of, rules_of, sums_of
from rlaif.report.run_plots import run_plots
from rlaif.runs.directory import TRACES
from rlaif.runs.reader import Run
from rlaif.runs.store import TraceReader
from rlaif.runs.summary import Summary, summarise

MOST_TRACES = 1000
LARGEST_PAGE = 7_900_000
"""Bytes. With long answers the sample shrinks until the page is smaller: mail servers refuse what is larger."""


class Written(Record):
    """What was written."""

    file: str
    bytes: int
    traces_shown: int
    """Prompts in the browser of traces, failed ones included."""
    traces: int
    """Prompts that are traces or failed, all in all."""


@dataclass(frozen=True)
class _Gathered:
    """All that the page of a run is made of; which traces it shows is decided last, by their size."""

    run: Run
    summary: Summary
    plots: list[Plot]
    notes: list[Note]
    why: Mapping[str, str]
    """Prompts that are printed, and why they are worth it."""
    views: Mapping[str, TraceView]


def write_run_report(
    run: Run, file: Path, *, most_traces: int = MOST_TRACES, largest_page: int = LARGEST_PAGE
) -> Written:
    """Write the report of a run. Raises UsageError and StorageError as `write_page` does."""
    gathered = _gather(run, most_traces)
    seed = run.config.seed
    shown = sample(gathered.notes, most_traces, seed)
    html = _page(gathered, shown)
    while (size := len(html.encode("utf-8", "replace"))) > largest_page and len(shown) > 1:
        fewer = max(1, int(0.97 * len(shown) * largest_page / size))
        shown = sample([note for note in gathered.notes if note.prompt_id in shown], fewer, seed)
        html = _page(gathered, shown)
    size = write_page(file, html)
    return Written(file=str(file), bytes=size, traces_shown=len(shown), traces=len(gathered.notes))


def _gather(run: Run, most_traces: int) -> _Gathered:
    measures = measure(run)
    why = telling(measures.notes)
    return _Gathered(
        run=run,
        summary=summarise(run, run.session),
        plots=run_plots(measures, run.constitution, run.config.judging.min_margin),
        notes=measures.notes,
        why=why,
        views=_views(run, sample(measures.notes, most_traces, run.config.seed) | set(why)),
    )


def _page(gathered: _Gathered, shown: Collection[str]) -> str:
    run, summary = gathered.run, gathered.summary
    views = [view for prompt_id, view in gathered.views.items() if prompt_id in shown]
    rules = [principle.id for principle in run.constitution.principles]
    return render(
        "run.html.jinja",
        title=f"{run.path.resolve().name}: {run.constitution.name}",
        run=run,
        summary=summary,
        warnings=summary.warnings,
        sums=sums_of(summary),
        facts=facts_of(run, summary),
        rules=rules_of(run.constitution),
        plots=gathered.plots,
        sampled=_sampled(len(views), gathered.notes),
        data=embedded(browser_data(views, rules)),
        printed=[printed(gathered.views[prompt_id], why) for prompt_id, why in gathered.why.items()],
    )


def _sampled(shown: int, notes: Sequence[Note]) -> str:
    """Return in words which prompts the browser has."""
    if not notes:
        return "No prompt has become a trace yet."
    if shown == len(notes):
        return f"All {shown:,} prompts that became a trace or failed are here."
    return (
        f"Here are {shown:,} of {len(notes):,} prompts, drawn by lot so that every outcome is among them, rare ones "
        "more often than their share. All counts and plots above are of the whole run; `rlaif show` has every trace."
    )


def _views(run: Run, ids: Collection[str]) -> dict[str, TraceView]:
    """Return what is shown of these prompts, in the order of the prompts."""
    views = {trace.prompt.id: view_of(trace, run.conclude(trace)) for trace in run.traces() if trace.prompt.id in ids}
    failures = {failure.prompt_id: failure for failure in run.failures() if failure.prompt_id in ids}
    if failures:
        with TraceReader(run.path / TRACES, Trace) as reader:
            prompts = [prompt for _, prompt in reader.todo() if prompt.id in failures]
        views |= {prompt.id: view_of_failure(failures[prompt.id], prompt) for prompt in prompts}
    return views
