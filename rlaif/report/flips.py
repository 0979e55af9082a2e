"""The labels of a file of responses that the critic flips, as texts for a run's page."""

from dataclasses import dataclass

from rlaif.runs.reader import Run
from rlaif.runs.summary import Summary

MOST = 20
"""Labels on the page; all of them are in flips.jsonl."""
LONGEST = 600
"""Characters of a text on the page."""


@dataclass(frozen=True)
class Flip:
    """A label that the critic flips."""

    row: str
    prompt_id: str
    p_wrong: str
    prompt: str
    file_prefers: str
    critic_prefers: str


def flips_of(run: Run, summary: Summary) -> list[Flip]:
    """Return the labels that the critic flips, the likeliest wrong ones first; none for sampled responses."""
    if summary.given is None or summary.given.agreement is None:
        return []
    return [
        Flip(
            row=one.row or "",
            prompt_id=one.prompt_id,
            p_wrong=f"{one.p_wrong:.2f}",
            prompt=_short(one.prompt[-1].readable),
            file_prefers=_short(one.better_text),
            critic_prefers=_short(one.worse_text),
        )
        for one in run.flips(MOST)
    ]


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
