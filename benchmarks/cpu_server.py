"""How fast a managed server is on this machine's CPU: tokens a second and verdicts a second, by dtype, alone and not.

    python benchmarks/cpu_server.py --dtype float32 [--busy] [--env OMP_WAIT_POLICY=ACTIVE]
    benchmarks/as_avx2.sh python benchmarks/cpu_server.py --dtype bfloat16     # as on a processor without AVX-512

SmolLM2, not compiled, with the managed server's own settings. First 16 chats of 64 tokens each at once, then 32
one-token verdicts of about 770 prompt tokens (4 pairs of answers, 8 questions each, so 7 of 8 share a cached prefix).
Both three times after a first time that isn't counted; the medians are printed as one JSON line. `--busy` keeps one
core busy by a process that only counts, from before the server starts; `--env` sets what the server's environment would
otherwise be set to by the program.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from statistics import median

from rlaif.models.backend import ChatRequest
from rlaif.models.client import ModelClient
from rlaif.models.config import ModelConfig
from rlaif.models.managed import ManagedClient
from rlaif.records import Message

ROUNDS = 3
CHATS, CHAT_TOKENS = 16, 64
PAIRS, QUESTIONS = 4, 8
SENTENCE = "In round {n} the answer explains at some length why the sky over the harbour is so blue in the morning. "


async def measure(config: ModelConfig) -> dict[str, float]:
    """Start a server, ask it, and return seconds to start and the two rates."""
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            client = ManagedClient(config, stack, Path(folder) / "log", say=say)
            await stack.enter_async_context(client)
            await client.connect()
            started = await client.ready()
            rates = [(await chats(client, round_), await verdicts(client, round_)) for round_ in range(ROUNDS + 1)]
            written, judged = zip(*rates[1:], strict=True)
            return {"start_s": started, "tokens/s": median(written), "verdicts/s": median(judged)}


async def chats(client: ModelClient, round_: int) -> float:
    """Return the tokens written a second by all chats together."""
    asked = [
        ChatRequest(
            messages=(_user(f"Tell story {n} of day {round_}."),), max_tokens=CHAT_TOKENS, temperature=1.0, seed=n
        )
        for n in range(CHATS)
    ]
    began = time.monotonic()
    replies = await asyncio.gather(*(client.post(request) for request in asked))
    return sum(reply.usage.completion_tokens for reply in replies) / (time.monotonic() - began)


async def verdicts(client: ModelClient, round_: int) -> float:
    """Return the one-token verdicts a second; the first question of each pair goes ahead, as in a run."""

    async def pair(number: int) -> None:
        answers = "".join(SENTENCE.format(n=1000 * round_ + 100 * number + line) for line in range(30))
        first, *others = (f"{answers}\n\nQuestion {n}: is it A or B? One letter." for n in range(QUESTIONS))
        await client.post(_verdict(first))
        await asyncio.gather(*(client.post(_verdict(other)) for other in others))

    began = time.monotonic()
    await asyncio.gather(*(pair(number) for number in range(PAIRS)))
    return PAIRS * QUESTIONS / (time.monotonic() - began)


def _verdict(text: str) -> ChatRequest:
    return ChatRequest(messages=(_user(text),), max_tokens=1, temperature=0.0, logprobs=True, top_logprobs=20)


def _user(text: str) -> Message:
    return Message(role="user", content=text)


@contextmanager
def neighbour(busy: bool) -> Iterator[None]:
    """Keep one core busy by another process."""
    count = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
    try:
        yield
    finally:
        if count is not None:
            count.kill()
            count.wait()


def say(line: str) -> None:
    print(line, file=sys.stderr)


def main() -> None:
    """Measure once and print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    os.environ |= dict(setting.split("=", 1) for setting in given.env)
    config = ModelConfig(model="smollm2", eager=True, dtype=given.dtype, concurrency=64)
    with neighbour(given.busy):
        found = asyncio.run(measure(config))
    rates = {name: round(value, 1) for name, value in found.items()}
    print(json.dumps({"dtype": given.dtype, "busy": given.busy, "env": given.env, **rates}))


if __name__ == "__main__":
    main()
