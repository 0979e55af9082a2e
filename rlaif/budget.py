"""What one start of a run may spend: time, tokens, the prompts that its pairs are expected to need; how many are open.

A prompt that is not expected to fit is not started; open ones are finished, so that the finished prompts are the first
ones of the file, whichever limit ends the run. Limits of time and tokens hold for one start: the next one has its own.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rlaif.config.run import RunConfig
from rlaif.executor import always
from rlaif.forecast import WorkForecast, time_for_another
from rlaif.models.launch import Launch
from rlaif.models.serving import Clients
from rlaif.progress import SHOW_EVERY_S, Progress, Screen

FEWEST_OPEN, MOST_OPEN = 8, 4096
"""Prompts that are always started, and the most that are open at once, where their number is found out."""
FEWEST_TRIED = 200
"""Prompts after which a run may stop because too many of them failed."""
BACKLOG = 2
"""Requests that may wait for one server while prompts are started for another, relative to those that it has open."""


def open_prompts(config: RunConfig, clients: Clients) -> Callable[[int], int]:
    """Return how many prompts may be open, as `execute` takes it: a number, or as many as fill the servers."""
    if config.open_prompts != "auto":
        return always(config.open_prompts)

    def filling(already: int) -> int:
        """One more prompt for each request that some server has room for; none while another one has a backlog."""
        started = [client for client in clients.all if client.is_ready]
        backlog = any(client.room < -BACKLOG * client.most_open for client in started)
        room = 0 if backlog else max((client.room for client in started), default=0)
        return max(FEWEST_OPEN, min(MOST_OPEN, already + max(0, room)))

    return filling


@dataclass
class Budget:
    """The limits of one start, and the one that stopped it."""

    progress: Progress
    screen: Screen
    forecast: WorkForecast
    launches: Sequence[Launch] = ()
    max_tokens: int | None = None
    """Prompt and generated tokens that servers may report in this start."""
    most_failed: float = 1.0
    """Share of the prompts that may fail, of FEWEST_TRIED or more."""
    may_start: int | None = None
    """Further prompts that may be started; None for any number."""

    async def may_begin(self) -> bool:
        """Wait until another prompt fits into every limit; return False when none will."""
        if self.may_start is not None:
            if self.may_start == 0:
                return False
            self.may_start -= 1  # before waiting, so that two workers do not take the same place
        while not self.has_tokens_for_another():
            if self.progress.open == 0:
                used = self.progress.meter.tokens
                self.progress.stopped = f"max_total_tokens {self.max_tokens:,} ({used:,} used)"
                return False
            await asyncio.sleep(SHOW_EVERY_S)
        if await time_for_another(self.progress, self.screen, self.launches):
            return True
        self.progress.stopped = f"max_minutes {(self.progress.limit_s or 0) / 60:g}"
        return False

    def too_many_failed(self, error: Exception) -> str | None:
        """Return why the run stops after this error of a prompt, because too many failed; None where it goes on."""
        failed = self.progress.failed
        tried = failed + self.progress.done - self.progress.done_before
        if tried < FEWEST_TRIED or failed <= self.most_failed * tried:
            return None
        return (
            f"{failed} of {tried} prompts failed, more than most_failed allows ({self.most_failed:.0%}), the last one "
            f"with {type(error).__name__}: {error}. Finished prompts are kept; the same command asks the failed ones "
            "again, and --set most_failed=1 goes on whatever fails"
        )

    def has_tokens_for_another(self) -> bool:
        """Whether one more prompt is expected to fit besides the open ones; True for the first prompt."""
        begun = self.progress.open + self.forecast.finished
        if self.max_tokens is None or begun == 0:
            return True
        needed = self.forecast.tokens_for(self.progress.open, self.progress.meter) + self.forecast.tokens_per_prompt
        return self.progress.meter.tokens + needed <= self.max_tokens


def prompts_for(wanted: int, accepted: int, traces: int, per_prompt: int) -> int:
    """Return how many further prompts are expected to give the pairs that are missing.

    One standard deviation more than expected, because every further round has to count the pairs of the whole run; at
    most as many as were traced so far, because the share of a few prompts is uncertain.
    """
    missing = wanted - accepted
    if traces == 0:
        return math.ceil(missing / per_prompt)
    share = max(accepted, 0.5) / traces
    return max(1, min(traces, math.ceil((missing + math.sqrt(missing)) / share)))
