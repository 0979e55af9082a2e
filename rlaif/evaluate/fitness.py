"""Conclude whether a critic is fit to judge, with the reasons, from the thresholds below.

*Fit*: all metrics meet the thresholds. *Fit with these settings*: they do with the settings given. *Not fit*: not shown
to be fit, which may also mean that there were too few labels. The thresholds are conventions. How accurate a critic can
be depends on the labels: crowd workers and researchers agreed on 63 % of such pairs (Bai et al. 2022,
arXiv:2204.05862), experts on 81 % without ties (Zheng et al. 2023, arXiv:2306.05685).
"""

from collections.abc import Sequence
from typing import Literal

from rlaif.config.judging import JudgingConfig
from rlaif.evaluate.calibration import Recalibration
from rlaif.evaluate.judge_metrics import JudgedItem, JudgeMetrics
from rlaif.judges import KINDS
from rlaif.judges.base import THINKING
from rlaif.preferences.position import UNFIT_LABEL_MASS, UNFIT_TURNED
from rlaif.records import Record
from rlaif.stats.estimates import Estimate, Tally, tallies_of

FEWEST_LABELS = 30
"""Least number of labels for a conclusion."""
ACCURACY = 0.65
"""Least share of right labels; its interval must also exclude 50 %."""
FEWEST_LABELLED = 0.2
"""Least share of the items that must get a label; below it, most requests are wasted."""
CALIBRATION_ERROR = 0.05
"""A larger calibration error is noted if the test shows that the probabilities are not right; the labels may still be
good."""
SIGNIFICANT = 0.05
"""p-value of the test of calibration below which the probabilities are shown not to be right."""
CONFIDENCE = 0.65
"""An AUROC of the confidence that a useful source of soft labels reaches. Confidence means nothing where the interval
holds one half and is below this value; where it holds both, there are too few labels to tell."""
LENGTH_BIAS = 0.7
"""Logits per unit of log length ratio; if the interval is above it, there is a note."""
MARGINS = (0.1, 0.2, 0.3, 0.4)
"""Values of `min_margin` that are tried where the labels are not good enough."""

FitnessVerdict = Literal["fit", "fit with these settings", "not fit"]
SoftLabels = Literal["fit", "unfit", "unknown"]


class Fitness(Record):
    """Whether a critic is fit to judge, with reasons."""

    verdict: FitnessVerdict
    settings: dict[str, float | str]
    """Required settings by their key in a run file; chosen on the same labels, so somewhat optimistic."""
    reasons: tuple[str, ...]
    """Why it is not fit, or not fit without the settings."""
    notes: tuple[str, ...]
    """Warnings that do not change the conclusion."""
    soft_labels: SoftLabels = "unknown"
    """Whether its probabilities can serve as soft labels: whether it is surer where it is right. `unknown`: there are
    too few labels, or too few errors, to tell."""


def fitness(
    metrics: JudgeMetrics, judged: Sequence[JudgedItem], judging: JudgingConfig, recalibration: Recalibration
) -> Fitness:
    """Return the conclusion for one critic."""
    notes = tuple(_notes(metrics, recalibration))
    soft = soft_labels(metrics.confidence_auroc)
    general, order = _against_the_critic(metrics, judging), _against_one_order(metrics)
    reasons = [*general, *against_labels(metrics.labelled, metrics.accuracy_labels, metrics.longer_on_labels)]
    settings: dict[str, float | str] = {"judging.orders": "both"} if order else {}
    if reasons:
        margin = None if general else _margin_that_helps(judged, judging.min_margin)
        if margin is None:
            return Fitness(verdict="not fit", settings={}, reasons=(*reasons, *order), notes=notes, soft_labels=soft)
        settings["judging.min_margin"] = margin
    verdict: FitnessVerdict = "fit with these settings" if settings else "fit"
    return Fitness(verdict=verdict, settings=settings, reasons=(*reasons, *order), notes=notes, soft_labels=soft)


def soft_labels(auroc: Estimate) -> SoftLabels:
    """Return whether a critic's confidence means anything, by the AUROC of its confidence for being right."""
    if auroc.value is None or auroc.low is None or auroc.high is None:
        return "unknown"
    if auroc.low > 0.5:
        return "fit"
    return "unfit" if auroc.high < CONFIDENCE else "unknown"


def against_labels(labelled: Estimate, accuracy: Estimate, longer: Estimate) -> list[str]:
    """Return why the labels are not good enough; empty when they are."""
    if accuracy.n < FEWEST_LABELS:
        return [f"only {accuracy.n:g} of {labelled.n:g} items get a label, too few for a conclusion"]
    found = []
    right, low = accuracy.value or 0.0, accuracy.low or 0.0
    if low <= 0.5:
        found.append(f"its labels are not shown to be better than random ones ({_range(accuracy)} right)")
    elif right < ACCURACY:
        found.append(f"only {_range(accuracy)} of its labels are right (required: {ACCURACY:.0%})")
    if longer.value is not None and right <= longer.value:
        found.append(f'"the longer response wins" is right as often on the same items ({longer.value:.0%})')
    if (labelled.value or 0.0) < FEWEST_LABELLED:
        found.append(f"it gives a label to only {labelled.value or 0:.0%} of the items")
    return found


def _against_the_critic(metrics: JudgeMetrics, judging: JudgingConfig) -> list[str]:
    """Return the reasons that no value of `min_margin` can fix."""
    found = []
    mass = metrics.label_mass.value
    if mass is not None and mass < UNFIT_LABEL_MASS:
        reasons = {KINDS[judge.kind].unanswered(judge, mass) for judge in judging.panel}
        several = f"only {mass:.0%} of its probability falls on the two labels {THINKING}"
        found.append(next(iter(reasons)) if len(reasons) == 1 else several)
    if judging.orders == "one" and judging.has_order:
        found.append("it was asked in one order only, so its position bias is not known")
    return found


def _against_one_order(metrics: JudgeMetrics) -> list[str]:
    """Return the reason why both orders must be asked; empty when there is none."""
    agreement, first = metrics.order_agreement.value, metrics.first.value or 0.0
    if agreement is None or 1 - agreement <= UNFIT_TURNED:
        return []
    place = "first" if first > 0.5 else "second"
    return [f"{1 - agreement:.0%} of its verdicts change with the order: it favours the response shown {place}"]


def _margin_that_helps(judged: Sequence[JudgedItem], given: float) -> float | None:
    """Return the smallest of MARGINS above `given` with which the labels are good enough; None without one."""
    for margin in MARGINS:
        if margin > given:
            found = tallies_of((one.item.conversation, _labels_at(one, margin)) for one in judged)
            labelled, right = found.ratio("labelled", "items"), found.ratio("right", "labelled")
            if not against_labels(labelled, right, found.ratio("longer", "labelled")):
                return margin
    return None


def _labels_at(judged: JudgedItem, margin: float) -> Tally:
    tally = Tally({"items": 1})
    if judged.outcome in {"right", "wrong"} and judged.p is not None and abs(judged.p - 0.5) >= margin:
        tally["labelled"] = 1
        tally["right"] = judged.outcome == "right"
        tally["longer"] = judged.length_ratio > 0
    return tally


def _notes(metrics: JudgeMetrics, recalibration: Recalibration) -> list[str]:
    found = []
    error, test = metrics.calibration_error.value, metrics.calibration_test
    if (error or 0.0) > CALIBRATION_ERROR and test.z is not None and (test.p_value or 0.0) < SIGNIFICANT:
        confidence = "overconfident" if test.z < 0 else "underconfident"
        slope = "" if recalibration.slope.value is None else f", slope {recalibration.slope.value:.2f}"
        found.append(
            f"its probabilities are off: it is {confidence} (calibration error {error:.2f}{slope}; if they were right, "
            f"this would be seen with a probability of {chance(test.p_value)})"
        )
    length = metrics.length_bias
    if (length.low or 0.0) > LENGTH_BIAS or (length.high or 0.0) < -LENGTH_BIAS:
        favoured = "longer" if (length.value or 0.0) > 0 else "shorter"
        found.append(f"it favours the {favoured} response: {length.value:+.2f} logits per unit of log length ratio")
    if metrics.outcomes.get("failed"):
        found.append(f"the requests of {metrics.outcomes['failed']} of {metrics.items} items failed")
    return found


def chance(p_value: float | None) -> str:
    """Return a p-value as text."""
    return "–" if p_value is None else "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"


def _range(estimate: Estimate) -> str:
    none = estimate.low is None or estimate.high is None
    ends = f", {estimate.no_interval}" if none else f", {estimate.low:.0%} to {estimate.high:.0%}"
    return f"{estimate.value:.0%}{ends}"
