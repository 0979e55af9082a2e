"""What every kind of judge has: a configuration, a question, log-odds made of its facts, and words about it.

A kind is one file of this folder that ends in a `JudgeKind`, and a line in each list of `__init__.py`. It is asked
either about two responses in one order (`ask_pair`), or once about all candidates of a prompt (`ask_candidates`).
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
    """What all kinds of judges can be told. Each kind adds its own options and a default for `kind`."""

    kind: str
    name: str | None = Field(default=None, pattern=r"^[^:\s]+$", max_length=64)
    """How its verdicts are called; its kind by default."""
    critic: ModelConfig | None = None
    """The run's critic where none is named."""
    weight: float = Field(default=1.0, gt=0, le=1000)
    """Share in the mean over judges; of ratings and rewards, their share in the mean over principles."""

    @field_validator("critic", mode="before")
    @classmethod
    def _a_name_is_enough(cls, critic: object) -> object:
        return model_from_text(critic) if isinstance(critic, str) else critic

    @field_validator("name")
    @classmethod
    def _name_is_free(cls, name: str | None) -> str | None:
        if name in {"check", "panel"}:
            raise ValueError(f'"{name}" means something else here; give the judge another name')
        return name

    @property
    def called(self) -> str:
        """The name its verdicts go by."""
        return self.name or self.kind

    @property
    def aspect_weights(self) -> dict[str, float]:
        """Weights of the aspects that it judges beside the constitution's principles, under `JUDGE:ASPECT`."""
        return {}

    @property
    def worked_cases(self) -> int:
        """How many worked cases of a principle it is shown."""
        return 0

    @property
    def range(self) -> tuple[float, float] | None:
        """What its probabilities are held within; None where they are left as they are."""
        return None

    @property
    def thought_tokens(self) -> int:
        """The most it may write before its verdict."""
        return 0

    def questions(self) -> dict[str, Any]:
        """Return what decides which questions it asks, and what is kept of the replies."""
        found = self.model_dump(mode="json", exclude={"critic", "weight", "name", "aspects"})
        if self.critic is not None:
            found["critic"] = {"model": self.critic.model, **self.critic.chat_template_kwargs}
        return {"called": self.called, **found}


@dataclass(frozen=True)
class Judge:
    """A judge of a run: its configuration, and the model that speaks for it."""

    config: Any
    """A `JudgeConfig` of its kind."""
    critic: Model


@dataclass(frozen=True)
class PointwiseResults:
    """What judges that see one response at a time, or all at once, said about the candidates of one prompt."""

    scores: Mapping[tuple[str, str], Mapping[str, Score | None]] = field(default_factory=dict)
    """By (judge, principle), then by response."""
    rankings: Sequence[Ranking] = ()
    replies: Sequence[StoredReply] = ()

    def scores_of(self, a: str, b: str) -> tuple[Scored, ...]:
        """Return the scores of two candidates."""
        return tuple(
            Scored(judge=judge, principle=principle, a=given[a], b=given[b])
            for (judge, principle), given in self.scores.items()
        )

    def rankings_of(self, a: str, b: str) -> tuple[Ranked, ...]:
        """Return how the rankings placed two candidates."""
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
    """`compare_again` asks the same in other words, to see how much hangs on the words."""
    seed: int | None = None
    """Sent along so that the same question counts as asked anew; a token's probabilities don't depend on it."""
    checks: tuple[Checked, ...] = ()
    """What programs found in the two; nobody is asked about these principles."""
    pointwise: PointwiseResults = PointwiseResults()
    """What was said about the responses one by one, or all at once."""
    run_seed: int = 0
    """Seeds what a judge writes before its verdict."""

    def shown(self, order: Order) -> tuple[Response, Response]:
        """Return (shown first, shown second)."""
        return (self.a, self.b) if order == "ab" else (self.b, self.a)


Given: TypeAlias = tuple[Verdict, list[StoredReply]]
"""A verdict and the replies behind it."""
AskPair: TypeAlias = Callable[[Judge, Templates, Comparison, Order, Principle], Coroutine[Any, Any, Given]]
AskCandidates: TypeAlias = Callable[[Judge, Templates, CandidateSet], Coroutine[Any, Any, PointwiseResults]]


@dataclass(frozen=True)
class Reading:
    """How facts are read: what must be there before a judge has said anything."""

    both_orders: bool
    min_label_mass: float


Logits: TypeAlias = Callable[[Any, Matchup, Reading], Iterable[tuple[str, PrincipleLogit]]]
"""From (configuration, matchup, reading) to (principle, log-odds), those that could be read."""


@dataclass(frozen=True)
class JudgeKind:
    """One kind of judge."""

    config: type[JudgeConfigBase]
    logits: Logits
    describe: Callable[[Any], str]
    """What it does, in a few words for people; of its configuration."""
    unanswered: Callable[[Any, float], str]
    """What is said of one that answers too rarely; of its configuration and the share it answered."""
    ask_pair: AskPair | None = None
    ask_candidates: AskCandidates | None = None
    template: str | None = None
    """Name of the template it is asked with."""
    stand_ins: Mapping[str, object] = field(default_factory=dict)
    """Values with which its template can be tried out."""
    asks_rules: bool = True
    """Whether it is asked about the constitution's principles."""

    @property
    def name(self) -> str:
        """What stands in a run file under `kind`."""
        return str(self.config.model_fields["kind"].default)


THINKING = "(a thinking model? then set chat_template_kwargs: {enable_thinking: false})"
"""The commonest reason why a model's first token is no answer."""
