"""What a plan is made from: the device and its speed, the size of the model, the examples' lengths in tokens.

Imports torch and transformers.
"""

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
"""Rows of the square matrices that the speed is measured with: large enough to keep the device busy."""


@dataclass(frozen=True)
class Device:
    """One device, and how many like it work together."""

    kind: Literal["cpu", "cuda", "mps"]
    name: str
    memory: int
    """Bytes that are free on it; the total where several work together, as all must make the same plan."""
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
    """The size of a model, from which memory and time are estimated."""

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
    """Return a model's configuration. Raises UsageError when it cannot be loaded."""
    try:
        return AutoConfig.from_pretrained(source)
    except Exception as error:  # noqa: BLE001  (the hub's client raises anything)
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{name}: no model can be loaded from there: {reason}") from None


def size_of(config: Any, lora: Lora, name: str) -> Size:  # noqa: ANN401
    """Count weights on a device that holds none. Raises UsageError where it is not a language model."""
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
    """One example in tokens."""

    prompt: int
    responses: tuple[int, ...]
    """The chosen and the rejected response, or the one to imitate."""
    same_prompt: bool = True
    """Whether the template renders the prompt the same when a response follows; if not, its end is not trained on."""

    @property
    def total(self) -> int:
        """Tokens that the model reads for it: the prompt precedes every response."""
        return sum(self.prompt + response for response in self.responses)

    @property
    def longest(self) -> int:
        """Tokens of its longest sequence."""
        return self.prompt + max(self.responses)


@dataclass(frozen=True)
class Lengths:
    """All examples in tokens."""

    by_id: Mapping[str, Length]
    max_length: int

    def too_long(self, stage: Stage) -> list[str]:
        """Return the ids of examples without room for a response; for a reward model, that do not fit completely."""
        return [name for name, one in self.by_id.items() if not self._fits(one, stage)]

    def cut(self, stage: Stage) -> list[str]:
        """Return the ids of examples whose responses are truncated."""
        return [name for name, one in self.by_id.items() if self._fits(one, stage) and one.longest > self.max_length]

    def rendered_differently(self) -> list[str]:
        """Return the ids of examples whose prompts the chat template renders differently when a response follows."""
        return [name for name, one in self.by_id.items() if not one.same_prompt]

    def mean_total(self, ids: Sequence[str]) -> float:
        """Return the tokens that the model reads for an example, on average."""
        return sum(min(self.by_id[name].total, 2 * self.max_length) for name in ids) / max(1, len(ids))

    def longest(self, ids: Sequence[str]) -> int:
        """Return the tokens of the longest sequence that is trained on."""
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
    except Exception as error:  # noqa: BLE001  (the hub's client and the tokenizers raise anything)
        raise UsageError(f"{name}: its tokenizer cannot be loaded: {' '.join(str(error).split())[:200]}") from None
    if tokenizer.chat_template is None:
        raise UsageError(
            f"{name}: its tokenizer has no chat template, so a conversation cannot be rendered for it; start from a "
            "chat model, or put a chat_template.jinja into its folder"
        )
    return tokenizer


def measure(
    examples: Sequence[PairExample | ResponseExample],
    tokenizer: Tokenizer,
    max_length: int,
    template: Mapping[str, Any],
) -> Lengths:
    """Return the length of every example. Raises UsageError when the chat template refuses a conversation."""
    return Lengths({one.id: _length(one, tokenizer, template) for one in examples}, max_length)


def _length(example: PairExample | ResponseExample, tokenizer: Tokenizer, template: Mapping[str, Any]) -> Length:
    texts = (example.chosen, example.rejected) if isinstance(example, PairExample) else (example.completion,)
    prompt = _render(example.id, example.prompt, tokenizer, {"add_generation_prompt": True, **template})
    wholes = [
        _render(example.id, (*example.prompt, Message(role="assistant", content=text)), tokenizer, template)
        for text in texts
    ]
    return Length(
        len(prompt),
        tuple(max(1, len(whole) - len(prompt)) for whole in wholes),
        all(whole[: len(prompt)] == prompt for whole in wholes),
    )


def _render(name: str, turns: Sequence[Message], tokenizer: Tokenizer, options: Mapping[str, Any]) -> list[int]:
    messages = [turn.model_dump() for turn in turns]
    try:
        rendered = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)
    except Exception as error:  # noqa: BLE001  (a template is a program of the model's author)
        raise UsageError(f"{name}: the model's chat template refuses it: {error}") from None
    return list(rendered["input_ids"])
