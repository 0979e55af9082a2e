"""Ask the tuned model, the base and the critic, one after the other (`rlaif evaluate policy`).

Two servers may not fit on one machine, so a server that is started here is stopped before the next one starts. The
tuned model responds and scores its own responses; the base responds and scores the tuned model's responses; then the
critic judges, on the base's server if it is the same model. Every reply is stored at once, so the same command
continues where it was stopped.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from rlaif.errors import ConfigError, UsageError
from rlaif.evaluate.policy.gains_and_losses import Side
from rlaif.evaluate.policy.outputs import (
    OutputsOfBoth,
    PolicyOutputs,
    Responses,
    TextLogprobs,
    ask_policy,
    score_responses,
)
from rlaif.evaluate.policy.policy_report import CriticOutputs, PolicyEvaluation, evaluation_of
from rlaif.evaluate.policy.questions import PolicyTest
from rlaif.evaluate.policy.refusals_and_sycophancy import Readings, read_refusals
from rlaif.evaluate.policy.win_rates import judge_responses, response_pairs
from rlaif.executor import Failed
from rlaif.models.client import ModelClient
from rlaif.models.config import ModelConfig
from rlaif.models.model import Model
from rlaif.models.reply_store import ReplyStore
from rlaif.models.serving import open_models
from rlaif.progress import Progress, Screen, Silent


@dataclass(frozen=True)
class _Stage:
    """A connected model and the progress of its questions."""

    test: PolicyTest
    model: Model
    store: ReplyStore
    progress: Progress
    screen: Screen

    def next(self, unit: str) -> "_Stage":
        """Return a stage with the same model and a new progress."""
        progress = Progress(unit=unit)
        kwargs = self.test.critic.chat_template_kwargs
        return replace(self, model=Model(self.model.client, self.store, progress.meter, kwargs), progress=progress)


async def evaluate_policy(test: PolicyTest, screen: Screen | None = None) -> tuple[PolicyEvaluation, OutputsOfBoth]:
    """Ask both models and the critic; return the evaluation and all outputs of both models.

    Raises UsageError where there is nothing to ask, what `open_models` raises, and RequestError when all questions to a
    model fail; single questions that fail after all retries are counted.
    """
    check_usable(test)
    await _refuse_unreachable(test)
    with ReplyStore(test.cache) as store:
        outputs, critic = await _ask_all(test, store, screen or Silent())
        store.flush()
    return evaluation_of(test, outputs, critic), outputs


def check_usable(test: PolicyTest) -> None:
    """Raise ConfigError or UsageError where there is nothing to judge by, or nothing to ask."""
    for constitution in test.constitutions:
        if not constitution.comparing:
            raise ConfigError(f"constitution {constitution.name} has no principle with a compare question or a check")
    names = [constitution.name for constitution in test.constitutions]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two constitutions are called {name}; give one of them another `name`")
    if not test.prompts:
        raise UsageError(
            f"{test.source}: all {len(test.dropped)} prompts are in the training data; use other prompts"
            if test.dropped
            else f"{test.source}: contains no prompts"
        )


async def _refuse_unreachable(test: PolicyTest) -> None:
    """Raise EndpointError or UsageError for a server that cannot be reached, before the other models are asked."""
    for config in (test.base, test.tuned, test.critic):
        if not config.managed:
            async with ModelClient(config) as client:
                await client.connect()


async def _ask_all(test: PolicyTest, store: ReplyStore, screen: Screen) -> tuple[OutputsOfBoth, CriticOutputs]:
    async with _stage(test, test.tuned, "the tuned model", store, screen) as stage:
        tuned = await _ask(stage, "tuned")
        by_tuned, unscored = ({}, WITH_SYSTEM) if test.systems else await _score(stage, tuned)
    by_base: dict[str, TextLogprobs | Failed] = {}
    critic = None
    async with _stage(test, test.base, "the base", store, screen) as stage:
        base = await _ask(stage, "base")
        if unscored is None:
            by_base, unscored = await _score(stage, tuned)
        if test.critic == test.base:
            critic = await _judge(stage, base, tuned)
    if critic is None:
        async with _stage(test, test.critic, "the critic", store, screen) as stage:
            critic = await _judge(stage, base, tuned)
    return OutputsOfBoth(base, tuned, by_tuned, by_base, unscored), critic


@asynccontextmanager
async def _stage(
    test: PolicyTest, config: ModelConfig, what: str, store: ReplyStore, screen: Screen
) -> AsyncIterator[_Stage]:
    """Yield a connected model; a server that is started here is stopped at the end of the context."""
    progress = Progress(unit="questions")
    opened = open_models(config, config, store=store, meter=progress.meter, logs=test.logs, say=screen.say)
    async with opened as (model, _):
        screen.say(f"{what}, {model.name}")
        progress.started = time.monotonic()  # a server may have taken minutes to start
        yield _Stage(test, model, store, progress, screen)


WITH_SYSTEM = "a system prompt makes another text of each prompt"


async def _ask(stage: _Stage, side: Side) -> PolicyOutputs:
    stage.progress.prompts += stage.test.question_count()
    system = stage.test.systems.get(side, "")
    return await ask_policy(stage.test, stage.model, stage.progress, stage.screen, system)


async def _score(stage: _Stage, tuned: PolicyOutputs) -> tuple[dict[str, TextLogprobs | Failed], str | None]:
    """Score the tuned model's first responses to the prompts with the stage's model."""
    found = {prompt.id: tuned.responses["prompt", prompt.id] for prompt in stage.test.prompts}
    responses = {name: one for name, one in found.items() if isinstance(one, Responses)}
    stage.progress.prompts += len(responses)
    return await score_responses(stage.model, responses, stage.progress, stage.screen)


async def _judge(stage: _Stage, base: PolicyOutputs, tuned: PolicyOutputs) -> CriticOutputs:
    """Return the critic's judgements of all prompts to which both models responded, under every constitution."""
    test, screen = stage.test, stage.screen
    pairs, rates = response_pairs(test, base, tuned), []
    for constitution in test.constitutions:
        under = stage.next(f"pairs under {constitution.name}")
        rates.append(await judge_responses(test, constitution, under.model, pairs, under.progress, screen))
    readings: Readings = {}
    if test.second_opinion:
        reading = stage.next("responses read")
        outputs: dict[Side, PolicyOutputs] = {"base": base, "tuned": tuned}
        readings = await read_refusals(test, reading.model, outputs, reading.progress, screen)
    return CriticOutputs(stage.model.name, rates, readings)
