"""The kind `satisfies`: whether one response keeps a rule, by one token, asked in both wordings.

    x+ = log P(Yes) - log P(No) of "Does the answer keep the rule?"
    x- = the same of "Does the answer fail to keep the rule?"
    q = (x+ - x-) / 2

A tendency to say Yes is in both and cancels, as the position bias does in a comparison. Log-odds of a matchup are
q_a - q_b. An error about one response is in all its matchups, which neither order nor residuals show: only labels by
people do. Requests grow with the responses, not with their pairs. The rule comes last, so that all rules of one
response share a prefix in the server's cache.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rlaif.constitution.schema import Principle
from rlaif.judges.base import THINKING, CandidateSet, Judge, JudgeConfigBase, JudgeKind, PointwiseResults, Reading
from rlaif.judges.pairwise import Labels, after_preamble
from rlaif.models.backend import ChatRequest, user
from rlaif.models.model import LabelLogprobs, Model, StoredReply
from rlaif.preferences.logits import PrincipleLogit
from rlaif.records import Matchup, Prompt, Response, Score, Scored
from rlaif.rubric import RUBRIC, named_items
from rlaif.stats.log_odds import log_odds, sigmoid
from rlaif.tasks import together
from rlaif.templates import Templates, fence_tag, prompt_text

SUREST = 1e-6
"""Probabilities are kept so far from 0 and 1, so that log-odds are finite."""


class SatisfiesConfig(JudgeConfigBase):
    """A judge that says of each response whether it keeps each principle."""

    kind: Literal["satisfies"] = "satisfies"
    answers: Labels = ("Yes", "No")
    """The answers; each must be a single token for the model."""
    preamble: str = ""
    """Your own text before the question, such as the judge's role; none by default."""


@dataclass(frozen=True)
class Asked:
    """What is asked of one response."""

    id: str
    asks: str | None
    """What the rule asks of a response, in words; None to ask by the question that compares two."""
    compare: str | None = None

    @classmethod
    def of(cls, principle: Principle) -> "Asked":
        """Return what a principle asks."""
        return cls(principle.id, principle.satisfies, principle.compare)


async def ask(judge: Judge, templates: Templates, candidates: CandidateSet) -> PointwiseResults:
    """Return the scores of all candidates under all principles."""
    asked = [Asked.of(principle) for principle in candidates.principles]
    return await _scored(judge, judge.config.called, templates, candidates, asked)


async def _scored(
    judge: Judge, called: str, templates: Templates, candidates: CandidateSet, asked: Sequence[Asked]
) -> PointwiseResults:
    async def of_one(response: Response) -> list[tuple[Score | None, list[StoredReply]]]:
        return await ask_all(judge, templates, candidates.prompt, response.text, asked, candidates.priority)

    by_response = await together(*(of_one(response) for response in candidates.candidates))
    scores = {
        (called, one.id): {
            response.id: found[place][0] for response, found in zip(candidates.candidates, by_response, strict=True)
        }
        for place, one in enumerate(asked)
    }
    return PointwiseResults(
        scores=scores, replies=[r for found in by_response for _, replies in found for r in replies]
    )


async def ask_rubric(critic: Model, templates: Templates, candidates: CandidateSet) -> PointwiseResults:
    """Return the scores of all candidates under the items of the prompt's rubric, asked of the run's critic."""
    rules = [Asked(name, item.text) for name, item in named_items(candidates.prompt.rubric).items()]
    return await _scored(judge_of(critic), RUBRIC, templates, candidates, rules)


async def ask_all(
    judge: Judge, templates: Templates, prompt: Prompt, response: str, asked: Sequence[Asked], priority: int = 0
) -> list[tuple[Score | None, list[StoredReply]]]:
    """Return the score of a response under each rule, None where it cannot be read, and the replies."""

    async def one(rule: Asked) -> tuple[Score | None, list[StoredReply]]:
        return await _ask_one(judge, templates, prompt, response, rule, priority)

    if not asked:
        return []
    return [await one(asked[0]), *await together(*(one(rule) for rule in asked[1:]))]


async def _ask_one(
    judge: Judge, templates: Templates, prompt: Prompt, response: str, rule: Asked, priority: int
) -> tuple[Score | None, list[StoredReply]]:
    config: SatisfiesConfig = judge.config

    async def in_wording(*, negated: bool) -> tuple[LabelLogprobs, StoredReply]:
        question = templates.render(
            "satisfy",
            conversation=prompt_text(prompt),
            response=response,
            asks=rule.asks,
            compare=rule.compare,
            negated=negated,
            labels=config.answers,
            tag=fence_tag(prompt, response),
        )
        request = ChatRequest(messages=(user(after_preamble(config.preamble, question)),), max_tokens=1)
        return await judge.critic.choose(request, config.answers, priority=priority)

    (positive, reply), (negative, other) = await together(in_wording(negated=False), in_wording(negated=True))
    yes, no = log_odds_of(positive), log_odds_of(negative)
    if yes is None or no is None:
        return None, [reply, other]
    p = min(1 - SUREST, max(SUREST, sigmoid((yes - no) / 2)))
    mass = min(positive.label_mass, negative.label_mass)
    return Score(value=p, probabilities=(1 - p, p), label_mass=mass, reply=reply.key), [reply, other]


def log_odds_of(read: LabelLogprobs) -> float | None:
    """Return the log-odds of the first label; a label too rare to be reported has that of the rarest one."""
    first, second = read.logprobs
    if (first is None and second is None) or (None in read.logprobs and read.floor is None):
        return None
    return (read.floor if first is None else first) - (read.floor if second is None else second)  # type: ignore[operator]


def p_yes(score: Score | None, min_label_mass: float) -> float | None:
    """Return the probability that a response keeps a rule; None where the judge did not answer the question."""
    return None if score is None or (score.label_mass or 0.0) < min_label_mass else score.value


def logits(config: SatisfiesConfig, matchup: Matchup, reading: Reading) -> Iterator[tuple[str, PrincipleLogit]]:
    """Yield (principle, log-odds that a keeps it less those that b does)."""
    return logits_called(config.called, matchup, reading)


def logits_called(called: str, matchup: Matchup, reading: Reading) -> Iterator[tuple[str, PrincipleLogit]]:
    """Yield the same of the scores of one judge, or of the rubric."""
    for scored in matchup.scores:
        if scored.judge == called and (x := _difference(scored, reading.min_label_mass)) is not None:
            yield scored.principle, PrincipleLogit(judge=called, logit=x, position_bias=None)


def _difference(scored: Scored, min_label_mass: float) -> float | None:
    a, b = p_yes(scored.a, min_label_mass), p_yes(scored.b, min_label_mass)
    return None if a is None or b is None else log_odds(a) - log_odds(b)


def judge_of(critic: Model, config: SatisfiesConfig | None = None) -> Judge:
    """Return a judge of this kind."""
    return Judge(config or SatisfiesConfig(), critic)


KIND = JudgeKind(
    config=SatisfiesConfig,
    logits=logits,
    describe=lambda _: "whether each response keeps each rule, one token in both wordings",
    unanswered=lambda config, mass: (
        f"only {mass:.0%} of its probability falls on {' and '.join(config.answers)} {THINKING}"
    ),
    ask_candidates=ask,
    one_token=lambda config: config.answers,
    template="satisfy",
    stand_ins={"response": "x", "asks": "x", "compare": "x", "negated": False, "labels": ("Yes", "No")},
    has_order=False,
)
