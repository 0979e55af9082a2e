"""From the verdicts of one matchup to one probability that a beats b.

With x_ab = log P(A) - log P(B) when a is shown first and x_ba the same when b is, principle k says

    l_k = (x_ab - x_ba) / 2         the preference for a, a constant position bias cancelled exactly
    b_k = (x_ab + x_ba) / 2         the position bias: how much being shown first was worth

and the matchup l = sum w_k l_k / sum w_k over the readable principles, p = 1 / (1 + exp(-l)). A verdict that
cannot be read takes its principle out of the mean; it never counts as a zero.

A principle that a program decides says +L for an answer that passes where the other does not, L = ln(0.98 / 0.02); it
has no position bias and no label mass. Where both pass, or neither does, it has nothing to say and is left out of the
mean, too; where no other said is left, that is a tie, or unreadable if a judge was asked and none could be read.

A judge that looks at one answer at a time says log-odds, too: of two ratings, P(a gets the higher number) with a draw
counted half, from the two answers' probabilities over the numbers; of two rewards, their difference, as reward models
are trained. A ranking of all answers counts as a vote for each two of them, for each order they were shown in.

Where several judges speak under one principle, their weighted mean is what the principle says.

Where a constitution has priority levels, the mean is taken within a level, and a lower level decides only where
the higher ones abstain.

What is worth a label is then corrected, where that is asked for: first what the two answers' lengths were worth is
taken out, then the log-odds are recalibrated.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from rlaif.preferences.logits import TIE_LOGIT, PrincipleLogit, weighted_mean
from rlaif.preferences.position import PositionBias
from rlaif.preferences.rule import Rule
from rlaif.records import Checked, Matchup, Record
from rlaif.stats.log_odds import sigmoid

Abstention = Literal["unreadable", "tie", "too close", "order noise", "conflict"]

CHECKED_LOGIT = math.log(0.98 / 0.02)
"""What a passed check is worth against a failed one. Counting does not err, but people who write checks do, and one of
infinite weight would make every label 1 and leave no room for the other principles of its level."""

ROUNDING = 1e-9
"""0.6 - 0.5 is a little less than 0.1 in floating point."""


class PrincipleJudgement(Record):
    """What one principle says about one matchup."""

    principle: str
    logit: float
    """Log-odds that a is better, averaged over the orders."""
    position_bias: float | None
    """Log-odds given for being shown first; None when only one order was asked, and for what a program decides."""
    by_program: bool = False
    """Whether a program decides it, and not the critic."""
    by_judge: tuple[PrincipleLogit, ...] = ()
    """What each judge said, where there are several."""

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
        return None if self.position_bias is None else abs(self.position_bias) > abs(self.logit) + ROUNDING


class Judgement(Record):
    """What all principles together say about one matchup, or why they say nothing."""

    a: str
    b: str
    purpose: Literal["design", "final"]
    logit: float | None
    """What counts: the weighted mean of the principles' logits at the level that decided, corrected where that is asked
    for; None when no principle could be read."""
    raw_logit: float | None = None
    """The same before any correction; None where nothing is corrected."""
    length_shift: float = 0.0
    """Log-odds that the answers' lengths are worth to the judges; taken out unless programs alone decide."""
    priority: int | None = None
    """The level that decided; None when none did."""
    position_bias: float | None
    label_mass: float | None
    """Mean over all verdicts of this matchup, readable or not; None where only programs decided."""
    principles: tuple[PrincipleJudgement, ...]
    """The readable ones, those a program decides among them."""
    abstention: Abstention | None
    """Why this matchup may not become a label; None when it may."""
    objecting: tuple[str, ...] = ()
    """Principles that by themselves would make a label of the contrary: the conflict within the rules."""

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


def judge_matchup(matchup: Matchup, rule: Rule, *, length_shift: float = 0.0) -> Judgement:
    """Aggregate what was said about one matchup.

    Where the rule knows no position bias over the whole run (while the run is still going on) nothing can be said about
    order noise, and no matchup abstains for it. `length_shift` (log-odds for a) is taken out of the mean before the
    rule's recalibration is applied.
    """
    parts = tuple(_parts(matchup, rule))
    decision = decide(parts, rule, length_shift)
    if all(part.silent for part in parts) and (matchup.verdicts or matchup.scores or matchup.rankings):
        decision = _NOTHING  # that no judge could be read is the reason, not that the programs see no difference
    corrected = length_shift != 0 or rule.recalibrate is not None
    return Judgement(
        a=matchup.a,
        b=matchup.b,
        purpose=matchup.purpose,
        logit=decision.logit,
        raw_logit=decision.raw_logit if corrected else None,
        length_shift=length_shift,
        priority=decision.priority,
        position_bias=decision.position_bias,
        label_mass=sum(v.label_mass for v in matchup.verdicts) / len(matchup.verdicts) if matchup.verdicts else None,
        principles=parts,
        abstention=decision.abstention,
        objecting=objecting(parts, decision.raw_logit, rule.min_margin),
    )


@dataclass(frozen=True)
class Decision:
    """What some principles decide together, or why they don't."""

    logit: float | None
    position_bias: float | None
    abstention: Abstention | None
    priority: int | None
    raw_logit: float | None = None
    """Before any correction."""

    @property
    def label(self) -> Literal["a", "b"] | None:
        """The better one of the two; None for an abstention."""
        if self.abstention is not None or self.logit is None:
            return None
        return "a" if self.logit > 0 else "b"


def decide(parts: Collection[PrincipleJudgement], rule: Rule, length_shift: float = 0.0) -> Decision:
    """Let the highest level that does not abstain decide; where all do, the highest one's abstention counts."""
    if rule.strategy == "weighted":
        return _at_level(1, parts, rule, length_shift) if parts else _NOTHING
    first: Decision | None = None
    for level in sorted({rule.priorities.get(part.principle, 1) for part in parts}):
        of_level = [part for part in parts if rule.priorities.get(part.principle, 1) == level]
        decision = _at_level(level, of_level, rule, length_shift)
        if decision.abstention is None:
            return decision
        first = first or decision
    return first or _NOTHING


_NOTHING = Decision(None, None, "unreadable", None)


def objecting(parts: Collection[PrincipleJudgement], logit: float | None, min_margin: float) -> tuple[str, ...]:
    """Return the principles whose own p would make a label of the contrary; `logit` is before any correction.

    Conflict is about the rules, not about what the judges are corrected by.
    """
    if logit is None:
        return ()
    return tuple(
        part.principle
        for part in parts
        if part.logit * logit < 0 and abs(part.p - 0.5) >= max(min_margin, TIE_LOGIT / 4) - ROUNDING
    )


def deciding_principles(judgement: Judgement, rule: Rule) -> list[PrincipleJudgement]:
    """Return the principles that a label is made of: those of the level that decided which have something to say."""
    leveled = rule.strategy != "weighted"
    return [
        part
        for part in judgement.principles
        if not part.silent and (not leveled or rule.priorities.get(part.principle, 1) == judgement.priority)
    ]


def _at_level(level: int, parts: Collection[PrincipleJudgement], rule: Rule, length_shift: float) -> Decision:
    logits = [part for part in parts if not part.silent] or parts
    raw = weighted_mean([(rule.weight(part.principle), part.logit) for part in logits])
    position_bias = weighted_mean(
        [(rule.weight(part.principle), part.position_bias) for part in logits if part.position_bias is not None]
    )
    # What programs alone decide owes nothing to a critic: neither its taste for length nor its certainty.
    by_critic = not all(part.by_program for part in logits)
    logit = None if raw is None else raw - length_shift * by_critic
    if logit is not None and rule.recalibrate is not None and by_critic:
        logit = rule.recalibrate(logit)
    abstention = _abstention(raw, logit, logits, rule)
    return Decision(logit, position_bias, abstention, None if abstention else level, raw)


def _parts(matchup: Matchup, rule: Rule) -> list[PrincipleJudgement]:
    """Return what every principle says, in the constitution's order; aspects and a prompt's own checks come last."""
    parts = [_together(principle, tuple(said), rule) for principle, said in rule.read(matchup).items()]
    if matchup.checks or any(":" in part.principle for part in parts):
        places = {principle: place for place, principle in enumerate(rule.weights)}
        parts = sorted([*parts, *_checked(matchup.checks)], key=lambda part: places.get(part.principle, len(places)))
    return parts


def _together(principle: str, logits: tuple[PrincipleLogit, ...], rule: Rule) -> PrincipleJudgement:
    """Return the weighted mean of what the judges say under one principle."""
    if len(logits) == 1:
        (only,) = logits
        return PrincipleJudgement(
            principle=principle,
            logit=only.logit,
            position_bias=only.position_bias,
            by_judge=logits if rule.keeps_judges_apart else (),
        )
    weights = rule.judge_weights
    return PrincipleJudgement(
        principle=principle,
        logit=weighted_mean([(weights.get(v.judge, 1.0), v.logit) for v in logits]) or 0.0,
        position_bias=weighted_mean(
            [(weights.get(v.judge, 1.0), v.position_bias) for v in logits if v.position_bias is not None]
        ),
        by_judge=logits,
    )


def _checked(checks: Collection[Checked]) -> list[PrincipleJudgement]:
    worth = {(True, False): CHECKED_LOGIT, (False, True): -CHECKED_LOGIT}
    return [
        PrincipleJudgement(
            principle=one.principle,
            logit=worth.get((one.a.passed, one.b.passed), 0.0),
            position_bias=None,
            by_program=True,
        )
        for one in checks
    ]


def _abstention(
    raw: float | None, logit: float | None, parts: Collection[PrincipleJudgement], rule: Rule
) -> Abstention | None:
    if raw is None or logit is None:
        return "unreadable"
    if abs(raw) < TIE_LOGIT:
        return "tie"
    if (
        rule.bias is not None
        and not rule.allow_order_noise
        and abs(order_noise(parts, rule, rule.bias)) > abs(raw) + ROUNDING
    ):
        # At this size the two orders, each freed of the constant bias, still name different winners.
        return "order noise"
    if abs(sigmoid(logit) - 0.5) < rule.min_margin - ROUNDING or logit == 0:
        return "too close"
    if rule.strategy == "pareto" and objecting(parts, raw, rule.min_margin):
        return "conflict"
    return None


def order_noise(parts: Collection[PrincipleJudgement], rule: Rule, bias: PositionBias) -> float:
    """Return how far the two orders disagree beyond the judges' constant bias, in logits: half their difference.

    A program says the same in both orders, and so does a judge that looks at one answer at a time.
    """
    return weighted_mean([(rule.weight(part.principle), _noise_of(part, rule, bias)) for part in parts]) or 0.0


def _noise_of(part: PrincipleJudgement, rule: Rule, bias: PositionBias) -> float:
    if part.position_bias is None:
        return 0.0
    if not part.by_judge:
        return part.position_bias - bias.of(part.principle)
    weights = rule.judge_weights
    excess = [
        (
            weights.get(said.judge, 1.0),
            0.0 if said.position_bias is None else said.position_bias - bias.of(part.principle, said.judge),
        )
        for said in part.by_judge
    ]
    return weighted_mean(excess) or 0.0
