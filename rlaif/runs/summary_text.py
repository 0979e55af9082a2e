"""The numbers of a run in sentences that add up, for terminal and page alike."""

from rlaif.runs.summary import Summary
from rlaif.text.wording import counted


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


def _session_line(session: dict[str, float]) -> str:
    cached = session["cached_tokens"] / session["prompt_tokens"] if session["prompt_tokens"] else 0.0
    return (
        f"{session['replies']:,.0f} replies ({session['from_store']:,.0f} from store) in {session['seconds']:.0f} s;  "
        f"{session['prompt_tokens']:,.0f} prompt tokens ({cached:.0%} cached), "
        f"{session['completion_tokens']:,.0f} generated"
    )


def _reasons(counts: dict[str, int]) -> str:
    return f" ({', '.join(f'{reason} {count}' for reason, count in sorted(counts.items()))})" if counts else ""
