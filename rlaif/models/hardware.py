"""The hardware of this machine: its processor (measured once), usable cores and memory, and NVIDIA GPUs.

Measurements with torch run in another process, which prints one JSON line. The processor's measurement is kept in the
user's cache until the processor, torch or a limiting environment variable changes.

    python -m rlaif.models.hardware products                               milliseconds of one matrix product by dtype
    python -m rlaif.models.hardware step CONFIG.JSON DTYPE DEVICE THREADS  seconds of one decoding step of such a model

A decoding step is measured without a server: the matrix products and norms of all layers and of the output, for a batch
of 16 requests. Attention is left out, because it takes little time over a short context.
"""

import contextlib
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
from pydantic import ValidationError

from rlaif.base import Record
from rlaif.errors import ServerStartError
from rlaif.models.model_files import GIB, cache_folder
from rlaif.seeds import content_hash

LIMITING = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")
"""Environment variables that limit the instructions torch may use."""

TOGETHER = 16
"""Batch size of a measured decoding step."""
ROUNDS, LONGEST_S = 15, 0.4


class Processor(Record):
    """The processor: the instruction sets that torch uses, and measured times."""

    name: str
    features: tuple[str, ...]
    """Instruction sets that torch may use: avx2, avx512_f, avx512_bf16, amx_tile, or those of other architectures."""
    milliseconds: dict[str, float]
    """By dtype: the time of a matrix product of (64, 576) by (576, 1536) on one thread, the minimum of several."""

    @property
    def fast_bfloat16(self) -> bool:
        """Whether the processor has bfloat16 instructions, and bfloat16 was faster than float32 when measured."""
        native = bool({"avx512_bf16", "amx_tile"} & set(self.features)) or platform.machine() != "x86_64"
        return native and self.milliseconds["bfloat16"] < self.milliseconds["float32"]

    def operations(self, dtype: str) -> float:
        """Return the operations per second of one core in a product of this dtype."""
        return 2 * 64 * 576 * 1536 / (self.milliseconds[dtype] / 1000)

    def slowdown(self, dtype: str) -> float:
        """Return the time of a product in `dtype` divided by the time in the fastest dtype."""
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
    """Return the processor's measurement; the first call measures for about five seconds.

    Raises ServerStartError when torch cannot be imported.
    """
    file = processor_file()
    with contextlib.suppress(OSError, ValidationError):
        return Processor.model_validate_json(file.read_bytes())
    result = Processor(name=_processor_name(), **measured("products"))
    with contextlib.suppress(OSError):  # then the next call measures again
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(result.model_dump_json(indent=2), encoding="utf-8")
    return result


def processor_file() -> Path:
    """Return the file of the processor's measurement; its name depends on the processor, torch and limits."""
    limits = [os.environ.get(variable, "") for variable in LIMITING]
    key = content_hash(_processor_name(), _processor_flags(), package_version("torch") or "", *limits)
    return cache_folder() / f"processor-{key}.json"


def measured(*what: str) -> dict[str, Any]:
    """Return the JSON result of this module run with arguments `what` in another process. Raises ServerStartError."""
    command = [sys.executable, "-m", "rlaif.models.hardware", *what]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise ServerStartError(f"the processor could not be measured: {lines[-1]}; see `rlaif doctor`")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def usable_cores() -> tuple[int, ...]:
    """Return one logical CPU of every physical core that this process may use, within its container's CPU limit."""
    cores = _physical_cores()
    return cores[: max(1, math.ceil(_granted_cores()))] if cores_are_limited() else cores


def cores_are_limited() -> bool:
    """Whether the container's CPU limit is below its number of visible cores."""
    return _granted_cores() < len(_physical_cores())


def free_memory_gib() -> float:
    """Return the memory available to a new process in GiB, within the container's limit."""
    free = int(psutil.virtual_memory().available)
    with contextlib.suppress(OSError, ValueError):
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
        used = int(Path("/sys/fs/cgroup/memory.current").read_text(encoding="ascii"))
        free = min(free, max(0, limit - used + _reclaimable()))
    return free / GIB


@cache
def gpus() -> tuple[Gpu, ...]:
    """Return the NVIDIA GPUs that the driver lists; empty without a driver."""
    if shutil.which("nvidia-smi") is None:
        return ()
    fields = "name,memory.total,memory.free,compute_cap"
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    return tuple(_gpu(line) for line in listed.stdout.splitlines() if line.count(",") == fields.count(","))


def busy_elsewhere(seconds: float = 1.0) -> float:
    """Return the number of cores used by programs other than this process and its children, over `seconds`."""
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    before = _cpu_seconds(family)
    everyone = float(psutil.cpu_percent(seconds)) / 100 * (psutil.cpu_count() or 1)
    return max(0.0, everyone - (_cpu_seconds(family) - before) / seconds)


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
    """Return the list of the logical CPUs on the same physical core, as text, to identify the core."""
    listed = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        return listed.read_text(encoding="ascii").strip()
    except OSError:
        return str(cpu)


def _granted_cores() -> float:
    """Return the container's CPU limit in cores (cgroup v2); infinite without a limit."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return float(quota) / float(period)
    except (OSError, ValueError):  # no limit is `max`
        return math.inf


def _reclaimable() -> int:
    """Return the bytes of the container's memory that contain only cached files."""
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


def package_version(distribution: str) -> str | None:
    """Return the version of an installed distribution; None where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def main() -> None:
    """Run the measurement that the command line names and print its result as JSON."""
    what, *arguments = sys.argv[1:]
    try:
        result = _products() if what == "products" else _step(*arguments)
    except ImportError as error:
        sys.exit(f"{error.name} is not installed")
    print(json.dumps(result))


def _products() -> dict[str, Any]:
    import torch  # noqa: PLC0415

    torch.set_num_threads(1)
    jobs = {dtype: _product(torch, dtype) for dtype in ("float32", "bfloat16", "float16")}
    best = dict.fromkeys(jobs, float("inf"))
    for _ in range(ROUNDS):  # alternating dtypes, so that another busy program slows all of them equally
        for dtype, job in jobs.items():
            best[dtype] = min(best[dtype], _time_of(job))
    capabilities = torch.cpu.get_capabilities()
    wanted = ("avx2", "avx512_f", "avx512_bf16", "amx_tile", "bf16", "sve")
    return {
        "features": [name for name in wanted if capabilities.get(name)],
        "milliseconds": {dtype: round(1000 * seconds, 4) for dtype, seconds in best.items()},
    }


def _product(torch: Any, dtype: str) -> Callable[[], object]:  # noqa: ANN401
    kind = getattr(torch, dtype)
    left, right = torch.randn(64, 576).to(kind), torch.randn(1536, 576).to(kind)
    return lambda: torch.nn.functional.linear(left, right)


def _step(config: str, dtype: str, device: str, threads: str) -> dict[str, float]:
    import torch  # noqa: PLC0415

    torch.set_num_threads(int(threads))
    shape = json.loads(Path(config).read_text(encoding="utf-8"))
    width, inner, words = shape["hidden_size"], shape["intermediate_size"], shape["vocab_size"]
    heads = shape["num_attention_heads"]
    head = shape.get("head_dim") or width // heads
    attended = head * (heads + 2 * shape.get("num_key_value_heads", heads))
    kind = getattr(torch, dtype)

    def matrix(rows: int, columns: int) -> Any:  # noqa: ANN401
        return torch.randn(rows, columns, dtype=torch.float32, device=device).mul_(0.02).to(kind)

    layer = (matrix(attended, width), matrix(width, head * heads), matrix(2 * inner, width), matrix(width, inner))
    output, state = matrix(words, width), matrix(TOGETHER, width)
    linear, norm, silu = (getattr(torch.nn.functional, name) for name in ("linear", "rms_norm", "silu"))

    def one_layer() -> object:
        queries = linear(norm(state, (width,)), layer[0])[:, : head * heads]
        between = state + linear(queries, layer[1])
        gate, up = linear(norm(between, (width,)), layer[2]).chunk(2, dim=-1)
        return between + linear(silu(gate) * up, layer[3])

    def waited(job: Callable[[], object]) -> Callable[[], object]:
        return job if device == "cpu" else lambda: (job(), torch.cuda.synchronize())

    with torch.inference_mode():
        layers = shape["num_hidden_layers"] * _best(waited(one_layer))
        return {"seconds": layers + _best(waited(lambda: linear(state, output))), "together": TOGETHER}


def _best(job: Callable[[], object]) -> float:
    """Return the minimum seconds of a job that is repeated for LONGEST_S seconds."""
    job()
    best, until = _time_of(job), time.perf_counter() + LONGEST_S
    while time.perf_counter() < until:
        best = min(best, _time_of(job))
    return best


def _time_of(job: Callable[[], object]) -> float:
    started = time.perf_counter()
    job()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
