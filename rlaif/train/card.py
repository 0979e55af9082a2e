"""Write the model card of a training and the plot of its curves. Imports matplotlib."""

import io
from collections.abc import Sequence
from typing import Any

from huggingface_hub import ModelCardData
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rlaif.models.hub_id import dataset_id, hub_id
from rlaif.train import config as settings
from rlaif.train.directory import TrainingManifest, base_id
from rlaif.train.examples import Examples
from rlaif.train.metrics import ACCURACY, Figures, result_lines
from rlaif.train.plan import Plan, Prepared, loss_line
from rlaif.train.trl_options import Stage

_NAMES: dict[str, str] = {
    "rewards/accuracies": "share of pairs right",
    "accuracy": "share of pairs right",
    "mean_token_accuracy": "share of tokens right",
}
_SIDES: dict[Stage, tuple[str, ...]] = {"dpo": ("rewards/chosen", "rewards/rejected"), "reward": ("margin",), "sft": ()}


def curves(metrics: Sequence[dict[str, float]], stage: Stage) -> bytes:
    """Return the plot of the metrics as PNG. The same metrics give the same bytes."""
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
            label_of = f"{short}, held out" if len(names) > 1 else "held out"
            ax.plot(*zip(*held, strict=True), "o-", color=colour, markersize=3, label=label_of)
    ax.set(xlabel="step", ylabel=label)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(fontsize=7, frameon=False)


_TITLES: dict[Stage, str] = {
    "dpo": "preference optimisation (DPO)",
    "sft": "supervised fine-tuning",
    "reward": "reward model",
}


def model_card(prepared: Prepared, manifest: TrainingManifest) -> str:
    """Return the model card of a finished training as Markdown with YAML front matter."""
    config, plan, examples = prepared.config, prepared.plan, prepared.examples
    on_the_hub = hub_id(config.model)
    link = f"https://huggingface.co/{on_the_hub}" if on_the_hub else "#data-and-rules"
    data = f"{len(examples.train)} examples, {len(examples.test)} more held out"
    warnings = "\n".join(["> **Warning**", ">", *(f"> - {warning}" for warning in examples.origin.warnings)])
    parts = [
        f"# {_base(config)}, {_TITLES[plan.stage]}",
        f"Made by `rlaif train {plan.stage}` from [{_base(config)}]({link}) and {data}.",
        *([warnings] if examples.origin.warnings else []),
        "## Data and rules\n\n" + _data(examples, manifest),
        "## Training\n\n" + _training(prepared, manifest),
        "## Figures\n\n" + _figures(manifest.figures, plan, examples) + "\n\n![curves](curves.png)",
        "## Serving\n\n" + _serving(config, plan),
        "## Limits\n\n" + _LIMITS,
    ]
    body = "\n\n".join(parts)
    return f"---\n{_head(config, plan).to_yaml()}\n---\n\n{body}\n"


def _head(config: settings.TrainConfig, plan: Plan) -> ModelCardData:
    """Return the head; it names base model and data only where they are on the hub, as readers would look there."""
    adapter = plan.method == "lora" and not config.merge
    data = dataset_id(config.data)
    return ModelCardData(
        base_model=hub_id(config.model) if adapter else base_id(config.model),  # an adapter fits no other model
        datasets=[data] if data else None,
        library_name="peft" if adapter else "transformers",
        pipeline_tag="text-classification" if plan.stage == "reward" else "text-generation",
        tags=["rlaif", "constitutional-ai", "trl", plan.stage],
    )


def _base(config: settings.TrainConfig) -> str:
    """Return the model's id on the hub, or the name of its folder."""
    return hub_id(config.model) or config.model.rstrip("/").rpartition("/")[2]


def _data(examples: Examples[Any], manifest: TrainingManifest) -> str:
    origin = examples.origin
    rows = [
        ("data", f"{examples.source.rstrip('/').rpartition('/')[2]}, hash `{manifest.settings['data']}`"),
        ("base model", f"hash `{manifest.settings['model']}`"),
        ("rules", "; ".join(origin.constitutions) or "not named by the data"),
        ("critic", "; ".join(origin.critics) or "not named by the data"),
    ]
    rules = "\n".join(f"- {rule}" for rule in origin.rules)
    return _table(("", ""), rows) + (
        f"\n\nQuestions by which the critic compared each two responses:\n\n{rules}" if rules else ""
    )


def _training(prepared: Prepared, manifest: TrainingManifest) -> str:
    config, plan, device = prepared.config, prepared.plan, prepared.device
    merged = "merged into the weights" if config.merge else "saved separately"
    rows = [
        ("loss", loss_line(config)),
        ("weights", "all" if plan.method == "full" else f"adapters of rank {config.lora.r}, {merged}"),
        ("steps", f"{plan.steps} of {plan.at_a_time * plan.passes * device.count} examples"),
        ("learning rate", f"{plan.learning_rate:g}, with a warm-up over a tenth of the steps"),
        ("longest sequence", f"{config.max_length} tokens"),
        ("seed", str(config.seed)),
        ("TRL options set", ", ".join(f"{name}={value}" for name, value in config.trl.items()) or "none"),
        ("device", device.name if device.count == 1 else f"{device.count} × {device.name}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in manifest.versions.items())),
    ]
    return _table(("", ""), rows)


def _figures(figures: Figures, plan: Plan, examples: Examples[Any]) -> str:
    rows = [(name.replace("_", " "), f"{value:.4g}") for name, value in figures.items() if value is not None]
    kept = f"The checkpoint of step {figures.get('kept_step')} of {plan.steps} was kept"
    reason = "lowest held-out loss" if plan.stage == "sft" else "best held-out accuracy, then lowest loss"
    held_out = f" ({reason})" if examples.test else " (no examples were held out)"
    lines = "".join(f"\n\n{line[:1].upper()}{line[1:]}." for line in result_lines(figures, plan.stage))
    return _table(("figure", "value"), rows) + f"{lines}\n\n{kept}{held_out}. All steps: `metrics.jsonl`."


def _serving(config: settings.TrainConfig, plan: Plan) -> str:
    if plan.method == "lora" and not config.merge:
        return (
            "An adapter: `vllm serve BASE --enable-lora --lora-modules NAME=FOLDER`; with `--merge`, training writes a "
            "complete model."
        )
    if plan.stage == "reward":
        return (
            "A judge for `rlaif`: `judges: [{kind: reward, critic: {model: FOLDER}}]`, `rlaif evaluate judge --critic "
            "FOLDER --judge reward`. Elsewhere: `vllm serve FOLDER`, then POST `/classify` with "
            '`"use_activation": false`.'
        )
    return "`rlaif serve FOLDER`, `rlaif generate --policy FOLDER`, or `vllm serve FOLDER`."


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    cells = [head, ("---", "---"), *rows]
    return "\n".join(f"| {left} | {right.replace('|', chr(92) + '|')} |" for left, right in cells)


_LIMITS = """This model was trained on one critic's judgements under one set of rules, which are neither people's
preferences nor facts about right and wrong. The figures above measure its agreement with that critic on similar
examples, not how good its responses are."""
