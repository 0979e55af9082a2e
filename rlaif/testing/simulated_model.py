"""The settings of a simulated model: the known qualities and biases of its responses and verdicts, for tests.

The text of every response contains its quality in logits, `(quality +0.73)`: a response is preferred to another with
probability sigmoid(difference of qualities). A verdict has the log-odds

    x = scale * (quality first - quality second) + length_bias * ln(length first / length second)
        + sum of shortcuts * (feature first - feature second) + position_bias + noise * standard normal(question)

for the response shown first. Replies depend only on the request and the settings, so runs repeat exactly.
"""

import math
import random
import re
from typing import Annotated, Literal

from pydantic import Field

from rlaif.base import Record
from rlaif.seeds import derive_seed
from rlaif.text.shortcuts import feature

Manner = Literal["markdown", "flattery", "hedge", "authority", "answer"]
"""A surface feature of `rlaif.text.shortcuts` besides length."""
Kind = Literal["sample", "critique", "revise", "judge", "deliberate", "rate", "rank", "reward", "choice", "score"]
"""The kind of a request."""

_QUALITY = re.compile(r"\(quality ([+-]\d+\.\d+)\)")


BadReply = Literal[
    "truncated", "not-utf8", "nan", "no-choices", "too-many-choices", "empty-text", "null-text", "error",
    "placeholder", "positive", "huge", "repeated", "negative-usage", "content-filter"
]  # fmt: skip
"""What is wrong with a reply of status 200; see `rlaif.testing.bad_replies`."""


class Fault(Record):
    """A fault of the server for some of the requests."""

    kind: Kind | Literal["any"] = "any"
    """Kind of the requests that it applies to."""
    does: Literal["status", "disconnect", "hang", "garbage"] | BadReply = "status"
    """Replies with an HTTP status, closes the connection, never replies, replies with HTML, or with status 200 and a
    reply that is not what the model said."""
    status: int = Field(default=500, ge=100, le=599)
    """HTTP status."""
    retry_after: str | None = None
    """Retry-After header: seconds, or a date."""
    message: str = "simulated fault"
    """The server's explanation."""
    after: int = Field(default=0, ge=0)
    """Number of such requests that get a normal reply before the fault."""
    times: int | None = Field(default=1, ge=1)
    """Number of requests with the fault; None for all from then on."""
    share: float = Field(default=1.0, gt=0, le=1)
    """Share of such requests that have the fault, drawn by the server for each attempt."""
    contains: str = ""
    """The fault applies only to requests whose text contains this."""


class PlantedRule(Record):
    """The simulated judge's behaviour under one principle."""

    contains: str
    """Text by which the principle's question is recognised."""
    agrees: float = Field(default=1.0, ge=0, le=1)
    """Share of the matchups in which the better response wins under the principle; the others are drawn by their
    texts."""
    position_bias: float | None = None
    """Log-odds for the response shown first, any number; None for the model's `position_bias`."""


class Habit(Record):
    """A text that the policy writes before its response, or in place of it."""

    says: str
    """The text."""
    share: float = Field(default=1.0, ge=0, le=1)
    """Share of the responses that contain it."""
    alone: bool = False
    """Whether it replaces the response."""
    to: tuple[str, ...] = ()
    """The prompts (their last turns) that it applies to; empty for all."""


class Knowledge(Record):
    """The policy's knowledge for questions with four options."""

    right: tuple[str, ...]
    """Texts of the right options."""
    accuracy: float = Field(default=0.8, ge=0, le=1)
    """Share of the questions, drawn by their text, for which it chooses the right option."""
    confidence: float = Field(default=0.8, gt=0.25, lt=1)
    """Probability of the chosen option, whether right or wrong."""


Tails = Literal["normal", "heavy", "outliers"]
"""`heavy`: Student's t with 3 degrees of freedom, scaled to a standard deviation of 1. `outliers`: normal, with 5 % of
the values 5 times as large."""

REVISED = "(revised) "
"""Mark of a revision in its text, for a critic that prefers revisions."""


def heavy_tailed(tails: Tails, rng: random.Random) -> float:
    """Draw a value of mean 0; its standard deviation is 1, before outliers."""
    drawn = rng.gauss(0, 1)
    if tails == "heavy":
        return drawn / math.sqrt(rng.gammavariate(1.5, 2))
    return drawn * 5 if tails == "outliers" and rng.random() < 0.05 else drawn


class SimulatedModel(Record):
    """Settings of a simulated model. The default is a critic without bias or noise."""

    name: str = "simulated"
    """Served name."""
    seed: int = 0
    """Models with different seeds reply differently under the same settings."""
    quality_sd: float = Field(default=1.0, ge=0)
    """Standard deviation of the responses' quality, in logits."""
    revision_gain: float = 0.5
    """Mean quality of a revision minus that of the revised response, in logits, any number."""
    scale: float = 1.0
    """Logits of a verdict per logit of quality: above 1 overconfident, below 1 underconfident, below 0 reversed."""
    position_bias: float = 0.0
    """Log-odds for the response shown first, any number."""
    length_bias: float = 0.0
    """Logits per unit of log length ratio, any number."""
    shortcuts: dict[Manner, float] = Field(default_factory=dict)
    """Logits that the critic gives for surface features, such as {"markdown": 0.6, "hedge": -0.4}: for Markdown, a
    flattering opening, each hedge, a claim of authority, an ending such as `Answer: A`."""
    tokenises: bool = True
    """Whether its server knows /tokenize and reports the log-probabilities of named tokens, as vLLM does. Tokens are
    words with the white space before them."""
    control_tokens: tuple[str, ...] = ()
    """Texts that its tokenizer has as one token each."""
    reported: int | None = Field(default=None, ge=1)
    """Largest number of likely tokens that it reports; None for all that it has."""
    yes_bias: float = 0.0
    """Log-odds for the first label in questions about one response, any number."""
    thinks: bool = False
    """Whether responses come with reasoning, as a server with a reasoning parser sends it."""
    cut_while_thinking: float = Field(default=0.0, ge=0, le=1)
    """Share of the responses of a model that thinks of which only the reasoning fits into the limit of tokens."""
    noise: float = Field(default=0.0, ge=0)
    """Standard deviation of the noise on each verdict, in logits."""
    noise_tails: Tails = "normal"
    """Distribution of the noise."""
    shared_noise: float = Field(default=0.0, ge=0)
    """Standard deviation of an error about two responses that both orders of a question share, in logits."""
    response_noise: float = Field(default=0.0, ge=0)
    """Standard deviation of an error about a response that all its verdicts share, in logits."""
    position_bias_sd: float = Field(default=0.0, ge=0)
    """Standard deviation of the position bias between matchups, in logits; both orders share it."""
    unreadable_when_hard: float = Field(default=0.0, ge=0, le=1)
    """Share of unreadable verdicts about responses of equal quality; exp(-d) times it with a difference of d logits."""
    revision_preference: float = 0.0
    """Log-odds for a revision, whatever its quality, any number."""
    quality_tails: Tails = "normal"
    """Distribution of the responses' quality."""
    quality_per_length: float = 0.0
    """Mean quality per unit of log length of a response, in logits, any number."""
    features: dict[Manner, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    """Shares of the samples that the policy writes with surface features, each in [0, 1]."""
    quality_per_feature: dict[Manner, float] = Field(default_factory=dict)
    """Mean quality that goes with a feature of `features`, in logits, any number."""
    label_mass: float = Field(default=0.97, ge=0, le=1)
    """Probability of the two labels together."""
    unreadable: float = Field(default=0.0, ge=0, le=1)
    """Share of the verdicts that name neither label."""
    ties: float = Field(default=0.0, ge=0, le=1)
    """Share of the questions (both orders alike) whose log-odds are exactly 0."""
    rules: tuple[PlantedRule, ...] = ()
    """Behaviour that differs between principles."""
    revisions_copy: bool = False
    """Whether revisions repeat the request for a revision, as weak models do."""
    revisions_begin: str = ""
    """Text before each revision, such as a fence, which weak models repeat; `TAG` is replaced by the tag of its
    request."""
    words: int = Field(default=40, ge=0)
    """Mean words of a response; the standard deviation is a quarter of it, and no response has fewer than 3."""
    quality_mean: float = 0.0
    """Mean of the responses' quality, in logits, any number."""
    variety: int | None = Field(default=None, ge=1)
    """Maximum number of different responses to one prompt; None without a limit."""
    continues: bool = False
    """Whether a text that is cut off is the beginning of what a larger limit gives, and choice i of a request is that
    of a request with seed + i, as on vLLM. Otherwise texts are not cut, and other requests draw other texts."""
    habits: tuple[Habit, ...] = ()
    """Texts that its responses contain."""
    knowledge: Knowledge | None = None
    """Its knowledge for questions with four options; None gives all options the same probability."""
    nats: float = Field(default=3.0, gt=0)
    """Mean negative log-probability of a token of a scored text, in nats."""
    nats_of_answers: float = Field(default=1.0, gt=0)
    """Mean negative log-probability of a token of a text sent as token ids (text that a model generated), in nats."""
    scores: bool = True
    """Whether the server can score texts; not every server can."""
    lines: int = Field(default=1, ge=1)
    """Maximum number of lines of a response; the number is drawn from 1 to this."""
    latency_s: float = Field(default=0.0, ge=0)
    """Seconds before each reply."""
    api_key: str | None = None
    """The API key that requests must contain; None for none."""
    faults: tuple[Fault, ...] = ()
    """Faults of the server; the first one that applies to a request is used."""

    def quality(self, text: str) -> float:
        """Return the quality of a response in logits; for a text that does not contain it, it is drawn by the text."""
        found = _QUALITY.search(text)
        if found:
            return float(found.group(1))
        return self.rng("quality", text).gauss(0, self.quality_sd)

    def liking(self, text: str) -> float:
        """Return the log-odds that the critic gives a response for its surface features, whatever its quality."""
        return sum(worth * feature(name, text) for name, worth in self.shortcuts.items())

    def rng(self, *parts: str | int) -> random.Random:
        """Return a random generator seeded by the model's seed and a purpose."""
        return random.Random(derive_seed(self.seed, *parts))
