"""The records of one prompt, from the conversation to the verdicts.

A `Trace` holds facts only: every request, its model and seed, and the reply. Conclusions (judgements, strengths, pairs)
are absent: `rlaif.preferences` computes them from traces when they are needed, so that a changed threshold needs no new
request.
"""

import json
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from rlaif.base import Record, SparseRecord
from rlaif.checks.check import CheckResult, NamedCheck
from rlaif.rubric import RubricItem
from rlaif.seeds import content_hash, content_hash_of

Order = Literal["ab", "ba"]
"""Which of a matchup's responses is shown first."""


PROMPT_CHECK = "check:"
"""Prefix of the ids of checks that belong to a prompt; no principle's id contains a colon."""


class FunctionCall(Record):
    """A function and the arguments that it is called with."""

    name: str
    arguments: dict[str, Any]


class ToolCall(SparseRecord):
    """A call of a tool by the assistant: as in OpenAI's API, but with the arguments as an object, as templates read
    them."""

    type: Literal["function"] = "function"
    id: str | None = None
    function: FunctionCall


class Message(SparseRecord):
    """One turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] | None = None
    """Calls of tools in an assistant's turn; its text may then be empty."""
    tool_call_id: str | None = None
    """The call whose result a tool's turn is."""
    name: str | None = None
    """Name of the tool, or of who speaks."""
    reasoning_content: str | None = None
    """The reasoning before an assistant's turn."""

    @property
    def readable(self) -> str:
        """The turn as the critic and people read it: its text, then its calls of tools, one in each line."""
        calls = (
            f"calls {call.function.name} with {json.dumps(call.function.arguments, ensure_ascii=False)}"
            for call in self.tool_calls or ()
        )
        return "\n".join(filter(None, (self.content, *calls)))


class FileLabel(Record):
    """What a file says of one response; of two responses of a row, the one with the larger value is the better one."""

    by: Literal["chosen", "label", "score"]
    """`chosen`: it stands in the column of the better or of the worse responses; two in one column are not compared.
    `label`: a column names the better one. `score`: it has a score. Equal labels and equal scores are ties."""
    value: float
    """The score; otherwise 1 for the better and 0 for the worse response, 0.5 for both of a tie."""


def preference(one: FileLabel | None, other: FileLabel | None) -> Literal[-1, 0, 1] | None:
    """Return 1 where a file prefers the first of two responses, -1 the second, 0 for a tie; None without a label."""
    if one is None or other is None or one.by != other.by or (one.by == "chosen" and one.value == other.value):
        return None
    return 0 if one.value == other.value else 1 if one.value > other.value else -1


class GivenResponse(SparseRecord):
    """A response that a file brings with its prompt."""

    text: str
    model: str | None = None
    """The model that wrote it, as the file names it."""
    reasoning: str | None = None
    """Its `reasoning_content`, where it is a message with one; never shown to the critic."""
    label: FileLabel | None = None


class Prompt(SparseRecord):
    """A conversation that ends with a user's or a tool's turn."""

    id: str
    """From the prompts file, or a hash of the content; unique in a run."""
    messages: tuple[Message, ...]
    tools: str | None = None
    """The tools that the assistant can call, as JSON text: a list of function definitions as in OpenAI's API."""
    tags: tuple[str, ...] = ()
    checks: tuple[NamedCheck, ...] = ()
    """Checks of its responses only; each counts as a principle of weight 1 and priority 1."""
    rubric: tuple[RubricItem, ...] | None = None
    """What is asked of its responses only; the policy does not see it."""
    given: tuple[GivenResponse, ...] | None = None
    """Responses that its row brings; then none is sampled."""
    row: str | None = None
    """Place of that row in its file, such as `line 12`."""

    @property
    def conversation(self) -> str:
        """Hash of the turns. Rows with the same conversation are not independent, and belong into the same split."""
        return content_hash(*(f"{message.role}\n{message.readable}" for message in self.messages))


@dataclass(frozen=True)
class PromptSet:
    """The prompts of a run."""

    prompts: Sequence[Prompt]
    """A list, or a sequence that reads them from a file."""
    duplicates: int
    """Number of dropped prompts with the same conversation and checks as an earlier one."""
    source: str
    """The file or hub dataset, as it was given."""
    dropped: int = 0
    """Number of rows that were left out as personal data."""

    @property
    def hash(self) -> str:
        """Content hash over ids, conversations, tags and checks, in order."""
        # Leaves out empty checks, so that prompts without checks keep the hash of versions without checks.
        return hash_of_prompts(self.prompts)


def hash_of_prompts(prompts: Iterable[Prompt]) -> str:
    """Return the content hash of prompts, in order."""
    return content_hash_of(prompt.model_dump_json(exclude=None if prompt.checks else {"checks"}) for prompt in prompts)


class Response(Record):
    """A response to a prompt: sampled from the policy, given by a file, or a revision of another response."""

    id: str
    """`s0`, `s1`, … for samples; `g0`, `g1`, … for responses of a file; `s0.r1` for the first revision of `s0`."""
    text: str
    origin: Literal["sample", "revision", "given"]
    parent: str | None = None
    """The response this one revises."""
    model: str
    policy: str | None = None
    """The policy that wrote it, by the name in the run file, where a run has several; a revision has that of the
    response it revises."""
    seed: int
    finish_reason: str
    """`stop`, or `length` when the response was cut at max_tokens."""
    tokens: int | None = None
    """Generated tokens; None where one request gave several responses and the server counted them together."""
    reasoning: str | None = None
    """The reasoning of a thinking model before its response; never shown to the critic."""
    copied: str | None = None
    """Words that a revision copied from the worked examples, the instructions or the fences; it is then not a
    candidate."""
    again: Literal["repeated", "redrawn"] | None = None
    """For a text that was asked again because it was cut off under a smaller limit: whether it begins with that text,
    or is another one."""
    reply: str
    """Key of the raw reply in the reply store."""

    @property
    def cut_in_reasoning(self) -> bool:
        """Whether it ended at max_tokens inside its reasoning, so that it has no text."""
        return not self.text and self.reasoning is not None and self.finish_reason == "length"

    @property
    def withheld(self) -> bool:
        """Whether the server's content filter withheld the text, or a part of it."""
        return self.finish_reason == "content_filter"

    @model_serializer(mode="wrap")
    def _without_unused(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the policy where a run has one only, and `again` for a text that was asked once."""
        unused = {name for name in ("policy", "again") if getattr(self, name) is None}
        return {name: value for name, value in write(self).items() if name not in unused}


class Critique(SparseRecord):
    """The critic's criticism of one response under the principles drawn for it."""

    of: str
    """Id of the criticised response."""
    round: int = Field(ge=1)
    principles: tuple[str, ...]
    text: str
    model: str
    seed: int
    reasoning: str | None = None
    """The reasoning of a thinking critic before its criticism; not shown to the reviser."""
    reply: str

    @property
    def cut_in_reasoning(self) -> bool:
        """Whether nothing but reasoning was written, so that there is no criticism to revise after."""
        return not self.text and self.reasoning is not None


LARGEST = 1000.0
"""Log-probabilities further from 0 are a server's placeholders or errors, which earlier versions kept."""


class Verdict(Record):
    """A judge's reply to one question about one matchup in one order.

    Log-probabilities are natural logarithms, reported by the server; the spellings of a label ("A", " A") are summed.
    A verdict in words has no log-probabilities, and `said` instead.
    """

    principle: str
    judge: str = "pairwise-logprob"
    """Name of the judge."""
    order: Order
    """Which response was shown first: `ab` or `ba`."""
    first: float | None = None
    """log P(label of the response shown first); None when it was not among the reported tokens."""
    second: float | None = None
    """log P(label of the response shown second); None when it was not among the reported tokens."""
    floor: float | None = None
    """log P of the least likely token reported: an upper bound for a label that is None."""
    label_mass: float = Field(ge=0, le=1.001)
    """Probability of the two labels together; low means the judge did not answer the question. For a verdict in words:
    1 where it could be read, 0 where not."""
    said: Literal["first", "second"] | None = None
    """The response that a verdict in words names, by its place."""
    clamped: float | None = None
    """Log-odds for the response shown first, clamped to the judge's range; used in place of the raw log-odds."""
    reasoning: str | None = None
    """The judge's reasoning before its verdict."""
    reply: str

    @property
    def bounded(self) -> bool:
        """Whether one label was not among the reported tokens, so that `logit` is only a bound."""
        return (self.first is None) != (self.second is None)

    def logit(self) -> float | None:
        """Return the log-odds for the response shown first, clamped where the judge has a range; None if unreadable."""
        return self.raw_logit() if self.clamped is None else self.clamped

    def raw_logit(self) -> float | None:
        """Return log P(first) - log P(second) before clamping, or None when neither label was reported.

        Where one label is missing, `floor` takes its place: an upper bound, so that the absolute logit is a lower
        bound. A verdict in words is infinite.
        """
        if self.said is not None:
            return math.inf if self.said == "first" else -math.inf
        if self.first is None and self.second is None:
            return None
        first = self.first if self.first is not None else self.floor
        second = self.second if self.second is not None else self.floor
        if first is None or second is None or max(abs(first), abs(second)) > LARGEST:
            return None
        return first - second


class Checked(Record):
    """The results of one check on the two responses of a matchup."""

    principle: str
    """A principle's id, or `check:NAME` for a check of the prompt."""
    a: CheckResult
    b: CheckResult

    @property
    def decided(self) -> bool:
        """Whether exactly one response passed; otherwise the check does not decide the matchup."""
        return self.a.passed != self.b.passed


class Score(Record):
    """The score of one response by a judge that sees one response at a time."""

    value: float
    """Expectation over the numbers of the scale; the raw score of a reward model."""
    probabilities: tuple[float, ...] = ()
    """Probability of every number of the scale, lowest first, or of every label, normalised to sum to 1; empty for a
    reward model."""
    label_mass: float | None = None
    """Probability of all of them together before normalisation; low means that the judge did not answer the question.
    None for a reward model."""
    reply: str


class Scored(Record):
    """The scores of the two responses of a matchup by one judge."""

    judge: str
    principle: str
    """A principle's id, or `JUDGE:ASPECT` for a quality outside the constitution; no id contains a colon."""
    a: Score | None = None
    """None where the judge's reply could not be read."""
    b: Score | None = None


class Ranking(Record):
    """One ranking of all candidates of a prompt by a judge."""

    judge: str
    principle: str
    shown: tuple[str, ...]
    """Ids of the responses in the order in which they were shown."""
    ranked: tuple[str, ...] | None = None
    """Ids of the responses, best first; None where the judge's reply could not be read."""
    reply: str


class Ranked(Record):
    """Counts of how the rankings of one judge under one principle place the two responses of a matchup."""

    judge: str
    principle: str
    a_first: tuple[int, int]
    """(Rankings that place a higher, rankings that place b higher), of those where a was shown before b."""
    b_first: tuple[int, int]
    """The same counts, a then b, of the rankings where b was shown before a."""


class Matchup(Record):
    """Two responses of one prompt and their comparison under every principle, by judges or by checks."""

    a: str
    b: str
    purpose: Literal["design", "final"] = "design"
    """`design`: chosen before judging, and used for the ranking. `final`: compared because the ranking selected the
    pair."""
    verdicts: tuple[Verdict, ...]
    checks: tuple[Checked, ...] = ()
    """Results of the principles that a program decides, without a model."""
    scores: tuple[Scored, ...] = ()
    """From judges that see one response at a time."""
    rankings: tuple[Ranked, ...] = ()
    """From judges that rank all responses at once."""

    def verdicts_by_judge(self) -> dict[tuple[str, str], dict[Order, Verdict]]:
        """Return the verdicts by (judge, principle), then by order; an order that was not asked is missing."""
        verdicts: dict[tuple[str, str], dict[Order, Verdict]] = {}
        for verdict in self.verdicts:
            verdicts.setdefault((verdict.judge, verdict.principle), {})[verdict.order] = verdict
        return verdicts


class Dropped(Record):
    """A response that did not become a candidate, and why."""

    response: str
    reason: Literal["empty", "cut off while reasoning", "identical", "copied", "content filter"]
    """`cut off while reasoning`: the limit of tokens was reached before the response began. `copied`: it repeats a
    worked example, the instructions or a fence instead of revising the response. `content filter`: the server's filter
    withheld the text, or a part of it."""


class Usage(Record):
    """Numbers of requests and tokens as servers report them, replies from the reply store included."""

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        """Return the sum of each count."""
        return Usage(
            requests=self.requests + other.requests,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
        )


class Trace(Record):
    """All records of one prompt."""

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
    """The rankings of listwise judges, over all candidates."""
    usage: Usage

    def response(self, response_id: str) -> Response:
        """Return one response by its id."""
        return next(r for r in self.responses if r.id == response_id)

    def ancestors(self, among: Collection[str]) -> dict[str, str]:
        """Return the nearest ancestor in `among` of every revision in `among`, by the revision's id."""
        return ancestors(self.responses, among)

    def candidates(self) -> tuple[Response, ...]:
        """Return the responses that were compared, in the order in which they were written."""
        judged = {r for m in self.matchups for r in (m.a, m.b)}
        return tuple(r for r in self.responses if r.id in judged)


def ancestors(responses: Sequence[Response], among: Collection[str]) -> dict[str, str]:
    """Return the nearest ancestor in `among` of every revision in `among`, by the revision's id."""
    parents = {response.id: response.parent for response in responses}
    nearest = {}
    for response in responses:
        parent = response.parent if response.id in among else None
        while parent is not None and parent not in among:
            parent = parents[parent]
        if parent is not None:
            nearest[response.id] = parent
    return nearest


class Failure(Record):
    """A prompt that failed, and why; starting the run again tries it again."""

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
    "FileLabel",
    "FunctionCall",
    "GivenResponse",
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
    "ToolCall",
    "Trace",
    "Usage",
    "Verdict",
    "ancestors",
    "preference",
]
