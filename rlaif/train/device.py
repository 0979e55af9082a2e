"""What there is to train on, and how fast it multiplies. Imports torch."""

import os
import time
from dataclasses import dataclass
from typing import Literal

import psutil
import torch

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
