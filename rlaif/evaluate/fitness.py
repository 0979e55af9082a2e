"""Is a critic fit to judge? One of three answers, with the reasons, from the thresholds below.

*Fit*: nothing in the figures speaks against its labels. *Fit with these settings*: something does, unless what
`settings` names is kept to. *Not fit*: not shown to be fit, which may also mean that there were too few labels to tell.
The thresholds are conventions, stated so that one can disagree. How accurate a critic can be depends on the labels:
crowd workers and researchers agreed on 63 % of such pairs (Bai et al. 2022, arXiv:2204.05862), experts on 81 %, ties
left out (Zheng et al. 2023, arXiv:2306.05685).
"""

from collections.abc import Sequence
from typing import Literal

from rlaif.config.judging import JudgingConfig
from rlaif.evaluate.calibration import Recalibration
from rlaif.evaluate.figures import JudgeMetrics
from rlaif.evaluate.outcomes import Judged
from rlaif.judges import KINDS
from rlaif.judges.base import THINKING
from rlaif.preferences.position import UNFIT_LABEL_MASS, UNFIT_TURNED
from rlaif.records import Record
from rlaif.stats.bootstrap import bootstrap_of
from rlaif.stats.estimates import Estimate, Tally

FEWEST_LABELS = 30
"""With fewer labels nothing is shown."""
ACCURACY = 0.65
"""Labels must be right at least so often, and their interval must leave out one half."""
FEWEST_LABELLED = 0.2
"""A critic that gives a label to fewer of the items wastes what it is asked."""
CALIBRATION_ERROR = 0.1
"""Shown to be beyond this, p_chosen is no probability; the labels may still be good."""
LENGTH_BIAS = 0.7
"""Log-odds for e times the length, shown to be more than this: worth a warning (twice the odds)."""
MARGINS = (0.1, 0.2, 0.3, 0.4)
"""Stricter `min_margin`s that are tried where the labels are not good enough as they are."""


Answer = Literal["fit", "fit with these settings", "not fit"]


class Fitness(Record):
    """Whether a critic is fit to judge, and why."""

    verdict: Answer
    settings: dict[str, float | str]
    """What must be kept to, by its place in a run file; chosen on these very labels, so somewhat hopeful."""
    reasons: tuple[str, ...]
    """Why it is not fit, or not without the settings."""
    notes: tuple[str, ...]
    """What to know besides."""


def fitness(
    figures: JudgeMetrics, judged: Sequence[Judged], judging: JudgingConfig, recalibration: Recalibration
) -> Fitness:
    """Return the answer for one critic."""
    notes = tuple(_notes(figures, recalibration))
    general, turned = _against_the_critic(figures, judging), _turned(figures)
    reasons = [*general, *against_labels(figures.labelled, figures.accuracy_labels, figures.longer_on_labels)]
    settings: dict[str, float | str] = {"judging.orders": "both"} if turned else {}
    if reasons:
        margin = None if general else _margin_that_helps(judged, judging.min_margin)
        if margin is None:
            return Fitness(verdict="not fit", settings={}, reasons=(*reasons, *turned), notes=notes)
        settings["judging.min_margin"] = margin
    verdict: Answer = "fit with these settings" if settings else "fit"
    return Fitness(verdict=verdict, settings=settings, reasons=(*reasons, *turned), notes=notes)


def against_labels(labelled: Estimate, accuracy: Estimate, longer: Estimate) -> list[str]:
    """Return what speaks against the labels given; nothing when they are good."""
    if accuracy.n < FEWEST_LABELS:
        return [f"only {accuracy.n:g} of {labelled.n:g} items get a label: too few to show anything"]
    found = []
    right, low = accuracy.value or 0.0, accuracy.low or 0.0
    if low <= 0.5:
        found.append(f"its labels are not shown to be better than a coin's ({_range(accuracy)} right)")
    elif right < ACCURACY:
        found.append(f"only {_range(accuracy)} of its labels are right (wanted: {ACCURACY:.0%})")
    if longer.value is not None and right <= longer.value:
        found.append(f'"the longer answer wins" is right as often on the same items ({longer.value:.0%})')
    if (labelled.value or 0.0) < FEWEST_LABELLED:
        found.append(f"it gives a label to {labelled.value or 0:.0%} of the items only")
    return found


def _against_the_critic(figures: JudgeMetrics, judging: JudgingConfig) -> list[str]:
    """Return what no threshold mends."""
    found = []
    mass = figures.label_mass.value
    if mass is not None and mass < UNFIT_LABEL_MASS:
        found.append(_no_answer(mass, judging))
    if judging.orders == "one" and judging.asks_rules:
        found.append("it was asked in one order only, so what it owes to the order is not known")
    return found


def _no_answer(mass: float, judging: JudgingConfig) -> str:
    said = {KINDS[judge.kind].unanswered(judge, mass) for judge in judging.panel}
    return (
        next(iter(said)) if len(said) == 1 else f"only {mass:.0%} of its probability falls on the two labels {THINKING}"
    )


def _turned(figures: JudgeMetrics) -> list[str]:
    """Return what speaks against asking in one order only."""
    agreement, first = figures.order_agreement.value, figures.first.value or 0.0
    if agreement is None or 1 - agreement <= UNFIT_TURNED:
        return []
    place = "first" if first > 0.5 else "second"
    return [f"{1 - agreement:.0%} of its verdicts turn with the order, as they came: it favours what is shown {place}"]


def _margin_that_helps(judged: Sequence[Judged], given: float) -> float | None:
    """Return the smallest stricter min_margin under which nothing speaks against the labels."""
    for margin in MARGINS:
        if margin > given:
            found = bootstrap_of((one.item.conversation, _labels_at(one, margin)) for one in judged)
            labelled, right = found.ratio("labelled", "items"), found.ratio("right", "labelled")
            if not against_labels(labelled, right, found.ratio("longer", "labelled")):
                return margin
    return None


def _labels_at(judged: Judged, margin: float) -> Tally:
    tally = Tally({"items": 1})
    if judged.outcome in {"right", "wrong"} and judged.p is not None and abs(judged.p - 0.5) >= margin:
        tally["labelled"] = 1
        tally["right"] = judged.outcome == "right"
        tally["longer"] = judged.length_ratio > 0
    return tally


def _notes(figures: JudgeMetrics, recalibration: Recalibration) -> list[str]:
    found = []
    error, slope = figures.calibration_error, recalibration.slope.value
    if (error.low or 0.0) > CALIBRATION_ERROR:
        sure = "" if slope is None else " (too sure)" if slope < 1 else " (too modest)"
        found.append(
            f"its probabilities are off by {error.value:.2f} on average{sure}: trust labels before probabilities"
        )
    length = figures.length_bias
    if (length.low or 0.0) > LENGTH_BIAS or (length.high or 0.0) < -LENGTH_BIAS:
        liked = "longer" if (length.value or 0.0) > 0 else "shorter"
        found.append(f"it favours the {liked} answer: {length.value:+.2f} logits for e times the length")
    if figures.outcomes.get("failed"):
        found.append(f"{figures.outcomes['failed']} of {figures.items} items could not be asked")
    return found


def _range(estimate: Estimate) -> str:
    ends = "" if estimate.low is None or estimate.high is None else f", {estimate.low:.0%} to {estimate.high:.0%}"
    return f"{estimate.value:.0%}{ends}"
