"""Measure a critic on gold items: accuracy, order agreement, position and length bias, calibration.

Estimates have a 95 % interval over prompts, not items; the metrics of the probabilities are in
`confidence.py`. The keys of a tally:

    items, failed                 all items; those whose request failed after all retries
    labelled, right               items that get a label under the thresholds; of these, the right ones
    labelled_longer               of the labelled, those whose better response is the longer one
    named, named_right            items whose averaged log-odds are not a tie, without thresholds; of these, the right
    decided, first, decided_right single verdicts that are not a tie; those for the response shown first; the right ones
    verdicts, mass                single verdicts; sum of their label mass
    placed, bias                  item x principle asked in both orders; sum of the log-odds of the response shown first
    ordered, kept                 of these, those without a tie in either order; those with the same response in both
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
from rlaif.evaluate.calibration import tally_probability
from rlaif.evaluate.comparisons import Compared, log_odds_of
from rlaif.evaluate.confidence import CalibrationTest, calibration_error, confidence_auroc, spiegelhalter
from rlaif.evaluate.gold import GoldItem
from rlaif.preferences.judgement import Judgement, judge_matchup
from rlaif.preferences.logits import TIE_LOGIT
from rlaif.preferences.position import PositionBias, asked_both_ways, other_masses
from rlaif.records import Matchup, Record
from rlaif.stats.estimates import Estimate, Tallies, Tally, tallies_of
from rlaif.stats.log_odds import sigmoid
from rlaif.stats.regression import Fit, coefficient, linear, logistic

BETTER, WORSE = "better", "worse"
"""Ids of the two responses of an item."""

Outcome = Literal["right", "wrong", "unreadable", "tie", "order noise", "too close", "conflict", "failed"]


@dataclass(frozen=True)
class JudgedItem:
    """One gold item with its verdicts and judgement."""

    item: GoldItem
    compared: Compared
    judgement: Judgement | None
    """The judgement with a run's thresholds and corrections; None where the request failed."""
    logit: float | None
    """Log-odds of the better response, averaged over orders and principles, without thresholds; None if unreadable."""

    @property
    def outcome(self) -> Outcome:
        """Whether a run's label would be right or wrong, or why there would be none."""
        if self.judgement is None:
            return "failed"
        if self.judgement.abstention is not None or self.judgement.p is None:
            return self.judgement.abstention or "unreadable"
        return "right" if (self.p or 0) > 0.5 else "wrong"

    @property
    def p(self) -> float | None:
        """Probability of the better response, with a run's corrections; None where unreadable."""
        return None if self.judgement is None else self.judgement.p_of(BETTER)

    @property
    def length_ratio(self) -> float:
        """ln(length of the better response / length of the worse), in characters."""
        return math.log(len(self.item.chosen) / len(self.item.rejected))


class JudgeMetrics(Record):
    """Metrics of a critic on some gold items."""

    items: int
    prompts: int
    outcomes: dict[Outcome, int]
    """Number of items by outcome; they add up to `items`."""
    labelled: Estimate
    """Share of the items that get a label."""
    accuracy_labels: Estimate
    """Share of the labels that is right; abstentions are neither right nor wrong."""
    longer_on_labels: Estimate
    """Accuracy of "the longer response wins" on the same labelled items."""
    accuracy_sign: Estimate
    """Share right of all items whose averaged log-odds are not a tie, without thresholds."""
    accuracy_one_order: Estimate
    """Share right of the single verdicts that are not ties, without correction."""
    order_agreement: Estimate
    """Share of (item, principle) whose two orders name the same response, without correction."""
    first: Estimate
    """Share of single verdicts that favour the response shown first."""
    position_bias: Estimate
    """Mean log-odds of the response shown first."""
    longer: Estimate
    """Share of the items with responses of different length in which the longer one is favoured."""
    length_bias: Estimate
    """Logits per unit of log length ratio at a fixed gold label: b of log-odds ~ b ln(length ratio) + c gold."""
    length_choice: Estimate
    """The same from a logistic regression, p ~ sigmoid(b ln(length ratio) + c gold). It is closer to zero, because
    responses differ in more than length and label, but a few very confident verdicts hardly change it."""
    brier: Estimate
    """Mean squared error of the better response's probability; 0.25 if that is always 0.5."""
    calibration_error: Estimate
    """Distance of confidence and share right, without what chance alone makes of few items; without an interval."""
    calibration_test: CalibrationTest = CalibrationTest()
    """Of the hypothesis that all its probabilities are right."""
    confidence_auroc: Estimate = Estimate(value=None)
    """Probability that it is surer of an item that it has right than of one that it has wrong; 0.5 where confidence
    means nothing. `n` counts the wrong items."""
    label_mass: Estimate
    """Mean probability of the two labels together."""
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
    """Return an item judged as in a run, with thresholds and corrections, and its log-odds without them."""
    matchup = compared.matchup
    if matchup is None:
        return JudgedItem(item, compared, None, None)
    effect = judging.length_effect if isinstance(judging.length_effect, float) else 0.0
    length_ratio = math.log(len(item.chosen) / len(item.rejected)) * (1 if matchup.a == BETTER else -1)
    rule = judging.rule(constitution.weights, constitution.priorities, bias, recalibrate)
    judgement = judge_matchup(matchup, rule, shift=effect * length_ratio)
    return JudgedItem(item, compared, judgement, log_odds_of(BETTER, matchup, constitution, judging))


def measure(judged: Sequence[JudgedItem]) -> JudgeMetrics:
    """Return all metrics of some items."""
    found = tallies_by_prompt(judged)
    read = [(one.logit, one.item.conversation) for one in judged if one.logit is not None]
    logits, prompts = [logit for logit, _ in read], [prompt for _, prompt in read]
    ps = [sigmoid(logit) for logit in logits]
    return JudgeMetrics(
        items=len(judged),
        prompts=found.prompts,
        outcomes=dict(Counter(one.outcome for one in judged)),
        labelled=found.ratio("labelled", "items"),
        accuracy_labels=found.ratio("right", "labelled"),
        longer_on_labels=found.ratio("labelled_longer", "labelled"),
        accuracy_sign=found.ratio("named_right", "named"),
        accuracy_one_order=found.ratio("decided_right", "decided"),
        order_agreement=found.ratio("kept", "ordered"),
        first=found.ratio("first", "decided"),
        position_bias=found.ratio("bias", "placed", share=False),
        longer=found.ratio("longer_named", "unequal"),
        length_bias=length_bias(judged, linear),
        length_choice=length_bias(judged, logistic),
        brier=found.ratio("squared", "scored", share=False),
        calibration_error=calibration_error(ps, prompts),
        calibration_test=spiegelhalter(ps, prompts),
        confidence_auroc=confidence_auroc(logits, prompts),
        label_mass=found.ratio("mass", "verdicts", share=False),
        longer_wins=found.ratio("longer", "items"),
    )


def tallies_by_prompt(judged: Sequence[JudgedItem]) -> Tallies:
    """Return the tallies of the prompts of the items."""
    return tallies_of((one.item.conversation, tally_item(one)) for one in judged)


def length_bias(judged: Sequence[JudgedItem], fit: Fit) -> Estimate:
    """Return the critic's length bias, in logits per unit of log length ratio.

    With log-odds l of the better response, it is b of l ~ b ln(length better / length worse) + c. If an arbitrary one
    of the two responses is `a`, c is the coefficient of gold = ±1. There is no other intercept, because both orders are
    averaged. The logistic fit regresses the probability, not the choice, because choices are separable for a critic
    that is always right.
    """
    read = [one for one in judged if one.logit is not None]
    x = np.array([(one.length_ratio, 1.0) for one in read], dtype=float).reshape(-1, 2)
    logits = [one.logit or 0.0 for one in read]
    y = np.array(logits if fit is linear else [sigmoid(logit) for logit in logits], dtype=float)
    return coefficient(fit, x, y, [one.item.conversation for one in read])


def tally_item(judged: JudgedItem) -> Tally:
    """Return the tally of one item, with the keys listed above."""
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
            tally["decided"] += 1
            tally["first"] += logit > 0
            tally["decided_right"] += (first[verdict.order] == BETTER) == (logit > 0)
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
