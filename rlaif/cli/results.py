"""The output at the end of a run: counts, notes, warnings, and the pair with the largest margin."""

import json
from pathlib import Path

from rich.console import Console
from rich.text import Text

from rlaif.cli.console import stdout_console
from rlaif.forecast import plan_prompt, plan_words
from rlaif.records import Trace
from rlaif.runs.certificate import certificate_words, read_certification
from rlaif.runs.certified import certificate_in_force, state_of
from rlaif.runs.description import corrected_words, given_lines, panel_words, summary_lines
from rlaif.runs.directory import TRACES
from rlaif.runs.file_labels import FLIPS, LABELS
from rlaif.runs.given import REFUSED
from rlaif.runs.reader import Run
from rlaif.runs.reviews import read_reviews
from rlaif.runs.store import TraceReader
from rlaif.runs.summary import Summary
from rlaif.text.wording import counted


def print_summary(run: Run, summary: Summary, rows: dict[str, int]) -> None:
    """Print the summary of a run to stdout."""
    console = stdout_console()
    for line in (*given_lines(summary), *summary_lines(summary), *planned_lines(run, summary), *judge_lines(summary)):
        console.print(line, markup=False)
    for note in summary.notes:
        console.print(Text(f"  {note}", style="dim"))
    for warning in summary.warnings:
        console.print(Text(f"! {warning}", style="bold yellow"))
    if summary.given is None:
        print_one_pair(run, console)
    else:
        print_flips(run, summary, console)
    shown = ", ".join(f"{name} {count}" for name, count in rows.items()) or "no rows"
    console.print(f"dataset  {run.path / 'dataset'}   ({shown}; card in README.md)", markup=False)
    console.print(f"next     rlaif show {run.path}", markup=False)
    if summary.open:
        more = " --max-pairs NUMBER" if summary.pairs == run.config.max_pairs else ""
        console.print(
            f"         rlaif generate {run.path}{more}   # continues with the {summary.open} prompts not reached",
            markup=False,
        )


def planned_lines(run: Run, summary: Summary) -> list[str]:
    """Return a line on what the settings let expect of the traces and what they needed; none of a finished run."""
    if not summary.session.get("replies"):
        return []
    with TraceReader(run.path / TRACES, Trace) as reader:
        plan = plan_prompt(run.config, run.constitution, reader.mean_given(), reader.mean_tokens())
    used = summary.usage
    return [
        f"planned for {counted(summary.traces, 'trace')}: {plan_words(plan, summary.traces)}; needed, replies from the "
        f"store included: {used.requests:,} requests, {used.prompt_tokens:,} prompt tokens, "
        f"{used.completion_tokens:,} generated"
    ]


def judge_lines(summary: Summary) -> list[str]:
    """Return lines on the corrections made, and on how often the judges of a panel agree."""
    panel = panel_words(summary.panel) if summary.panel else []
    return [*(f"corrected  {words}" for words in corrected_words(summary.corrected)), *(f"judge  {w}" for w in panel)]


def certificate_lines(run: Run) -> list[str]:
    """Return a line on the run's certificate; none where it has none, or one that the warnings say is not valid."""
    certificate, valid = state_of(run)
    if certificate is None and read_certification(run.path).attempts:
        return ["certified  nothing: no attempt to certify this run succeeded"]
    return [f"certified  {certificate_words(certificate)}"] if certificate and valid else []


def review_lines(run: Run) -> list[str]:
    """Return a line on the people who reviewed the run; none where nobody has."""
    verdicts = [f"{name} {len(found)}" for name, found in read_reviews(run.path).items() if found]
    if not verdicts:
        return []
    return [f"reviewed   by people, pairs: {', '.join(verdicts)}; rlaif review {run.path} --results"]


def print_one_pair(run: Run, console: Console) -> None:
    """Print the pair with the largest margin, shortened."""
    best = None
    for trace, conclusion in run.conclusions():
        for pair in conclusion.pairs:
            if best is None or pair.margin > best[1].margin:
                best = (trace, pair)
    if best is None:
        return
    trace, pair = best
    console.print(Text(f"\n{pair.prompt_id}   p_chosen {pair.p_chosen:.2f}", style="bold"))
    console.print(f"  prompt    {_short(trace.prompt.messages[-1].content)}", markup=False)
    for label, response_id in (("chosen", pair.chosen), ("rejected", pair.rejected)):
        console.print(f"  {label:9} {_short(trace.response(response_id).text)}  [{response_id}]", markup=False)
    console.print()


TOP_ROWS = 3


def print_flips(run: Run, summary: Summary, console: Console) -> None:
    """Print the flips of the largest probability that the file is wrong, and the files that have all of them."""
    assert summary.given is not None
    agreement, refused = summary.given.agreement, sum(summary.given.file.refused.values())
    for one in run.flips(TOP_ROWS) if agreement else ():
        console.print(Text(f"\n{one.row}   p(the label is wrong) {one.p_wrong:.2f}", style="bold"))
        console.print(f"  prompt          {_short(one.prompt[-1].content)}", markup=False)
        for side, text, place in (("file", one.better_text, one.better), ("critic", one.worse_text, one.worse)):
            console.print(f"  {side:7} prefers {_short(text)}  [{place}]", markup=False)
    console.print()
    if agreement is not None:
        console.print(f"labels   {run.path / LABELS}   ({agreement.labels}, in the file's order)", markup=False)
        flips = f"{agreement.flips} that the critic flips, the likeliest wrong ones first"
        console.print(f"flips    {run.path / FLIPS}   ({flips})", markup=False)
    if refused:
        console.print(
            f"refused  {run.path / REFUSED}   ({counted(refused, 'row')}, with line and reason)", markup=False
        )


def json_summary(run: Run, summary: Summary, rows: dict[str, int]) -> str:
    """Return the summary as JSON."""
    certificate = certificate_in_force(run)
    found = {"run": str(run.path), **summary.model_dump(mode="json"), "dataset": rows}
    return json.dumps(
        found | {"certificate": certificate.model_dump(mode="json") if certificate else None},
        ensure_ascii=False,
    )


def exported_rows(folder: Path) -> dict[str, int]:
    """Return the number of rows by `config/split` of an exported dataset; empty where there is none."""
    try:
        found = json.loads((folder / "rlaif.json").read_text(encoding="utf-8"))["rows"]
    except (OSError, ValueError, KeyError):
        return {}
    return {str(name): int(count) for name, count in found.items()}


def _short(text: str, limit: int = 160) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
