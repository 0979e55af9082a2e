"""One gold item and what a critic made of it, and what that counts for.

The names counted in a tally (an item is *read* when its averaged log-odds could be computed, thresholds aside):

    items, failed                 all; those whose request failed for good
    labelled, right               items that get a label under the thresholds; right ones
    labelled_longer               of the labelled, those whose better answer is the longer one
    named, named_right            items whose averaged log-odds name an answer, thresholds aside; right ones
    said, first, said_right       single verdicts that name an answer; of these the one shown first, the better one
    verdicts, mass                single verdicts; the probability they put on the two labels
    placed, bias                  item x principle asked in both orders; log-odds for being first
    ordered, kept                 of these, those that name an answer in each order; the same one in both
    unequal, longer_named         named items with answers of different length; of these, those naming the longer
    longer                        items whose better answer is the longer one

and those of `calibration.tally_probability`.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from rlaif.config.judging import JudgingConfig
from rlaif.constitution.schema import Constitution
from rlaif.evaluate.asking import Asked
from rlaif.evaluate.calibration import tally_probability
from rlaif.evaluate.gold import GoldItem
from rlaif.preferences.judgement import Judgement, judge_matchup
from rlaif.preferences.logits import TIE_LOGIT
from rlaif.preferences.position import PositionBias, asked_both_ways, other_masses
from rlaif.records import Matchup
from rlaif.stats.estimates import Tally
from rlaif.stats.log_odds import sigmoid

BETTER, WORSE = "better", "worse"
"""Ids of the two answers."""

Outcome = Literal["right", "wrong", "unreadable", "tie", "order noise", "too close", "conflict", "failed"]


@dataclass(frozen=True)
class Judged:
    """One item, what was asked, and what follows."""

    item: GoldItem
    asked: Asked
    judgement: Judgement | None
    """As a run would judge it, thresholds and all; None for a failed one."""
    logit: float | None
    """Log-odds for the better answer, averaged over orders and principles, thresholds aside."""

    @property
    def outcome(self) -> Outcome:
        """What a run would make of it."""
        if self.judgement is None:
            return "failed"
        if self.judgement.abstention is not None or self.judgement.p is None:
            return self.judgement.abstention or "unreadable"
        return "right" if (self.judgement.p_of(BETTER) or 0) > 0.5 else "wrong"

    @property
    def p(self) -> float | None:
        """Probability of the better answer as a run would report it; None where it can't be read."""
        return None if self.judgement is None else self.judgement.p_of(BETTER)

    @property
    def length_ratio(self) -> float:
        """Return ln(length of the better answer / length of the worse), in characters."""
        return math.log(len(self.item.chosen) / len(self.item.rejected))


def conclude(
    item: GoldItem,
    asked: Asked,
    constitution: Constitution,
    judging: JudgingConfig,
    bias: PositionBias,
    recalibrate: Callable[[float], float] | None = None,
) -> Judged:
    """Judge one item twice: as a run would, corrections and all, and without any threshold or correction."""
    if asked.matchup is None:
        return Judged(item, asked, None, None)
    weights, levels = constitution.weights, constitution.priorities
    read = judge_matchup(asked.matchup, judging.without_thresholds.rule(weights, levels))
    sign = 1 if read.a == BETTER else -1
    logit = None if read.logit is None else sign * read.logit
    effect = judging.length_effect if isinstance(judging.length_effect, float) else 0.0
    ratio = sign * math.log(len(item.chosen) / len(item.rejected))
    rule = judging.rule(weights, levels, bias, recalibrate)
    as_a_run = judge_matchup(asked.matchup, rule, length_shift=effect * ratio)
    return Judged(item, asked, as_a_run, logit)


def tally_item(judged: Judged) -> Tally:
    """Return what one item counts for, by the names above."""
    tally = Tally({"items": 1, "failed": judged.asked.matchup is None, "longer": judged.length_ratio > 0})
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
    if judged.asked.matchup is not None:
        tally.add(_tally_verdicts(judged.asked.matchup))
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
