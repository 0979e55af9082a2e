"""One line of the table of gains and losses: a figure of the base, of the tuned model, their difference, what it shows.

Comes in: tallies of prompts under ("base", what) and ("tuned", what). Both models answer the same prompts, which are
resampled together, so that a difference's interval is one of pairs. A line is a gain or a loss when the interval of its
difference leaves out zero; else nothing can be said. Of twenty lines about which nothing changed, one is expected to
look like a change.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from rlaif.records import Record
from rlaif.stats.estimates import Array, Bootstrap, Estimate, Key, Tally, unseen

Group = Literal["rules", "refusals", "flattery", "manner", "variety", "knowledge", "drift"]
Unit = Literal["share", "number", "nats"]
Better = Literal["higher", "lower"]
ROUNDING = 1e-9
"""A difference nearer to zero is none."""
OfTotals = Callable[[Array], Array]
"""From totals (keys, …) to numbers (…)."""
Finding = Literal["gain", "loss", "change", "nothing shown", "not measured"]
Side = Literal["base", "tuned"]
SIDES: tuple[Side, Side] = ("base", "tuned")


@dataclass(frozen=True)
class What:
    """What a line measures."""

    name: str
    """Unique in an evaluation."""
    group: Group
    label: str
    """What is counted, in words that go with either model."""
    better: Better | None = None
    """Which direction is a gain; None where that is for the reader to say."""
    unit: Unit = "share"
    note: str = ""
    """What to know besides, or why it was not measured."""


class Line(Record):
    """One thing measured of both models; the fields of `What`, and the figures."""

    name: str
    group: Group
    label: str
    unit: Unit
    better: Better | None
    base: Estimate | None
    """None where the figure is of both models together, such as a win rate."""
    tuned: Estimate | None
    difference: Estimate
    """Tuned minus base; for a win rate what is above one half; for a divergence itself."""
    finding: Finding
    note: str = ""


def line(found: Bootstrap, what: What, above: Key, below: Key) -> Line:
    """Return the line of a ratio of two counts of each model."""
    share = what.unit == "share"
    base, tuned = (found.ratio((side, above), (side, below), share=share) for side in SIDES)
    keys = [(side, key) for side in SIDES for key in (above, below)]
    difference = found.function(lambda t: t[2] / t[3] - t[0] / t[1], keys, of=[("tuned", below)])
    return concluded(what, base, tuned, bounded(difference) if share else difference)


def line_of(found: Bootstrap, what: What, of_totals: OfTotals, keys: Sequence[Key], of: Key) -> Line:
    """Return the line of any function of one model's totals, such as a calibration error; `of` is what it is of."""
    of_each = [[(side, key) for key in keys] for side in SIDES]
    base, tuned = (found.function(of_totals, own, of=[(side, of)]) for own, side in zip(of_each, SIDES, strict=True))
    count = len(keys)

    def apart(totals: Array) -> Array:
        return of_totals(totals[count:]) - of_totals(totals[:count])

    difference = found.function(apart, [*of_each[0], *of_each[1]], of=[("tuned", of)])
    return concluded(what, base, tuned, difference)


def concluded(what: What, base: Estimate | None, tuned: Estimate | None, difference: Estimate) -> Line:
    """Return a line with what its difference shows."""
    finding = finding_of(difference, what.better)
    if difference.value is not None and finding == "not measured" and not what.note:
        what = replace(what, note="one prompt alone has it, which shows nothing")
    return Line(base=base, tuned=tuned, difference=difference, finding=finding, **vars(what))


def not_measured(what: What, why: str) -> Line:
    """Return the line of something that could not be asked."""
    return concluded(replace(what, note=why), None, None, Estimate(value=None))


def finding_of(difference: Estimate, better: Better | None) -> Finding:
    """Return what a difference shows."""
    if difference.value is None or difference.low is None or difference.high is None:
        return "not measured"
    if difference.low <= ROUNDING and difference.high >= -ROUNDING:
        return "nothing shown"
    if better is None:
        return "change"
    return "gain" if (difference.value > 0) == (better == "higher") else "loss"


def bounded(difference: Estimate) -> Estimate:
    """Return the difference of two shares with an interval that never has no width.

    Where every prompt says the same there is no spread to resample; what could have been missed in so many prompts is.
    """
    if difference.value is None or difference.low is None or difference.low != difference.high:
        return difference
    # Where none differs, so many may do so one way, and so many the other; where all do, both lie on one side.
    slack = unseen(difference.prompts) * (1 if difference.value == 0 else 2)
    ends = {"low": max(-1.0, difference.value - slack), "high": min(1.0, difference.value + slack)}
    return difference.model_copy(update=ends)


def paired(tallies: Sequence[Mapping[Side, Tally]]) -> Bootstrap:
    """Return a bootstrap over prompts of both models' tallies."""
    return Bootstrap(
        [Tally({(side, key): value for side in SIDES for key, value in both[side].items()}) for both in tallies]
    )


def shifted(estimate: Estimate, by: float) -> Estimate:
    """Return a figure moved by a constant."""
    ends = {end: None if value is None else value + by for end, value in _ends(estimate)}
    return estimate.model_copy(update=ends)


def mapped(estimate: Estimate, onto: Callable[[float], float]) -> Estimate:
    """Return a figure under a function that never falls."""
    ends = {end: None if value is None else onto(value) for end, value in _ends(estimate)}
    return estimate.model_copy(update=ends)


def _ends(estimate: Estimate) -> list[tuple[str, float | None]]:
    return [("value", estimate.value), ("low", estimate.low), ("high", estimate.high)]
