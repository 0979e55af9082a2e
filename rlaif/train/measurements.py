"""Measure what a plan depends on: the device and its speed, the model's size, the examples' lengths in tokens.

Imports torch and transformers.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import psutil
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from rlaif.errors import UsageError
from rlaif.records import Message
from rlaif.train.config import Lora
from rlaif.train.examples import PairExample, ResponseExample
from rlaif.train.trl_options import Stage

_SIZES = {"cpu": 1024, "mps": 2048, "cuda": 8192}
"""Rows of the square matrices that the speed is measured with, by device; large enough for full utilisation."""


@dataclass(frozen=True)
class Device:
    """The device of one process, and the number of processes that train together."""

    kind: Literal["cpu", "cuda", "mps"]
    name: str
    memory: int
    """Free bytes; with several processes the total bytes, because all must make the same plan."""
    count: int
    """Processes that train together (`accelerate launch`, `torchrun`)."""
    bf16: bool
    """Whether training computes in bfloat16."""

    def speed(self) -> float:
        """Return floating point operations per second, measured on a large matrix product in at most a second."""
        size = _SIZES[self.kind]
        a = torch.ones(size, size, device=self.kind, dtype=torch.bfloat16 if self.bf16 else torch.float32)
        a @ a  # warm-up
        _wait(self.kind)
        started, products = time.perf_counter(), 0
        while products < 3 or (time.perf_counter() - started < 0.2 and products < 20):
            a @ a
            _wait(self.kind)
            products += 1
        return 2.0 * size**3 * products / (time.perf_counter() - started)


def this_device() -> Device:
    """Return the device that training uses here: a GPU if torch finds one."""
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
    """The size of a model, from which memory and time are estimated."""

    parameters: int
    adapters: int
    """Number of weights of the adapters."""
    layers: int
    hidden: int
    intermediate: int
    """Width of the feed-forward layers."""
    positions: int | None
    """Longest sequence that the model supports, in tokens; None if not known."""
    dtype: str
    """Dtype of the stored weights, such as bfloat16."""


def load_config(source: str, name: str) -> Any:  # noqa: ANN401
    """Return a model's configuration. Raises UsageError when it cannot be loaded."""
    try:
        return AutoConfig.from_pretrained(source)
    except Exception as error:  # noqa: BLE001  (the hub's client may raise any exception)
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{name}: the model cannot be loaded: {reason}") from None


def size_of(config: Any, lora: Lora, name: str) -> Size:  # noqa: ANN401
    """Return a model's size, without allocating its weights. Raises UsageError where it is not a language model."""
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except ValueError as error:
        raise UsageError(f"{name}: is not a language model: {' '.join(str(error).split())[:200]}") from None
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


Tokenizer = Any


@dataclass(frozen=True)
class Length:
    """The lengths of one example in tokens."""

    prompt: int
    responses: tuple[int, ...]
    """Tokens of the chosen and the rejected response, or of the one to imitate."""
    same_prompt: bool = True
    """Whether the template renders the prompt the same when a response follows; if not, the difference is not
    trained."""

    @property
    def total(self) -> int:
        """Tokens that the model reads for the example, with the prompt before every response."""
        return sum(self.prompt + response for response in self.responses)

    @property
    def longest(self) -> int:
        """Tokens of its longest sequence."""
        return self.prompt + max(self.responses)


@dataclass(frozen=True)
class Lengths:
    """The lengths of all examples in tokens."""

    by_id: Mapping[str, Length]
    max_length: int

    def too_long(self, stage: Stage) -> list[str]:
        """Return the ids of examples whose prompt leaves no room for a response; for a reward model, that do not
        fit."""
        return [name for name, one in self.by_id.items() if not self._fits(one, stage)]

    def cut(self, stage: Stage) -> list[str]:
        """Return the ids of examples whose responses are truncated."""
        return [name for name, one in self.by_id.items() if self._fits(one, stage) and one.longest > self.max_length]

    def rendered_differently(self) -> list[str]:
        """Return the ids of examples whose prompts the chat template renders differently when a response follows."""
        return [name for name, one in self.by_id.items() if not one.same_prompt]

    def mean_total(self, ids: Sequence[str]) -> float:
        """Return the mean number of tokens that the model reads for an example."""
        return sum(min(self.by_id[name].total, 2 * self.max_length) for name in ids) / max(1, len(ids))

    def longest(self, ids: Sequence[str]) -> int:
        """Return the number of tokens of the longest sequence that is trained on."""
        return min(self.max_length, max((self.by_id[name].longest for name in ids), default=1))

    def mean_response(self, ids: Sequence[str]) -> float:
        """Return the mean number of tokens of a chosen response."""
        return sum(self.by_id[name].responses[0] for name in ids) / max(1, len(ids))

    def _fits(self, one: Length, stage: Stage) -> bool:
        return one.longest <= self.max_length if stage == "reward" else one.prompt < self.max_length


def load_tokenizer(source: str, name: str) -> Tokenizer:
    """Return the tokenizer of a model. Raises UsageError when there is none, or it has no chat template."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
    except Exception as error:  # noqa: BLE001  (the hub's client and the tokenizers may raise any exception)
        raise UsageError(f"{name}: its tokenizer cannot be loaded: {' '.join(str(error).split())[:200]}") from None
    if tokenizer.chat_template is None:
        raise UsageError(
            f"{name}: its tokenizer has no chat template to render conversations with; use a chat model, or put a "
            "chat_template.jinja into its folder"
        )
    return tokenizer


def measure(
    examples: Sequence[PairExample | ResponseExample],
    tokenizer: Tokenizer,
    max_length: int,
    template: Mapping[str, Any],
) -> Lengths:
    """Return the lengths of all examples. Raises UsageError when the chat template cannot render a conversation."""
    return Lengths({one.id: _length(one, tokenizer, template) for one in examples}, max_length)


def _length(example: PairExample | ResponseExample, tokenizer: Tokenizer, template: Mapping[str, Any]) -> Length:
    texts = (example.chosen, example.rejected) if isinstance(example, PairExample) else (example.completion,)
    if example.tools is not None:
        template = {**template, "tools": json.loads(example.tools)}
    prompt = _render(example.id, example.prompt, tokenizer, {"add_generation_prompt": True, **template})
    conversations = [
        _render(example.id, (*example.prompt, Message(role="assistant", content=text)), tokenizer, template)
        for text in texts
    ]
    return Length(
        len(prompt),
        tuple(max(1, len(conversation) - len(prompt)) for conversation in conversations),
        all(conversation[: len(prompt)] == prompt for conversation in conversations),
    )


def _render(name: str, turns: Sequence[Message], tokenizer: Tokenizer, options: Mapping[str, Any]) -> list[int]:
    messages = [turn.model_dump() for turn in turns]
    try:
        rendered = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)
    except Exception as error:  # noqa: BLE001  (a template is a program and may raise any exception)
        raise UsageError(f"{name}: the model's chat template cannot render it: {error}") from None
    return list(rendered["input_ids"])
