"""Lines in words and figures, for terminal and page alike."""

from rlaif.evaluate.policy.evaluation import PolicyEvaluation
from rlaif.evaluate.policy.lines import Finding, Group, Line, Unit
from rlaif.stats.estimates import Estimate

GROUPS: dict[Group, str] = {
    "rules": "Under the rules",
    "refusals": "Refusals",
    "flattery": "False claims",
    "manner": "Manner of the answers",
    "variety": "Variety",
    "knowledge": "Knowledge, and how sure of it",
    "drift": "Distance from the base",
}

HEADINGS: dict[Finding, str] = {
    "loss": "shown to be a loss",
    "gain": "shown to be a gain",
    "change": "changed; whether for the better is yours to say",
    "nothing shown": "nothing can be said",
    "not measured": "not measured",
}


def value_of(estimate: Estimate | None, unit: Unit) -> str:
    """Return a figure without its interval: 31 %, 4.20; a dash for none."""
    if estimate is None or estimate.value is None:
        return "–"
    return f"{estimate.value:.0%}" if unit == "share" else _number(estimate.value)


def difference_of(line: Line) -> str:
    """Return a line's difference with its interval: +26 points (+18 to +34)."""
    estimate = line.difference
    if estimate.value is None:
        return "–"
    scale, unit = (100.0, " points") if line.unit == "share" else (1.0, "")
    form = _signed_points if line.unit == "share" else _signed
    ends = ""
    if estimate.low is not None and estimate.high is not None:
        ends = f" ({form(scale * estimate.low)} to {form(scale * estimate.high)})"
    return f"{form(scale * estimate.value)}{unit}{ends}"


def sentence(line: Line) -> str:
    """Return a line in one sentence: what, from, to, and the difference."""
    if line.tuned is None and line.base is None:
        told = difference_of(line)
    elif line.base is None:
        told = f"{value_of(line.tuned, line.unit)}, {difference_of(line)} against one half"
    else:
        told = f"{value_of(line.base, line.unit)} → {value_of(line.tuned, line.unit)}, {difference_of(line)}"
    return f"{line.label}: {told}"


def said_of(found: PolicyEvaluation, finding: Finding) -> list[str]:
    """Return the sentences of all lines with a finding; of those not measured with the reason."""
    lines = found.found(finding)
    if finding == "not measured":
        return [f"{line.label}: {line.note or 'there was nothing to measure it on'}" for line in lines]
    if finding == "nothing shown":
        return [f"{line.label}: {difference_of(line)}" for line in lines]
    return [sentence(line) for line in lines]


def chance(found: PolicyEvaluation) -> str:
    """Return what to expect of so many intervals where nothing changed."""
    measured = sum(line.difference.low is not None for line in found.lines)
    expected = max(1, round(0.05 * measured))
    return f"of {measured} intervals of 95 %, about {expected} leave out zero where nothing changed at all"


def _number(value: float) -> str:
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}" if abs(value) < 1 else f"{value:.2f}"


def _signed(value: float) -> str:
    return f"{'+' if value >= 0 else '−'}{_number(abs(value))}"


def _signed_points(value: float) -> str:
    return f"{'+' if value >= 0 else '−'}{abs(value):.0f}"
