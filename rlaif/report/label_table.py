"""The labels of a file of responses that are most likely wrong, as a table of a run's page."""

from rlaif.report.drawing import Table
from rlaif.runs.reader import Run
from rlaif.runs.summary import Summary

MOST = 20
"""Labels in the table; all of them are in likely_wrong.jsonl."""
LONGEST = 400
"""Characters of a text in the table."""


def flips_table(run: Run, summary: Summary) -> Table | None:
    """Return the labels that the critic flips, the surest first; None where there are none."""
    if summary.given is None or summary.given.agreement is None or not summary.given.agreement.flips:
        return None
    return Table(
        columns=("Row", "p(label is wrong)", "Prompt", "The file prefers", "The critic prefers"),
        rows=tuple(
            (
                f"{one.row} ({one.prompt_id})",
                f"{one.p_wrong:.2f}",
                *(_short(text) for text in (one.prompt[-1].readable, one.better_text, one.worse_text)),
            )
            for one in run.likely_wrong(MOST)
        ),
    )


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
