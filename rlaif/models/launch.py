"""Plan the start of a vLLM server on this machine: dtype, cores, memory, command line; refuse what cannot start.

The user's settings (`dtype:`, `vllm_args:`, environment variables) override the choices made here.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rlaif.errors import ServerStartError, UsageError
from rlaif.models.config import ModelConfig
from rlaif.models.hardware import Gpu, cores_are_limited, free_memory_gib, gpus, processor, usable_cores
from rlaif.models.model_files import BYTES, GIB, model_shape, stored_dtype, weights_gib

CPU_BLOCK_SIZE = 32
"""Tokens per block. vLLM's prefix cache stores full blocks only: its CPU default of 128 loses most of a short
prefix."""
CPU_MODEL_LEN = 4096
CPU_CACHE_GIB = 2
"""Size of the key-value cache of a server on a CPU; without this setting vLLM takes nearly all memory."""
PROGRAM_GIB = 1.5
"""Memory of a server's processes without weights and cache."""
SPIN_COUNT = "1000"
"""Iterations of a waiting OpenMP thread's loop before it sleeps; OpenMP's default of 300,000 takes a millisecond."""
MANAGED_LOGPROBS = 100
"""Default of `top_logprobs` for managed servers: a weak critic's second label is often not among the top 20."""
REACHED = 0.8
"""Speed of vLLM's prefill as a share of a bare matrix product's: 0.6 to 0.9 measured, with and without AVX-512."""
OLDEST_WITH_BFLOAT16 = (8, 0)
"""Least compute capability for bfloat16; vLLM refuses it on older NVIDIA GPUs."""


@dataclass(frozen=True)
class Share:
    """The share of the machine for one server: the one with index `index` of `of` servers."""

    index: int = 0
    of: int = 1

    @property
    def gpu_memory(self) -> float:
        """Fraction of a GPU's memory."""
        return 0.9 / self.of

    def cores(self) -> tuple[int, ...]:
        """Return the logical CPUs of this server, one for each physical core."""
        cores = usable_cores()
        size, more = divmod(len(cores), self.of)
        if size == 0:  # fewer cores than servers
            return (cores[self.index % len(cores)],)
        start = self.index * size + min(self.index, more)
        return cores[start : start + size + (self.index < more)]


ALONE = Share()


@dataclass(frozen=True)
class Launch:
    """The planned start of a server."""

    source: str
    """The folder or hub id that the server loads."""
    dtype: str | None
    """Data type of the computation; None where vLLM or `vllm_args` chooses it."""
    dtype_of_files: str | None
    """Data type of the model's files; None where it is not known."""
    arguments: tuple[str, ...]
    environment: dict[str, str]
    memory_gib: float = 0.0
    """Main memory of a server on a CPU, in GiB."""
    on_cpu: bool = False
    read_speed: float | None = None
    """Expected prompt tokens per second; None where it is not known."""
    note: str | None = None
    """A warning for the user."""

    @property
    def served_as(self) -> str:
        """`+DTYPE`, the part of the model's identity for the dtype; empty for the dtype of the files."""
        return "" if self.dtype in {None, self.dtype_of_files} else f"+{self.dtype}"


def plan_launch(config: ModelConfig, source: str, *, on_gpu: bool, share: Share = ALONE) -> Launch:
    """Return the planned start of a model's server; `source` is the folder or hub id that it loads.

    Raises UsageError for a dtype that the GPU does not support, ServerStartError where torch cannot be imported or the
    model does not fit.
    """
    common = ("--enable-prompt-tokens-details", "--max-logprobs", str(config.top_logprobs or MANAGED_LOGPROBS))
    launch = _gpu_launch(config, source, share) if on_gpu else _cpu_launch(config, source, share)
    return replace(launch, arguments=(*common, *launch.arguments, *(("--enforce-eager",) if config.eager else ())))


def _gpu_launch(config: ModelConfig, source: str, share: Share) -> Launch:
    shape = model_shape(source)
    named = None if config.dtype == "auto" or _given(config, "--dtype") else config.dtype
    stored, dtype = stored_dtype(shape), named
    refuse_dtype(dtype, gpus())
    refuse_too_large(config, weights_gib(source, dtype or stored), share, gpus())
    length = ("--max-model-len", str(config.max_model_len)) if config.max_model_len else ()
    place = ("--gpu-memory-utilization", f"{share.gpu_memory:.2f}", *length)
    return Launch(source, dtype, stored, (*_dtype(dtype), *place), {})


def _cpu_launch(config: ModelConfig, source: str, share: Share) -> Launch:
    shape = model_shape(source)
    dtype, note = _cpu_dtype(config, shape)
    length = config.max_model_len or min(CPU_MODEL_LEN, shape.get("max_position_embeddings") or CPU_MODEL_LEN)
    environment = _cpu_environment(share)
    cache = _cache_gib(environment)
    refuse_too_little_cache(cache, length, shape, dtype)
    weights = weights_gib(source, dtype)
    return Launch(
        source=source,
        dtype=dtype,
        dtype_of_files=stored_dtype(shape),
        arguments=(*_dtype(dtype), *_cpu_arguments(length)),
        environment=environment,
        memory_gib=weights + cache + PROGRAM_GIB,
        on_cpu=True,
        read_speed=_read_speed(weights, dtype, len(share.cores())),
        note=note,
    )


def refuse_dtype(dtype: str | None, available: Sequence[Gpu]) -> None:
    """Raise UsageError for a dtype that a GPU does not support."""
    for gpu in available:
        if dtype == "bfloat16" and gpu.capability < OLDEST_WITH_BFLOAT16:
            has = ".".join(map(str, gpu.capability))
            raise UsageError(
                f"dtype bfloat16: {gpu.name} has compute capability {has}, bfloat16 needs 8.0; set dtype: float16"
            )


def refuse_too_large(config: ModelConfig, weights: float, share: Share, available: Sequence[Gpu]) -> None:
    """Raise ServerStartError for weights that do not fit into a server's share of one GPU."""
    room = max((gpu.memory_gib for gpu in available), default=float("inf")) * share.gpu_memory
    if weights > room and not any(
        _given(config, flag) for flag in ("--tensor-parallel-size", "-tp", "--cpu-offload-gb")
    ):
        raise ServerStartError(
            f"{config.model}: its weights take {weights:.1f} GiB, but its share of the GPU is {room:.1f} GiB; choose a "
            "smaller model, or use several GPUs with vllm_args: [--tensor-parallel-size, N]"
        )


def refuse_too_little_cache(cache_gib: int, length: int, shape: dict[str, Any], dtype: str | None) -> None:
    """Raise ServerStartError for a key-value cache that is too small for one request of `length` tokens."""
    try:
        head = shape.get("head_dim") or shape["hidden_size"] // shape["num_attention_heads"]
        heads = shape.get("num_key_value_heads") or shape["num_attention_heads"]
        needed = 2 * shape["num_hidden_layers"] * heads * head * BYTES.get(dtype or "", 2) * length / GIB
    except (LookupError, TypeError):
        return
    if needed > cache_gib:
        raise ServerStartError(
            f"too little memory for the key-value cache: a request of {length} tokens takes {needed:.1f} GiB, but the "
            f"cache has {cache_gib}; increase VLLM_CPU_KVCACHE_SPACE, or reduce max_model_len"
        )


def refuse_too_little_memory(launches: Sequence[tuple[str, Launch]]) -> None:
    """Raise ServerStartError when these servers, as (name, launch), together need more memory than is free."""
    needed, free = sum(launch.memory_gib for _, launch in launches), free_memory_gib()
    if needed > free:
        each = " and ".join(f"{name} {launch.memory_gib:.1f} GiB" for name, launch in launches if launch.memory_gib)
        raise ServerStartError(
            f"too little memory: {each} (weights, key-value cache of {_cache_gib(os.environ)} GiB, program), but only "
            f"{free:.1f} GiB are free; free some memory, reduce VLLM_CPU_KVCACHE_SPACE, or choose a smaller model"
        )


def _cpu_dtype(config: ModelConfig, shape: dict[str, Any]) -> tuple[str | None, str | None]:
    """Return (dtype for a CPU or None, warning or None)."""
    if _given(config, "--dtype") or (config.dtype == "auto" and "quantization_config" in shape):
        return None, None  # a quantised model needs the dtype it was made for
    measured = processor()
    if config.dtype == "auto":
        return ("bfloat16" if measured.fast_bfloat16 else "float32"), None
    slower = measured.slowdown(config.dtype)
    if slower < 2:
        return config.dtype, None
    better = min(measured.milliseconds, key=measured.milliseconds.__getitem__)
    return config.dtype, (
        f"! dtype {config.dtype} is slow on this processor ({measured.name}): a matrix product takes {slower:.1f} "
        f"times as long as in {better}; remove `dtype` to use the fastest"
    )


def _read_speed(weights: float, dtype: str | None, cores: int) -> float | None:
    """Return the expected prompt tokens per second: two operations per weight and token."""
    if dtype is None or not weights:
        return None
    return REACHED * cores * processor().operations(dtype) / (2 * weights * GIB / BYTES[dtype])


def _dtype(dtype: str | None) -> tuple[str, ...]:
    return ("--dtype", dtype) if dtype else ()


def _given(config: ModelConfig, flag: str) -> bool:
    return any(argument == flag or argument.startswith(f"{flag}=") for argument in config.vllm_args)


def _cpu_arguments(max_model_len: int) -> tuple[str, ...]:
    # vLLM 0.32's CPU engine crashes on a request with a seed whose prompt is prefilled in several chunks ("CPU
    # Generator does not use offset"). So chunked prefill is off, and every step needs room for the longest prompt.
    return (
        "--block-size", str(CPU_BLOCK_SIZE),
        "--max-model-len", str(max_model_len),
        "--no-enable-chunked-prefill",
        "--max-num-batched-tokens", str(max(max_model_len, 4096)),
    )  # fmt: skip


def _cpu_environment(share: Share) -> dict[str, str]:
    """Return the environment variables of a server on a CPU; those that the user has set are not changed."""
    chosen = {
        "VLLM_CPU_KVCACHE_SPACE": str(CPU_CACHE_GIB),
        # Reserves one core for this program and the server's front end, if there are at least four.
        "VLLM_CPU_NUM_OF_RESERVED_CPU": "1" if len(usable_cores()) >= 4 else "0",
    }
    # OpenMP threads that wait in a long loop take cores from other programs, and a matrix product waits for its slowest
    # thread. A loop of a few microseconds before sleeping is as fast on an idle machine.
    if "OMP_WAIT_POLICY" not in os.environ:
        chosen["GOMP_SPINCOUNT"] = SPIN_COUNT
    if share.of > 1 or cores_are_limited():
        chosen["VLLM_CPU_OMP_THREADS_BIND"] = ",".join(map(str, share.cores()))
    return {name: os.environ.get(name, value) for name, value in chosen.items()}


def _cache_gib(environment: Mapping[str, str]) -> int:
    """Return the size of the key-value cache in GiB. Raises UsageError where it is not a number."""
    given = environment.get("VLLM_CPU_KVCACHE_SPACE", str(CPU_CACHE_GIB))
    if not given.isdecimal() or int(given) < 1:
        raise UsageError(f"VLLM_CPU_KVCACHE_SPACE={given}: must be a whole number of GiB, at least 1")
    return int(given)


def command(config: ModelConfig, port: int, launch: Launch) -> list[str]:
    """Return the command line of a server."""
    # Uses the module, because the `vllm` script fails for the CPU distribution, which has another name.
    return [
        sys.executable, "-m", "vllm.entrypoints.launchers.api_server.entry",
        "--model", launch.source,
        "--served-model-name", str(config.model),
        "--host", "127.0.0.1",
        "--port", str(port),
        *launch.arguments,
        *config.vllm_args,
    ]  # fmt: skip
