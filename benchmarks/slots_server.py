"""A server with a fixed number of slots and a fixed latency, which records how many of its slots are busy.

    python benchmarks/slots_server.py '{"slots": 512, "latency_s": 0.2, "slow": 0.01, "metrics": true}'

It prints its port as JSON. `GET /busy` returns [[second, share of the slots that were busy], …]. Replies are always the
same text, or one token with log-probabilities; nothing is parsed but the length of the request. `slow` is the share of
calls that take 20 times as long. With `metrics` it says how many requests wait, as vLLM does.
"""

import asyncio
import json
import random
import sys
import time
from collections import deque
from dataclasses import dataclass, field

import uvloop

SLOWER = 20


@dataclass
class Slots:
    """The slots, the requests that wait for one, and how long slots were busy in each second."""

    number: int
    latency_s: float
    slow: float = 0.0
    metrics: bool = True
    busy: int = 0
    waiting: deque["Connection"] = field(default_factory=deque)
    busy_s: dict[int, float] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)
    _since: float = 0.0
    _random: random.Random = field(default_factory=lambda: random.Random(0))

    def take(self, connection: "Connection") -> None:
        """Start a request, or let it wait."""
        if self.busy >= self.number:
            self.waiting.append(connection)
            return
        self.note(+1)
        latency = self.latency_s * (SLOWER if self._random.random() < self.slow else 1)
        asyncio.get_running_loop().call_later(latency, self._finish, connection)

    def _finish(self, connection: "Connection") -> None:
        self.note(-1)
        if self.waiting:
            self.take(self.waiting.popleft())
        connection.reply()

    def note(self, change: int) -> None:
        """Add the time since the last change to the seconds that it falls into, and change the number of busy slots."""
        now = time.monotonic() - self.began
        while self._since < now:
            end = min(now, int(self._since) + 1.0)
            self.busy_s[int(self._since)] = self.busy_s.get(int(self._since), 0.0) + self.busy * (end - self._since)
            self._since = end
        self.busy += change


def reply_body(*, judge: bool) -> bytes:
    """Return a chat completion: 60 words, or one token with log-probabilities."""
    tops = [("A", -0.2), ("B", -1.7), *((f"t{place}", -9.0 - place) for place in range(8))]
    first = {"token": "A", "logprob": -0.2, "top_logprobs": [{"token": t, "logprob": p} for t, p in tops]}
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "A" if judge else "word " * 60},
        "finish_reason": "stop",
        "logprobs": {"content": [first]} if judge else None,
    }
    usage = {"prompt_tokens": 100, "completion_tokens": 1 if judge else 60}
    return json.dumps({"id": "x", "choices": [choice], "usage": usage}).encode()


REPLIES = {judge: reply_body(judge=judge) for judge in (True, False)}


class Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    slots: Slots

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport, self.read, self.judge = transport, b"", False

    def data_received(self, data: bytes) -> None:
        """Start the request once it is whole."""
        self.read += data
        head, end, body = self.read.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        if not end or len(body) < length:
            return
        self.read = b""
        if head.startswith(b"GET"):
            self.send(*self.page(head.split(b" ")[1].decode()))
            return
        self.judge = b'"logprobs"' in body
        self.slots.take(self)

    def reply(self) -> None:
        """Send the reply to the request."""
        self.send(200, REPLIES[self.judge])

    def page(self, path: str) -> tuple[int, bytes]:
        """Return (status, body) of a page."""
        slots = self.slots
        slots.note(0)
        if path == "/metrics" and slots.metrics:
            states = {"running": slots.busy, "waiting": len(slots.waiting)}
            return 200, "".join(f"vllm:num_requests_{name} {number}\n" for name, number in states.items()).encode()
        if path == "/busy":
            shares = [[second, used / slots.number] for second, used in sorted(slots.busy_s.items())]
            return 200, json.dumps(shares).encode()
        if path == "/v1/models":
            return 200, json.dumps({"object": "list", "data": [{"id": "m"}]}).encode()
        return 404, b"{}"

    def send(self, status: int, body: bytes) -> None:
        """Write a response."""
        if not self.transport.is_closing():
            head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
            self.transport.write(head.encode() + body)  # type: ignore[attr-defined]


async def main() -> None:
    """Serve until killed."""
    given = json.loads(sys.argv[1])
    Connection.slots = Slots(given["slots"], given["latency_s"], given.get("slow", 0.0), given.get("metrics", True))
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=2048)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
