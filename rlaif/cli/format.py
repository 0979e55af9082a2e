"""Estimates with their intervals, as they are printed."""

from rlaif.stats.estimates import Figure


def interval(figure: Figure) -> str:
    """Return a share with its interval: 75 % (30-95)."""
    if figure.value is None or figure.low is None or figure.high is None:
        return "–"
    return f"{figure.value:.0%} ({100 * figure.low:.0f}–{100 * figure.high:.0f})"


def percent(figure: Figure, *, signed: bool = False) -> str:
    """Return a share with its interval, such as `30 % (21–40)`."""
    if figure.value is None:
        return "–"
    sign = "+" if signed else ""
    ends = "" if figure.low is None or figure.high is None else f" ({_whole(figure.low)} to {_whole(figure.high)})"
    return f"{figure.value * 100:{sign}.0f} %{ends}"


def decimals(figure: Figure) -> str:
    """Return a coefficient with its interval, such as `0.41 (0.20 to 0.58)`."""
    if figure.value is None:
        return "–"
    return f"{figure.value:.2f}{figure.ends('.2f')}"


def number(figure: Figure) -> str:
    """Return a mean with its interval, such as `83 (71 to 96)`."""
    if figure.value is None:
        return "–"
    return f"{figure.value:.0f}{figure.ends('.0f')}"


def _whole(share: float) -> str:
    return f"{share * 100:.0f}"
