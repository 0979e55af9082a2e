"""Plan a training before it starts: method, steps, memory and time, as a record and as lines to print.

Only arithmetic on a device, a model's size and lengths, without torch; estimates are right within a factor of two.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from rlaif.train.config import DpoConfig, RewardConfig, SftConfig, TrainConfig
from rlaif.train.directory import TrainingManifest
from rlaif.train.examples import Examples
from rlaif.train.trl_options import Stage

if TYPE_CHECKING:
    from rlaif.train.measurements import Device, Size

Method = Literal["full", "lora"]
MOST_AT_A_TIME = 8
SHARE_OF_MEMORY = 0.85
"""Largest share of the free memory that a plan may use by its estimate."""
EFFICIENCY = 0.45
"""Operations per second in training, relative to those of a large matrix product."""
OVERHEAD = 600_000_000
"""Bytes that the libraries use before any weights are loaded."""

_RATES: dict[tuple[Stage, Method], tuple[float, float, float]] = {
    ("dpo", "full"): (2e-5, 5e-6, 1e-6),
    ("dpo", "lora"): (1e-4, 5e-5, 1e-5),
    ("sft", "full"): (5e-5, 2e-5, 1e-5),
    ("sft", "lora"): (5e-4, 2e-4, 1e-4),
    ("reward", "full"): (5e-5, 2e-5, 1e-5),
    ("reward", "lora"): (5e-4, 2e-4, 1e-4),
}
"""Learning rates for models below 0.5 billion weights, below 3 billion, and above."""


@dataclass(frozen=True)
class Load:
    """The size of the data, from which time and memory are estimated."""

    train: int
    test: int
    tokens: float
    """Mean number of tokens read for one example."""
    longest: int
    """Tokens of the longest sequence."""


@dataclass(frozen=True)
class Plan:
    """How a model is trained, with estimates of memory and time."""

    stage: Stage
    method: Method
    at_a_time: int
    """Examples on one device in one pass."""
    passes: int
    """Passes whose gradients are accumulated for one step."""
    checkpointing: bool
    """Whether activations are recomputed in the backward pass instead of being kept."""
    learning_rate: float
    steps: int
    evaluate_every: int
    memory: int
    """Estimated bytes on each device."""
    fits: bool
    operations: float
    """Estimated floating point operations on each device."""


@dataclass(frozen=True)
class Settled:
    """Choices made at the start of a training and kept when it continues, because the free memory may differ."""

    method: Method
    at_a_time: int
    checkpointing: bool


@dataclass(frozen=True)
class Prepared:
    """A training before the weights are loaded: settings, examples, device, plan and manifest."""

    config: TrainConfig
    source: str
    """Folder or hub id that the weights are loaded from."""
    tokenizer: Any
    examples: Examples[Any]
    """Their `template` is passed to the chat template."""
    device: "Device"
    size: "Size"
    plan: Plan
    mean_response: float
    """Mean number of tokens of a chosen response."""
    manifest: TrainingManifest


def make_plan(
    config: TrainConfig, stage: Stage, device: "Device", size: "Size", load: Load, settled: Settled | None = None
) -> Plan:
    """Return the plan of the fastest way to train that fits into the memory; with `settled`, of that choice."""
    share = max(1, config.batch_size // device.count)
    sequences = 1 if stage == "sft" else 2
    choices = _choices(config, share)
    if settled is not None:
        choices = [(settled.method, settled.checkpointing, settled.at_a_time)]
    needs = {choice: _memory(choice, device, size, load, sequences) for choice in choices}
    chosen = next((choice for choice in choices if needs[choice] <= SHARE_OF_MEMORY * device.memory), choices[-1])
    method, checkpointing, at_a_time = chosen
    passes = math.ceil(share / at_a_time)
    steps = _steps(config, load.train, at_a_time * passes * device.count)
    every = config.evaluate_every or max(1, math.ceil(steps / 10))
    return Plan(
        stage=stage,
        method=method,
        at_a_time=at_a_time,
        passes=passes,
        checkpointing=checkpointing,
        learning_rate=config.learning_rate or _rate(stage, method, size.parameters),
        steps=steps,
        evaluate_every=min(every, steps),
        memory=needs[chosen],
        fits=needs[chosen] <= SHARE_OF_MEMORY * device.memory,
        operations=_operations(stage, chosen, size, load, (steps, every, at_a_time * passes)),
    )


def _choices(config: TrainConfig, share: int) -> list[tuple[Method, bool, int]]:
    methods: tuple[Method, ...] = ("full", "lora") if config.method == "auto" else (config.method,)
    given = config.trl.get("gradient_checkpointing")
    fixed = config.trl.get("per_device_train_batch_size")
    return [
        (method, checkpointing, at_a_time)
        for method in methods
        for checkpointing in ((False, True) if given is None else (given,))
        for at_a_time in ((fixed,) if fixed else _divisors(share, min(share, MOST_AT_A_TIME)))
    ]


def _divisors(share: int, most: int) -> tuple[int, ...]:
    """Return the batch sizes, largest first, that divide a device's share of a step."""
    return tuple(number for number in range(most, 0, -1) if share % number == 0)


def _steps(config: TrainConfig, examples: int, batch: int) -> int:
    given = config.trl.get("max_steps", -1)
    return int(given) if given > 0 else max(1, math.ceil(math.ceil(examples / batch) * config.epochs))


def _rate(stage: Stage, method: Method, parameters: int) -> float:
    small, middle, large = _RATES[stage, method]
    return small if parameters < 5e8 else middle if parameters < 3e9 else large


def _memory(choice: tuple[Method, bool, int], device: "Device", size: "Size", load: Load, sequences: int) -> int:
    """Return bytes for weights, gradients and Adam's two moments (4 bytes each if trained), and kept activations."""
    method, checkpointing, at_a_time = choice
    number = 2 if device.bf16 else 4
    if method == "full":
        weights = size.parameters * (16 + (2 if device.bf16 else 0))
    else:
        weights = size.parameters * number + size.adapters * 16
    tokens = at_a_time * sequences * load.longest
    # Kept per token and layer: about 8 vectors of the hidden width and 4 of the feed-forward width.
    layer = tokens * number * (8 * size.hidden + 4 * size.intermediate)
    between = tokens * number * size.hidden * size.layers
    kept = between + layer if checkpointing else layer * size.layers
    return OVERHEAD + weights + kept


def _operations(
    stage: Stage, choice: tuple[Method, bool, int], size: "Size", load: Load, schedule: tuple[int, int, int]
) -> float:
    """Return operations: 2 per weight and token in the forward pass, twice that backward (Kaplan et al. 2020)."""
    method, checkpointing, _ = choice
    steps, every, batch = schedule
    forward = 2.0 * size.parameters * load.tokens
    backward = forward * (1 if method == "lora" else 2) + (forward if checkpointing else 0)
    evaluations = math.ceil(steps / every) + (1 if stage == "dpo" else 0)
    reference = forward * load.train if stage == "dpo" else 0.0
    return steps * batch * (forward + backward) + evaluations * load.test * forward + reference


_NAMED = 5
"""Largest number of ids that a line lists."""


def plan_lines(prepared: Prepared) -> list[str]:
    """Return lines on data, loss, method, memory and time of a training; measures the device's speed in 0.5 s."""
    config, plan, device = prepared.config, prepared.plan, prepared.device
    size, examples = prepared.size, prepared.examples
    where = device.name if device.count == 1 else f"{device.count} × {device.name}"
    what = f"all {count(size.parameters)} weights"
    if plan.method == "lora":
        what = f"adapters of rank {config.lora.r} ({count(size.adapters)} weights) on {count(size.parameters)}"
    parts = f" ({plan.at_a_time} at a time)" if plan.passes > 1 else ""
    steps = f"{plan.steps} step{'s' * (plan.steps != 1)} of {plan.at_a_time * plan.passes * device.count}{parts}"
    lines = [
        *(f"! {warning}" for warning in examples.origin.warnings),
        f"{plan.stage}  {config.model} · {len(examples.train)} examples, {len(examples.test)} held out · {config.data}"
        + (" (certified pairs only)" if not isinstance(config, SftConfig) and config.certified else ""),
        f"loss     {loss_line(config)}",
        f"trains   {what} on {where}: {steps}, learning rate {plan.learning_rate:g}",
        f"takes    about {plan.memory / 2**30:.1f} of {device.memory / 2**30:.0f} GiB, "
        f"about {duration(plan.operations / EFFICIENCY / device.speed())}",
    ]
    if not plan.fits:
        lines.append(
            "! this is likely to run out of memory; use --lora, a smaller model or --max-length, or more devices"
        )
    if not examples.test:
        lines.append("! no examples are held out, so the last step is kept and its quality is not measured")
    return lines


def left_out_line(ids: Sequence[str], max_length: int, why: str) -> str:
    """Return a warning with the number and the first ids of examples that are left out or truncated."""
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    return f"! {len(ids)} {why} {max_length} tokens: {', '.join(ids[:_NAMED])}{more}; --max-length sets the limit"


def count(number: int) -> str:
    """Return a number of weights as text, such as `135 million`."""
    for size, name in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if number >= size:
            return f"{number / size:.3g} {name}"
    return str(number)


def duration(seconds: float) -> str:
    """Return an estimated time as text, such as `12 min`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def loss_line(config: TrainConfig) -> str:
    """Return a description of the loss, such as `DPO, sigmoid, beta 0.1, soft labels`."""
    if isinstance(config, DpoConfig):
        beta = config.trl.get("beta", 0.1)
        named = config.trl.get("loss_type", "sigmoid")
        loss = named if isinstance(named, str) else " + ".join(named)
        weights = ", pairs weighted by margin" if config.weights == "margin" else ""
        return f"DPO, {loss}, beta {beta:g}, {config.labels} labels{weights}"
    if isinstance(config, RewardConfig):
        return "Bradley-Terry" + (", with the critic's log-odds as margins" if config.margins == "logit" else "")
    return "negative log-likelihood of the responses' tokens"
