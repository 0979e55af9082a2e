"""Write the report of one run, finished or not, as one HTML file; the same run gives the same bytes."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from rlaif.records import Record, Trace
from rlaif.report.facts import facts_of, rules_of, sums_of
from rlaif.report.flips import flips_of
from rlaif.report.html_page import embedded, render, write_page
from rlaif.report.printed_traces import Printed, printed
from rlaif.report.run_measures import Measures, Note, measure
from rlaif.report.run_plots import run_plots
from rlaif.report.trace_views import TraceView, browser_data, view_of, view_of_failure
from rlaif.runs.directory import TRACES
from rlaif.runs.reader import Run
from rlaif.runs.store import TraceReader
from rlaif.runs.summary import summarise
from rlaif.seeds import derive_seed

MOST_TRACES = 1000
LARGEST_PAGE = 7_900_000
"""Bytes. Mail servers refuse larger files, so with long responses fewer traces are shown."""

LEAST_OF_EACH = 20
"""Least number of prompts of every outcome in a sample; all of them where there are fewer."""


class Written(Record):
    """The path and size of a written report."""

    file: str
    bytes: int
    traces_shown: int
    """Prompts in the browser of traces, including failed ones."""
    traces: int
    """All prompts that became a trace or failed."""


def write_run_report(
    run: Run, file: Path, *, most_traces: int = MOST_TRACES, largest_page: int = LARGEST_PAGE
) -> Written:
    """Write the report of a run. Raises UsageError and StorageError as `write_page` does."""
    measures, seed = measure(run), run.config.seed
    notes = measures.notes
    shown, extremes = sample(notes, most_traces, seed), extreme_prompts(notes)
    views = _views(run, shown | set(extremes))
    page = _page_of(run, measures, [printed(views[prompt_id], reason) for prompt_id, reason in extremes.items()])
    html = page([view for prompt_id, view in views.items() if prompt_id in shown])
    while (size := len(html.encode("utf-8", "replace"))) > largest_page and len(shown) > 1:
        fewer = max(1, int(0.97 * len(shown) * largest_page / size))
        shown = sample([note for note in notes if note.prompt_id in shown], fewer, seed)
        html = page([view for prompt_id, view in views.items() if prompt_id in shown])
    return Written(file=str(file), bytes=write_page(file, html), traces_shown=len(shown), traces=len(notes))


def _page_of(run: Run, measures: Measures, printed_traces: list[Printed]) -> Callable[[Sequence[TraceView]], str]:
    """Return a function that takes the traces to browse and returns the page as HTML."""
    summary = summarise(run, run.session)
    constant = {
        "title": f"{run.path.resolve().name}: {run.constitution.name}",
        "run": run,
        "summary": summary,
        "warnings": summary.warnings,
        "sums": sums_of(summary),
        "facts": facts_of(run, summary),
        "flips": flips_of(run, summary),
        "rules": rules_of(run.constitution),
        "plots": run_plots(measures, run.constitution, run.config.judging.min_margin),
        "printed": printed_traces,
    }
    rules = [principle.id for principle in run.constitution.principles]

    def page(views: Sequence[TraceView]) -> str:
        data = embedded(browser_data(views, rules))
        return render("run.html.jinja", **constant, sampled=_sampled(len(views), measures.notes), data=data)

    return page


def _sampled(shown: int, notes: Sequence[Note]) -> str:
    """Return the sentence that says which prompts are in the browser."""
    if not notes:
        return "No prompt is finished yet."
    if shown == len(notes):
        return f"All {shown:,} prompts that are finished or failed are here."
    return (
        f"Here are {shown:,} of {len(notes):,} prompts, drawn at random so that every outcome is included; rare "
        "outcomes are overrepresented. All counts and plots above cover the whole run; `rlaif show` prints any trace."
    )


def _views(run: Run, ids: Collection[str]) -> dict[str, TraceView]:
    """Return the views of the prompts with these ids, traces first, then failures."""
    views = {trace.prompt.id: view_of(trace, run.conclude(trace)) for trace in run.traces() if trace.prompt.id in ids}
    failures = {failure.prompt_id: failure for failure in run.failures() if failure.prompt_id in ids}
    if failures:
        with TraceReader(run.path / TRACES, Trace) as reader:
            prompts = [prompt for _, prompt in reader.todo() if prompt.id in failures]
        views |= {prompt.id: view_of_failure(failures[prompt.id], prompt) for prompt in prompts}
    return views


def sample(notes: Sequence[Note], size: int, seed: int) -> set[str]:
    """Return the ids of `size` prompts: some of every outcome, the rest at random.

    The draw depends only on the prompts' ids and the seed.
    """
    drawn = sorted(notes, key=lambda note: (derive_seed(seed, note.prompt_id, "report"), note.prompt_id))
    if len(drawn) <= size:
        return {note.prompt_id for note in drawn}
    by_outcome: dict[str, list[str]] = defaultdict(list)
    for note in drawn:
        by_outcome[note.outcome].append(note.prompt_id)
    of_each = min(LEAST_OF_EACH, size // len(by_outcome))
    chosen = [prompt_id for ids in by_outcome.values() for prompt_id in ids[:of_each]]
    rest = [note.prompt_id for note in drawn if note.prompt_id not in set(chosen)]
    return {*chosen, *rest[: size - len(chosen)]}


def extreme_prompts(notes: Sequence[Note], of_each: int = 2) -> dict[str, str]:
    """Return {prompt id: why}: prompts with the largest and smallest margins, and with the most order noise."""
    paired = sorted((note for note in notes if note.margin is not None), key=lambda note: note.margin or 0)
    noisy = sorted((note for note in notes if note.noise is not None), key=lambda note: -(note.noise or 0))
    found: dict[str, str] = {}
    for why, some in (
        ("one of the pairs with the largest margin", paired[::-1]),
        ("one of the pairs with the smallest margin", paired),
        ("among the strongest disagreements of the two orders", noisy),
    ):
        fresh = [note.prompt_id for note in some if note.prompt_id not in found]
        found |= dict.fromkeys(fresh[:of_each], why)
    return found
