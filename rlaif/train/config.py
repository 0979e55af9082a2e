"""What a training file holds, and what the flags of `rlaif train` add up to.

One class for each kind of training, so that a key that means nothing there is an error and not a silence. What TRL
can be told beyond this goes into `trl:` (see `options.py`).
"""

from typing import Any, Literal

from pydantic import Field

from rlaif.base import Section

Stage = Literal["sft", "dpo", "reward"]
"""Kinds of training: supervised on revisions, preference optimisation, reward model."""


class Lora(Section):
    """Low-rank adapters (Hu et al. 2021)."""

    r: int = Field(default=16, ge=1)
    """Rank."""
    alpha: int = Field(default=32, ge=1)
    """The adapter's output is scaled by alpha / r."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: str | tuple[str, ...] = "all-linear"
    """Names of the layers that get an adapter."""


class Recipe(Section):
    """How to train, whatever the kind."""

    method: Literal["auto", "full", "lora"] = "auto"
    """`auto` trains all weights where they fit into the device's memory, and adapters elsewhere."""
    lora: Lora = Lora()
    merge: bool = False
    """Write adapters into the weights at the end, so that the result is a model like any other."""
    epochs: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Times that every example is seen."""
    batch_size: int = Field(default=16, ge=1)
    """Examples behind one step of the optimiser, over all devices; how many at a time follows from the memory."""
    learning_rate: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """By default chosen for the kind of training and the model's size (`defaults.py`)."""
    max_length: int = Field(default=1024, ge=16)
    """Tokens of prompt and answer together; prompts as long as this are left out and named."""
    evaluate_every: int | None = Field(default=None, ge=1)
    """Steps between two looks at the held-out examples, with a checkpoint each; a tenth of all steps by default."""
    trl: dict[str, Any] = Field(default_factory=dict)
    """Options of TRL's own configuration for this kind of training; they win over what is chosen here."""


class SftRecipe(Recipe):
    """Supervised fine-tuning on revisions (the first stage of Bai et al. 2022b)."""

    min_p_better: float = Field(default=0.5, ge=0, le=1)
    """Least probability, as the run judged it, that a revision is better than what it revises. A revision is not taken
    for an improvement because it is one; 0 takes them all, as Bai et al. do. Rows that don't say stay."""


class DpoRecipe(Recipe):
    """Direct preference optimisation (Rafailov et al. 2023), with labels that may be unsure."""

    labels: Literal["soft", "hard"] = "soft"
    """`soft` takes p_chosen for what it is; `hard` takes every chosen answer for the better one."""
    weights: Literal["none", "margin"] = "none"
    """`margin` weighs each pair by |p_chosen - 0.5|, scaled to a mean of one over the training pairs."""
    max_fall: float | None = Field(default=2.0, gt=0)
    """Nats a token that the chosen answers' log-probability may fall below the reference's while still falling;
    beyond, training stops. Null never stops."""


class RewardRecipe(Recipe):
    """A reward model: a score for a conversation, whose difference is the log-odds of a pair."""

    margins: Literal["logit", "none"] = "logit"
    """`logit` takes log(p/(1-p)) off the difference of a pair's scores before it counts as learned (as Touvron et al.
    2023 do with people's ratings, here with the critic's odds)."""


class Where(Section):
    """What is trained on what, and where the result goes."""

    data: str = ""
    """A run directory, an exported dataset, a file of rows, or a hub dataset."""
    model: str = ""
    """A folder, a hub id or `smollm2`."""
    out: str = ""
    """Folder of the trained model."""
    seed: int = Field(default=0, ge=0)
    chat_template_kwargs: dict[str, Any] = Field(default_factory=dict)
    """For the chat template, such as {enable_thinking: false}; by default what a run's policy was asked with."""


class SftConfig(SftRecipe, Where):
    """`rlaif train sft`."""


class DpoConfig(DpoRecipe, Where):
    """`rlaif train dpo`."""


class RewardConfig(RewardRecipe, Where):
    """`rlaif train reward`."""


class CaiConfig(Where):
    """`rlaif train cai`: supervised on the revisions, then preference optimisation from there."""

    sft: SftRecipe = SftRecipe()
    dpo: DpoRecipe = DpoRecipe()


TrainConfig = SftConfig | DpoConfig | RewardConfig
CONFIGS: dict[Stage, type[TrainConfig]] = {"sft": SftConfig, "dpo": DpoConfig, "reward": RewardConfig}


def stage_of(config: TrainConfig) -> Stage:
    """Return the kind of training a configuration is for."""
    return next(stage for stage, kind in CONFIGS.items() if isinstance(config, kind))
