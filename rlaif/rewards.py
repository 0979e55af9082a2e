"""Rules as a reward: the principles of a constitution give each response a number, for TRL's GRPO and other programs.

A principle that a program checks gives 1 or 0. One that is asked gives the critic's probability that the response keeps
it (the judge `satisfies`, both wordings). The reward is their weighted mean, in [0, 1]; priorities play no part. A row
may bring a rubric of its own, whose items count like principles; an essential item caps the reward at its probability.
Where one of them could not be judged there is no reward (None), never a 0: TRL leaves such a reward out.
"""

import asyncio
import atexit
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import ValidationError

from rlaif.base import Record
from rlaif.checks import NamedCheck, make_ready
from rlaif.constitution.load import load_constitution
from rlaif.constitution.schema import Constitution
from rlaif.datasets.conversation import conversation_of, response_of
from rlaif.errors import CheckError, ConfigError, RequestError, UsageError
from rlaif.judges.panel import check_responses, refuse_long_labels
from rlaif.judges.satisfies import Asked, ask_all, judge_of, p_yes
from rlaif.models.config import ModelConfig, model_from_text
from rlaif.models.model import Meter, Model
from rlaif.models.reply_store import ReplyStore
from rlaif.models.serving import open_clients
from rlaif.records import Prompt, Response
from rlaif.rubric import RubricItem, named_items, rubric_of
from rlaif.seeds import content_hash
from rlaif.tasks import together
from rlaif.templates import Templates
from rlaif.yaml_file import explain_validation

Result = TypeVar("Result")
MIN_LABEL_MASS = 0.5
"""A reply with less probability on Yes and No together is not an answer, as in a run."""


class Judged(Record):
    """What was found of one response."""

    reward: float | None
    """Weighted mean in [0, 1]; None where something could not be judged."""
    by_rule: dict[str, float | None]
    """Probability that it keeps each principle, 1 or 0 for a program; items of a rubric are `rubric:1` and so on."""
    error: str | None = None
    """Why there is no reward."""


class Rewards:
    """Judges responses under a constitution; connects to the critic when it is first needed."""

    def __init__(
        self, constitution: Constitution, critic: ModelConfig, cache: Path, say: Callable[[str], None]
    ) -> None:
        self.constitution, self._critic, self._cache, self._say = constitution, critic, cache, say
        self._stack = AsyncExitStack()
        self._model: Model | None = None
        self._templates = Templates(names=("satisfy",))
        self._connecting = asyncio.Lock()
        if not constitution.comparing:
            raise ConfigError(f"constitution {constitution.name} has no principle with a compare question or a check")
        make_ready([named.check for named in self._checks])

    @property
    def _checks(self) -> list[NamedCheck]:
        return [NamedCheck(id=p.id, check=p.check) for p in self.constitution.comparing if p.check is not None]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def judge_all(
        self, prompts: Sequence[object], completions: Sequence[object], rubrics: Sequence[object] | None = None
    ) -> list[Judged]:
        """Return what is found of each completion, concurrently. Raises PromptsError for what cannot be read."""
        if len(prompts) != len(completions) or (rubrics is not None and len(rubrics) != len(prompts)):
            raise UsageError(f"{len(prompts)} prompts, {len(completions)} completions: there must be one of each")
        rows = [
            (*_row(f"row {number}", prompt, completion), rubric_of(f"row {number}", rubric))
            for number, (prompt, completion, rubric) in enumerate(
                zip(prompts, completions, rubrics or [None] * len(prompts), strict=True), start=1
            )
        ]
        return await together(*(self._judge(*row) for row in rows))

    async def _judge(self, prompt: Prompt, response: str, rubric: tuple[RubricItem, ...]) -> Judged:
        items = named_items(rubric)
        asked = [Asked.of(principle) for principle in self.constitution.asked]
        asked += [Asked(name, item.text) for name, item in items.items()]
        try:
            found: dict[str, float | None] = {**await self._checked(prompt, response)}
            found |= await self._asked(prompt, response, asked)
        except (RequestError, CheckError) as error:
            return Judged(reward=None, by_rule={}, error=str(error))
        weights = self.constitution.weights | {name: item.weight for name, item in items.items()}
        if unread := [name for name, p in found.items() if p is None]:
            return Judged(reward=None, by_rule=found, error=f"the critic did not answer about {', '.join(unread)}")
        known = {name: p or 0.0 for name, p in found.items()}
        mean = sum(weights[name] * p for name, p in known.items()) / sum(weights[name] for name in known)
        return Judged(reward=min([mean, *(known[n] for n, item in items.items() if item.essential)]), by_rule=found)

    async def _checked(self, prompt: Prompt, response: str) -> Mapping[str, float]:
        text = Response(id="r", text=response, origin="sample", model="", seed=0, finish_reason="stop", reply="")
        findings = await check_responses(self._checks, prompt, [text])
        return {name: float(result.passed) for (name, _), result in findings.results.items()}

    async def _asked(self, prompt: Prompt, response: str, asked: Sequence[Asked]) -> Mapping[str, float | None]:
        if not asked:
            return {}
        judge = judge_of(await self._connected())
        scores = await ask_all(judge, self._templates, prompt, response, asked)
        return {one.id: p_yes(score, MIN_LABEL_MASS) for one, (score, _) in zip(asked, scores, strict=True)}

    async def _connected(self) -> Model:
        async with self._connecting:
            if self._model is None:
                store = self._stack.enter_context(ReplyStore(self._cache))
                logs = self._cache.parent / "logs"
                opened = open_clients(self._critic, self._critic, logs=logs, say=self._say)
                clients = await self._stack.enter_async_context(opened)
                model = Model(clients.critic, store, Meter(), self._critic.chat_template_kwargs)
                await refuse_long_labels([judge_of(model)])
                self._model = model
        return self._model


def _row(where: str, prompt: object, completion: object) -> tuple[Prompt, str]:
    turns = conversation_of(where, prompt)
    _, response = response_of(where, "completion", completion) if _has_text(completion) else ((), "")
    return Prompt(id=content_hash(*(turn.content for turn in turns)), messages=turns), response


def _has_text(completion: object) -> bool:
    """Whether a completion has text: a policy in training writes empty ones, which are judged like others."""
    last = completion[-1] if isinstance(completion, list) and completion else completion
    text = last.get("content") if isinstance(last, dict) else last
    return not isinstance(text, str) or bool(text.strip())


def open_rewards(
    constitution: str | Path | Constitution,
    critic: str | dict[str, Any] | ModelConfig,
    cache: str | Path = "runs/replies.sqlite",
    say: Callable[[str], None] = print,
) -> Rewards:
    """Return what judges responses. Raises ConfigError for a constitution or model that cannot be used."""
    rules = constitution if isinstance(constitution, Constitution) else load_constitution(str(constitution))
    try:
        settings = model_from_text(critic) if isinstance(critic, str) else critic
        model = ModelConfig.model_validate(settings)
    except ValidationError as error:
        raise ConfigError(f"critic: {explain_validation(error, ModelConfig)}") from None
    return Rewards(rules, model, Path(cache), say)


class RewardFunction:
    """A reward function as TRL's GRPO trainer calls it; its requests run in a thread of their own."""

    def __init__(self, rewards: Rewards, name: str) -> None:
        self.__name__ = name
        self.rewards = rewards
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __call__(self, prompts: list[Any], completions: list[Any], **columns: Any) -> list[float | None]:  # noqa: ANN401
        """Return the reward of each completion, in [0, 1]; None where it could not be judged.

        `rubric` is a column with a list of items for each row; other columns are not used. Raises UsageError or
        PromptsError for rows that cannot be read, EndpointError where the critic's server cannot be reached.
        """
        judged = self._run(lambda: self.rewards.judge_all(prompts, completions, columns.get("rubric")))
        return [one.reward for one in judged]

    def close(self) -> None:
        """End a server that was started, and the thread."""
        if self._loop is None or self._thread is None:
            return
        self._run(self.rewards.__aexit__)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None
        atexit.unregister(self.close)

    def _run(self, job: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name=f"reward {self.__name__}", daemon=True)
            self._thread.start()
            atexit.register(self.close)
        return asyncio.run_coroutine_threadsafe(job(), self._loop).result()


def reward(
    constitution: str | Path | Constitution,
    critic: str | dict[str, Any] | ModelConfig,
    *,
    cache: str | Path = "runs/replies.sqlite",
    name: str | None = None,
) -> RewardFunction:
    """Return a reward function for TRL's GRPO trainer: `GRPOTrainer(reward_funcs=[reward("honesty", URL)], …)`.

    `critic` is a model, a URL or MODEL@URL, or a dict; replies are kept in `cache`. `name` is the function's name in
    TRL's logs, by default that of the constitution. Raises ConfigError.
    """
    rewards = open_rewards(constitution, critic, cache)
    return RewardFunction(rewards, name or rewards.constitution.name)
