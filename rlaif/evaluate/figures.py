"""From judged items to figures, each with a 95 % interval from a bootstrap over prompts, not items."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from rlaif.evaluate.calibration import calibration_error
from rlaif.evaluate.outcomes import Judged, Outcome, tally_item
from rlaif.records import Record
from rlaif.stats.bootstrap import bootstrap_of
from rlaif.stats.estimates import Bootstrap, Estimate
from rlaif.stats.log_odds import sigmoid
from rlaif.stats.regression import Fit, coefficient, linear, logistic


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
    """What "the longer answer wins" scores on the same labelled items."""
    accuracy_sign: Estimate
    """Right ones among all items whose averaged log-odds name an answer, without any threshold."""
    accuracy_one_order: Estimate
    """Right ones among single verdicts, each as it came."""
    order_agreement: Estimate
    """Share of (item, principle) whose two orders, as they came, name the same answer."""
    first: Estimate
    """Share of single verdicts that favour the answer shown first."""
    position_bias: Estimate
    """Mean log-odds for being shown first."""
    longer: Estimate
    """Share of the items, with answers of different length, in which the longer one is favoured."""
    length_bias: Estimate
    """Log-odds for e times the length, the gold label held fixed: b of log-odds ~ b ln(length ratio) + c gold."""
    length_choice: Estimate
    """The same from a logistic regression of the choice, p ~ sigmoid(b ln(length ratio) + c gold): nearer to zero where
    answers differ in more than length and label, as all do, but hardly moved by a few verdicts of great certainty."""
    brier: Estimate
    """Mean squared error of the probability of the better answer; 0.25 for always saying one half."""
    calibration_error: Estimate
    label_mass: Estimate
    """Mean probability of the two labels."""
    longer_wins: Estimate
    """Baseline: share of the items whose better answer is the longer one, in characters."""


def measure(judged: Sequence[Judged]) -> JudgeMetrics:
    """Return all figures of some items."""
    found = resampled(judged)
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


def resampled(judged: Sequence[Judged]) -> Bootstrap:
    """Return the bootstrap over the items' prompts."""
    return bootstrap_of((one.item.conversation, tally_item(one)) for one in judged)


def length_bias(judged: Sequence[Judged], fit: Fit) -> Estimate:
    """Return what length is worth to the critic, in log-odds for e times the characters.

    For log-odds l of the better answer, l ~ b ln(length better / length worse) + c. Turned round so that an arbitrary
    one of the two is `a`, c is the coefficient of gold = ±1: being better, length held fixed. There is no intercept
    besides, because both orders have been averaged. The logistic fit regresses the probability, not the mere choice,
    because a critic that is always right separates choices.
    """
    read = [one for one in judged if one.logit is not None]
    x = np.array([(one.length_ratio, 1.0) for one in read], dtype=float).reshape(-1, 2)
    logits = [one.logit or 0.0 for one in read]
    y = np.array(logits if fit is linear else [sigmoid(logit) for logit in logits], dtype=float)
    return coefficient(fit, x, y, [one.item.conversation for one in read])
