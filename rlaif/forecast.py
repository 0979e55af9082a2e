"""How long a run will take, from its first second on: what a prompt costs, and what the servers have managed so far.

Work is counted in prompt tokens read: a token that is written costs as much as 2.5 that are read (1.8 to 4 on the CPUs
measured). Before the first reply the plan alone speaks; then what was measured replaces it.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rlaif.config.run import RunConfig
from rlaif.constitution.schema import Constitution, Principle
from rlaif.judges import PAIRWISE
from rlaif.models.launch import Launch
from rlaif.models.model import Meter, Step, StepUse
from rlaif.models.serving import slowness
from rlaif.preferences.ranking import expected_matchups
from rlaif.progress import SHOW_EVERY_S, Progress, Screen
from rlaif.records import Usage

WRITTEN_COSTS = 2.5
"""Cost of a written token, in tokens read."""
LENGTH_OF_LIMIT = 0.7
"""Length of a response beside the most it may have, before one was seen."""
TOKENS_AROUND = 150
"""Tokens of a template around what is filled in."""
CHARACTERS_PER_TOKEN = 4.0
LEAST_LEFT = 0.1
"""Share of an unfinished prompt's work that is left at the least: one that takes more than expected isn't done."""
SURE_OF_SPEED_S = 20.0
"""Seconds of work after which the measured speed is trusted."""
PRIOR_S = 10.0
"""Seconds of measured work after which measured and expected speed count the same."""


@dataclass(frozen=True)
class PlannedStep:
    """What one kind of request will cost for a prompt."""

    requests: float
    read: float
    """Prompt tokens that a request cannot take from the server's cache."""
    written: float

    @property
    def work(self) -> float:
        """Cost of one request, in tokens read."""
        return self.read + WRITTEN_COSTS * self.written


Plan = Mapping[Step, PlannedStep]


def plan_prompt(config: RunConfig, constitution: Constitution) -> Plan:
    """Return what a prompt is expected to cost, step by step, from the configuration alone."""
    sampling, revision = config.sampling, config.revision
    sample = LENGTH_OF_LIMIT * sampling.max_tokens
    critique, revised = LENGTH_OF_LIMIT * revision.critique_max_tokens, LENGTH_OF_LIMIT * revision.max_tokens
    rounds = sampling.n * revision.rounds
    plan: dict[Step, PlannedStep] = {
        "sampling": PlannedStep(1, TOKENS_AROUND, sampling.n * sample),
        "critique": PlannedStep(rounds, 2 * TOKENS_AROUND + sample, critique),
        "revision": PlannedStep(rounds, 2 * TOKENS_AROUND + sample + critique, revised),
    }
    judging = _plan_judging(config, constitution, sample)
    return plan if judging is None else plan | {"judging": judging}


def _plan_judging(config: RunConfig, constitution: Constitution, sample: float) -> PlannedStep | None:
    judging, revision, asked = config.judging, config.revision, constitution.asked
    kept = revision.rounds if revision.candidates == "all" else min(1, revision.rounds)
    candidates = config.sampling.n * (1 + kept)
    drawn = len(asked) if judging.principles == "all" else min(judging.principles, len(asked))
    orders = 2 if judging.orders == "both" else 1
    pairwise = [judge for judge in judging.panel if judge.kind in PAIRWISE]
    verdicts = expected_matchups(candidates) * drawn * orders * len(pairwise)
    looks = candidates * max(1, drawn) * (len(judging.panel) - len(pairwise))
    if verdicts + looks == 0:
        return None
    # All principles of one order share the responses in the server's cache; the first of them reads them, and where a
    # response was shown first in another matchup, only the second one.
    read = _question_tokens(asked) + (TOKENS_AROUND / 3 + 1.2 * sample) / max(1, drawn)
    thoughts = sum(judge.thought_tokens for judge in pairwise)
    return PlannedStep(verdicts + looks, read, 1 + LENGTH_OF_LIMIT * thoughts / len(judging.panel))


@dataclass
class WorkForecast:
    """How long the rest takes, as far as can be told now."""

    plan: Plan
    speed: float | None = None
    """Tokens read a second that are expected of the servers; None where nothing is known of them."""
    finished: int = 0
    finished_work: float = 0.0
    """Work behind the prompts that were finished in this session."""

    def finish(self, usage: Usage) -> None:
        """Take note of what a finished prompt took."""
        self.finished += 1
        self.finished_work += work_of(usage)

    def seconds_for(self, unfinished: int, meter: Meter, elapsed: float) -> float | None:
        """Return seconds of work left in so many unfinished prompts, open ones included; None where nothing tells."""
        speed = self.measured_speed(meter, elapsed)
        if speed is None:
            return None
        expected = unfinished * self.work_per_prompt(meter)
        done_in_open = max(0.0, meter.work(WRITTEN_COSTS) - self.finished_work)
        return max(LEAST_LEFT * expected, expected - done_in_open) / speed

    def work_per_prompt(self, meter: Meter) -> float:
        """Return the expected work of a prompt; the plan counts as much as one finished prompt."""
        planned = sum(step.requests * _cost(step, meter.steps.get(name)) for name, step in self.plan.items())
        return (planned + self.finished_work) / (1 + self.finished)

    def measured_speed(self, meter: Meter, elapsed: float) -> float | None:
        """Return work a second so far; at first mixed with what is expected."""
        done = meter.work(WRITTEN_COSTS)
        if self.speed is None:
            return done / elapsed if done and elapsed else None
        return (done + PRIOR_S * self.speed) / (elapsed + PRIOR_S)


def work_of(usage: Usage) -> float:
    """Return the work behind some replies, in tokens read."""
    return usage.prompt_tokens - usage.cached_tokens + WRITTEN_COSTS * usage.completion_tokens


def _cost(planned: PlannedStep, seen: StepUse | None) -> float:
    """Return the work of a request: what was planned, soon replaced by the mean of those that were answered."""
    if seen is None:
        return planned.work
    return (2 * planned.work + seen.work(WRITTEN_COSTS)) / (2 + seen.replies)


def _question_tokens(principles: Iterable[Principle]) -> float:
    lengths = [len(principle.compare or "") for principle in principles]
    return 35 + sum(lengths) / max(1, len(lengths)) / CHARACTERS_PER_TOKEN


async def time_for_another(progress: Progress, screen: Screen, launches: Sequence[Launch]) -> bool:
    """Wait until another prompt fits into the time that is left; False when it can't any more."""
    while not progress.has_time_for_another():
        if progress.open == 0:
            return False
        if progress.seconds > SURE_OF_SPEED_S and not progress.said_slow:
            progress.said_slow = True
            screen.say(await asyncio.to_thread(_slow_line, progress, launches))
        await asyncio.sleep(SHOW_EVERY_S)
    return True


def _slow_line(progress: Progress, launches: Sequence[Launch]) -> str:
    """Return what will be made within the time there is, why it is not more, and what would help."""
    assert progress.limit_s is not None
    made, limit = progress.done + progress.open, f"{progress.limit_s / 60:g}"
    causes, helps = slowness(launches)
    return (
        f"! slow: about {made} of {progress.prompts} prompts in max_minutes: {limit}"
        + (f" ({'; '.join(causes)})" if causes else "")
        + f". Starting the run again makes the rest; what would help: {', '.join(helps)}"
    )
