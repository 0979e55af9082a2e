"""The table of gains and losses: one line per measure, with the base, the tuned model and their difference.

The input is tallies of prompts with keys ("base", key) and ("tuned", key). Both models respond to the same prompts,
which are left out together, so the intervals of differences are paired.

Each line has the 95 % interval of its difference. Of two dozen such intervals, one excludes zero in most evaluations of
two equal models. So a line is a gain or a loss only if, in addition, its p is small enough for all lines together (Holm
1979, Scandinavian Journal of Statistics 6): in at most one of twenty evaluations of equal models, any line is. The
texts of a line are the same on the terminal and on the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rlaif.records import Record
from rlaif.stats.estimates import Array, Estimate, Key, OfTotals, Tallies, Tally
from rlaif.stats.jackknife import ALPHA

Group = Literal["rules", "refusals", "flattery", "manner", "variety", "knowledge", "drift"]
Unit = Literal["share", "number", "nats"]
Better = Literal["higher", "lower"]
Finding = Literal["gain", "loss", "change", "nothing shown", "not measured"]
Side = Literal["base", "tuned"]
SIDES: tuple[Side, Side] = ("base", "tuned")
ROUNDING = 1e-9
"""Differences up to this count as zero."""

GROUPS: dict[Group, str] = {
    "rules": "Under the rules",
    "refusals": "Refusals",
    "flattery": "False claims",
    "manner": "Style of the responses",
    "variety": "Variety",
    "knowledge": "Knowledge and its calibration",
    "drift": "Distance from the base",
}
HEADINGS: dict[Finding, str] = {
    "loss": "shown to be a loss",
    "gain": "shown to be a gain",
    "change": "changed, neither a gain nor a loss by itself",
    "nothing shown": "no difference shown",
    "not measured": "not measured",
}


@dataclass(frozen=True)
class Measure:
    """Description of what a line measures."""

    name: str
    """Unique in an evaluation."""
    group: Group
    label: str
    """What is measured, in words for either model."""
    better: Better | None = None
    """Which direction is a gain; None where neither is by itself."""
    unit: Unit = "share"
    note: str = ""
    """A caveat, or why it was not measured."""


class Line(Record):
    """One measure for both models: the fields of `Measure`, and the estimates."""

    name: str
    group: Group
    label: str
    unit: Unit
    better: Better | None
    base: Estimate | None
    """None where there is one estimate for both models, such as a win rate."""
    tuned: Estimate | None
    difference: Estimate
    """Tuned minus base; for a win rate, the win rate minus one half; for a divergence, the divergence."""
    finding: Finding
    note: str = ""
    p: float | None = None
    """Two-sided p of no difference; None where it was not measured, or in files of older versions."""
    p_of_all: float | None = None
    """The same, adjusted for the number of lines: a gain, loss or change has at most 0.05."""


def paired_tallies(tallies: Sequence[Mapping[Side, Tally]]) -> Tallies:
    """Return the tallies of both models, prompt by prompt."""
    return Tallies(
        [Tally({(side, key): value for side in SIDES for key, value in both[side].items()}) for both in tallies]
    )


def ratio_line(found: Tallies, measure: Measure, above: Key, below: Key) -> Line:
    """Return the line of the ratio `above` / `below` of two counts of each model."""
    share = measure.unit == "share"
    base, tuned = (found.ratio((side, above), (side, below), share=share) for side in SIDES)
    if share:
        one, other = (((side, above), (side, below)) for side in SIDES)
        return line_of(measure, base, tuned, found.difference_of_shares(one, other))
    keys = [(side, key) for side in SIDES for key in (above, below)]
    difference = found.function(lambda t: t[2] / t[3] - t[0] / t[1], keys, of=[("tuned", below)])
    return line_of(measure, base, tuned, difference)


def function_line(found: Tallies, measure: Measure, of_totals: OfTotals, keys: Sequence[Key], of: Key) -> Line:
    """Return the line of a function of a model's totals, such as a calibration error; `of` is the sample size's key."""
    base_keys, tuned_keys = ([(side, key) for key in keys] for side in SIDES)
    base = found.function(of_totals, base_keys, of=[("base", of)])
    tuned = found.function(of_totals, tuned_keys, of=[("tuned", of)])

    def difference(totals: Array) -> Array:
        return of_totals(totals[len(keys) :]) - of_totals(totals[: len(keys)])

    return line_of(measure, base, tuned, found.function(difference, [*base_keys, *tuned_keys], of=[("tuned", of)]))


def line_of(measure: Measure, base: Estimate | None, tuned: Estimate | None, difference: Estimate) -> Line:
    """Return the line of a measure, with the finding from its own interval."""
    finding = finding_of(difference, measure.better)
    if difference.value is not None and finding == "not measured" and not measure.note:
        measure = replace(measure, note=difference.no_interval)
    p = None if finding == "not measured" else difference.p
    return Line(base=base, tuned=tuned, difference=difference, finding=finding, p=p, **vars(measure))


def not_measured(measure: Measure, why: str) -> Line:
    """Return the line of a measure without an estimate, with the reason."""
    return line_of(replace(measure, note=why), None, None, Estimate(value=None))


def finding_of(difference: Estimate, better: Better | None) -> Finding:
    """Return the finding from a difference and its interval."""
    if difference.value is None or difference.low is None or difference.high is None:
        return "not measured"
    if difference.low <= ROUNDING and difference.high >= -ROUNDING:
        return "nothing shown"
    if better is None:
        return "change"
    return "gain" if (difference.value > 0) == (better == "higher") else "loss"


def decided(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Return lines whose gains, losses and changes hold for all of them together."""
    return tuple(
        line.model_copy(update={"p_of_all": p, "finding": line.finding if p is None or p <= ALPHA else "nothing shown"})
        for line, p in zip(lines, holm([line.p for line in lines]), strict=True)
    )


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Return the p adjusted for their number (Holm 1979); None stays None and is not counted."""
    known = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    largest = 0.0
    for rank, (p, place) in enumerate(known):
        adjusted[place] = largest = max(largest, min(1.0, (len(known) - rank) * p))
    return adjusted


def excludes_zero(line: Line) -> bool:
    """Whether the line's own interval excludes zero."""
    return finding_of(line.difference, line.better) in {"gain", "loss", "change"}


def value_text(estimate: Estimate | None, unit: Unit) -> str:
    """Return an estimate without its interval as text, such as `31%` or `4.20`; a dash for none."""
    if estimate is None or estimate.value is None:
        return "–"
    return f"{estimate.value:.0%}" if unit == "share" else _number(estimate.value)


def difference_text(line: Line) -> str:
    """Return a line's difference with its interval as text, such as `+26 points (+18 to +34)`."""
    estimate, share = line.difference, line.unit == "share"
    if estimate.value is None:
        return "–"

    def signed(value: float) -> str:
        return f"{'+' if value >= 0 else '−'}" + (f"{abs(100 * value):.0f}" if share else _number(abs(value)))

    ends = ""
    if estimate.low is not None and estimate.high is not None:
        ends = f" ({signed(estimate.low)} to {signed(estimate.high)})"
    return f"{signed(estimate.value)}{' points' if share else ''}{ends}"


def sentence(line: Line) -> str:
    """Return a line as text: the measure, both models, and the difference."""
    difference = difference_text(line)
    if line.tuned is not None and line.base is None:
        difference = f"{value_text(line.tuned, line.unit)}, {difference} against one half"
    elif line.base is not None:
        difference = f"{value_text(line.base, line.unit)} → {value_text(line.tuned, line.unit)}, {difference}"
    return f"{line.label}: {difference}"


def sentences(lines: Sequence[Line], finding: Finding) -> list[str]:
    """Return the texts of all lines with a finding; for lines that were not measured, with the reason."""
    shown = [line for line in lines if line.finding == finding]
    if finding == "not measured":
        return [f"{line.label}: {line.note or 'there was no data'}" for line in shown]
    if finding == "nothing shown":
        return [f"{line.label}: {difference_text(line)}{own_interval(line)}" for line in shown]
    return [sentence(line) for line in shown]


def own_interval(line: Line) -> str:
    """Return a remark where nothing is shown although the line's own interval excludes zero, with a comma before it."""
    if line.finding != "nothing shown" or not excludes_zero(line):
        return ""
    return ", its own interval excludes zero"


def expected_by_chance(lines: Sequence[Line]) -> str:
    """Return a sentence on how often a line is called a gain, loss or change if nothing had changed."""
    measured = sum(line.difference.low is not None for line in lines)
    expected = max(1, round(0.05 * measured))
    by_chance = f"about {expected} of {measured} intervals would exclude zero"
    if all(line.p_of_all is None for line in lines):  # a file of an older version, or nothing was measured
        return f"if nothing had changed, {by_chance}"
    return (
        f"if nothing had changed, {by_chance}; gains, losses and changes are therefore decided for all lines together: "
        f"one or more would be named in at most one of twenty evaluations"
    )


def _number(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"
