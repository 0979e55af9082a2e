"""A model's size, told from its configuration alone; no weights are loaded. Imports torch and transformers."""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from rlaif.errors import UsageError
from rlaif.train.config import Lora


@dataclass(frozen=True)
class Size:
    """What memory and time follow from."""

    parameters: int
    adapters: int
    """Weights of the adapters that a recipe would add."""
    layers: int
    hidden: int
    intermediate: int
    """Width of the feed-forward layers."""
    positions: int | None
    """Longest sequence that the model was made for, in tokens."""
    dtype: str
    """How the weights are stored, such as bfloat16."""


def load_config(source: str, name: str) -> Any:  # noqa: ANN401
    """Return a model's configuration. Raises UsageError when there is none to be had."""
    try:
        return AutoConfig.from_pretrained(source)
    except Exception as error:  # noqa: BLE001  (the hub's client raises anything)
        said = " ".join(str(error).split())[:200]
        raise UsageError(f"{name}: no model can be loaded from there: {said}") from None


def size_of(config: Any, lora: Lora, name: str) -> Size:  # noqa: ANN401
    """Count weights on a device that holds none. Raises UsageError for what is no language model."""
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except ValueError as error:
        raise UsageError(f"{name}: is no language model: {' '.join(str(error).split())[:200]}") from None
    text = config.get_text_config()
    return Size(
        parameters=sum(weight.numel() for weight in model.parameters()),
        adapters=sum(_adapters(layer, lora) for path, layer in model.named_modules() if "lm_head" not in path),
        layers=text.num_hidden_layers,
        hidden=text.hidden_size,
        intermediate=getattr(text, "intermediate_size", None) or 4 * text.hidden_size,
        positions=getattr(text, "max_position_embeddings", None),
        dtype=str(getattr(config, "dtype", None) or "float32").removeprefix("torch."),
    )


def _adapters(layer: Any, lora: Lora) -> int:  # noqa: ANN401
    linear = isinstance(layer, torch.nn.Linear)
    return lora.r * (layer.in_features + layer.out_features) if linear else 0
