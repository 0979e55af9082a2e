"""`rlaif serve-reward`: rewards under a constitution over HTTP."""

import asyncio
import json
import os
import secrets
from pathlib import Path
from typing import Annotated, Any

import typer
from aiohttp import web
from pydantic import ConfigDict, Field, ValidationError

from rlaif.base import Record
from rlaif.cli.console import run_stoppable
from rlaif.cli.options import DEFAULT_CACHE, AllowPython, shipped_constitutions
from rlaif.errors import RlaifError, UsageError
from rlaif.rewards import Rewards, open_rewards
from rlaif.yaml_file import explain_validation

TOKEN = "RLAIF_REWARD_TOKEN"
LARGEST_REQUEST = 2**26
"""Bytes."""
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class RewardRequest(Record):
    """What is asked: one completion for each prompt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompts: list[Any] = Field(min_length=1)
    """Texts, or lists of messages."""
    completions: list[Any]
    """Texts, or lists of messages that end with the assistant's."""
    rubric: list[Any] | None = None
    """For each row, a list of demands: texts, or objects with text, weight and essential."""


def serve_reward(
    constitution: Annotated[str, typer.Option(help="Shipped name or YAML file.", autocompletion=shipped_constitutions)],
    critic: Annotated[str, typer.Option(help="MODEL to start here, URL of a server, or MODEL@URL.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for a free one.")] = 8090,
    host: Annotated[
        str, typer.Option(help="Address to listen on; other than this machine, with a token.")
    ] = "127.0.0.1",
    cache: Annotated[Path, typer.Option(help="Reply store.")] = DEFAULT_CACHE,
    allow_python: AllowPython = None,
) -> None:
    """Serve the constitution's rewards over HTTP, for GRPO and other programs, until Ctrl-C.

    POST /reward takes {"prompts": […], "completions": […]}, one completion for each prompt, each a text or a list of
    messages, and perhaps "rubric", for each row a list of demands. The answer has "rewards", numbers in [0, 1] or null
    where something could not be judged, and "results" with what was found under each rule. Where the environment
    variable RLAIF_REWARD_TOKEN is set, requests need it: Authorization: Bearer TOKEN. In Python, rlaif.reward(…) is the
    same as a function for TRL's GRPO trainer.

    \b
    Examples:
      rlaif serve-reward --constitution honesty --critic http://127.0.0.1:8000/v1
      curl -s http://127.0.0.1:8090/reward -H 'Content-Type: application/json' \\
           -d '{"prompts": ["Why is the sky blue?"], "completions": ["Air scatters blue light more than red."]}'
    """
    token = os.environ.get(TOKEN, "")
    if host not in LOOPBACK and not token:
        raise UsageError(f"--host {host}: other machines may only ask with a token; set {TOKEN}")
    rewards = open_rewards(constitution, critic, cache)

    async def serve() -> None:
        async with rewards:
            runner = web.AppRunner(make_app(rewards, token), access_log=None)
            await runner.setup()
            try:
                await web.TCPSite(runner, host, port).start()
                at = f"http://{host}:{runner.addresses[0][1]}/reward"
                print(f"rewards under {rewards.constitution.name} at {at}", flush=True)
                await asyncio.Event().wait()
            except OSError as error:
                raise UsageError(f"--port {port}: cannot be used ({error.strerror}); choose another") from None
            finally:
                await runner.cleanup()

    run_stoppable(serve, stopped="server stopped")


def make_app(rewards: Rewards, token: str) -> web.Application:
    """Return the application; without a token, whoever reaches it may ask."""

    async def reward(request: web.Request) -> web.Response:
        given = request.headers.get("Authorization", "")
        if token and not secrets.compare_digest(given.encode(), f"Bearer {token}".encode()):
            return _error(401, f"the token is missing or wrong; send `Authorization: Bearer` and the value of {TOKEN}")
        try:
            asked = RewardRequest.model_validate(json.loads(await request.read()))
            judged = await rewards.judge_all(asked.prompts, asked.completions, asked.rubric)
        except ValidationError as error:
            return _error(400, explain_validation(error, RewardRequest))
        except (ValueError, RecursionError):
            return _error(400, "the body is not JSON")
        except RlaifError as error:
            return _error(400 if error.exit_code == 2 else 502, str(error))
        results = [one.model_dump(mode="json") for one in judged]
        return web.json_response({"rewards": [one.reward for one in judged], "results": results})

    async def health(_: web.Request) -> web.Response:
        return web.json_response({"constitution": rewards.constitution.name, "hash": rewards.constitution.hash})

    app = web.Application(client_max_size=LARGEST_REQUEST)
    app.router.add_post("/reward", reward)
    app.router.add_get("/health", health)
    return app


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
