"""Programs look at the answers of one prompt; no model is asked.

Every answer is looked at once, in a thread: a function of the user's own may take its time.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from rlaif.checks import CheckResult, NamedCheck, run_check
from rlaif.records import Checked, Prompt


class Text(Protocol):
    """An answer, whatever else is known of it."""

    @property
    def id(self) -> str:
        """Its name among the prompt's answers."""

    @property
    def text(self) -> str:
        """What it says."""


@dataclass(frozen=True)
class Findings:
    """What the checks of one prompt found in its answers."""

    checks: Sequence[NamedCheck]
    results: Mapping[tuple[str, str], CheckResult]
    """Under (check, answer)."""

    def of(self, a: str, b: str) -> tuple[Checked, ...]:
        """Return what they found in two of the answers."""
        return tuple(
            Checked(principle=check.id, a=self.results[check.id, a], b=self.results[check.id, b])
            for check in self.checks
        )


async def check_answers(checks: Sequence[NamedCheck], prompt: Prompt, answers: Sequence[Text]) -> Findings:
    """Return what every check finds in every answer. Raises CheckError when a check of the user's own breaks."""

    def run() -> dict[tuple[str, str], CheckResult]:
        return {(one.id, answer.id): run_check(one.check, answer.text, prompt) for one in checks for answer in answers}

    return Findings(checks, await asyncio.to_thread(run) if checks else {})
