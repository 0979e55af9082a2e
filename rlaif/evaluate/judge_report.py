"""The report on critics measured against gold labels: metrics of each, baselines, and shared errors.

Two judges that are wrong on the same items add little to each other. So the report has, for each two judges, how often
they name the same response, how often both are wrong, and how often both would be if their errors were independent.
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
from rlaif.stats.estimates import Array, Estimate, Tally, tallies_of

PANEL = "panel"
"""Name of several judges together; left out of the overlaps, because it contains the other judges."""


class Cost(Record):
    """The cost of the verdicts."""

    verdicts: int
    from_store: int
    """Verdicts taken from the reply store: asked before, or twice in this set."""
    prompt_tokens: float
    """Prompt tokens per verdict, as the server counted them when it was first asked."""
    cached: float | None
    """Share of the prompt tokens that came from the server's prefix cache, in this session."""
    seconds: float | None
    """Seconds per verdict asked in this session, with many at a time; None when all came from the store."""


class CriticReport(Record):
    """The results of one critic."""

    critic: str
    """The critic as given on the command line."""
    judge: str
    """The kind or name of the judge; `panel` for several judges together."""
    judging: JudgingConfig
    served: str
    """Names that the judges' models are served under, comma-separated."""
    identities: dict[str, str]
    """Identity of each judge's model, by the judge's name."""
    fitness: Fitness
    overall: JudgeMetrics
    subsets: dict[str, JudgeMetrics]
    reliability: tuple[Bin, ...]
    recalibration: Recalibration
    position_bias: PositionBias
    """As a run measures it: medians by principle, subtracted before deciding on order noise."""
    cost: Cost
    error: str | None
    """The first failed request's error; None without failures."""

    @property
    def title(self) -> str:
        """The critic and the kind of judge; unique among the reports."""
        return f"{self.critic} {self.judge}"


class Baselines(Record):
    """Accuracies that need no critic."""

    longer_wins: Estimate
    """Share of the items whose better response is the longer one, in characters; equal lengths count as wrong."""
    first_wins: Estimate
    """Share whose better response is first in the file; value None where the file has no order. Over both orders, "the
    response shown first wins" is right in exactly 50 %."""
    coin: float = 0.5


class Overlap(Record):
    """Agreement of two judges on the items for which both name a response, without thresholds."""

    one: str
    other: str
    agree: Estimate
    """Share of these items for which they name the same response."""
    both_wrong: Estimate
    by_chance: float | None
    """Share in which both would be wrong if their errors were independent."""
    correlation: Estimate
    """Phi coefficient of being wrong: 0 independent errors, 1 the same errors; None where one is never wrong."""


class JudgeEvaluation(Record):
    """The results of all critics; `evaluation.json`."""

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
    """Shared errors of each two critics."""


def baselines_of(gold: Gold) -> Baselines:
    """Return the baselines for some gold labels."""

    def tally(item: GoldItem) -> Tally:
        longer, first = len(item.chosen) > len(item.rejected), item.chosen_first
        return Tally({"items": 1, "longer": longer, "placed": first is not None, "first": first is True})

    found = tallies_of((item.conversation, tally(item)) for item in gold.items)
    return Baselines(longer_wins=found.ratio("longer", "items"), first_wins=found.ratio("first", "placed"))


def overlaps(judged: Mapping[str, Sequence[JudgedItem]]) -> tuple[Overlap, ...]:
    """Return the overlap of each two judges, from judged items by title, in the same order for all."""
    single = [title for title in judged if not title.endswith(f" {PANEL}")]
    return tuple(_overlap(one, other, judged[one], judged[other]) for one, other in combinations(single, 2))


def _overlap(one: str, other: str, of_one: Sequence[JudgedItem], of_other: Sequence[JudgedItem]) -> Overlap:
    found = tallies_of(
        (a.item.conversation, tally) for a, b in zip(of_one, of_other, strict=True) if (tally := _tally(a, b))
    )
    n, first, second = (found.total(key) for key in ("n", "first", "second"))
    return Overlap(
        one=one,
        other=other,
        agree=found.ratio("agree", "n"),
        both_wrong=found.ratio("both", "n"),
        by_chance=first * second / n**2 if n else None,
        correlation=found.function(_phi, ("n", "first", "second", "both"), of=("n",), scale="correlation"),
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
