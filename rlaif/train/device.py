"""The training device, how fast it multiplies, and how large a model is by its configuration. Imports torch."""

import os
import time
from dataclasses import dataclass
from typing import Any, Literal

import psutil
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from rlaif.errors import UsageError
from rlaif.train.config import Lora

_SIZES = {"cpu": 1024, "mps": 2048, "cuda": 8192}
"""Rows of the square matrices that the speed is measured with: large enough to keep the device busy."""


@dataclass(frozen=True)
class Device:
    """One device, and how many like it work together."""

    kind: Literal["cpu", "cuda", "mps"]
    name: str
    memory: int
    """Bytes that are free on it; where several work together all there are, as all must come to the same plan."""
    count: int
    """Processes that train together (`accelerate launch`, `torchrun`)."""
    bf16: bool
    """Whether training computes in bfloat16."""

    def speed(self) -> float:
        """Return floating point operations a second, measured on one large product (a second at the most)."""
        size = _SIZES[self.kind]
        a = torch.ones(size, size, device=self.kind, dtype=torch.bfloat16 if self.bf16 else torch.float32)
        a @ a  # the first product pays for what is loaded on the way
        _wait(self.kind)
        started, products = time.perf_counter(), 0
        while products < 3 or (time.perf_counter() - started < 0.2 and products < 20):
            a @ a
            _wait(self.kind)
            products += 1
        return 2.0 * size**3 * products / (time.perf_counter() - started)


def this_device() -> Device:
    """Return what training would run on here: a GPU where torch sees one."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if torch.cuda.is_available():
        index = int(os.environ.get("LOCAL_RANK", "0"))
        free, total = torch.cuda.mem_get_info(index)
        memory = free if count == 1 else total
        return Device("cuda", torch.cuda.get_device_name(index), memory, count, torch.cuda.is_bf16_supported())
    memory = psutil.virtual_memory().available if count == 1 else psutil.virtual_memory().total
    if torch.backends.mps.is_available():
        return Device("mps", "Apple GPU", memory, count, bf16=False)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Device("cpu", f"the CPU ({cores} cores)", memory // count, count, bf16=False)


def _wait(kind: str) -> None:
    if kind == "cuda":
        torch.cuda.synchronize()
    elif kind == "mps":
        torch.mps.synchronize()


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
