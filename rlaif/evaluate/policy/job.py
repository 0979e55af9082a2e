"""The job behind `rlaif evaluate policy`: one model is asked after the other, then the critic.

Two servers may not fit on one machine, so a server that is started here is stopped before the next one starts: first
the tuned model (everything, and its own answers scored), then the base (everything, and the tuned model's answers
scored), then the critic, on the base's server where that is the same model. Every reply is in the reply store at once:
the same command goes on where it was broken off.
"""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from rlaif.errors import ConfigError, UsageError
from rlaif.evaluate.policy.asking import Said, Scored, Spoken, ask_policy, count_of, score_answers
from rlaif.evaluate.policy.duels import duels_of, fight
from rlaif.evaluate.policy.evaluation import PolicyEvaluation, evaluation_of
from rlaif.evaluate.policy.heard import CriticSaid, Heard
from rlaif.evaluate.policy.lines import Side
from rlaif.evaluate.policy.opinions import read_answers
from rlaif.evaluate.policy.plan import PolicyTest
from rlaif.executor import Failed
from rlaif.models.config import ModelConfig
from rlaif.models.model import Model
from rlaif.models.openai import ModelClient
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


async def evaluate_policy(test: PolicyTest, screen: Screen | None = None) -> tuple[PolicyEvaluation, Heard]:
    """Ask both models and the critic; return the figures and all that was said.

    Raises UsageError where there is nothing to ask, what `open_models` raises, and RequestError when a model answers
    no question at all; single questions that fail for good are counted.
    """
    check_usable(test)
    await _refuse_unreachable(test)
    with ReplyStore(test.cache) as store:
        heard = await _hear(test, store, screen or Silent())
        store.flush()
    return evaluation_of(test, heard), heard


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
            f"{test.source}: all {len(test.dropped)} prompts stand in the training data; evaluate on others"
            if test.dropped
            else f"{test.source}: there is no prompt in it"
        )


async def _refuse_unreachable(test: PolicyTest) -> None:
    """Raise EndpointError or UsageError for a server that is not there, before hours are spent on the others."""
    for config in (test.base, test.tuned, test.critic):
        if not config.managed:
            async with ModelClient(config) as client:
                await client.connect()


async def _hear(test: PolicyTest, store: ReplyStore, screen: Screen) -> Heard:
    async with _stage(test, test.tuned, "the tuned model", store, screen) as stage:
        tuned = await _ask(stage)
        answers = _first_answers(test, tuned)
        own, unscored = await _score(stage, answers)
    async with _stage(test, test.base, "the base", store, screen) as stage:
        base = await _ask(stage)
        by_base, also = await _score(stage, answers) if unscored is None else ({}, None)
        verdict = await _judge(stage, base, tuned) if test.critic == test.base else None
    if verdict is None:
        async with _stage(test, test.critic, "the critic", store, screen) as stage:
            verdict = await _judge(stage, base, tuned)
    return Heard(base, tuned, verdict, own, by_base, unscored or also)


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


async def _ask(stage: _Stage) -> Said:
    stage.progress.prompts += count_of(stage.test)
    return await ask_policy(stage.test, stage.model, stage.progress, stage.screen)


async def _score(stage: _Stage, answers: Mapping[str, Spoken]) -> tuple[dict[str, Scored | Failed], str | None]:
    stage.progress.prompts += len(answers)
    return await score_answers(stage.model, answers, stage.progress, stage.screen)


def _first_answers(test: PolicyTest, said: Said) -> dict[str, Spoken]:
    found = {prompt.id: said.spoken["prompt", prompt.id] for prompt in test.prompts}
    return {name: one for name, one in found.items() if not isinstance(one, Failed)}


async def _judge(stage: _Stage, base: Said, tuned: Said) -> CriticSaid:
    """Let the critic judge all prompts that both models answered, under one constitution after the other."""
    test, answered = stage.test, []
    for prompt in test.prompts:
        one, other = (said.spoken["prompt", prompt.id] for said in (base, tuned))
        if not isinstance(one, Failed) and not isinstance(other, Failed):
            answered.append((prompt, one, other))
    duels, bouts = duels_of(answered), []
    for constitution in test.constitutions:
        under = stage.next(f"duels under {constitution.name}")
        fought = fight(under.model, test.templates, constitution, test.judging, duels, under.progress, stage.screen)
        bouts.append(await fought)
    if not test.second_opinion:
        return CriticSaid(stage.model.name, bouts, {})
    said: dict[Side, Said] = {"base": base, "tuned": tuned}
    reading = stage.next("answers read")
    readings = await read_answers(test, reading.model, said, reading.progress, stage.screen)
    return CriticSaid(stage.model.name, bouts, readings)
