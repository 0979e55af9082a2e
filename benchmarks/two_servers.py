"""A policy and a critic of different models on one CPU at once: how much of their speed is left.

    python benchmarks/two_servers.py [--busy]

Two servers as a run starts them, each with its share of the cores: SmolLM2, and a model of another shape with random
weights. First one alone, then the other alone, then both at the same time write chats (16 of 64 tokens, several rounds)
for half a minute each. One JSON line is printed: tokens a second, and the ratio of the sums.
"""

import argparse
import asyncio
import json
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path

from cpu_server import chats, neighbour, say
from random_model import random_model

from rlaif.models.client import ModelClient
from rlaif.models.config import ModelConfig
from rlaif.models.launch import Share
from rlaif.models.managed import ManagedClient

SECONDS = 30


async def measure(second: Path) -> dict[str, float]:
    """Return tokens a second of each server alone, of each beside the other, and the ratio of the sums."""
    async with AsyncExitStack() as stack:
        clients = []
        for index, model in enumerate(("smollm2", str(second))):
            config = ModelConfig(model=model, eager=True, concurrency=64)
            client = ManagedClient(config, stack, second.parent / f"log-{index}", say=say, share=Share(index, 2))
            await stack.enter_async_context(client)
            await client.connect()
            await client.ready()
            clients.append(client)
        for client in clients:
            await chats(client, -1)
        alone = [await written(client, 0) for client in clients]
        both = await asyncio.gather(*(written(client, 1000) for client in clients))
    found = {"first alone": alone[0], "second alone": alone[1], "first beside": both[0], "second beside": both[1]}
    return {name: round(rate, 1) for name, rate in found.items()} | {"ratio": round(sum(both) / sum(alone), 3)}


async def written(client: ModelClient, first_round: int) -> float:
    """Return the tokens a second that a server writes for half a minute."""
    began, tokens, round_ = time.monotonic(), 0.0, first_round
    while time.monotonic() - began < SECONDS:
        started = time.monotonic()
        tokens += await chats(client, round_) * (time.monotonic() - started)
        round_ += 1
    return tokens / (time.monotonic() - began)


def main() -> None:
    """Measure once and print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--busy", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, neighbour(given.busy):
        second = Path(folder) / "second"
        random_model(second, "100m")
        print(json.dumps({"busy": given.busy, **asyncio.run(measure(second))}))


if __name__ == "__main__":
    main()
