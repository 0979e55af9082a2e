"""Progress of a training, the lines of `metrics.jsonl`, and the final figures from them. Does not import torch."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rlaif.stats.estimates import wilson
from rlaif.train.trl_options import Stage

ACCURACY: dict[Stage, str] = {"dpo": "rewards/accuracies", "reward": "accuracy", "sft": "mean_token_accuracy"}
"""TRL's name of the share of pairs (for sft, of tokens) that the model gets right."""


@dataclass
class Progress:
    """The state of a training, updated in place."""

    stage: Stage
    steps: int
    step: int = 0
    first_step: int = 0
    """Step at which this process started; above 0 when it continues from a checkpoint."""
    loss: float | None = None
    accuracy: float | None = None
    held_out: float | None = None
    """Accuracy on the held-out examples at the last evaluation; for sft, the loss."""
    held_out_step: int = 0
    started: float = field(default_factory=time.monotonic)

    def update(self, metrics: Mapping[str, float]) -> None:
        """Store the logged metrics."""
        self.loss = metrics.get("loss", self.loss)
        self.accuracy = metrics.get(ACCURACY[self.stage], self.accuracy)
        held_out = metrics.get(f"eval_{'loss' if self.stage == 'sft' else ACCURACY[self.stage]}")
        if held_out is not None:
            self.held_out, self.held_out_step = held_out, self.step


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Return the lines of a metrics file; an incomplete last line is left out."""
    return list(_lines(path))


def keep_until(path: Path, step: int) -> None:
    """Drop the lines after a step, which a training that continues from its checkpoint logs again."""
    kept = [line for line in _lines(path) if line["step"] <= step]
    path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")


def _lines(path: Path) -> Iterator[dict[str, float]]:
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                return


Figures = dict[str, float | None]


def final_figures(metrics: Sequence[dict[str, float]], stage: Stage, *, best_kept: bool, held_out: int) -> Figures:
    """Return first and last training loss, the kept step, and the metrics on the held-out examples at that step.

    Without held-out examples, or with `best_kept` false, the last step is kept.
    """
    trained = [line for line in metrics if "loss" in line]
    evaluations = [line for line in metrics if "eval_loss" in line]
    name = ACCURACY[stage]
    kept = _best(evaluations if best_kept else evaluations[-1:], stage)
    last = trained[-1] if trained else {}
    figures: Figures = {
        "steps": last.get("step"),
        "looks": len(evaluations) if best_kept else min(1, len(evaluations)),
        "kept_step": kept["step"] if kept else last.get("step"),
        "loss_first": trained[0]["loss"] if trained else None,
        "loss_last": last.get("loss"),
        "accuracy_last": last.get(name),
        "held_out": held_out,
        "held_out_loss": kept["eval_loss"] if kept else None,
        "held_out_accuracy": kept.get(f"eval_{name}") if kept else None,
    }
    if stage == "dpo" and kept:
        figures |= {
            "held_out_margin": kept.get("eval_rewards/margins"),
            "held_out_reward_chosen": kept.get("eval_rewards/chosen"),
            "held_out_reward_rejected": kept.get("eval_rewards/rejected"),
        }
    return figures


def result_lines(figures: Figures, stage: Stage) -> list[str]:
    """Return a line with the result on the held-out examples, and a warning if it does not show learning."""
    accuracy, loss, kept = (figures.get(name) for name in ("held_out_accuracy", "held_out_loss", "kept_step"))
    if loss is None or kept is None:
        return []
    if stage == "sft" or accuracy is None:
        return [f"held-out loss {loss:.4f} at step {kept:.0f}, which is kept"]
    pairs = int(figures.get("held_out") or 0)
    if not pairs:  # a manifest written before `held_out` existed
        return [f"held out {accuracy:.1%} of the pairs right at step {kept:.0f}, which is kept"]
    right, evaluations = wilson(round(accuracy * pairs), pairs), int(figures.get("looks") or 1)
    best = f", kept as the best of {evaluations} evaluations" if evaluations > 1 else ", which is kept"
    lines = [f"held out {accuracy:.1%} of {pairs} pairs right{right.ends('.0%')} at step {kept:.0f}{best}"]
    if right.high is not None and right.high < 1 / 2:
        lines.append("! fewer than half of the held-out pairs are right: the model did not learn these labels")
    elif right.low is not None and right.low <= 1 / 2:
        lines.append("! the held-out pairs do not show that the model learned anything: the interval includes 50 %")
    return lines


def _best(evaluations: Sequence[dict[str, float]], stage: Stage) -> dict[str, float] | None:
    """Return the best evaluation: by accuracy, then loss, then the earlier one; for sft, by loss."""
    if stage == "sft":
        return min(evaluations, key=lambda line: line["eval_loss"], default=None)
    return max(evaluations, key=lambda line: (line[f"eval_{ACCURACY[stage]}"], -line["eval_loss"]), default=None)
