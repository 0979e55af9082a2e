"""The command line as a person types it, run in this process, and servers for it to talk to."""

import asyncio
import gc
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from rlaif.testing import SimulatedServer


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The line that says what is wrong; it must be the only one, the last, and no traceback."""
        assert "Traceback" not in self.err, self.err
        lines = self.err.splitlines()
        assert [line for line in lines if line.startswith("rlaif: ")] == lines[-1:], self.err
        return lines[-1]

    def complains(self, code: int, *words: str) -> bool:
        """Check the exit code and that the complaint holds all the words."""
        assert self.code == code, self.err
        assert [word for word in words if word not in self.complaint] == [], self.complaint
        return True


Rlaif = Callable[..., Said]


def commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *before: str) -> Rlaif:
    """Return a function that runs the command line; `before` stands before what it is given."""
    from rlaif.cli.main import main

    def run(*arguments: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["rlaif", *before, *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Said(int(ended.value.code or 0), *capsys.readouterr())

    return run


@contextmanager
def serving(server: SimulatedServer) -> Iterator[SimulatedServer]:
    """Run a simulated server in a thread of its own."""
    ready, loop = threading.Event(), asyncio.new_event_loop()
    server.ended = asyncio.Event()
    server.loop = loop

    async def serve() -> None:
        async with server:
            ready.set()
            await server.ended.wait()
        await asyncio.sleep(0.2)  # connections that the end cut off close themselves in the next turns of the loop

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:  # its end cancels the requests that are still open
            runner.run(serve())

    thread = threading.Thread(target=run)
    # What a server that ends leaves open is collected whenever it happens; the tool under test is another process.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        thread.start()
        assert ready.wait(10)
        try:
            yield server
        finally:
            stop(server)
            thread.join(10)
            gc.collect()


def stop(server: SimulatedServer) -> None:
    """End a server at once, as if it were killed."""
    if not server.loop.is_closed():
        server.loop.call_soon_threadsafe(server.ended.set)
