"""Settings of a training, validated from a YAML file and flags; errors have file and line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import Field, ValidationError

from rlaif.base import Section
from rlaif.errors import ConfigError
from rlaif.train.trl_options import Stage, check_options
from rlaif.yaml_file import Lines, explain_validation, read_yaml_lines


class Lora(Section):
    """Low-rank adapters (Hu et al. 2021)."""

    r: int = Field(default=16, ge=1)
    """Rank."""
    alpha: int = Field(default=32, ge=1)
    """The adapter's output is scaled by alpha / r."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: str | tuple[str, ...] = "all-linear"
    """Names of the layers that get an adapter, or `all-linear`."""


class Recipe(Section):
    """Settings that all kinds of training share."""

    method: Literal["auto", "full", "lora"] = "auto"
    """`auto` trains all weights if they fit into the device's memory, and adapters otherwise."""
    lora: Lora = Lora()
    merge: bool = False
    """Whether to merge adapters into the weights at the end, so that the result is a complete model."""
    epochs: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Passes over the examples."""
    batch_size: int = Field(default=16, ge=1)
    """Examples per optimiser step, over all devices; the number at a time depends on the memory."""
    learning_rate: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """By default chosen from the kind of training and the model's size (`plan.py`)."""
    max_length: int = Field(default=1024, ge=16)
    """Largest number of tokens of prompt plus response; prompts of this length or more are left out and listed."""
    evaluate_every: int | None = Field(default=None, ge=1)
    """Steps between two evaluations on the held-out examples, each with a checkpoint; by default a tenth of the
    steps."""
    trl: dict[str, Any] = Field(default_factory=dict)
    """Options of TRL's configuration for this kind of training; they override what is chosen here."""


class SftRecipe(Recipe):
    """Supervised fine-tuning on revisions (the first stage of Bai et al. 2022b)."""

    min_p_better: float = Field(default=0.5, ge=0, le=1)
    """Least probability, judged by the run, that a revision is better than the response it revises; other revisions are
    left out. 0 keeps all, as Bai et al. do. Rows without `p_better` are kept."""


class DpoRecipe(Recipe):
    """Direct preference optimisation (Rafailov et al. 2023) with soft or hard labels."""

    certified: bool = False
    """Whether to train on the certified pairs only (`rlaif certify`); refused without a valid certificate."""
    labels: Literal["soft", "hard"] = "soft"
    """`soft` uses p_chosen as the label; `hard` uses 1 for every pair."""
    weights: Literal["none", "margin"] = "none"
    """`margin` weights each pair by |p_chosen - 0.5|, scaled to a mean of one over the training pairs."""
    max_fall: float | None = Field(default=2.0, gt=0)
    """Largest fall, in nats per token, of the chosen responses' mean log-probability below the reference's; beyond it,
    training stops if it is still falling. Null never stops it."""


class RewardRecipe(Recipe):
    """A reward model: it gives a conversation a score; the difference of two scores is the log-odds of a pair."""

    certified: bool = False
    """Whether to train on the certified pairs only (`rlaif certify`); refused without a valid certificate."""
    margins: Literal["logit", "none"] = "logit"
    """`logit` subtracts log(p/(1-p)) from the difference of a pair's scores in the loss (as Touvron et al. 2023 do with
    people's ratings)."""


class Where(Section):
    """The model, the data, the output folder, and the seed."""

    data: str = ""
    """A run directory, an exported dataset, a file of rows, or a hub dataset."""
    model: str = ""
    """A folder, a hub id or `smollm2`."""
    out: str = ""
    """Folder of the trained model."""
    seed: int = Field(default=0, ge=0)
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Passed to the chat template, such as {enable_thinking: false}; by default those of the run's policy."""


class SftConfig(SftRecipe, Where):
    """Settings of `rlaif train sft`."""


class DpoConfig(DpoRecipe, Where):
    """Settings of `rlaif train dpo`."""


class RewardConfig(RewardRecipe, Where):
    """Settings of `rlaif train reward`."""


class CaiConfig(Where):
    """Settings of `rlaif train cai`: supervised training on the revisions, then DPO of that model on the pairs."""

    sft: SftRecipe = SftRecipe()
    dpo: DpoRecipe = DpoRecipe()


TrainConfig = SftConfig | DpoConfig | RewardConfig
CONFIGS: dict[Stage, type[TrainConfig]] = {"sft": SftConfig, "dpo": DpoConfig, "reward": RewardConfig}


_STAGES: dict[type[Where], Stage] = {kind: stage for stage, kind in CONFIGS.items()}


def stage_of(config: TrainConfig) -> Stage:
    """Return the kind of training of a configuration."""
    return _STAGES[type(config)]


Config = TypeVar("Config", bound=Where)
Flags = Mapping[tuple[str, ...], Any]
"""Maps a setting's path in the file, such as ("sft", "method"), to its value."""


def load_config(kind: type[Config], file: Path | None, flags: Flags) -> Config:
    """Return the file's settings, overridden by the flags. Raises ConfigError, UsageError."""
    data: dict[str, Any] = {}
    lines = None
    if file is not None:
        read, lines = read_yaml_lines(file, kind)
        data = read.model_dump(mode="json", exclude_unset=True)
    for (*sections, key), value in flags.items():
        _section(data, sections)[key] = value
    stages: dict[Stage, list[str]] = {"sft": ["sft"], "dpo": ["dpo"]} if kind is CaiConfig else {_STAGES[kind]: []}
    for stage, place in stages.items():
        _check_trl(stage, place, _section(data, place), flags, lines)
    try:
        config = kind.model_validate(data)
    except ValidationError as error:
        raise ConfigError(explain_validation(error, kind)) from None
    missing = [name for name in ("data", "model", "out") if not getattr(config, name)]
    if missing:
        named = ", ".join("the run or dataset" if name == "data" else f"--{name}" for name in missing)
        raise ConfigError(f"{named} missing; give the flag, or set it in the file given with --config")
    return config


def _check_trl(stage: Stage, place: list[str], recipe: dict[str, Any], flags: Flags, lines: Lines | None) -> None:
    """Replace a recipe's TRL options with values of TRL's types. Raises as `check_options` does."""

    def where(name: str) -> str:
        if lines is None or (*place, "trl", name) in flags:
            return f"--trl {name}"
        return lines.at(*place, "trl", name)

    recipe["trl"] = check_options(stage, recipe.get("trl", {}), where)


def _section(data: dict[str, Any], place: list[str]) -> dict[str, Any]:
    for name in place:
        data = data.setdefault(name, {})
    return data


def trl_flags(entries: list[str] | None) -> dict[str, Any]:
    """Return NAME=VALUE entries as {NAME: VALUE}, with values read as YAML. Raises ConfigError."""
    options = {}
    for entry in entries or []:
        name, equals, value = entry.partition("=")
        if not equals or not name:
            raise ConfigError(f"--trl {entry}: must be NAME=VALUE, such as loss_type=ipo")
        try:
            options[name] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ConfigError(f"--trl {entry}: the value is not valid YAML") from None
    return options
