"""What one prompt leaves behind, from the question to the verdicts: frozen, strict, and complete.

A `Trace` holds facts only: what was asked, of which model, with which seed, and what came back. Conclusions
(judgements, rankings, pairs) are computed from traces by `rlaif.preferences` whenever they are needed, so
that a changed threshold never needs a model. They are deliberately absent here.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from rlaif.base import Record
from rlaif.checks.check import CheckResult, NamedCheck
from rlaif.seeds import content_hash

Order = Literal["ab", "ba"]
"""Which of a matchup's answers is shown first."""


PROMPT_CHECK = "check:"
"""Begins the names of checks that belong to a prompt; no principle's id holds a colon."""


class Message(Record):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Prompt(Record):
    """A conversation that ends with a user's turn and waits for an answer."""

    id: str
    """Given by the file, or made from the content; unique in a run."""
    messages: tuple[Message, ...]
    tags: tuple[str, ...] = ()
    checks: tuple[NamedCheck, ...] = ()
    """What programs find out about its answers; each counts as a principle of weight 1 and priority 1, for it alone."""


@dataclass(frozen=True)
class PromptSet:
    """The prompts of a run and what happened on the way."""

    prompts: list[Prompt]
    duplicates: int
    source: str

    @property
    def hash(self) -> str:
        """Content hash over ids, conversations, tags and checks, in order."""
        # Prompts without checks keep the hash that they had before there were any.
        return content_hash(
            *(prompt.model_dump_json(exclude=None if prompt.checks else {"checks"}) for prompt in self.prompts)
        )


class Response(Record):
    """One answer to a prompt: sampled from the policy, or a revision of another answer."""

    id: str
    """`s0`, `s1`, … for samples; `s0.r1` for the first revision of `s0`."""
    text: str
    origin: Literal["sample", "revision"]
    parent: str | None = None
    """The response this one revises."""
    model: str
    seed: int
    finish_reason: str
    """`stop`, or `length` when the answer was cut at max_tokens."""
    tokens: int | None = None
    """Generated tokens; None where one request gave several answers and the server counted them together."""
    reasoning: str | None = None
    """What a thinking model wrote before its answer; never shown to the critic."""
    copied: str | None = None
    """Words of a revision that come from the worked examples, the instructions or the fences; it is no candidate."""
    reply: str
    """Key of the raw reply in the reply store."""


class Critique(Record):
    """What the critic found in one response under the principles drawn for it."""

    of: str
    """The response criticised."""
    round: int = Field(ge=1)
    principles: tuple[str, ...]
    text: str
    model: str
    seed: int
    reply: str


class Verdict(Record):
    """A judge's answer to one question about one matchup, in one order.

    Log-probabilities are natural logarithms of the probability of the answer's token, read from the server; the
    label's spellings ("A", " A") are summed. A verdict in words has none: then `said` is what its last line named.
    """

    principle: str
    judge: str = "pairwise-logprob"
    """Who said it."""
    order: Order
    """Which answer was shown first: a before b, or b before a."""
    first: float | None = None
    """log P(label of the answer shown first); None when it was not among the reported tokens."""
    second: float | None = None
    """log P(label of the answer shown second); None when it was not among the reported tokens."""
    floor: float | None = None
    """log P of the least likely token reported: an upper bound for a label that is None."""
    label_mass: float = Field(ge=0, le=1.001)
    """Probability of the two labels together; low means the judge did not answer the question. Of a verdict in words: 1
    where it could be read, 0 where not."""
    said: Literal["first", "second"] | None = None
    """The answer that a verdict in words names."""
    clamped: float | None = None
    """Log-odds for the answer shown first, held within the judge's range; what counts where it is given."""
    reasoning: str | None = None
    """What the judge wrote before its verdict."""
    reply: str

    @property
    def bounded(self) -> bool:
        """Whether one label was too rare to be reported, so that `logit` is only a bound."""
        return (self.first is None) != (self.second is None)

    def logit(self) -> float | None:
        """Return the log-odds for the answer shown first that count, or None when the verdict could not be read."""
        return self.raw_logit() if self.clamped is None else self.clamped

    def raw_logit(self) -> float | None:
        """Return log P(first) - log P(second) before any clamping, or None when neither label was found.

        When one label alone is missing, the server's least likely reported token bounds it from above, so
        the logit returned is the smallest in size that fits what was seen. A verdict in words is infinite.
        """
        if self.said is not None:
            return math.inf if self.said == "first" else -math.inf
        if self.first is None and self.second is None:
            return None
        first = self.first if self.first is not None else self.floor
        second = self.second if self.second is not None else self.floor
        return None if first is None or second is None else first - second


class Checked(Record):
    """What a program found in the two responses of a matchup."""

    principle: str
    """A principle's id, or `check:NAME` for a check of the prompt."""
    a: CheckResult
    b: CheckResult

    @property
    def decided(self) -> bool:
        """Whether one passed and the other did not; otherwise the check has nothing to say about these two."""
        return self.a.passed != self.b.passed


class Score(Record):
    """What a judge that looks at one answer at a time gave it."""

    value: float
    """Expectation over the numbers of the scale; of a reward model, its raw score."""
    probabilities: tuple[float, ...] = ()
    """Of every number of the scale, or every label, lowest first, adding up to 1; none from a reward model."""
    label_mass: float | None = None
    """Probability of all of them together before that; low means that it did not answer. None from a reward model."""
    reply: str


class Scored(Record):
    """What one judge gave the two responses of a matchup, each by itself."""

    judge: str
    principle: str
    """A principle's id, or `JUDGE:ASPECT` of what is outside the constitution; no principle's id holds a colon."""
    a: Score | None = None
    """None where its answer could not be read."""
    b: Score | None = None


class Ranking(Record):
    """All candidates of a prompt put in order by a judge, once."""

    judge: str
    principle: str
    shown: tuple[str, ...]
    """The responses in the order in which they were shown."""
    ranked: tuple[str, ...] | None = None
    """Best first; None where its answer could not be read."""
    reply: str


class Ranked(Record):
    """How the rankings of one judge under one principle placed the two responses of a matchup."""

    judge: str
    principle: str
    a_first: tuple[int, int]
    """Of the rankings for which a was shown before b: how many place a higher, and how many b."""
    b_first: tuple[int, int]
    """The same where b was shown before a; again a, then b."""


class Matchup(Record):
    """Two responses of one prompt, compared under every principle: by judges, or by a program."""

    a: str
    b: str
    purpose: Literal["design", "final"] = "design"
    """`design`: chosen beforehand, feeds the ranking. `final`: asked because the ranking picked these two."""
    verdicts: tuple[Verdict, ...]
    checks: tuple[Checked, ...] = ()
    """By the principles that a program decides; no model was asked about these."""
    scores: tuple[Scored, ...] = ()
    """By judges that look at one answer at a time."""
    rankings: tuple[Ranked, ...] = ()
    """By judges that put all answers in order."""

    def verdicts_by_judge(self) -> dict[tuple[str, str], dict[Order, Verdict]]:
        """Return the verdicts under (judge, principle) and order; an order that was not asked is missing."""
        found: dict[tuple[str, str], dict[Order, Verdict]] = {}
        for verdict in self.verdicts:
            found.setdefault((verdict.judge, verdict.principle), {})[verdict.order] = verdict
        return found


class Dropped(Record):
    """An answer that did not become a candidate, and why."""

    response: str
    reason: Literal["empty", "identical", "copied"]
    """`copied`: it repeats a worked example, the instructions or a fence instead of revising the answer."""


class Usage(Record):
    """Tokens that the servers report for a trace, answers from the reply store included."""

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """Return the sums."""
        return Usage(
            requests=self.requests + other.requests,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
        )


class Trace(Record):
    """Everything one prompt went through."""

    prompt: Prompt
    responses: tuple[Response, ...]
    critiques: tuple[Critique, ...]
    dropped: tuple[Dropped, ...]
    judged_by: tuple[str, ...]
    """Ids of the principles that were put to the judge for this prompt."""
    checked_by: tuple[str, ...] = ()
    """Ids of the principles, and of the prompt's own checks, that a program decided."""
    matchups: tuple[Matchup, ...]
    rankings: tuple[Ranking, ...] = ()
    """What listwise judges were shown and said, whole."""
    usage: Usage

    def response(self, response_id: str) -> Response:
        """Return one response by its id."""
        return next(r for r in self.responses if r.id == response_id)

    def ancestors(self, among: Collection[str]) -> dict[str, str]:
        """Return for every revision in `among` the nearest response it goes back to that is in `among`, too."""
        return ancestors(self.responses, among)

    def candidates(self) -> tuple[Response, ...]:
        """Return the responses that were compared, in the order they were made."""
        judged = {r for m in self.matchups for r in (m.a, m.b)}
        return tuple(r for r in self.responses if r.id in judged)


def ancestors(responses: Sequence[Response], among: Collection[str]) -> dict[str, str]:
    """Return for every revision in `among` the nearest response it goes back to that is in `among`, too."""
    parents = {response.id: response.parent for response in responses}
    found = {}
    for response in responses:
        parent = response.parent if response.id in among else None
        while parent is not None and parent not in among:
            parent = parents[parent]
        if parent is not None:
            found[response.id] = parent
    return found


class Failure(Record):
    """A prompt that did not become a trace, and why; starting the run again tries it again."""

    prompt_id: str
    error: str
    """The error's class and message."""


Probability = Annotated[float, Field(ge=0, le=1)]

__all__ = [
    "PROMPT_CHECK",
    "CheckResult",
    "Checked",
    "Critique",
    "Dropped",
    "Failure",
    "Matchup",
    "Message",
    "NamedCheck",
    "Order",
    "Probability",
    "Prompt",
    "PromptSet",
    "Ranked",
    "Ranking",
    "Record",
    "Response",
    "Score",
    "Scored",
    "Trace",
    "Usage",
    "Verdict",
    "ancestors",
]
