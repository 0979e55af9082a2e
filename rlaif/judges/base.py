"""The parts of a kind of judge: its configuration, how it is asked, how log-odds are read from it, its description.

A judge is asked either about two responses in one order (`ask_pair`, which returns a verdict), or once about all
candidates of a prompt (`ask_candidates`, which returns scores or rankings).
"""

from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from pydantic import Field, field_validator

from rlaif.base import Section
from rlaif.constitution.schema import Principle
from rlaif.models.config import ModelConfig, model_from_text
from rlaif.models.model import Model, StoredReply
from rlaif.preferences.logits import PrincipleLogit
from rlaif.records import Checked, Matchup, Order, Prompt, Ranked, Ranking, Response, Score, Scored, Verdict
from rlaif.templates import Templates


class JudgeConfigBase(Section):
    """The options that all kinds of judges share. Each kind adds its own and a default for `kind`."""

    kind: str
    name: str | None = Field(default=None, pattern=r"^[^:\s]+$", max_length=64)
    """Name of the judge in verdicts and reports; its kind by default."""
    critic: ModelConfig | None = None
    """The model that answers; by default the run's critic."""
    weight: float = Field(default=1.0, gt=0, le=1000)
    """Weight in the mean over judges; for ratings and rewards, weight in the mean over principles."""

    @field_validator("critic", mode="before")
    @classmethod
    def _a_name_is_enough(cls, critic: object) -> object:
        return model_from_text(critic) if isinstance(critic, str) else critic

    @field_validator("name")
    @classmethod
    def _name_is_free(cls, name: str | None) -> str | None:
        if name in {"check", "panel"}:
            raise ValueError(f'"{name}" is reserved for other results; give the judge another name')
        return name

    @property
    def called(self) -> str:
        """Name of the judge in verdicts and reports."""
        return self.name or self.kind

    @property
    def aspect_weights(self) -> dict[str, float]:
        """Weights of the aspects that it scores in place of principles, by `JUDGE:ASPECT`."""
        return {}

    @property
    def worked_cases(self) -> int:
        """Number of a principle's cases that it is shown as worked examples."""
        return 0

    @property
    def more_templates(self) -> tuple[str, ...]:
        """Names of templates that it needs beside its kind's."""
        return ()

    @property
    def range(self) -> tuple[float, float] | None:
        """Bounds to which its probabilities are clamped; None without clamping."""
        return None

    @property
    def thought_tokens(self) -> int:
        """Maximum number of tokens that it may write before its verdict."""
        return 0

    def questions(self) -> dict[str, Any]:
        """Return the options on which its requests depend; a run cannot be continued with others."""
        options = self.model_dump(mode="json", exclude={"critic", "weight", "name", "aspects"})
        if self.critic is not None:
            options["critic"] = {"model": self.critic.model, **self.critic.chat_template_kwargs}
        return {"called": self.called, **options}


@dataclass(frozen=True)
class Judge:
    """A judge of a run: its configuration and its model."""

    config: Any
    """An instance of its kind's configuration class."""
    critic: Model


@dataclass(frozen=True)
class PointwiseResults:
    """Scores and rankings of one prompt's candidates, from judges that see one response at a time or all at once."""

    scores: Mapping[tuple[str, str], Mapping[str, Score | None]] = field(default_factory=dict)
    """By (judge, principle or `JUDGE:ASPECT`), then by response id; None for an answer that could not be read."""
    rankings: Sequence[Ranking] = ()
    replies: Sequence[StoredReply] = ()

    def scores_of(self, a: str, b: str) -> tuple[Scored, ...]:
        """Return the scores of two candidates."""
        return tuple(
            Scored(judge=judge, principle=principle, a=given[a], b=given[b])
            for (judge, principle), given in self.scores.items()
        )

    def rankings_of(self, a: str, b: str) -> tuple[Ranked, ...]:
        """Return how the rankings place two candidates, one entry for each judge and principle."""
        votes: dict[tuple[str, str], dict[Order, list[int]]] = {}
        for ranking in self.rankings:
            counts = votes.setdefault((ranking.judge, ranking.principle), {"ab": [0, 0], "ba": [0, 0]})
            if ranking.ranked is not None:
                order: Order = "ab" if ranking.shown.index(a) < ranking.shown.index(b) else "ba"
                counts[order][ranking.ranked.index(a) > ranking.ranked.index(b)] += 1
        return tuple(
            Ranked(
                judge=judge,
                principle=principle,
                a_first=(counts["ab"][0], counts["ab"][1]),
                b_first=(counts["ba"][0], counts["ba"][1]),
            )
            for (judge, principle), counts in votes.items()
        )


@dataclass(frozen=True)
class CandidateSet:
    """All candidates of one prompt, to be judged one by one or all at once."""

    prompt: Prompt
    candidates: Sequence[Response]
    principles: Sequence[Principle]
    both_orders: bool
    priority: int
    run_seed: int = 0


@dataclass(frozen=True)
class Comparison:
    """Two responses of one prompt that are to be compared."""

    prompt: Prompt
    a: Response
    b: Response
    purpose: Literal["design", "final"]
    principles: Sequence[Principle]
    both_orders: bool
    priority: int
    template: Literal["compare", "compare_again"] = "compare"
    """`compare_again` asks the same question in other words, to measure the effect of wording."""
    seed: int | None = None
    """Makes a repeated request a new one for the reply store; a token's probabilities do not depend on it."""
    checks: tuple[Checked, ...] = ()
    """Results of the checks on the two responses."""
    pointwise: PointwiseResults = PointwiseResults()
    """Scores and rankings of the responses."""
    run_seed: int = 0
    """The run's seed; the seed of a judge's reasoning is derived from it."""

    def shown(self, order: Order) -> tuple[Response, Response]:
        """Return (shown first, shown second)."""
        return (self.a, self.b) if order == "ab" else (self.b, self.a)


Given: TypeAlias = tuple[Verdict, list[StoredReply]]
"""A verdict and the replies that it was read from."""
AskPair: TypeAlias = Callable[[Judge, Templates, Comparison, Order, Principle], Coroutine[Any, Any, Given]]
AskCandidates: TypeAlias = Callable[[Judge, Templates, CandidateSet], Coroutine[Any, Any, PointwiseResults]]


@dataclass(frozen=True)
class Reading:
    """Conditions under which verdicts are readable."""

    both_orders: bool
    min_label_mass: float


Logits: TypeAlias = Callable[[Any, Matchup, Reading], Iterable[tuple[str, PrincipleLogit]]]
"""From (configuration, matchup, reading) to (principle, log-odds) of each readable judgement of the judge."""


@dataclass(frozen=True)
class JudgeKind:
    """One kind of judge."""

    config: type[JudgeConfigBase]
    logits: Logits
    describe: Callable[[Any], str]
    """From a configuration to a short description of the judge."""
    unanswered: Callable[[Any, float], str]
    """From (configuration, mean label mass) to a message about a judge with too little label mass."""
    ask_pair: AskPair | None = None
    ask_candidates: AskCandidates | None = None
    template: str | None = None
    """Name of its template."""
    stand_ins: Mapping[str, object] = field(default_factory=dict)
    """Placeholder values of its template's variables, to test the template."""
    one_token: Callable[[Any], tuple[str, ...]] = lambda _: ()
    """From a configuration to the labels that must each be one token."""
    asks_rules: bool = True
    """Whether it judges under the constitution's principles."""
    has_order: bool = True
    """Whether it sees several responses at once, so that their order may matter; False for one response at a time."""

    @property
    def name(self) -> str:
        """The value of `kind` in a run file."""
        return str(self.config.model_fields["kind"].default)


THINKING = "(a thinking model? then set chat_template_kwargs: {enable_thinking: false})"
"""The most common reason why a model's first token is not a label."""
