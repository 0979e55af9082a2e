"""What a reward model gives a response: kind `reward`."""

from collections.abc import Iterator
from typing import Literal

from rlaif.errors import ReplyError
from rlaif.judges.base import CandidateSet, Judge, JudgeConfigBase, JudgeKind, PointwiseResults, Reading
from rlaif.models.model import StoredReply
from rlaif.preferences.logits import PrincipleLogit
from rlaif.records import Matchup, Message, Response, Score
from rlaif.tasks import together
from rlaif.templates import Templates


class RewardConfig(JudgeConfigBase):
    """A reward model that vLLM serves."""

    kind: Literal["reward"] = "reward"

    @property
    def aspect_weights(self) -> dict[str, float]:
        """Weight of its one score, under `JUDGE:reward`."""
        return {f"{self.called}:reward": self.weight}


async def reward(judge: Judge, _: Templates, candidates: CandidateSet) -> PointwiseResults:
    """Return the raw scores of all candidates, from a sequence classifier that vLLM serves."""

    async def one(response: Response) -> tuple[Score, StoredReply]:
        conversation = (*candidates.prompt.messages, Message(role="assistant", content=response.text))
        answer = await judge.critic.reward(conversation, priority=candidates.priority)
        value = answer.reply.choices[0].score
        if value is None:
            raise ReplyError("the server sent no score")
        return Score(value=value, reply=answer.key), answer

    found = await together(*(one(response) for response in candidates.candidates))
    scores = {response.id: score for response, (score, _) in zip(candidates.candidates, found, strict=True)}
    name = judge.config.called
    return PointwiseResults(scores={(name, f"{name}:reward"): scores}, replies=[reply for _, reply in found])


def reward_logits(config: RewardConfig, matchup: Matchup, _: Reading) -> Iterator[tuple[str, PrincipleLogit]]:
    """Yield the difference of two rewards, which is log-odds as reward models are trained."""
    for scored in matchup.scores:
        if scored.judge == config.called and scored.a is not None and scored.b is not None:
            logit = scored.a.value - scored.b.value
            yield scored.principle, PrincipleLogit(judge=config.called, logit=logit, position_bias=None)


KIND = JudgeKind(
    config=RewardConfig,
    logits=reward_logits,
    describe=lambda _: "the raw score of a reward model; a difference is log-odds",
    unanswered=lambda _, mass: f"only {mass:.0%} of the answers got a score",
    ask_candidates=reward,
    asks_rules=False,
    has_order=False,
)
