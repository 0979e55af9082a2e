"""What came out of a training, read from its metrics: the step that was kept, and the figures there and elsewhere."""

from collections.abc import Sequence

from rlaif.train.config import Stage
from rlaif.train.progress import ACCURACY

Figures = dict[str, float | None]


def figures_of(metrics: Sequence[dict[str, float]], stage: Stage, *, best_kept: bool) -> Figures:
    """Return first and last training loss, the kept step, and the held-out figures at that step.

    Without held-out examples, or where `best_kept` says so, the last step is the one that is kept.
    """
    trained = [line for line in metrics if "loss" in line]
    looks = [line for line in metrics if "eval_loss" in line]
    name = ACCURACY[stage]
    kept = _best(looks if best_kept else looks[-1:], stage)
    last = trained[-1] if trained else {}
    figures: Figures = {
        "steps": last.get("step"),
        "kept_step": kept["step"] if kept else last.get("step"),
        "loss_first": trained[0]["loss"] if trained else None,
        "loss_last": last.get("loss"),
        "accuracy_last": last.get(name),
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


def _best(looks: Sequence[dict[str, float]], stage: Stage) -> dict[str, float] | None:
    """Return the look that the checkpoint is chosen by: accuracy, then loss, then the earlier one."""
    if stage == "sft":
        return min(looks, key=lambda line: line["eval_loss"], default=None)
    return max(looks, key=lambda line: (line[f"eval_{ACCURACY[stage]}"], -line["eval_loss"]), default=None)
