"""Whether one response does well by a principle, Yes or No: an example of a new kind of judge, `yes-no`."""

import math
from collections.abc import Iterator
from typing import Literal

from rlaif.constitution.schema import Principle
from rlaif.judges.base import THINKING, CandidateSet, Judge, JudgeConfigBase, JudgeKind, PointwiseResults, Reading
from rlaif.models.backend import ChatRequest, user
from rlaif.models.model import StoredReply
from rlaif.preferences.logits import PrincipleLogit
from rlaif.records import Matchup, Response, Score
from rlaif.stats.log_odds import sigmoid
from rlaif.tasks import together
from rlaif.templates import Templates, conversation_text, fence_tag

LABELS = ("Yes", "No")


class YesNoConfig(JudgeConfigBase):
    """A judge that answers Yes or No about each response under each principle."""

    kind: Literal["yes-no"] = "yes-no"


async def ask(judge: Judge, templates: Templates, candidates: CandidateSet) -> PointwiseResults:
    """Return the scores of all candidates under all principles."""
    asked = [(principle, response) for principle in candidates.principles for response in candidates.candidates]
    answers = await together(*(_ask_one(judge, templates, candidates, *one) for one in asked))
    scores: dict[tuple[str, str], dict[str, Score | None]] = {}
    for (principle, response), (score, _) in zip(asked, answers, strict=True):
        scores.setdefault((judge.config.called, principle.id), {})[response.id] = score
    return PointwiseResults(scores=scores, replies=[reply for _, reply in answers])


async def _ask_one(
    judge: Judge, templates: Templates, candidates: CandidateSet, principle: Principle, response: Response
) -> tuple[Score | None, StoredReply]:
    question = templates.render(
        "yes_no",
        conversation=conversation_text(candidates.prompt.messages),
        response=response.text,
        question=principle.compare,
        labels=LABELS,
        tag=fence_tag(candidates.prompt, response.text),
    )
    request = ChatRequest(messages=(user(question),), max_tokens=1)
    read, reply = await judge.critic.choose(request, LABELS, priority=candidates.priority)
    if read.floor is None or read.label_mass == 0:
        return None, reply  # neither label was reported: unreadable
    # A label too rare to be reported is at most as probable as the rarest token that was.
    yes, no = (read.floor if logprob is None else logprob for logprob in read.logprobs)
    p = sigmoid(yes - no)
    return Score(value=p, probabilities=(1 - p, p), label_mass=read.label_mass, reply=reply.key), reply


def logits(config: YesNoConfig, matchup: Matchup, reading: Reading) -> Iterator[tuple[str, PrincipleLogit]]:
    """Yield (principle, the first response's log-odds of Yes less the second's)."""
    for scored in matchup.scores:
        if scored.judge != config.called or scored.a is None or scored.b is None:
            continue
        if min(scored.a.label_mass or 0.0, scored.b.label_mass or 0.0) >= reading.min_label_mass:
            a, b = (math.log(yes / no) for no, yes in (scored.a.probabilities, scored.b.probabilities))
            yield scored.principle, PrincipleLogit(judge=config.called, logit=a - b, position_bias=None)


KIND = JudgeKind(
    config=YesNoConfig,
    logits=logits,
    describe=lambda _: "Yes or No about each response, read from log-probabilities",
    unanswered=lambda _, mass: f"only {mass:.0%} of its probability falls on Yes and No {THINKING}",
    ask_candidates=ask,
    template="yes_no",
    stand_ins={"response": "x", "question": "x", "labels": LABELS},
    has_order=False,
)
