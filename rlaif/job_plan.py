"""What a run will cost: requests and tokens by step, time, disk and money, before it starts.

Tokens come from the settings alone, where the lengths of texts are guessed from their limits, or from a sample: some of
the run's prompts are traced by its models. Replies of the sample are kept in the reply store, so the run has them.
"""

import asyncio
import math
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from pydantic import Field

from rlaif.budget import open_prompts
from rlaif.config.run import RunConfig
from rlaif.constitution.load import load_constitution
from rlaif.constitution.schema import Constitution
from rlaif.datasets.prompts import read_prompts
from rlaif.datasets.responses import read_responses
from rlaif.errors import RunError
from rlaif.executor import Failed, execute
from rlaif.forecast import WRITTEN_COSTS, plan_prompt, tokens_of_prompt
from rlaif.models.model import Step
from rlaif.models.reply_store import ReplyStore
from rlaif.pipeline import ModelAccess, open_work, trace_prompt
from rlaif.progress import Progress, Screen
from rlaif.records import Prompt, Record, Trace, Usage
from rlaif.runs.earlier_limits import earlier_limits
from rlaif.seeds import derive_seed
from rlaif.stats.estimates import student_t

REPLY_BYTES = 450
"""Bytes of a reply in the reply store, its text aside; measured with one-token verdicts."""
RECORD_BYTES = 320
"""Bytes of the record of a request in a trace, its text aside."""
TOKEN_BYTES = 4.5
"""Bytes of a token of text."""
FEWEST_FOR_MARGIN = 3


class StepCost(Record):
    """Requests of one step of a run, and their tokens."""

    requests: float = 0
    prompt_tokens: float = 0
    """Cached ones included."""
    cached_tokens: float = 0
    """Those of them that are expected in the server's prefix cache."""
    completion_tokens: float = 0

    def __add__(self, other: "StepCost") -> "StepCost":
        """Return the sum of each count."""
        return StepCost(**{name: getattr(self, name) + getattr(other, name) for name in type(self).model_fields})

    def times(self, number: float) -> "StepCost":
        """Return each count times a number."""
        return StepCost(**{name: getattr(self, name) * number for name in type(self).model_fields})

    @property
    def work(self) -> float:
        """Cost in prompt tokens: those that are not cached, and 2.5 for a generated one."""
        return self.prompt_tokens - self.cached_tokens + WRITTEN_COSTS * self.completion_tokens


class Prices(Record):
    """Prices in any currency."""

    prompt: float = Field(default=0, ge=0)
    """Per million prompt tokens that are not cached."""
    cached: float | None = Field(default=None, ge=0)
    """Per million cached prompt tokens; by default as for those that are not."""
    generated: float = Field(default=0, ge=0)
    """Per million generated tokens."""
    hour: float = Field(default=0, ge=0)
    """Per hour of one GPU."""

    @property
    def given(self) -> bool:
        """Whether there is any price."""
        return self != Prices()


class Speed(Record):
    """How fast the servers work."""

    value: float = Field(gt=0)
    """Prompt tokens per second that are not cached, where a generated token counts as 2.5."""
    source: str
    """Where it is from, in words."""


class JobPlan(Record):
    """The expected cost of a run."""

    prompts: int
    sampled: int
    """Prompts that were traced to measure it; 0 where it comes from the settings alone."""
    steps: dict[Step, StepCost]
    margin: float | None = None
    """Half of the 95 % interval of all tokens, as a share of them; None without a sample of three prompts."""
    bytes: int
    """Size of the run and of its replies on disk."""
    speed: Speed | None = None
    gpus: int = 1
    prices: Prices = Prices()

    @property
    def total(self) -> StepCost:
        """The sum over all steps."""
        return sum(self.steps.values(), StepCost())

    @property
    def seconds(self) -> float | None:
        """Expected time, without the start of servers; None where the speed is not known."""
        return None if self.speed is None else self.total.work / self.speed.value

    @property
    def money(self) -> float | None:
        """Expected price; None without prices, or where a price per hour is given and the time is not known."""
        prices, total, seconds = self.prices, self.total, self.seconds
        if not prices.given or (prices.hour and seconds is None):
            return None
        cached = prices.prompt if prices.cached is None else prices.cached
        tokens = (
            (total.prompt_tokens - total.cached_tokens) * prices.prompt
            + total.cached_tokens * cached
            + total.completion_tokens * prices.generated
        )
        return tokens / 1e6 + (seconds or 0) / 3600 * self.gpus * prices.hour


def plan_of_settings(config: RunConfig, constitution: Constitution, prompts: Sequence[Prompt]) -> JobPlan:
    """Return the plan of a run of these prompts from its settings; nothing is asked."""
    count = len(prompts)
    tokens = sum(map(tokens_of_prompt, prompts)) / max(1, count)
    given = sum(len(prompt.given or ()) for prompt in prompts) / max(1, count)
    by_step = plan_prompt(config, constitution, given, tokens)
    steps: dict[Step, StepCost] = {
        step: StepCost(
            requests=one.requests,
            prompt_tokens=one.requests * (one.read + one.cached),
            cached_tokens=one.requests * one.cached,
            completion_tokens=one.requests * one.written,
        ).times(count)
        for step, one in by_step.items()
    }
    total = sum(steps.values(), StepCost())
    texts = total.completion_tokens + tokens * count
    size = total.requests * (REPLY_BYTES + RECORD_BYTES) + 2 * TOKEN_BYTES * texts
    return JobPlan(prompts=count, sampled=0, steps=steps, bytes=int(size))


async def plan_of_sample(config: RunConfig, prompts: Sequence[Prompt], count: int, screen: Screen) -> JobPlan:
    """Return the plan of a run after tracing `count` of its prompts, drawn at random. Raises RunError if all fail."""
    constitution = load_constitution(config.constitution)
    templates = config.judging.load_templates(config.templates, also=config.own_templates)
    progress, traces = Progress(prompts=min(count, len(prompts))), list[Trace]()
    errors: list[str] = []

    def keep(_: tuple[int, Prompt], result: Trace | Failed) -> None:
        if isinstance(result, Failed):
            errors.append(result.error)
        else:
            traces.append(result)

    logs = config.reply_store.parent / "logs"
    with ReplyStore(config.reply_store) as store:
        store.earlier = await asyncio.to_thread(earlier_limits, config)
        access = ModelAccess(store, progress.meter, logs, screen.say)
        async with open_work(config, constitution, templates, access) as work:
            progress.started = time.monotonic()
            job = partial(trace_prompt, work)
            drawn = _drawn(prompts, count, config.seed)
            await execute(
                drawn,
                lambda item: job(item[1], item[0]),
                keep,
                open_items=open_prompts(config, work.clients),
                progress=progress,
                screen=screen,
                give_up=lambda _failed, _error: None,
            )
            seconds = progress.seconds
    if not traces:
        raise RunError(f"none of the {progress.failed} sampled prompts became a trace; {errors[-1]}")
    return _scaled(progress, traces, len(prompts), seconds)


def _drawn(prompts: Sequence[Prompt], count: int, seed: int) -> Iterator[tuple[int, Prompt]]:
    places = random.Random(derive_seed(seed, "plan")).sample(range(len(prompts)), min(count, len(prompts)))
    return ((place, prompts[place]) for place in sorted(places))


def _scaled(progress: Progress, traces: Sequence[Trace], prompts: int, seconds: float) -> JobPlan:
    times = prompts / len(traces)
    steps: dict[Step, StepCost] = {
        step: StepCost(
            requests=use.replies,
            prompt_tokens=use.prompt_tokens,
            cached_tokens=use.cached_tokens,
            completion_tokens=use.completion_tokens,
        ).times(times)
        for step, use in progress.meter.with_stored.items()
    }
    total = sum(steps.values(), StepCost())
    records = times * sum(len(trace.model_dump_json(exclude_none=True).encode()) for trace in traces)
    size = records + total.requests * REPLY_BYTES + TOKEN_BYTES * total.completion_tokens
    work = progress.meter.work(WRITTEN_COSTS)
    words = f"measured with {len(traces)} prompts at once"
    return JobPlan(
        prompts=prompts,
        sampled=len(traces),
        steps=steps,
        margin=_margin([trace.usage for trace in traces], prompts),
        bytes=int(size),
        speed=Speed(value=work / seconds, source=words) if work and seconds else None,
    )


def _margin(usages: Sequence[Usage], prompts: int) -> float | None:
    """Return half of the 95 % interval of the tokens of all prompts, as a share (Student's t, sampled from a file)."""
    n = len(usages)
    if n < FEWEST_FOR_MARGIN:
        return None
    tokens = [usage.prompt_tokens + usage.completion_tokens for usage in usages]
    mean = sum(tokens) / n
    variance = sum((one - mean) ** 2 for one in tokens) / (n - 1) * (1 - n / max(n, prompts))
    return student_t(n - 1) * math.sqrt(variance / n) / mean if mean else None


def prompts_of(config: RunConfig) -> list[Prompt]:
    """Return the prompts of a run file. Raises PromptsError."""
    if config.responses is not None:
        return list(read_responses(config.responses).prompts.prompts)
    return list(read_prompts(config.prompts, config.seed).prompts)


def speed_of_session(session: Mapping[str, float], run: Path) -> Speed | None:
    """Return the speed of the servers in the last session of a run; None where it asked for nothing."""
    work = (
        session.get("prompt_tokens", 0)
        - session.get("cached_tokens", 0)
        + WRITTEN_COSTS * session.get("completion_tokens", 0)
    )
    seconds = session.get("seconds", 0)
    return Speed(value=work / seconds, source=f"measured in {run}") if work > 0 and seconds else None
