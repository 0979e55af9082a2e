"""The report on critics that were measured against gold labels: metrics of each, baselines, and shared errors.

Two judges that err on the same items are hardly more than one of them, so for each two the report says how often they
name the same response, how often both are wrong, and how often they would be if their errors were independent.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

from rlaif.config.judging import JudgingConfig
from rlaif.evaluate.calibration import Bin, Recalibration
from rlaif.evaluate.fitness import Fitness
from rlaif.evaluate.gold import Gold, GoldItem
from rlaif.evaluate.judge_metrics import JudgedItem, JudgeMetrics
from rlaif.preferences.logits import TIE_LOGIT
from rlaif.preferences.position import PositionBias
from rlaif.records import Record
from rlaif.stats.estimates import Array, Estimate, Tally, bootstrap_of

PANEL = "panel"
"""The name of several judges together; it overlaps with each of its members, which shows nothing."""


class Cost(Record):
    """What the verdicts cost."""

    verdicts: int
    from_store: int
    """Verdicts that had been asked before, or twice in this set."""
    prompt_tokens: float
    """Tokens per verdict, as the server counted them when it was first asked."""
    cached: float | None
    """Share of the prompt tokens that came from the server's prefix cache, in this session."""
    seconds: float | None
    """Per verdict asked in this session, many at a time; None when all came from the store."""


class CriticReport(Record):
    """How one critic did."""

    critic: str
    """As it was named on the command line."""
    judge: str
    """The kind of judge, or its name; `panel` for several together."""
    judging: JudgingConfig
    served: str
    """The names that the judges' models are served under."""
    identities: dict[str, str]
    """The model behind each judge, by the judges' names."""
    fitness: Fitness
    overall: JudgeMetrics
    subsets: dict[str, JudgeMetrics]
    reliability: tuple[Bin, ...]
    recalibration: Recalibration
    position_bias: PositionBias
    """As a run would measure it: the median by principle, taken out before order noise is called."""
    cost: Cost
    error: str | None
    """The first that failed, if any did."""

    @property
    def title(self) -> str:
        """The critic and the kind of judge, which no two reports have in common."""
        return f"{self.critic} {self.judge}"


class Baselines(Record):
    """Accuracies that need no critic."""

    longer_wins: Estimate
    """Share of the items whose better response is the longer one, in characters; equal lengths count as missed."""
    first_wins: Estimate
    """Share whose better response stands first in the file; value None where the file has no order. Asked in both
    orders, "the first wins" is right in exactly one half."""
    coin: float = 0.5


class Overlap(Record):
    """Two judges on the items for which both name a response, thresholds aside."""

    one: str
    other: str
    agree: Estimate
    """Share of these items for which they name the same response."""
    both_wrong: Estimate
    by_chance: float | None
    """Share in which both would be wrong if their errors were independent."""
    correlation: Estimate
    """Phi of being wrong: 0 independent errors, 1 the same ones; None where one of them never errs."""


class JudgeEvaluation(Record):
    """Everything that was measured."""

    gold: str
    gold_hash: str
    items: int
    prompts: int
    subsets: dict[str, int]
    constitution: str
    constitution_version: int
    constitution_hash: str
    judging: JudgingConfig
    baselines: Baselines
    critics: tuple[CriticReport, ...]
    overlaps: tuple[Overlap, ...]
    """How much each two of them err together."""


def baselines_of(gold: Gold) -> Baselines:
    """Return the baselines on some gold labels."""

    def tally(item: GoldItem) -> Tally:
        longer, first = len(item.chosen) > len(item.rejected), item.chosen_first
        return Tally({"items": 1, "longer": longer, "placed": first is not None, "first": first is True})

    found = bootstrap_of((item.conversation, tally(item)) for item in gold.items)
    return Baselines(longer_wins=found.ratio("longer", "items"), first_wins=found.ratio("first", "placed"))


def overlaps(judged: Mapping[str, Sequence[JudgedItem]]) -> tuple[Overlap, ...]:
    """Return the overlaps of each two judges; the items are in the same order for all."""
    alone = [title for title in judged if not title.endswith(f" {PANEL}")]
    return tuple(_overlap(one, other, judged[one], judged[other]) for one, other in combinations(alone, 2))


def _overlap(one: str, other: str, of_one: Sequence[JudgedItem], of_other: Sequence[JudgedItem]) -> Overlap:
    found = bootstrap_of(
        (a.item.conversation, tally) for a, b in zip(of_one, of_other, strict=True) if (tally := _tally(a, b))
    )
    n, first, second = (found.total(key) for key in ("n", "first", "second"))
    return Overlap(
        one=one,
        other=other,
        agree=found.ratio("agree", "n"),
        both_wrong=found.ratio("both", "n"),
        by_chance=first * second / n**2 if n else None,
        correlation=found.function(_phi, ("n", "first", "second", "both"), of=("n",)),
    )


def _tally(a: JudgedItem, b: JudgedItem) -> Tally | None:
    if a.logit is None or b.logit is None or min(abs(a.logit), abs(b.logit)) < TIE_LOGIT:
        return None
    wrong = (a.logit < 0, b.logit < 0)
    return Tally({"n": 1, "first": wrong[0], "second": wrong[1], "both": all(wrong), "agree": wrong[0] == wrong[1]})


def _phi(totals: Array) -> Array:
    n, first, second, both = totals
    a, b = first / n, second / n
    result: Array = (both / n - a * b) / (a * (1 - a) * b * (1 - b)) ** 0.5
    return result
