"""The end of a run in a few lines that add up, and one pair to look at."""

import json
from pathlib import Path

from rich.console import Console
from rich.text import Text

from rlaif.runs.judges import corrected_words, panel_words
from rlaif.runs.run import Run
from rlaif.runs.summary import Summary
from rlaif.screen import counted, stdout_console


def print_summary(run: Run, summary: Summary, rows: dict[str, int]) -> None:
    """Print the summary of a run to stdout."""
    console = stdout_console()
    for line in (*summary_lines(summary), *judge_lines(summary)):
        console.print(line, markup=False)
    for note in summary.notes:
        console.print(Text(f"  {note}", style="dim"))
    for warning in summary.warnings:
        console.print(Text(f"! {warning}", style="bold yellow"))
    print_one_pair(run, console)
    shown = ", ".join(f"{name} {count}" for name, count in rows.items()) or "no rows"
    console.print(f"dataset  {run.path / 'dataset'}   ({shown}; card in README.md)", markup=False)
    console.print(f"next     rlaif show {run.path}", markup=False)
    if summary.open:
        console.print(
            f"         rlaif generate {run.path}   # goes on with the {summary.open} not reached", markup=False
        )


def summary_lines(summary: Summary) -> list[str]:
    """Return the numbers of a run; every line adds up from left to right."""
    without = sum(summary.traces_without_pair.values())
    lines = [
        f"{counted(summary.prompts, 'prompt')} = {counted(summary.traces, 'trace')} + "
        + counted(summary.failures, "failure")
        + (f" + {summary.open} not reached" if summary.open else "")
        + _reasons(summary.failure_reasons),
        f"{counted(summary.matchups, 'matchup')} = {summary.decided} decided + "
        f"{summary.matchups - summary.decided} abstained" + _reasons(summary.abstained),
        f"{counted(summary.traces, 'trace')} = {summary.traces - without} with a pair + {without} without"
        + _reasons(summary.traces_without_pair)
        + (f";  {counted(summary.pairs, 'pair')}" if summary.pairs != summary.traces - without else ""),
    ]
    if summary.pairs_by_checks:
        lines.append(f"{summary.pairs_by_checks} of {counted(summary.pairs, 'pair')} decided by checks alone")
    if summary.dropped:
        lines.append(f"{counted(sum(summary.dropped.values()), 'answer')} not compared{_reasons(summary.dropped)}")
    if summary.revision_wins is not None:
        lines.append(f"a revision beats its parent with a mean probability of {summary.revision_wins:.0%}")
    if summary.conflicts:
        lines.append(f"{summary.conflicts} of the decided matchups stand against a principle that says the contrary")
    if summary.session.get("replies"):
        lines.append(_session_line(summary.session))
    return lines


def judge_lines(summary: Summary) -> list[str]:
    """Return what was corrected, and how several judges get on."""
    panel = panel_words(summary.panel) if summary.panel else []
    return [*(f"corrected  {words}" for words in corrected_words(summary.corrected)), *(f"judge  {w}" for w in panel)]


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


def json_summary(run: Run, summary: Summary, rows: dict[str, int]) -> str:
    """Return the summary for machines."""
    return json.dumps({"run": str(run.path), **summary.model_dump(mode="json"), "dataset": rows}, ensure_ascii=False)


def exported_rows(folder: Path) -> dict[str, int]:
    """Return rows per `config/split` of an export."""
    try:
        found = json.loads((folder / "rlaif.json").read_text(encoding="utf-8"))["rows"]
    except (OSError, ValueError, KeyError):
        return {}
    return {str(name): int(count) for name, count in found.items()}


def _session_line(session: dict[str, float]) -> str:
    cached = session["cached_tokens"] / session["prompt_tokens"] if session["prompt_tokens"] else 0.0
    return (
        f"{session['replies']:,.0f} replies ({session['from_store']:,.0f} from store) in {session['seconds']:.0f} s;  "
        f"{session['prompt_tokens']:,.0f} prompt tokens ({cached:.0%} cached), "
        f"{session['completion_tokens']:,.0f} generated"
    )


def _reasons(counts: dict[str, int]) -> str:
    return f" ({', '.join(f'{reason} {count}' for reason, count in sorted(counts.items()))})" if counts else ""


def _short(text: str, limit: int = 160) -> str:
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
