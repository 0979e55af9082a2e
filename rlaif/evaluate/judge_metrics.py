"""How a critic did on gold items: accuracy, order agreement, position and length bias, calibration.

Every estimate has a 95 % interval from a bootstrap over prompts, not items. The names counted in a tally (an item is
*read* when its averaged log-odds could be computed, thresholds aside):

    items, failed                 all; those whose request failed for good
    labelled, right               items that get a label under the thresholds; right ones
    labelled_longer               of the labelled, those whose better response is the longer one
    named, named_right            items whose averaged log-odds name a response, thresholds aside; right ones
    said, first, said_right       single verdicts that name a response; of these the one shown first, the better one
    verdicts, mass                single verdicts; the probability they put on the two labels
    placed, bias                  item x principle asked in both orders; log-odds for being first
    ordered, kept                 of these, those that name a response in each order; the same one in both
    unequal, longer_named         named items with responses of different length; of these, those naming the longer
    longer                        items whose better response is the longer one

and those of `calibration.tally_probability`.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rlaif.config.judging import JudgingConfig
from rlaif.constitution.schema import Constitution
from rlaif.evaluate.calibration import calibration_error, tally_probability
from rlaif.evaluate.comparisons import Compared, log_odds_of
from rlaif.evaluate.gold import GoldItem
from rlaif.preferences.judgement import Judgement, judge_matchup
from rlaif.preferences.logits import TIE_LOGIT
from rlaif.preferences.position import PositionBias, asked_both_ways, other_masses
from rlaif.records import Matchup, Record
from rlaif.stats.estimates import Bootstrap, Estimate, Tally, bootstrap_of
from rlaif.stats.log_odds import sigmoid
from rlaif.stats.regression import Fit, coefficient, linear, logistic

BETTER, WORSE = "better", "worse"
"""Ids of the two responses."""

Outcome = Literal["right", "wrong", "unreadable", "tie", "order noise", "too close", "conflict", "failed"]


@dataclass(frozen=True)
class JudgedItem:
    """One gold item with its verdicts and the judgement that follows."""

    item: GoldItem
    compared: Compared
    judgement: Judgement | None
    """As a run would judge it, with thresholds and corrections; None where it failed."""
    logit: float | None
    """Log-odds for the better response, averaged over orders and principles, thresholds aside."""

    @property
    def outcome(self) -> Outcome:
        """What a run would make of it."""
        if self.judgement is None:
            return "failed"
        if self.judgement.abstention is not None or self.judgement.p is None:
            return self.judgement.abstention or "unreadable"
        return "right" if (self.p or 0) > 0.5 else "wrong"

    @property
    def p(self) -> float | None:
        """Probability of the better response as a run would report it; None where it can't be read."""
        return None if self.judgement is None else self.judgement.p_of(BETTER)

    @property
    def length_ratio(self) -> float:
        """ln(length of the better response / length of the worse), in characters."""
        return math.log(len(self.item.chosen) / len(self.item.rejected))


class JudgeMetrics(Record):
    """How a critic did on some gold items."""

    items: int
    prompts: int
    outcomes: dict[Outcome, int]
    """What a run would make of them; they add up to `items`."""
    labelled: Estimate
    """Share of the items that get a label."""
    accuracy_labels: Estimate
    """Right ones among the labels given; abstentions are neither right nor wrong."""
    longer_on_labels: Estimate
    """Accuracy of "the longer response wins" on the same labelled items."""
    accuracy_sign: Estimate
    """Right ones among all items whose averaged log-odds name a response, without any threshold."""
    accuracy_one_order: Estimate
    """Right ones among single verdicts, without any correction."""
    order_agreement: Estimate
    """Share of (item, principle) whose two orders name the same response, without any correction."""
    first: Estimate
    """Share of single verdicts that favour the response shown first."""
    position_bias: Estimate
    """Mean log-odds for being shown first."""
    longer: Estimate
    """Share of the items, with responses of different length, in which the longer one is favoured."""
    length_bias: Estimate
    """Logits per unit of log length ratio, the gold label held fixed: b of log-odds ~ b ln(length ratio) + c gold."""
    length_choice: Estimate
    """The same from a logistic regression of the choice, p ~ sigmoid(b ln(length ratio) + c gold): nearer to zero where
    responses differ in more than length and label, as all do, but hardly moved by a few verdicts of great certainty."""
    brier: Estimate
    """Mean squared error of the probability of the better response; 0.25 for always saying one half."""
    calibration_error: Estimate
    label_mass: Estimate
    """Mean probability of the two labels."""
    longer_wins: Estimate
    """Baseline: share of the items whose better response is the longer one, in characters."""


def judge_item(
    item: GoldItem,
    compared: Compared,
    constitution: Constitution,
    judging: JudgingConfig,
    bias: PositionBias,
    recalibrate: Callable[[float], float] | None = None,
) -> JudgedItem:
    """Judge one item twice: as a run would, with all corrections, and without any threshold or correction."""
    matchup = compared.matchup
    if matchup is None:
        return JudgedItem(item, compared, None, None)
    effect = judging.length_effect if isinstance(judging.length_effect, float) else 0.0
    length_ratio = math.log(len(item.chosen) / len(item.rejected)) * (1 if matchup.a == BETTER else -1)
    rule = judging.rule(constitution.weights, constitution.priorities, bias, recalibrate)
    judgement = judge_matchup(matchup, rule, length_shift=effect * length_ratio)
    return JudgedItem(item, compared, judgement, log_odds_of(BETTER, matchup, constitution, judging))


def measure(judged: Sequence[JudgedItem]) -> JudgeMetrics:
    """Return all metrics of some items."""
    found = bootstrap_over_prompts(judged)
    return JudgeMetrics(
        items=len(judged),
        prompts=found.prompts,
        outcomes=dict(Counter(one.outcome for one in judged)),
        labelled=found.ratio("labelled", "items"),
        accuracy_labels=found.ratio("right", "labelled"),
        longer_on_labels=found.ratio("labelled_longer", "labelled"),
        accuracy_sign=found.ratio("named_right", "named"),
        accuracy_one_order=found.ratio("said_right", "said"),
        order_agreement=found.ratio("kept", "ordered"),
        first=found.ratio("first", "said"),
        position_bias=found.ratio("bias", "placed", share=False),
        longer=found.ratio("longer_named", "unequal"),
        length_bias=length_bias(judged, linear),
        length_choice=length_bias(judged, logistic),
        brier=found.ratio("squared", "scored", share=False),
        calibration_error=calibration_error(found),
        label_mass=found.ratio("mass", "verdicts", share=False),
        longer_wins=found.ratio("longer", "items"),
    )


def bootstrap_over_prompts(judged: Sequence[JudgedItem]) -> Bootstrap:
    """Return the bootstrap over the items' prompts."""
    return bootstrap_of((one.item.conversation, tally_item(one)) for one in judged)


def length_bias(judged: Sequence[JudgedItem], fit: Fit) -> Estimate:
    """Return the critic's length bias, in logits per unit of log length ratio.

    For log-odds l of the better response, l ~ b ln(length better / length worse) + c. Seen from an arbitrary one of the
    two as `a`, c is the coefficient of gold = ±1: being better, length held fixed. There is no further intercept,
    because both orders have been averaged. The logistic fit regresses the probability, not the mere choice, because a
    critic that is always right separates choices.
    """
    read = [one for one in judged if one.logit is not None]
    x = np.array([(one.length_ratio, 1.0) for one in read], dtype=float).reshape(-1, 2)
    logits = [one.logit or 0.0 for one in read]
    y = np.array(logits if fit is linear else [sigmoid(logit) for logit in logits], dtype=float)
    return coefficient(fit, x, y, [one.item.conversation for one in read])


def tally_item(judged: JudgedItem) -> Tally:
    """Return the counts of one item, by the names above."""
    tally = Tally({"items": 1, "failed": judged.compared.matchup is None, "longer": judged.length_ratio > 0})
    if judged.outcome in {"right", "wrong"}:
        tally["labelled"] = 1
        tally["right"] = judged.outcome == "right"
        tally["labelled_longer"] = judged.length_ratio > 0
    if judged.logit is not None:
        tally.add(tally_probability(sigmoid(judged.logit)))
        if abs(judged.logit) >= TIE_LOGIT:
            tally["named"] = 1
            tally["named_right"] = judged.logit > 0
            tally["unequal"] = judged.length_ratio != 0
            tally["longer_named"] = judged.logit * judged.length_ratio > 0
    if judged.compared.matchup is not None:
        tally.add(_tally_verdicts(judged.compared.matchup))
    return tally


def _tally_verdicts(matchup: Matchup) -> Tally:
    tally = Tally()
    first: Mapping[str, str] = {"ab": matchup.a, "ba": matchup.b}
    for verdict in matchup.verdicts:
        tally["verdicts"] += 1
        tally["mass"] += verdict.label_mass
        logit = verdict.logit()
        if logit is not None and abs(logit) >= TIE_LOGIT:
            tally["said"] += 1
            tally["first"] += logit > 0
            tally["said_right"] += (first[verdict.order] == BETTER) == (logit > 0)
    for _, mass in other_masses(matchup):
        tally["verdicts"] += 1
        tally["mass"] += mass
    for _, _, ab, ba, _ in asked_both_ways(matchup):
        tally["placed"] += 1
        tally["bias"] += (ab + ba) / 2
        if min(abs(ab), abs(ba)) >= TIE_LOGIT:
            tally["ordered"] += 1
            tally["kept"] += ab * ba < 0
    return tally
