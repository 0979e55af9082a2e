"""`rlaif serve`: run a managed vLLM server in the foreground."""

import os
import secrets
from pathlib import Path
from typing import Annotated

import typer

from rlaif.cli.console import run_stoppable
from rlaif.cli.live import LiveScreen
from rlaif.errors import ServerStartError
from rlaif.models.config import ModelConfig
from rlaif.models.managed import managed_server


def serve(
    model: Annotated[str, typer.Argument(help="smollm2, a folder, or a hub id.")],
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; a free one by default.", min=1, max=65535)
    ] = None,
    eager: Annotated[
        bool, typer.Option("--eager", help="Do not compile: the server starts sooner and is slower.")
    ] = False,
) -> None:
    """Run a managed vLLM server in the foreground, until Ctrl-C.

    The API key is $RLAIF_API_KEY; where that is not set, a random key is made and printed.

    \b
    Examples:
      rlaif serve smollm2
      rlaif serve Qwen/Qwen3-8B --port 8000
    """
    serve_job(model, port, eager=eager)


def serve_job(model: str, port: int | None, *, eager: bool) -> None:
    """Serve a model until Ctrl-C."""
    given = os.environ.get("RLAIF_API_KEY")
    key = given or secrets.token_urlsafe(24)
    log = Path("runs") / "logs" / f"serve-{model.strip('/').replace('/', '--')}.log"

    async def serve() -> None:
        with LiveScreen() as screen:
            config = ModelConfig(model=model, eager=eager)
            async with managed_server(config, log, say=screen.say, port=port, api_key=key) as server:
                print(f"url      {server.url}")
                print("key      " + ("$RLAIF_API_KEY" if given else key))
                print(f"log      {log}")
                print("in another terminal" + (", with the same RLAIF_API_KEY:" if given else ":"))
                if not given:
                    print(f"  export RLAIF_API_KEY={key}")
                print(f"  rlaif constitution test mine.yaml --critic {server.url}", flush=True)
                await server.process.wait()
                raise ServerStartError(await server.died() or "the server ended")

    run_stoppable(serve, stopped="server stopped")
