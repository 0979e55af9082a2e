"""The terminal: consoles that model output cannot steer, and jobs that Ctrl-C and SIGTERM end in order."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from rich.console import Console
from rich.text import Text

from rlaif.errors import StoppedError
from rlaif.tasks import run_in_loop

_CONTROL = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)], "\ufffd")
"""C0 and C1 without new line and tab."""


def stdout_console() -> Console:
    """Return a console for results: as wide as the terminal, or wide enough that nothing is folded in a file."""
    return SafeConsole(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)


class SafeConsole(Console):
    """A console on which what a model or a prompt says cannot steer the terminal."""

    def print(self, *objects: Any, **options: Any) -> None:  # noqa: ANN401
        """Print with control characters shown as �."""
        super().print(*(_harmless(thing) for thing in objects), **options)

    def on_broken_pipe(self) -> None:
        """Leave it to `main`, which ends every command in the same way when its reader went away."""
        raise BrokenPipeError


def visible(text: str) -> str:
    """Return text whose control characters, new lines and tabs aside, show as �."""
    return text.translate(_CONTROL)


def replies_line(replies: float, prompts: int) -> str:
    """Return what a dry run tells of the real one's cost."""
    each = round(replies / max(1, prompts))
    return f"about {each} repl{'y' if each == 1 else 'ies'} for each prompt"


def plain(text: str) -> Text:
    """Return a cell of a table that is text and no markup, whoever wrote it."""
    return Text(visible(text))


def _harmless(thing: Any) -> Any:  # noqa: ANN401
    if isinstance(thing, str):
        return visible(thing)
    if isinstance(thing, Text):
        thing.plain = visible(thing.plain)
    return thing


Result = TypeVar("Result")

GOES_ON = "stopped; what is finished is kept, the same command goes on from there"


def run_stoppable(job: Callable[[], Coroutine[Any, Any, Result]], *, stopped: str = GOES_ON) -> Result:
    """Run a job to its end; Ctrl-C and SIGTERM both end it in order, servers and all, as StoppedError."""

    async def stoppable() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
        return await job()

    try:
        return run_in_loop(stoppable)
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise StoppedError(stopped) from None
