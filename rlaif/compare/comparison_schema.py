"""The schema of `comparison.json`; every estimate has a 95 % interval."""

from rlaif.compare.disagreements import Disagreement
from rlaif.evaluate.text_metrics import TextMetrics
from rlaif.preferences.position import PositionBias
from rlaif.records import Record, Usage
from rlaif.stats.estimates import Estimate


class PrincipleMetrics(Record):
    """Metrics of one principle in its own rule set, over the pool."""

    id: str
    group: str | None
    compare: str
    weight: float
    decisive: Estimate
    """Share of the labels that would be different, or missing, without it."""
    agrees: Estimate
    """Share of matchups in which it names the same winner as the other principles together."""
    turned: Estimate
    """Share of matchups in which its two orders name different winners."""


class Conflict(Record):
    """Two principles (or groups) of one rule set that name different winners."""

    one: str
    other: str
    against: Estimate
    """Of the matchups where both name a winner, the share with different winners; for groups, over all pairs of their
    principles."""


class FlipCause(Record):
    """A principle that causes flips between two rule sets."""

    rules: str
    principle: str
    undone: Estimate
    """Share of the flips where `rules` would give the other rule set's label without it."""


class RuleSetPair(Record):
    """Differences of two rule sets over the same matchups."""

    one: str
    other: str
    flips: Estimate
    """Share of matchups labelled by both that get different labels."""
    kappa: Estimate
    """Cohen's kappa of these labels: 1 all equal, 0 agreement by chance."""
    beyond_noise: Estimate | None
    """Share of flips between different passes of the two rule sets, minus the mean of their noise floors; None when
    nothing was judged twice."""
    rank_correlation: Estimate
    """Mean over prompts of Kendall's tau-b between the two rankings of the responses."""
    one_sided: Estimate
    """Of the matchups labelled by at least one, the share on which the other abstains."""
    guilty: list[FlipCause]
    """Principles of both rule sets that cause the flips, the largest share first."""


class RuleSetMetrics(Record):
    """Metrics of one rule set over the pool."""

    name: str
    constitution: str
    constitution_hash: str
    run: str
    matchups: int
    labelled: Estimate
    abstained: dict[str, int]
    noise_floor: Estimate | None
    """Share of labels that flip when the same rules judge again with another seed and another wording."""
    order_agreement: Estimate
    label_mass: Estimate
    critic: PositionBias
    over_own_parent: Estimate
    """Mean probability that a revision by these rules beats its sample, under these rules."""
    over_parent_elsewhere: Estimate
    """Mean probability that the same revisions beat their samples, under the other rule sets."""
    principles: list[PrincipleMetrics]
    conflicts: list[Conflict]
    """Pairs of principles, those that contradict each other most often first."""
    group_conflicts: list[Conflict]
    texts: TextMetrics
    run_usage: Usage
    """Tokens of its own run (samples, critiques, revisions, verdicts)."""
    pool_usage: Usage
    """Tokens of its verdicts on the pool."""
    seconds: float | None
    """Seconds of its own run, all sessions together (of a run made before, the last session); None if not known."""


class Matrix(Record):
    """Win rates by the rule set that judges (rows) and the rule set that made the revision (columns)."""

    judges: list[str]
    makers: list[str]
    cells: list[list[Estimate]]
    """cells[judge][maker]: mean probability of winning."""


class Comparison(Record):
    """`comparison.json`."""

    format: int = 1
    prompts: int
    left_out: int
    """Prompts, of all runs together, that were not judged: they failed, or another run has no trace of them."""
    shared_samples: bool
    """Whether all rule sets revised the same samples; runs with other seeds or policies have their own."""
    matchups: int
    matchups_by_kind: dict[str, int]
    identical: int
    """Matchups left out because both responses are the same text."""
    judged_twice: int
    """Prompts judged twice, from which the noise floor is measured."""
    policy: str
    critic: str
    rule_sets: list[RuleSetMetrics]
    pairs: list[RuleSetPair]
    over_parent: Matrix
    """Mean probability that a revision beats the sample that it revises."""
    rivals: Matrix
    """Mean probability that a revision beats another rule set's revision of the same sample."""
    samples: TextMetrics
    """The policy's own responses."""
    disagreements: list[Disagreement]
    warnings: list[str]
    pool_seconds: float | None
    """Seconds spent on judging the pool, all sessions together."""
