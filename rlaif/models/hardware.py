"""What this machine can compute with: its processor, measured once, its usable cores and memory, its NVIDIA GPUs.

Nothing here imports torch: what needs it is measured in a process of its own (`rlaif.models.measure`), and what that
found is kept in the user's cache until the processor, torch or a variable that limits them changes.
"""

import contextlib
import json
import math
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
from pydantic import ValidationError

from rlaif.base import Record
from rlaif.errors import ServerStartError
from rlaif.models.builtin import cache_folder
from rlaif.models.folders import GIB
from rlaif.seeds import content_hash

LIMITING = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")
"""Environment variables that keep torch from using all that a processor has."""


class Processor(Record):
    """What the processor can do, as torch sees it and as a clock does."""

    name: str
    features: tuple[str, ...]
    """Of avx2, avx512_f, avx512_bf16 and amx_tile, those that torch may use; other architectures have others."""
    milliseconds: dict[str, float]
    """By dtype, for a product of 64 x 576 by 576 x 1536 on one thread: least of several, the dtypes in turn."""

    @property
    def fast_bfloat16(self) -> bool:
        """Whether bfloat16 has instructions of its own here and is measured to be faster than float32."""
        native = bool({"avx512_bf16", "amx_tile"} & set(self.features)) or platform.machine() != "x86_64"
        return native and self.milliseconds["bfloat16"] < self.milliseconds["float32"]

    def operations(self, dtype: str) -> float:
        """Return the operations a second of one core in a product of this dtype."""
        return 2 * 64 * 576 * 1536 / (self.milliseconds[dtype] / 1000)

    def slowdown(self, dtype: str) -> float:
        """Return how many times longer a product takes in `dtype` than in the fastest dtype."""
        return self.milliseconds[dtype] / min(self.milliseconds.values())


@dataclass(frozen=True)
class Gpu:
    """One NVIDIA GPU."""

    name: str
    memory_gib: float
    free_gib: float
    capability: tuple[int, int]
    """Compute capability; bfloat16 needs (8, 0)."""


def processor() -> Processor:
    """Return what the processor can do; measured on first use, about five seconds.

    Raises ServerStartError when torch cannot be imported.
    """
    kept = processor_file()
    with contextlib.suppress(OSError, ValidationError):
        return Processor.model_validate_json(kept.read_bytes())
    found = Processor(name=_processor_name(), **measured("products"))
    with contextlib.suppress(OSError):  # measured again next time
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(found.model_dump_json(indent=2), encoding="utf-8")
    return found


def processor_file() -> Path:
    """Return where what was measured is kept: another processor, torch or limit has another file."""
    limits = [os.environ.get(variable, "") for variable in LIMITING]
    key = content_hash(_processor_name(), _processor_flags(), _version("torch"), *limits)
    return cache_folder() / f"processor-{key}.json"


def measured(*what: str) -> dict[str, Any]:
    """Return what `rlaif.models.measure` finds out in a process of its own. Raises ServerStartError."""
    command = [sys.executable, "-m", "rlaif.models.measure", *what]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise ServerStartError(f"the processor could not be measured: {said[-1]}; `rlaif doctor` tells more")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def usable_cores() -> tuple[int, ...]:
    """Return one logical CPU of every physical core that this process may use, as many as its container is granted."""
    cores = _physical_cores()
    return cores[: max(1, math.ceil(_granted_cores()))] if cores_are_limited() else cores


def cores_are_limited() -> bool:
    """Whether a container grants less than all cores that it shows."""
    return _granted_cores() < len(_physical_cores())


def free_memory_gib() -> float:
    """Return the memory that a new process can have, in GiB; a container's limit counts."""
    free = int(psutil.virtual_memory().available)
    with contextlib.suppress(OSError, ValueError):
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
        free = min(free, max(0, limit - used + _reclaimable()))
    return free / GIB


@cache
def gpus() -> tuple[Gpu, ...]:
    """Return the NVIDIA GPUs that the driver lists; none where there is no driver."""
    if shutil.which("nvidia-smi") is None:
        return ()
    fields = "name,memory.total,memory.free,compute_cap"
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    return tuple(_gpu(line) for line in listed.stdout.splitlines() if line.count(",") == fields.count(","))


def busy_elsewhere(seconds: float = 1.0) -> float:
    """Return how many cores are kept busy by others than this process and its children, watched for some time."""
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    before = _cpu_seconds(family)
    everybodys = float(psutil.cpu_percent(seconds)) / 100 * (psutil.cpu_count() or 1)
    return max(0.0, everybodys - (_cpu_seconds(family) - before) / seconds)


def _gpu(line: str) -> Gpu:
    name, total, free, capability = (part.strip() for part in line.split(","))
    major, _, minor = capability.partition(".")
    return Gpu(name, float(total) / 1024, float(free) / 1024, (int(major), int(minor or 0)))


def _processor_name() -> str:
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def _processor_flags() -> str:
    return _cpuinfo("flags") or _cpuinfo("Features")


def _cpuinfo(field: str) -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == field:
                return value.strip()
    return ""


def _physical_cores() -> tuple[int, ...]:
    first_of = {_siblings(cpu): cpu for cpu in sorted(os.sched_getaffinity(0), reverse=True)}
    return tuple(sorted(first_of.values()))


def _siblings(cpu: int) -> str:
    """Return what names a CPU's physical core: the list of the logical CPUs on it."""
    listed = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        return listed.read_text(encoding="ascii").strip()
    except OSError:
        return str(cpu)


def _granted_cores() -> float:
    """Return the CPU time that a container may use, in cores (cgroup v2)."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return float(quota) / float(period)
    except (OSError, ValueError):  # no limit is `max`
        return math.inf


def _reclaimable() -> int:
    """Return the bytes of a container's memory that only cache files."""
    with contextlib.suppress(OSError, ValueError):
        lines = Path("/sys/fs/cgroup/memory.stat").read_text(encoding="ascii").splitlines()
        values = dict(line.split() for line in lines)
        return int(values["inactive_file"]) + int(values["active_file"])
    return 0


def _cpu_seconds(processes: list[psutil.Process]) -> float:
    spent = 0.0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            spent += times.user + times.system
    return spent


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
