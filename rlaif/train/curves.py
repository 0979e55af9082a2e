"""The curves of a training as a picture: loss, accuracy, and what happened to the two sides of a pair."""

import io
from collections.abc import Sequence

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlaif.train.config import Stage
from rlaif.train.progress import ACCURACY

_NAMES: dict[str, str] = {
    "rewards/accuracies": "share of pairs right",
    "accuracy": "share of pairs right",
    "mean_token_accuracy": "share of tokens right",
}
_SIDES: dict[Stage, tuple[str, ...]] = {"dpo": ("rewards/chosen", "rewards/rejected"), "reward": ("margin",), "sft": ()}


def curves(metrics: Sequence[dict[str, float]], stage: Stage) -> bytes:
    """Return the picture as PNG. The same metrics give the same bytes."""
    sides = _SIDES[stage]
    with style.context(["default", {"font.size": 9}]):
        figure = Figure(figsize=(3.4 * (3 if sides else 2), 2.8), layout="constrained")
        panels = figure.subplots(1, 3 if sides else 2)
        _panel(panels[0], metrics, ("loss",), "loss")
        _panel(panels[1], metrics, (ACCURACY[stage],), _NAMES[ACCURACY[stage]])
        panels[1].set_ylim(-0.02, 1.02)
        if sides:
            _panel(panels[2], metrics, sides, "reward" if stage == "dpo" else "difference of scores")
        file = io.BytesIO()
        figure.savefig(file, format="png", dpi=130, metadata={"Software": None})
    return file.getvalue()


def _panel(ax: Axes, metrics: Sequence[dict[str, float]], names: Sequence[str], label: str) -> None:
    for number, name in enumerate(names):
        short = name.rpartition("/")[2] if len(names) > 1 else "training"
        colour = f"C{number}"
        points = [(line["step"], line[name]) for line in metrics if name in line]
        held = [(line["step"], line[f"eval_{name}"]) for line in metrics if f"eval_{name}" in line]
        if points:
            ax.plot(*zip(*points, strict=True), color=colour, linewidth=1, alpha=0.6, label=short)
        if held:
            said = f"{short}, held out" if len(names) > 1 else "held out"
            ax.plot(*zip(*held, strict=True), "o-", color=colour, markersize=3, label=said)
    ax.set(xlabel="step", ylabel=label)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize=7, frameon=False)
