"""What came out of a training, read from its metrics: the step that was kept, and the figures there and elsewhere."""

from collections.abc import Sequence

from rlaif.stats.estimates import wilson
from rlaif.train.config import Stage
from rlaif.train.progress import ACCURACY

Figures = dict[str, float | None]


def figures_of(metrics: Sequence[dict[str, float]], stage: Stage, *, best_kept: bool, held_out: int) -> Figures:
    """Return first and last training loss, the kept step, and the figures of the `held_out` examples at that step.

    Without held-out examples, or where `best_kept` says so, the last step is the one that is kept.
    """
    trained = [line for line in metrics if "loss" in line]
    looks = [line for line in metrics if "eval_loss" in line]
    name = ACCURACY[stage]
    kept = _best(looks if best_kept else looks[-1:], stage)
    last = trained[-1] if trained else {}
    figures: Figures = {
        "steps": last.get("step"),
        "looks": len(looks) if best_kept else min(1, len(looks)),
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


def said_of(figures: Figures, stage: Stage) -> list[str]:
    """Return what held-out examples say of the kept step; a second line where they say less than it seems."""
    accuracy, loss, kept = (figures.get(name) for name in ("held_out_accuracy", "held_out_loss", "kept_step"))
    if loss is None or kept is None:
        return []
    if stage == "sft" or accuracy is None:
        return [f"held-out loss {loss:.4f} at step {kept:.0f}, which is kept"]
    pairs = int(figures.get("held_out") or 0)
    if not pairs:  # a training that was finished before this was kept
        return [f"held out {accuracy:.1%} of the pairs right at step {kept:.0f}, which is kept"]
    right, looks = wilson(round(accuracy * pairs), pairs), int(figures.get("looks") or 1)
    best = f", kept as the best of {looks} looks" if looks > 1 else ", which is kept"
    lines = [f"held out {accuracy:.1%} of {pairs} pairs right{right.ends('.0%')} at step {kept:.0f}{best}"]
    if right.high is not None and right.high < 1 / 2:
        lines.append("! more held-out pairs are told apart wrongly than by a coin: what was learnt is something else")
    elif right.low is not None and right.low <= 1 / 2:
        lines.append("! held-out pairs do not show that anything was learnt: a coin may do as well")
    return lines


def _best(looks: Sequence[dict[str, float]], stage: Stage) -> dict[str, float] | None:
    """Return the look that the checkpoint is chosen by: accuracy, then loss, then the earlier one."""
    if stage == "sft":
        return min(looks, key=lambda line: line["eval_loss"], default=None)
    return max(looks, key=lambda line: (line[f"eval_{ACCURACY[stage]}"], -line["eval_loss"]), default=None)
