"""The reliability table as a picture that stands alone: SVG and PNG, one panel per critic."""

import io
from collections.abc import Sequence

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from rlaif.evaluate.judge import CriticReport

SIDE = 3.4
"""Inches of a panel."""


def reliability_plot(critics: Sequence[CriticReport], format_: str) -> bytes:
    """Return the picture as bytes; `format_` is svg or png. The same figures give the same bytes."""
    with style.context(["default", {"svg.hashsalt": "reliability", "svg.fonttype": "none", "font.size": 10}]):
        canvas = Canvas(figsize=(SIDE * len(critics) + 0.6, SIDE + 0.9), layout="constrained")
        panels = canvas.subplots(1, len(critics), squeeze=False, sharey=True)[0]
        for ax, critic in zip(panels, critics, strict=True):
            _panel(ax, critic)
        panels[0].set_ylabel("share that is right")
        file = io.BytesIO()
        metadata = {"Date": None, "Creator": None} if format_ == "svg" else {"Software": None}
        canvas.savefig(file, format=format_, metadata=metadata, dpi=150)
    return file.getvalue()


def _panel(ax: Axes, critic: CriticReport) -> None:
    bins = [one for one in critic.reliability if one.items and one.confidence is not None]
    largest = max((one.items for one in bins), default=1)
    for one in bins:
        x, y = one.confidence or 0.0, one.right.value or 0.0
        ax.bar(one.low, one.items / largest * 0.2, one.high - one.low, align="edge", color="0.88", zorder=0)
        ax.plot([x, x], [one.right.low or y, one.right.high or y], color="tab:blue", linewidth=1)
        ax.plot(x, y, "o", color="tab:blue", markersize=5)
    ax.plot([0.5, 1], [0.5, 1], color="0.5", linewidth=1, linestyle=(0, (3, 3)))
    ax.set(xlim=(0.49, 1.01), ylim=(0, 1.02), xlabel="how sure the critic is")
    error = critic.overall.calibration_error.value
    title = f"{critic.critic} · {critic.judge}"
    name = title if len(title) <= 40 else f"…{title[-39:]}"
    ax.set_title(
        f"{name}\ncalibration error " + ("–" if error is None else f"{error:.3f}"), fontsize=10, parse_math=False
    )
