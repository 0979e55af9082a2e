"""From the verdicts of one matchup to one probability that a beats b.

With x_ab = log P(A) - log P(B) when a is shown first and x_ba the same when b is, principle k says

    l_k = (x_ab - x_ba) / 2         the preference for a, a constant position bias cancelled exactly
    b_k = (x_ab + x_ba) / 2         the position bias: how much being shown first was worth

and the matchup l = sum w_k l_k / sum w_k over the readable principles, p = 1 / (1 + exp(-l)). A verdict that
cannot be read takes its principle out of the mean; it never counts as a zero.

A principle that a program decides says +L for an answer that passes where the other does not, L = ln(0.98 / 0.02); it
has no position bias and no label mass. Where both pass, or neither does, it has nothing to say and is left out of the
mean, too; where no other voice is left, that is a tie.

Where a constitution has priority levels, the mean is taken within a level, and a lower level decides only where
the higher ones abstain.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from rlaif.config import JudgingConfig
from rlaif.preferences.position import PositionBias
from rlaif.records import PROMPT_CHECK, Checked, Matchup, Order, Record, Verdict

Abstention = Literal["unreadable", "tie", "too close", "order noise"]

TIE_LOGIT = 1e-3
"""Servers report log-probabilities in single precision: what is nearer to zero than this is rounding."""

CHECKED_LOGIT = math.log(0.98 / 0.02)
"""What a passed check is worth against a failed one. Counting does not err, but people who write checks do, and one of
infinite weight would make every label 1 and leave no room for the other principles of its level."""


class PrincipleJudgement(Record):
    """What one principle says about one matchup."""

    principle: str
    logit: float
    """Log-odds that a is better, averaged over the orders."""
    position_bias: float | None
    """Log-odds given for being shown first; None when only one order was asked, and for what a program decides."""
    by_program: bool = False
    """Whether a program decides it, and not the critic."""

    @property
    def silent(self) -> bool:
        """Whether it has nothing to say: a program that finds both answers alike."""
        return self.by_program and self.logit == 0

    @property
    def p(self) -> float:
        """Probability that a is better."""
        return sigmoid(self.logit)

    @property
    def turned(self) -> bool | None:
        """Whether the two orders named different winners; None when only one was asked."""
        return None if self.position_bias is None else abs(self.position_bias) >= abs(self.logit)


class Judgement(Record):
    """What all principles together say about one matchup, or why they say nothing."""

    a: str
    b: str
    purpose: Literal["design", "final"]
    logit: float | None
    """Weighted mean of the principles' logits at the level that decided; None when no principle could be read."""
    priority: int | None = None
    """The level that decided; None when none did."""
    position_bias: float | None
    label_mass: float | None
    """Mean over all verdicts of this matchup, readable or not; None where only programs decided."""
    principles: tuple[PrincipleJudgement, ...]
    """The readable ones, those a program decides among them."""
    abstention: Abstention | None
    """Why this matchup may not become a label; None when it may."""

    @property
    def p(self) -> float | None:
        """Probability that a is better than b."""
        return None if self.logit is None else sigmoid(self.logit)

    def p_of(self, candidate: str) -> float | None:
        """Probability that this candidate of the two is the better one."""
        return self.p if candidate == self.a or self.p is None else 1 - self.p

    @property
    def order_agreement(self) -> float | None:
        """Share of the principles whose two orders name the same winner; None when only one was asked."""
        turned = [part.turned for part in self.principles if part.turned is not None]
        return None if not turned else 1 - sum(turned) / len(turned)


def judge_matchup(
    matchup: Matchup,
    weights: Mapping[str, float],
    judging: JudgingConfig,
    bias: PositionBias | None = None,
    priorities: Mapping[str, int] | None = None,
) -> Judgement:
    """Aggregate one matchup's verdicts.

    `bias` is the critic's position bias over the whole run. Without it (while the run is still going on)
    nothing can be said about order noise, and no matchup abstains for it. `priorities` are the principles' levels,
    1 for those it does not name.
    """
    asked = matchup.by_principle().items()
    voices = [part for name, verdicts in asked if (part := _judge_principle(name, verdicts, judging))]
    parts = tuple(_with_checks(voices, matchup.checks, weights) if matchup.checks else voices)
    decision = decide(parts, Rule(weights, priorities or {}, judging, bias))
    return Judgement(
        a=matchup.a,
        b=matchup.b,
        purpose=matchup.purpose,
        logit=decision.logit,
        priority=decision.priority,
        position_bias=decision.position_bias,
        label_mass=sum(v.label_mass for v in matchup.verdicts) / len(matchup.verdicts) if matchup.verdicts else None,
        principles=parts,
        abstention=decision.abstention,
    )


@dataclass(frozen=True)
class Rule:
    """How the principles' voices become one decision."""

    weights: Mapping[str, float]
    priorities: Mapping[str, int]
    """Levels; 1 for a principle that is not named."""
    judging: JudgingConfig
    bias: PositionBias | None = None

    def weight(self, principle: str) -> float:
        """Return a principle's weight; 1 for a check that belongs to a prompt."""
        return 1.0 if principle.startswith(PROMPT_CHECK) else self.weights[principle]


@dataclass(frozen=True)
class Decision:
    """What some principles decide together, or why they don't."""

    logit: float | None
    position_bias: float | None
    abstention: Abstention | None
    priority: int | None

    @property
    def label(self) -> Literal["a", "b"] | None:
        """The better one of the two; None for an abstention."""
        if self.abstention is not None or self.logit is None:
            return None
        return "a" if self.logit > 0 else "b"


def decide(parts: Collection[PrincipleJudgement], rule: Rule) -> Decision:
    """Let the highest level that does not abstain decide; where all do, the highest one's abstention counts."""
    first: Decision | None = None
    for level in sorted({rule.priorities.get(part.principle, 1) for part in parts}):
        decision = _at_level(level, [part for part in parts if rule.priorities.get(part.principle, 1) == level], rule)
        if decision.abstention is None:
            return decision
        first = first or decision
    return first or Decision(None, None, "unreadable", None)


def _at_level(level: int, parts: Collection[PrincipleJudgement], rule: Rule) -> Decision:
    voices = [part for part in parts if not part.silent] or parts
    logit = _weighted_mean([(rule.weight(part.principle), part.logit) for part in voices])
    position_bias = _weighted_mean(
        [(rule.weight(part.principle), part.position_bias) for part in voices if part.position_bias is not None]
    )
    abstention = _abstention(logit, voices, rule)
    return Decision(logit, position_bias, abstention, None if abstention else level)


def readable(verdict: Verdict, min_label_mass: float) -> bool:
    """Whether a verdict may be used: a label was found, and the labels got enough probability."""
    return verdict.logit() is not None and verdict.label_mass >= min_label_mass


def sigmoid(x: float) -> float:
    """Return 1 / (1 + exp(-x)) without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _judge_principle(name: str, verdicts: Mapping[Order, Verdict], judging: JudgingConfig) -> PrincipleJudgement | None:
    logits = {order: v.logit() for order, v in verdicts.items() if readable(v, judging.min_label_mass)}
    ab, ba = logits.get("ab"), logits.get("ba")
    if judging.orders == "both":
        if ab is None or ba is None:
            return None
        # A label too rare to be reported only bounds its logit, towards zero. Where the bound points away from what
        # both orders say together, the truth may point the other way.
        sides = [(verdicts["ab"], ab), (verdicts["ba"], -ba)]
        if any(verdict.bounded and side * (ab - ba) <= 0 for verdict, side in sides):
            return None
        return PrincipleJudgement(principle=name, logit=(ab - ba) / 2, position_bias=(ab + ba) / 2)
    if ab is not None:
        return PrincipleJudgement(principle=name, logit=ab, position_bias=None)
    if ba is not None:
        return PrincipleJudgement(principle=name, logit=-ba, position_bias=None)
    return None


def _with_checks(
    voices: Collection[PrincipleJudgement], checks: Collection[Checked], weights: Mapping[str, float]
) -> list[PrincipleJudgement]:
    """Add what programs say, in the constitution's order; a prompt's own checks come last."""
    worth = {(True, False): CHECKED_LOGIT, (False, True): -CHECKED_LOGIT}
    said = [
        PrincipleJudgement(
            principle=one.principle,
            logit=worth.get((one.a.passed, one.b.passed), 0.0),
            position_bias=None,
            by_program=True,
        )
        for one in checks
    ]
    places = {principle: place for place, principle in enumerate(weights)}
    return sorted([*voices, *said], key=lambda part: places.get(part.principle, len(places)))


def _abstention(logit: float | None, parts: Collection[PrincipleJudgement], rule: Rule) -> Abstention | None:
    if logit is None:
        return "unreadable"
    if abs(logit) < TIE_LOGIT:
        return "tie"
    if rule.bias is not None and not rule.judging.allow_order_noise:
        # What the constant bias does not explain is noise; at this size the two orders, each freed of the
        # constant bias, still name different winners. A program says the same in both orders.
        noise = [
            (rule.weight(part.principle), part.position_bias - rule.bias.of(part.principle))
            if part.position_bias is not None
            else (rule.weight(part.principle), 0.0)
            for part in parts
        ]
        if abs(_weighted_mean(noise) or 0.0) >= abs(logit):
            return "order noise"
    if abs(sigmoid(logit) - 0.5) < rule.judging.min_margin:
        return "too close"
    return None


def _weighted_mean(pairs: list[tuple[float, float]]) -> float | None:
    total = sum(weight for weight, _ in pairs)
    return sum(weight * value for weight, value in pairs) / total if pairs else None
