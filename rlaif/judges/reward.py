"""The kind `reward`: the raw score of a response by a reward model that vLLM serves."""

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
    """A reward model as a judge."""

    kind: Literal["reward"] = "reward"

    @property
    def aspect_weights(self) -> dict[str, float]:
        """Weight of its score, by `JUDGE:reward`."""
        return {f"{self.called}:reward": self.weight}


async def reward(judge: Judge, _: Templates, candidates: CandidateSet) -> PointwiseResults:
    """Return the raw scores of all candidates."""

    async def score_of(response: Response) -> tuple[Score, StoredReply]:
        conversation = (*candidates.prompt.messages, Message(role="assistant", content=response.text))
        stored = await judge.critic.reward(conversation, priority=candidates.priority)
        value = stored.reply.choices[0].score
        if value is None:
            raise ReplyError("the server sent no score")
        return Score(value=value, reply=stored.key), stored

    results = await together(*(score_of(response) for response in candidates.candidates))
    scores = {response.id: score for response, (score, _) in zip(candidates.candidates, results, strict=True)}
    name = judge.config.called
    return PointwiseResults(scores={(name, f"{name}:reward"): scores}, replies=[reply for _, reply in results])


def reward_logits(config: RewardConfig, matchup: Matchup, _: Reading) -> Iterator[tuple[str, PrincipleLogit]]:
    """Yield (principle, score of a - score of b): log-odds, as reward models are trained on score differences."""
    for scored in matchup.scores:
        if scored.judge == config.called and scored.a is not None and scored.b is not None:
            logit = scored.a.value - scored.b.value
            yield scored.principle, PrincipleLogit(judge=config.called, logit=logit, position_bias=None)


KIND = JudgeKind(
    config=RewardConfig,
    logits=reward_logits,
    describe=lambda _: "the raw score of a reward model; the difference of two is log-odds",
    unanswered=lambda _, mass: f"only {mass:.0%} of the responses got a score",
    ask_candidates=reward,
    asks_rules=False,
    has_order=False,
)
