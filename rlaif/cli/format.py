"""Estimates with their intervals, as they are printed."""

from rlaif.stats.estimates import Estimate
from rlaif.stats.jackknife import FEWEST

OVER_PROMPTS = f"95 % intervals over prompts, none from fewer than {FEWEST}"
OVER_ITEMS = f"95 % intervals over items, none from fewer than {FEWEST}"


def interval(estimate: Estimate) -> str:
    """Return a share and its interval in percent, such as `75% (30–95)`; a dash where there is no value."""
    if estimate.value is None:
        return "–"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.0%}"
    return f"{estimate.value:.0%} ({100 * estimate.low:.0f}–{100 * estimate.high:.0f})"


def percent(estimate: Estimate, *, signed: bool = False) -> str:
    """Return a share and its interval in percent, such as `30 % (21 to 40)`; a dash where there is no value."""
    if estimate.value is None:
        return "–"
    return f"{estimate.value * 100:{'+' if signed else ''}.0f} %{estimate.ends('.0f', 100)}"


def decimals(estimate: Estimate, form: str = ".2f") -> str:
    """Return a number and its interval, such as `0.41 (0.20 to 0.58)`; a dash where there is no value."""
    return "–" if estimate.value is None else f"{estimate.value:{form}}{estimate.ends(form)}"


def size_in_words(size: int) -> str:
    """Return a number of bytes in kB, MB or GB."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if size >= scale:
            return f"{size / scale:,.1f} {unit}"
    return f"{size / 1e3:,.0f} kB"
