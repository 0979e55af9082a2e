"""The schema of `comparison.json`. Every number that can have one comes with its interval."""

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
    """Share of the labels that would be another, or none, without it."""
    agrees: Estimate
    """Share of matchups in which it names the same winner as the others together."""
    turned: Estimate
    """Share of matchups in which its two orders name different winners."""


class Conflict(Record):
    """Two principles (or groups) of one rule set that vote against each other."""

    one: str
    other: str
    against: Estimate
    """Share of the matchups in which both name a winner, and not the same; of groups, of all pairs of their principles
    in all matchups."""


class FlipCause(Record):
    """A principle that causes flips between two rule sets."""

    rules: str
    principle: str
    undone: Estimate
    """Share of the flips where `rules` would give the other rule set's label without it."""


class RuleSetPair(Record):
    """How two rule sets differ over the same matchups."""

    one: str
    other: str
    flips: Estimate
    """Share of matchups labelled by both that get different labels."""
    kappa: Estimate
    """Cohen's kappa of these labels: 1 the same, 0 as by chance."""
    beyond_noise: Estimate | None
    """Flips between a judging pass of one and the other pass of the other, minus the mean of the two noise floors; None
    when nothing was judged twice."""
    rank_correlation: Estimate
    """Mean over prompts of Kendall's tau-b between the orders of the responses."""
    one_sided: Estimate
    """Share of the matchups labelled by at least one that the other abstains on."""
    guilty: list[FlipCause]
    """Causes of the flips, of both rule sets, the largest share first."""


class RuleSetMetrics(Record):
    """One rule set."""

    name: str
    constitution: str
    constitution_hash: str
    run: str
    matchups: int
    labelled: Estimate
    abstained: dict[str, int]
    noise_floor: Estimate | None
    """Share of labels that flip when the same rules judge again with another seed and in other words."""
    order_agreement: Estimate
    label_mass: Estimate
    critic: PositionBias
    over_own_parent: Estimate
    """Mean probability that a revision by these rules beats its sample, under these rules."""
    over_parent_elsewhere: Estimate
    """The same revisions under the other rule sets."""
    principles: list[PrincipleMetrics]
    conflicts: list[Conflict]
    """Pairs of principles, those that contradict each other most often first."""
    group_conflicts: list[Conflict]
    texts: TextMetrics
    run_usage: Usage
    """Tokens behind its own run (samples, critiques, revisions, its own verdicts)."""
    pool_usage: Usage
    """Tokens behind its verdicts on the pool."""
    seconds: float | None
    """Seconds its own run took, all sessions together (of a run made elsewhere, the last); None if not known."""


class Matrix(Record):
    """Under whose rules (rows) whose revisions (columns) win."""

    judges: list[str]
    makers: list[str]
    cells: list[list[Estimate]]
    """cells[judge][maker]: mean probability of winning."""


class Comparison(Record):
    """`comparison.json`."""

    format: int = 1
    prompts: int
    left_out: int
    """Prompts of any of the runs that are not among these: they failed, or another run has no trace of them."""
    shared_samples: bool
    """Whether all rule sets revised the same samples; runs with other seeds or policies have their own."""
    matchups: int
    matchups_by_kind: dict[str, int]
    identical: int
    """Matchups left out because both responses are the same text."""
    judged_twice: int
    """Prompts behind the noise floor."""
    policy: str
    critic: str
    rule_sets: list[RuleSetMetrics]
    pairs: list[RuleSetPair]
    over_parent: Matrix
    """Mean probability that a revision beats the sample it goes back to."""
    rivals: Matrix
    """Mean probability that a revision beats another rule set's revision of the same sample."""
    samples: TextMetrics
    """The policy's own responses."""
    disagreements: list[Disagreement]
    warnings: list[str]
    pool_seconds: float | None
    """Seconds spent on judging the pool, all sessions together."""
