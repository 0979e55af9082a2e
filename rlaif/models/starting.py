"""A managed model: who it is can be told from what its server would load, so the server starts with the first question.

Where every reply is in the reply store already, nothing is started. Once the server is up, what it says it has loaded
is held against what was expected, so that no reply is ever kept under another model's name.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

from rlaif.errors import EndpointError, RlaifError
from rlaif.models.builtin import is_ready, model_source
from rlaif.models.config import ModelConfig
from rlaif.models.folders import refuse_no_model
from rlaif.models.launch import ALONE, MANAGED_LOGPROBS, Launch, Share, plan_launch
from rlaif.models.limiter import PriorityLimiter
from rlaif.models.managed import managed_server, on_gpu
from rlaif.models.openai import Endpoint, ModelClient


class ManagedClient(ModelClient):
    """Asks a model whose server it starts when it must; leaving `stack` stops the server."""

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
        """How its server is started; known once it is connected."""
        self._starting = asyncio.Lock()
        self._failed: RlaifError | None = None

    async def connect(self) -> None:
        """Settle the identity from what a server would be told to load; the built-in model is made where it is missing.

        Raises ServerStartError when that cannot be done, UsageError where a file or folder is no model, and what
        `plan_launch` raises.
        """
        refuse_no_model(self.model)
        if not is_ready(self.model):
            self._say(f"making {self.model} ready, once on this machine (about half a minute)")
        source = await asyncio.to_thread(model_source, self.model)
        self.launch = await asyncio.to_thread(plan_launch, self.config, source, on_gpu=on_gpu(), share=self._share)
        self.served_as = self.launch.served_as
        self.identity = self.identity_of(source)

    async def ready(self) -> float:
        """Start the server, unless it runs; of those who wait for it, only the first is told how long it took.

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
        self.endpoints = [Endpoint(server.url, slots=PriorityLimiter(self.config.concurrency))]
        await super().connect()
        if self.identity != expected:
            found, self.identity = self.identity, expected
            raise EndpointError(
                f"the server started for {self.model} answers as {found}, but {expected} was to be started: was the "
                "model changed meanwhile? Then run the same command again; else start it with `rlaif serve` and give "
                "its URL"
            )
