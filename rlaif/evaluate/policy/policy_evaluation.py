"""One model is asked after the other, then the critic (`rlaif evaluate policy`).

Two servers may not fit on one machine, so a server that is started here is stopped before the next one starts: first
the tuned model (everything, and its own responses scored), then the base (everything, and the tuned model's responses
scored), then the critic, on the base's server where that is the same model. Every reply is in the reply store at once:
the same command continues where it was interrupted.
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
    """One model that is being asked."""

    test: PolicyTest
    model: Model
    store: ReplyStore
    progress: Progress
    screen: Screen

    def next(self, unit: str) -> "_Stage":
        """Return the same model with counts of its own."""
        progress = Progress(unit=unit)
        kwargs = self.test.critic.chat_template_kwargs
        return replace(self, model=Model(self.model.client, self.store, progress.meter, kwargs), progress=progress)


async def evaluate_policy(test: PolicyTest, screen: Screen | None = None) -> tuple[PolicyEvaluation, OutputsOfBoth]:
    """Ask both models and the critic; return the evaluation and all outputs of both models.

    Raises UsageError where there is nothing to ask, what `open_models` raises, and RequestError when a model answers
    no question at all; single questions that fail for good are counted.
    """
    check_usable(test)
    await _refuse_unreachable(test)
    with ReplyStore(test.cache) as store:
        outputs, critic = await _ask_all(test, store, screen or Silent())
        store.flush()
    return evaluation_of(test, outputs, critic), outputs


def check_usable(test: PolicyTest) -> None:
    """Raise UsageError where there is nothing to ask or to judge by."""
    for constitution in test.constitutions:
        if not constitution.comparing:
            raise ConfigError(f"constitution {constitution.name} has no principle with a compare question or a check")
    names = [constitution.name for constitution in test.constitutions]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two constitutions are called {name}; give one of them a `name` of its own")
    if not test.prompts:
        raise UsageError(
            f"{test.source}: all {len(test.dropped)} prompts are in the training data; evaluate on others"
            if test.dropped
            else f"{test.source}: there is no prompt in it"
        )


async def _refuse_unreachable(test: PolicyTest) -> None:
    """Raise EndpointError or UsageError for a server that can't be reached, before hours are spent on the others."""
    for config in (test.base, test.tuned, test.critic):
        if not config.managed:
            async with ModelClient(config) as client:
                await client.connect()


async def _ask_all(test: PolicyTest, store: ReplyStore, screen: Screen) -> tuple[OutputsOfBoth, CriticOutputs]:
    async with _stage(test, test.tuned, "the tuned model", store, screen) as stage:
        tuned = await _ask(stage)
        by_tuned, unscored = await _score(stage, tuned)
    by_base: dict[str, TextLogprobs | Failed] = {}
    critic = None
    async with _stage(test, test.base, "the base", store, screen) as stage:
        base = await _ask(stage)
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
    """Yield one model, connected; a server that is started here ends with the context."""
    progress = Progress(unit="questions")
    opened = open_models(config, config, store=store, meter=progress.meter, logs=test.logs, say=screen.say)
    async with opened as (model, _):
        screen.say(f"{what}, {model.name}")
        progress.started = time.monotonic()  # a server may have taken minutes to start
        yield _Stage(test, model, store, progress, screen)


async def _ask(stage: _Stage) -> PolicyOutputs:
    stage.progress.prompts += stage.test.question_count()
    return await ask_policy(stage.test, stage.model, stage.progress, stage.screen)


async def _score(stage: _Stage, tuned: PolicyOutputs) -> tuple[dict[str, TextLogprobs | Failed], str | None]:
    """Let the stage's model score the tuned model's first responses to the prompts."""
    found = {prompt.id: tuned.responses["prompt", prompt.id] for prompt in stage.test.prompts}
    responses = {name: one for name, one in found.items() if isinstance(one, Responses)}
    stage.progress.prompts += len(responses)
    return await score_responses(stage.model, responses, stage.progress, stage.screen)


async def _judge(stage: _Stage, base: PolicyOutputs, tuned: PolicyOutputs) -> CriticOutputs:
    """Let the critic judge all prompts to which both models responded, under one constitution after the other."""
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
