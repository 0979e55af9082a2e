"""Forecast how long a run takes, from the expected cost of a prompt and the speed of its servers.

Work is counted in prompt tokens: a generated token costs as much as 2.5 prompt tokens (1.8 to 4 on the CPUs measured).
Before the first reply the forecast comes from the configuration alone; measured values then replace it step by step.
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
from rlaif.records import Prompt, Usage

WRITTEN_COSTS = 2.5
"""Cost of a generated token, in prompt tokens."""
LENGTH_OF_LIMIT = 0.7
"""Expected length of a text as a share of its max_tokens."""
TOKENS_AROUND = 150
"""Tokens of a template without the texts that are filled in."""
CHARACTERS_PER_TOKEN = 4.0
LEAST_LEFT = 0.1
"""Least share of the expected work that is assumed to be left: open prompts that took longer are not finished."""
SURE_OF_SPEED_S = 20.0
"""Seconds of work after which the user is warned by the measured speed."""
PRIOR_S = 10.0
"""Seconds of work after which measured and expected speed have the same weight."""


@dataclass(frozen=True)
class PlannedStep:
    """The expected requests of one step for one prompt."""

    requests: float
    read: float
    """Prompt tokens of a request that are not in the server's prefix cache."""
    written: float
    """Tokens that a request generates."""
    cached: float = 0.0
    """Prompt tokens of a request that are in the server's prefix cache."""

    @property
    def tokens(self) -> float:
        """Prompt tokens, cached ones included, and generated tokens of one request."""
        return self.read + self.cached + self.written

    @property
    def work(self) -> float:
        """Cost of one request, in prompt tokens."""
        return self.read + WRITTEN_COSTS * self.written


Plan = Mapping[Step, PlannedStep]


def plan_prompt(config: RunConfig, constitution: Constitution, given: float = 0, prompt: float = 0) -> Plan:
    """Return the expected requests of one prompt by step, from the configuration alone.

    `given` is the mean number of given responses, where none are sampled, and `prompt` the mean tokens of a prompt.
    """
    asked, revision = config.sampled_by, config.revision
    responses = round(given) or config.samples
    sample = LENGTH_OF_LIMIT * sum(one.sampling.n * one.sampling.max_tokens for one in asked) / config.samples
    critique, revised = LENGTH_OF_LIMIT * revision.critique_max_tokens, LENGTH_OF_LIMIT * revision.max_tokens
    rounds = responses * revision.rounds
    plan: dict[Step, PlannedStep] = {
        "sampling": PlannedStep(0 if given else len(asked), TOKENS_AROUND + prompt, responses * sample / len(asked)),
        "critique": PlannedStep(rounds, 2 * TOKENS_AROUND + prompt + sample, critique),
        "revision": PlannedStep(rounds, 2 * TOKENS_AROUND + prompt + sample + critique, revised),
    }
    judging = _plan_judging(config, constitution, responses, sample, prompt)
    return plan if judging is None else plan | {"judging": judging}


def _plan_judging(
    config: RunConfig, constitution: Constitution, responses: int, sample: float, prompt: float
) -> PlannedStep | None:
    judging, revision, asked = config.judging, config.revision, constitution.asked
    kept = revision.rounds if revision.candidates == "all" else min(1, revision.rounds)
    candidates = responses * (1 + kept)
    drawn = len(asked) if judging.principles == "all" else min(judging.principles, len(asked))
    orders = 2 if judging.orders == "both" else 1
    pairwise = [judge for judge in judging.panel if judge.kind in PAIRWISE]
    verdicts = expected_matchups(candidates, responses * kept) * drawn * orders * len(pairwise)
    pointwise = candidates * max(1, drawn) * (len(judging.panel) - len(pairwise))
    if verdicts + pointwise == 0:
        return None
    # All principles of one order share a prefix with both responses in the server's cache. Only the first principle
    # reads it, and only the second response where the first one was shown first in another matchup, too.
    read = _question_tokens(asked) + (TOKENS_AROUND / 3 + prompt / 2 + 1.2 * sample) / max(1, drawn)
    thoughts = sum(judge.thought_tokens for judge in pairwise)
    cached = max(0.0, TOKENS_AROUND + prompt + 2 * sample + _question_tokens(asked) - read)
    return PlannedStep(verdicts + pointwise, read, 1 + LENGTH_OF_LIMIT * thoughts / len(judging.panel), cached)


@dataclass
class WorkForecast:
    """Forecasts the seconds of work that are left."""

    plan: Plan
    speed: float | None = None
    """Expected prompt tokens per second of the servers; None where it is not known."""
    finished: int = 0
    finished_work: float = 0.0
    """Work of the prompts that were finished in this session, in prompt tokens."""
    finished_tokens: int = 0
    """Prompt and generated tokens of those prompts, replies from the store included."""

    def finish(self, usage: Usage) -> None:
        """Count a finished prompt and its work."""
        self.finished += 1
        self.finished_work += work_of(usage)
        self.finished_tokens += usage.prompt_tokens + usage.completion_tokens

    @property
    def tokens_per_prompt(self) -> float:
        """Expected prompt and generated tokens of a prompt; the plan weighs as much as one finished prompt."""
        planned = sum(step.requests * step.tokens for step in self.plan.values())
        return (planned + self.finished_tokens) / (1 + self.finished)

    def tokens_for(self, unfinished: int, meter: Meter) -> float:
        """Return the tokens still needed by `unfinished` prompts that are open, at most: as if none came from store."""
        expected = unfinished * self.tokens_per_prompt
        done_in_open = max(0, meter.tokens - self.finished_tokens)
        return max(LEAST_LEFT * expected, expected - done_in_open)

    def seconds_for(self, unfinished: int, meter: Meter, elapsed: float) -> float | None:
        """Return the seconds of work left in `unfinished` prompts, open ones included; None where it is unknown."""
        speed = self.measured_speed(meter, elapsed)
        if speed is None:
            return None
        expected = unfinished * self.work_per_prompt(meter)
        done_in_open = max(0.0, meter.work(WRITTEN_COSTS) - self.finished_work)
        return max(LEAST_LEFT * expected, expected - done_in_open) / speed

    def work_per_prompt(self, meter: Meter) -> float:
        """Return the expected work of a prompt in prompt tokens; the plan weighs as much as one finished prompt."""
        planned = sum(step.requests * _cost(step, meter.steps.get(name)) for name, step in self.plan.items())
        return (planned + self.finished_work) / (1 + self.finished)

    def measured_speed(self, meter: Meter, elapsed: float) -> float | None:
        """Return the prompt tokens per second so far, averaged with the expected speed; None where neither is known."""
        done = meter.work(WRITTEN_COSTS)
        if self.speed is None:
            return done / elapsed if done and elapsed else None
        return (done + PRIOR_S * self.speed) / (elapsed + PRIOR_S)


def plan_words(plan: Plan, prompts: int) -> str:
    """Return what so many prompts are expected to ask for, in words."""
    requests = prompts * sum(step.requests for step in plan.values())
    read = prompts * sum(step.requests * (step.read + step.cached) for step in plan.values())
    cached = prompts * sum(step.requests * step.cached for step in plan.values())
    written = prompts * sum(step.requests * step.written for step in plan.values())
    return (
        f"{requests:,.0f} requests, {read:,.0f} prompt tokens ({cached / max(1.0, read):.0%} cached), "
        f"{written:,.0f} generated"
    )


def tokens_of_prompt(prompt: Prompt) -> float:
    """Return about how many tokens the turns of a prompt have."""
    return sum(len(message.readable) for message in prompt.messages) / CHARACTERS_PER_TOKEN


def work_of(usage: Usage) -> float:
    """Return the work of some replies, in prompt tokens."""
    return usage.prompt_tokens - usage.cached_tokens + WRITTEN_COSTS * usage.completion_tokens


def _cost(planned: PlannedStep, seen: StepUse | None) -> float:
    """Return the work of a request: the mean over the replies so far, where the plan counts as two replies."""
    if seen is None:
        return planned.work
    return (2 * planned.work + seen.work(WRITTEN_COSTS)) / (2 + seen.replies)


def _question_tokens(principles: Iterable[Principle]) -> float:
    lengths = [len(principle.compare or "") for principle in principles]
    return 35 + sum(lengths) / max(1, len(lengths)) / CHARACTERS_PER_TOKEN


async def time_for_another(progress: Progress, screen: Screen, launches: Sequence[Launch]) -> bool:
    """Wait until another prompt fits into the time that is left; return False when none will."""
    while not progress.has_time_for_another():
        if progress.open == 0:
            return False
        if progress.seconds > SURE_OF_SPEED_S and not progress.said_slow:
            progress.said_slow = True
            screen.say(await asyncio.to_thread(_slow_line, progress, launches))
        await asyncio.sleep(SHOW_EVERY_S)
    return True


def _slow_line(progress: Progress, launches: Sequence[Launch]) -> str:
    """Return a warning: how many prompts fit into the time limit, why not more, and what would help."""
    assert progress.limit_s is not None
    finished, limit = progress.done + progress.open, f"{progress.limit_s / 60:g}"
    causes, helps = slowness(launches)
    return (
        f"! slow: about {finished} of {progress.prompts} prompts will be finished within max_minutes: {limit}"
        + (f" ({'; '.join(causes)})" if causes else "")
        + f". Run the same command again for the rest; faster with: {', '.join(helps)}"
    )
