"""What a judge is asked about two responses of one prompt, and the seat it is asked from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rlaif.config import JudgeConfig, JudgingConfig
from rlaif.constitution import Principle
from rlaif.models.model import Answer, Model
from rlaif.records import Checked, Order, Prompt, Ranked, Ranking, Response, Score, Scored, Verdict


@dataclass(frozen=True)
class Seat:
    """A judge, and the model that speaks for it."""

    config: JudgeConfig
    critic: Model


def seats_of(judging: JudgingConfig, models: Mapping[str, Model] | Model) -> tuple[Seat, ...]:
    """Return the judges with the models that speak for them, by name; or one model for all of them."""
    return tuple(Seat(judge, models if isinstance(models, Model) else models[judge.called]) for judge in judging.panel)


@dataclass(frozen=True)
class Looked:
    """What judges that see one answer at a time, or all at once, said about the candidates of one prompt."""

    scores: Mapping[tuple[str, str], Mapping[str, Score | None]] = field(default_factory=dict)
    """By (judge, principle), then by response."""
    rankings: Sequence[Ranking] = ()
    answers: Sequence[Answer] = ()

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
class Slate:
    """All candidates of one prompt, to be looked at one by one or all at once."""

    prompt: Prompt
    candidates: Sequence[Response]
    principles: Sequence[Principle]
    settings: JudgingConfig
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
    settings: JudgingConfig
    priority: int
    template: Literal["compare", "compare_again"] = "compare"
    """`compare_again` asks the same in other words, to see how much hangs on the words."""
    seed: int | None = None
    """Sent along so that the same question counts as asked anew; a token's probabilities don't depend on it."""
    checks: tuple[Checked, ...] = ()
    """What programs found in the two; nobody is asked about these principles."""
    looked: Looked = Looked()
    """What was said about the answers one by one, or all at once."""
    run_seed: int = 0
    """Seeds what a judge writes before its verdict."""

    def shown(self, order: Order) -> tuple[Response, Response]:
        """Return (shown first, shown second)."""
        return (self.a, self.b) if order == "ab" else (self.b, self.a)


Given = tuple[Verdict, list[Answer]]
"""A verdict and the replies behind it."""
