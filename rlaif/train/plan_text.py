"""A plan in words, before it starts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rlaif.train.card import loss_line
from rlaif.train.config import TrainConfig
from rlaif.train.examples import Examples
from rlaif.train.plan import EFFICIENCY, Plan

if TYPE_CHECKING:
    from rlaif.train.device import Device
    from rlaif.train.size import Size

_NAMED = 5
"""Ids that a line names; the rest is counted."""


def plan_lines(config: TrainConfig, plan: Plan, device: "Device", size: "Size", examples: Examples[Any]) -> list[str]:
    """Return what is going to be trained, how, and what it will take; measures the device's speed (half a second)."""
    where = device.name if device.count == 1 else f"{device.count} × {device.name}"
    what = f"all {count(size.parameters)} weights"
    if plan.method == "lora":
        what = f"adapters of rank {config.lora.r} ({count(size.adapters)} weights) on {count(size.parameters)}"
    parts = f" ({plan.at_a_time} at a time)" if plan.passes > 1 else ""
    steps = f"{plan.steps} step{'s' * (plan.steps != 1)} of {plan.at_a_time * plan.passes * device.count}{parts}"
    lines = [
        *(f"! {warning}" for warning in examples.origin.warnings),
        f"{plan.stage}  {config.model} · {len(examples.train)} examples, {len(examples.test)} held out · {config.data}",
        f"loss     {loss_line(config)}",
        f"trains   {what} on {where}: {steps}, learning rate {plan.learning_rate:g}",
        f"takes    about {plan.memory / 2**30:.1f} of {device.memory / 2**30:.0f} GiB, "
        f"about {duration(plan.operations / EFFICIENCY / device.speed())}",
    ]
    if not plan.fits:
        lines.append(
            "! this is likely to run out of memory; take --lora, a smaller model or --max-length, or more devices"
        )
    if not examples.test:
        lines.append("! nothing is held out, so the last step is kept and nothing says how well it did")
    return lines


def left_out_line(ids: Sequence[str], max_length: int, why: str) -> str:
    """Return which examples are not trained on as they are."""
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return f"! {len(ids)} {why} {max_length} tokens: {', '.join(ids[:_NAMED])}{more}; --max-length sets the limit"


def count(number: int) -> str:
    """Return a number of weights, short."""
    for size, name in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if number >= size:
            return f"{number / size:.3g} {name}"
    return str(number)


def duration(seconds: float) -> str:
    """Return a time, rounded as an estimate deserves."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
