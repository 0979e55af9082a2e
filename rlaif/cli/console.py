"""The terminal: consoles that escape control characters, and jobs that Ctrl-C and SIGTERM end cleanly."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from rich.console import Console
from rich.text import Text

from rlaif.drain import DRAIN, LONGEST_S, Drain
from rlaif.errors import StoppedError
from rlaif.tasks import run_in_loop
from rlaif.text.wording import counted

_CONTROL = dict.fromkeys(
    [
        *range(9),
        *range(11, 32),
        *range(127, 160),
        *range(0x202A, 0x202F),
        *range(0x2066, 0x206A),
        *range(0xD800, 0xE000),
    ],
    "\ufffd",
)
"""Maps to U+FFFD: control characters (C0 and C1, except newline and tab), those that turn the direction of a line, and
halves of surrogate pairs, which no encoding has."""


def stdout_console() -> Console:
    """Return a console for results: as wide as the terminal, or 200 columns where stdout is a file or pipe."""
    return SafeConsole(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)


class SafeConsole(Console):
    """A console that prints no control characters, so that a model's text or a prompt cannot control the terminal."""

    def print(self, *objects: Any, **options: Any) -> None:  # noqa: ANN401
        """Print with control characters shown as �."""
        super().print(*(_harmless(thing) for thing in objects), **options)

    def on_broken_pipe(self) -> None:
        """Raise BrokenPipeError, which `main` handles for every command."""
        raise BrokenPipeError


def visible(text: str) -> str:
    """Return the text with control characters replaced by �, except newlines and tabs."""
    return text.translate(_CONTROL)


def replies_line(replies: float, prompts: int) -> str:
    """Return the line that says how many replies the real run needs for each prompt."""
    each = round(replies / max(1, prompts))
    return f"about {each} repl{'y' if each == 1 else 'ies'} for each prompt"


def plain(text: str) -> Text:
    """Return a table cell in which markup has no effect."""
    return Text(visible(text))


def _harmless(thing: Any) -> Any:  # noqa: ANN401
    if isinstance(thing, str):
        return visible(thing)
    if isinstance(thing, Text):
        thing.plain = visible(thing.plain)
    return thing


Result = TypeVar("Result")

CONTINUES = "stopped; finished work is kept, and the same command continues from there"


def run_stoppable(
    job: Callable[[], Coroutine[Any, Any, Result]],
    *,
    stopped: str = CONTINUES,
    say: Callable[[str], None] = lambda _: None,
) -> Result:
    """Run a job and return its result; on Ctrl-C or SIGTERM, stop its servers and raise StoppedError(`stopped`).

    After the first Ctrl-C, open calls of models finish within `drain.LONGEST_S`; the second one and SIGTERM end them.
    """

    async def stoppable() -> Result:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        drain = Drain(task.cancel)
        DRAIN.set(drain)

        def interrupted() -> None:
            if drain.requested:
                task.cancel()
            elif drain.request():
                say(
                    f"stopping: {counted(drain.open, 'open request')} may finish, within {LONGEST_S:g} s; Ctrl-C again "
                    "ends them"
                )

        loop.add_signal_handler(signal.SIGINT, interrupted)
        loop.add_signal_handler(signal.SIGTERM, task.cancel)
        return await job()

    try:
        return run_in_loop(stoppable)
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise StoppedError(stopped) from None
