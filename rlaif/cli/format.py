"""Estimates with their intervals, as they are printed."""

from rlaif.stats.estimates import Estimate


def interval(estimate: Estimate) -> str:
    """Return a share with its interval: 75 % (30-95)."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "–"
    return f"{estimate.value:.0%} ({100 * estimate.low:.0f}–{100 * estimate.high:.0f})"


def percent(estimate: Estimate, *, signed: bool = False) -> str:
    """Return a share with its interval, such as `30 % (21–40)`."""
    if estimate.value is None:
        return "–"
    sign = "+" if signed else ""
    ends = (
        "" if estimate.low is None or estimate.high is None else f" ({_whole(estimate.low)} to {_whole(estimate.high)})"
    )
    return f"{estimate.value * 100:{sign}.0f} %{ends}"


def decimals(estimate: Estimate) -> str:
    """Return a coefficient with its interval, such as `0.41 (0.20 to 0.58)`."""
    if estimate.value is None:
        return "–"
    return f"{estimate.value:.2f}{estimate.ends('.2f')}"


def number(estimate: Estimate) -> str:
    """Return a mean with its interval, such as `83 (71 to 96)`."""
    if estimate.value is None:
        return "–"
    return f"{estimate.value:.0f}{estimate.ends('.0f')}"


def _whole(share: float) -> str:
    return f"{share * 100:.0f}"
