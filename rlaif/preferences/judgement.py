"""From the verdicts of one matchup to one probability that a beats b.

With x_ab = log P(A) - log P(B) when a is shown first and x_ba the same when b is, principle k gives

    l_k = (x_ab - x_ba) / 2         the preference for a, a constant position bias cancelled exactly
    b_k = (x_ab + x_ba) / 2         the position bias: what being shown first was worth

and the matchup l = sum w_k l_k / sum w_k over the readable principles, p = 1 / (1 + exp(-l)). An unreadable verdict
takes its principle out of the mean; it never counts as a zero.

A check gives +L for a response that passes where the other does not, L = ln(0.98 / 0.02), without position bias and
label mass. Where both pass or both fail it is left out of the mean; if nothing else is left, that is a tie, or
unreadable where a judge was asked and nothing could be read.

Where several judges were asked under one principle, their weighted mean counts. With priority levels the mean is taken
within a level, and a lower level decides only where the higher ones abstain. Corrections come last: what the judges
give for surface features is subtracted from their share of the mean, then the log-odds are recalibrated.
docs/arithmetic.md has the whole.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from rlaif.preferences.logits import TIE_LOGIT, PrincipleLogit, weighted_mean
from rlaif.preferences.position import PositionBias
from rlaif.preferences.posterior import Observation
from rlaif.records import PROMPT_CHECK, Checked, Matchup, Prompt, Record
from rlaif.rubric import RUBRIC, named_items
from rlaif.stats.log_odds import sigmoid

Read: TypeAlias = Callable[[Matchup], Mapping[str, Sequence[PrincipleLogit]]]
"""From a matchup to the log-odds of each judge, by principle; supplied by the judges."""
Strategy: TypeAlias = Literal["by-priority", "weighted", "pareto"]


@dataclass(frozen=True)
class Rule:
    """Weights, levels, thresholds and corrections by which the principles' log-odds become one decision."""

    read: Read
    weights: Mapping[str, float]
    """Of the constitution's principles, in its order."""
    priorities: Mapping[str, int] = field(default_factory=dict)
    """Levels; 1 for a principle that is not listed."""
    strategy: Strategy = "by-priority"
    min_margin: float = 0.1
    allow_order_noise: bool = False
    judge_weights: Mapping[str, float] = field(default_factory=dict)
    """Shares in the mean over judges under one principle."""
    aspect_weights: Mapping[str, float] = field(default_factory=dict)
    """Weights of aspects outside the constitution, by `JUDGE:ASPECT`."""
    keeps_judges_apart: bool = False
    """Whether each judge's log-odds are recorded even where only one judge was asked under a principle."""
    bias: PositionBias | None = None
    """Measured over the whole run; without it no matchup abstains for order noise."""
    variance_of: Callable[[Sequence["PrincipleJudgement"]], float] | None = None
    """From the parts of a mean to the variance of its noise, in multiples of the usual one; None where it is always
    the same."""
    recalibrate: Callable[[float], float] | None = None
    """From one matchup's log-odds to calibrated ones; odd and increasing, so that no winner changes."""

    def weight(self, principle: str) -> float:
        """Return a principle's weight; 1 for a prompt's own check, the run file's weight for an aspect."""
        if ":" not in principle:
            return self.weights[principle]
        return 1.0 if principle.startswith(PROMPT_CHECK) else self.aspect_weights.get(principle, 1.0)

    def for_prompt(self, prompt: Prompt) -> "Rule":
        """Return the rule with the weights and levels of a prompt's own rubric; its essential items decide first."""
        items = named_items(prompt.rubric)
        if not items:
            return self
        return replace(
            self,
            aspect_weights={**self.aspect_weights, **{name: item.weight for name, item in items.items()}},
            priorities={**self.priorities, **{name: 0 if item.essential else 1 for name, item in items.items()}},
        )


Abstention = Literal["unreadable", "tie", "too close", "order noise", "conflict"]

CHECKED_LOGIT = math.log(0.98 / 0.02)
"""Log-odds of a passed check against a failed one. Finite, because people who write checks make mistakes, and because
infinite log-odds would outweigh all other principles of the level."""

ROUNDING = 1e-9
"""0.6 - 0.5 is a little less than 0.1 in floating point."""


class PrincipleJudgement(Record):
    """The judgement of one principle about one matchup."""

    principle: str
    logit: float
    """Log-odds that a is better, averaged over the orders."""
    position_bias: float | None
    """Log-odds for being shown first; None when only one order was asked, and for checks."""
    by_program: bool = False
    """Whether a check decided it, not a judge."""
    by_judge: tuple[PrincipleLogit, ...] = ()
    """The log-odds of each judge, where there are several."""

    @property
    def silent(self) -> bool:
        """Whether it is a check that both responses pass, or both fail."""
        return self.by_program and self.logit == 0

    @property
    def p(self) -> float:
        """Probability that a is better."""
        return sigmoid(self.logit)

    def logit_of(self, judge: str) -> float | None:
        """Return the log-odds of one judge, the principle's own where only one was asked; None where unreadable."""
        if not self.by_judge:
            return self.logit
        return next((one.logit for one in self.by_judge if one.judge == judge), None)

    @property
    def turned(self) -> bool | None:
        """Whether the two orders named different winners; None when only one was asked."""
        return None if self.position_bias is None else abs(self.position_bias) > abs(self.logit) + ROUNDING


class Judgement(Record):
    """The judgement of all principles together about one matchup, or the reason for an abstention."""

    a: str
    b: str
    purpose: Literal["design", "final"]
    logit: float | None
    """The weighted mean of the principles' logits at the level that decided, after corrections; None when no principle
    was readable."""
    raw_logit: float | None = None
    """The same before corrections; None where there are none."""
    shift: float = 0.0
    """Log-odds that the judges give for surface features of the two responses, such as their lengths."""
    subtracted: float = 0.0
    """The part of it that was subtracted: the shift times the judges' share of the mean, as checks have no bias."""
    priority: int | None = None
    """The level that decided; None when none did."""
    position_bias: float | None
    label_mass: float | None
    """Mean over all verdicts of this matchup, readable or not; None where only checks decided."""
    principles: tuple[PrincipleJudgement, ...]
    """The readable ones, checks included."""
    abstention: Abstention | None
    """Why this matchup gives no label; None when it gives one."""
    objecting: tuple[str, ...] = ()
    """Principles that by themselves would give the opposite label."""

    @property
    def p(self) -> float | None:
        """Probability that a is better than b."""
        return None if self.logit is None else sigmoid(self.logit)

    def p_of(self, candidate: str) -> float | None:
        """Probability that this candidate is the better of the two."""
        return self.p if candidate == self.a or self.p is None else 1 - self.p

    @property
    def order_agreement(self) -> float | None:
        """Share of the principles whose two orders name the same winner; None when only one was asked."""
        turned = [part.turned for part in self.principles if part.turned is not None]
        return None if not turned else 1 - sum(turned) / len(turned)


def judge_matchup(matchup: Matchup, rule: Rule, *, shift: float = 0.0) -> Judgement:
    """Return the judgement of one matchup.

    Without a position bias measured over the whole run (while the run is going on) no matchup abstains for order noise.
    `shift` (log-odds for a) is subtracted from the judges' part of the mean before the rule's recalibration is applied.
    """
    parts = tuple(_parts(matchup, rule))
    decision = decide(parts, rule, shift)
    if all(part.silent for part in parts) and (matchup.verdicts or matchup.scores or matchup.rankings):
        decision = _UNREADABLE  # the reason is that no judge was readable, not that the checks see no difference
    corrected = shift != 0 or rule.recalibrate is not None
    return Judgement(
        a=matchup.a,
        b=matchup.b,
        purpose=matchup.purpose,
        logit=decision.logit,
        raw_logit=decision.raw_logit if corrected else None,
        shift=shift,
        subtracted=decision.subtracted,
        priority=decision.priority,
        position_bias=decision.position_bias,
        label_mass=sum(v.label_mass for v in matchup.verdicts) / len(matchup.verdicts) if matchup.verdicts else None,
        principles=parts,
        abstention=decision.abstention,
        objecting=objecting(parts, decision.raw_logit, rule.min_margin),
    )


@dataclass(frozen=True)
class Decision:
    """The decision of some principles together, or the reason why there is none."""

    logit: float | None
    position_bias: float | None
    abstention: Abstention | None
    priority: int | None
    raw_logit: float | None = None
    """Before corrections."""
    subtracted: float = 0.0
    """Log-odds for a that were subtracted for surface features."""

    @property
    def label(self) -> Literal["a", "b"] | None:
        """The better of the two; None for an abstention."""
        if self.abstention is not None or self.logit is None:
            return None
        return "a" if self.logit > 0 else "b"


def decide(parts: Collection[PrincipleJudgement], rule: Rule, shift: float = 0.0) -> Decision:
    """Return the decision of the highest level that does not abstain, or the abstention of the highest level."""
    if rule.strategy == "weighted":
        return _at_level(1, parts, rule, shift) if parts else _UNREADABLE
    first: Decision | None = None
    for level in sorted({rule.priorities.get(part.principle, 1) for part in parts}):
        of_level = [part for part in parts if rule.priorities.get(part.principle, 1) == level]
        decision = _at_level(level, of_level, rule, shift)
        if decision.abstention is None:
            return decision
        first = first or decision
    return first or _UNREADABLE


_UNREADABLE = Decision(None, None, "unreadable", None)


def objecting(parts: Collection[PrincipleJudgement], logit: float | None, min_margin: float) -> tuple[str, ...]:
    """Return the principles whose own p would give the opposite label; `logit` is before corrections.

    A conflict is one of the rules, so corrections of the judges have no part in it.
    """
    if logit is None:
        return ()
    return tuple(
        part.principle
        for part in parts
        if part.logit * logit < 0 and abs(part.p - 0.5) >= max(min_margin, TIE_LOGIT / 4) - ROUNDING
    )


def deciding_principles(judgement: Judgement, rule: Rule) -> list[PrincipleJudgement]:
    """Return the principles that the label is made of: those of the level that decided, without silent checks."""
    leveled = rule.strategy != "weighted"
    return [
        part
        for part in judgement.principles
        if not part.silent and (not leveled or rule.priorities.get(part.principle, 1) == judgement.priority)
    ]


def parts_of_logit(judgement: Judgement, rule: Rule) -> list[PrincipleJudgement]:
    """Return the principles that the log-odds are a mean of, without silent checks, also for an abstention.

    Where every level abstains, the log-odds are those of the first.
    """
    parts = [part for part in judgement.principles if not part.silent]
    if rule.strategy == "weighted" or not parts:
        return parts
    levels = [rule.priorities.get(part.principle, 1) for part in parts]
    level = min(levels) if judgement.priority is None else judgement.priority
    return [part for part, of in zip(parts, levels, strict=True) if of == level]


def observation(judgement: Judgement, rule: Rule) -> Observation | None:
    """Return a matchup's log-odds for the posterior; None for none, or where a check or no judge is in it.

    A check has no noise, so it would make the judges' noise look smaller than it is. An item of a rubric is asked of
    one response, so its error is in all matchups of that response.
    """
    parts = parts_of_logit(judgement, rule)
    alone = any(part.by_program or part.principle.startswith(f"{RUBRIC}:") for part in parts)
    if judgement.logit is None or not parts or alone:
        return None
    in_both_orders = rule.bias is not None and any(part.position_bias is not None for part in parts)
    disagreement = order_noise(parts, rule, rule.bias) if in_both_orders and rule.bias is not None else math.nan
    among = _among_judges(parts, rule)
    variance = 1.0 if rule.variance_of is None else rule.variance_of(parts)
    return Observation(judgement.a, judgement.b, judgement.logit, disagreement, among, variance)


def _among_judges(parts: Collection[PrincipleJudgement], rule: Rule) -> tuple[float, int]:
    """Return the judges' sum of squares around their mean, scaled to the variance of that mean, and its freedom.

    With shares q_j of the judges and q = sum q_j^2, sum q_j (l_j - l)^2 * q / (1 - q) has the mean's variance as its
    expectation, if the judges' errors are independent and equal. (0, 0) where not all judges were readable under all
    principles, or there is only one.
    """
    names = {tuple(one.judge for one in part.by_judge) for part in parts}
    judges = next(iter(names)) if len(names) == 1 else ()
    if len(judges) < 2:
        return 0.0, 0
    shares = [rule.judge_weights.get(judge, 1.0) for judge in judges]
    logits = [
        weighted_mean([(rule.weight(part.principle), part.by_judge[place].logit) for part in parts]) or 0.0
        for place in range(len(judges))
    ]
    mean = weighted_mean(list(zip(shares, logits, strict=True))) or 0.0
    spread = weighted_mean([(share, (logit - mean) ** 2) for share, logit in zip(shares, logits, strict=True)]) or 0.0
    q = sum(share**2 for share in shares) / sum(shares) ** 2
    freedom = len(judges) - 1
    return freedom * spread * q / (1 - q), freedom


def _at_level(level: int, parts: Collection[PrincipleJudgement], rule: Rule, shift: float) -> Decision:
    logits = [part for part in parts if not part.silent] or parts
    raw = weighted_mean([(rule.weight(part.principle), part.logit) for part in logits])
    position_bias = weighted_mean(
        [(rule.weight(part.principle), part.position_bias) for part in logits if part.position_bias is not None]
    )
    # Where checks alone decide, corrections of the judges do not apply.
    share = weighted_mean([(rule.weight(part.principle), 0.0 if part.by_program else 1.0) for part in logits]) or 0.0
    subtracted = shift * share
    logit = None if raw is None else raw - subtracted
    if logit is not None and rule.recalibrate is not None and share:
        logit = rule.recalibrate(logit)
    abstention = _abstention(raw, logit, logits, rule)
    return Decision(logit, position_bias, abstention, None if abstention else level, raw, subtracted)


def _parts(matchup: Matchup, rule: Rule) -> list[PrincipleJudgement]:
    """Return the judgement of each principle, in the constitution's order, then aspects and a prompt's own checks."""
    parts = [_over_judges(principle, tuple(logits), rule) for principle, logits in rule.read(matchup).items()]
    if matchup.checks or any(":" in part.principle for part in parts):
        places = {principle: place for place, principle in enumerate(rule.weights)}
        parts = sorted([*parts, *_checked(matchup.checks)], key=lambda part: places.get(part.principle, len(places)))
    return parts


def _over_judges(principle: str, logits: tuple[PrincipleLogit, ...], rule: Rule) -> PrincipleJudgement:
    """Return the weighted mean over the judges under one principle."""
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
        logit=weighted_mean([(weights.get(one.judge, 1.0), one.logit) for one in logits]) or 0.0,
        position_bias=weighted_mean(
            [(weights.get(one.judge, 1.0), one.position_bias) for one in logits if one.position_bias is not None]
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
        # Without the constant bias the two orders still name different winners.
        return "order noise"
    if abs(sigmoid(logit) - 0.5) < rule.min_margin - ROUNDING or logit == 0:
        return "too close"
    if rule.strategy == "pareto" and objecting(parts, raw, rule.min_margin):
        return "conflict"
    return None


def order_noise(parts: Collection[PrincipleJudgement], rule: Rule, bias: PositionBias) -> float:
    """Return half the difference of the two orders beyond the judges' constant bias, in logits.

    It is 0 for checks, and for judges that see one response at a time.
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
            weights.get(one.judge, 1.0),
            0.0 if one.position_bias is None else one.position_bias - bias.of(part.principle, one.judge),
        )
        for one in part.by_judge
    ]
    return weighted_mean(excess) or 0.0
