"""The settings of a simulated model: what is planted in its responses and verdicts, to be found again by a test.

Every response carries its quality in its text, `(quality +0.73)`, in logits: of two responses the better one is
preferred with probability sigmoid(difference). A verdict has the log-odds

    x = scale * (quality first - quality second) + length_bias * ln(length first / length second)
        + position_bias + noise * standard normal(question)

for the response shown first. Everything follows from the request and the settings, so runs repeat exactly.
"""

import random
import re
from typing import Literal

from pydantic import Field

from rlaif.base import Record
from rlaif.seeds import derive_seed

Kind = Literal["sample", "critique", "revise", "judge", "deliberate", "rate", "rank", "reward", "choice", "score"]
"""What a request asks for."""

_QUALITY = re.compile(r"\(quality ([+-]\d+\.\d+)\)")


class Fault(Record):
    """Something that goes wrong with some of the requests."""

    kind: Kind | Literal["any"] = "any"
    """The requests it may hit."""
    does: Literal["status", "disconnect", "hang", "garbage"] = "status"
    """Replies with an HTTP status, closes the connection, never replies, or replies with HTML."""
    status: int = Field(default=500, ge=100, le=599)
    """HTTP status."""
    retry_after: str | None = None
    """Retry-After header: seconds, or a date."""
    message: str = "simulated fault"
    """The server's explanation."""
    after: int = Field(default=0, ge=0)
    """Requests of this kind that get a proper reply first."""
    times: int | None = Field(default=1, ge=1)
    """How many requests it hits; None for all from then on."""
    contains: str = ""
    """Hits only requests whose text contains this."""


class PlantedRule(Record):
    """How the simulated judge treats the questions of one principle."""

    contains: str
    """The questions it holds for: those that contain these words."""
    agrees: float = Field(default=1.0, ge=0, le=1)
    """Share of the matchups in which the better response wins under it; in the others, drawn by the texts, it loses."""
    position_bias: float | None = None
    """Log-odds of the response shown first, any number; None for the model's."""


class Habit(Record):
    """Something the policy writes before its response, or in place of it."""

    says: str
    """The text."""
    share: float = Field(default=1.0, ge=0, le=1)
    """Share of the responses that have it."""
    alone: bool = False
    """Whether it stands in place of the response."""
    to: tuple[str, ...] = ()
    """The prompts (last turns) it holds for; empty for all."""


class Knowledge(Record):
    """How the policy does on questions with four options."""

    right: tuple[str, ...]
    """Texts of the right options."""
    accuracy: float = Field(default=0.8, ge=0, le=1)
    """Share of the questions, drawn by their text, in which it chooses the right option."""
    confidence: float = Field(default=0.8, gt=0.25, lt=1)
    """Probability of the option it chooses, right or not."""


class SimulatedModel(Record):
    """Settings of a simulated model. The default is a critic without bias or noise."""

    name: str = "simulated"
    """Served name."""
    seed: int = 0
    """Another seed is another model with the same settings."""
    quality_sd: float = Field(default=1.0, ge=0)
    """Standard deviation of the responses' quality, in logits."""
    revision_gain: float = 0.5
    """Mean quality of a revision less that of the response it revises, in logits, any number."""
    scale: float = 1.0
    """Logits of a verdict per logit of quality: above 1 overconfident, below 1 underconfident, below 0 reversed."""
    position_bias: float = 0.0
    """Log-odds of the response shown first, any number."""
    length_bias: float = 0.0
    """Logits per unit of log length ratio, any number."""
    noise: float = Field(default=0.0, ge=0)
    """Standard deviation of the noise on each verdict, in logits."""
    label_mass: float = Field(default=0.97, ge=0, le=1)
    """Probability of the two labels together."""
    unreadable: float = Field(default=0.0, ge=0, le=1)
    """Share of the verdicts that name neither label."""
    ties: float = Field(default=0.0, ge=0, le=1)
    """Share of the questions (both orders alike) whose verdict is exactly even."""
    rules: tuple[PlantedRule, ...] = ()
    """What differs from principle to principle."""
    revisions_copy: bool = False
    """Whether revisions repeat the question they were asked, as weak models do."""
    revisions_begin: str = ""
    """Text before each revision, as weak models repeat fences; `TAG` stands for the tag of its question."""
    words: int = Field(default=40, ge=0)
    """Mean words of a response; the standard deviation is a quarter of it, and no response has fewer than 3."""
    quality_mean: float = 0.0
    """Mean of the responses' quality, in logits, any number."""
    variety: int | None = Field(default=None, ge=1)
    """Most different responses to one prompt; None for as many as are asked for."""
    habits: tuple[Habit, ...] = ()
    """Texts that its responses have."""
    knowledge: Knowledge | None = None
    """Its answers to questions with four options; None chooses none of them more often."""
    nats: float = Field(default=3.0, gt=0)
    """Mean negative log-probability of a token of a text that is scored, in nats."""
    nats_of_answers: float = Field(default=1.0, gt=0)
    """The same where the text comes as token ids, as what a model wrote does."""
    scores: bool = True
    """Whether it scores texts at all; not every server does."""
    lines: int = Field(default=1, ge=1)
    """Most lines of a response; their number is drawn from 1 to this."""
    latency_s: float = Field(default=0.0, ge=0)
    """Seconds before each reply."""
    api_key: str | None = None
    """The key that requests must carry; None for none."""
    faults: tuple[Fault, ...] = ()
    """What goes wrong; the first that applies to a request hits it."""

    def quality(self, text: str) -> float:
        """Return the planted quality of a response, in logits; for a text without a mark it is drawn by the text."""
        found = _QUALITY.search(text)
        if found:
            return float(found.group(1))
        return self.rng("quality", text).gauss(0, self.quality_sd)

    def rng(self, *parts: str | int) -> random.Random:
        """Return random numbers seeded by the model and what they are for."""
        return random.Random(derive_seed(self.seed, *parts))
