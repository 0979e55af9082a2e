"""Progress in a notebook: the lines of a job, and below them one that refreshes, in the output of the cell.

IPython is not a dependency: where it is not loaded there is no notebook, and so no screen.
"""

import sys
import time
from typing import Any, Protocol

from rlaif.progress import Progress, Screen
from rlaif.progress_line import Recent, progress_line

REFRESH_S = 0.5


class Output(Protocol):
    """A place in a cell's output that shows one text at a time."""

    def update(self, text: str) -> None:
        """Show `text` in place of the one before."""


class NotebookScreen:
    """Shows the lines that a job says, and its progress below them, at one place."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._said: list[str] = []
        self._recent = Recent()
        self._line = ""
        self._last = 0.0

    def say(self, line: str) -> None:
        """Show one more line."""
        self._said.append(line)
        self._refresh()

    def show(self, progress: Progress) -> None:
        """Refresh the line of the progress; cheap to call often."""
        now, finished = time.monotonic(), progress.done + progress.failed >= progress.prompts
        if progress.meter.waiting or (now - self._last < REFRESH_S and not finished):
            return
        self._recent.add(progress.meter, now)
        self._last, self._line = now, progress_line(progress, self._recent)
        self._refresh()

    def _refresh(self) -> None:
        self._output.update("\n".join([*self._said, *filter(None, [self._line])]))


def notebook_screen() -> Screen | None:
    """Return a screen in the output of the running cell; None outside a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return NotebookScreen(_Display()) if hasattr(shell, "kernel") else None


class _Display:
    """One display of IPython, made with the first text and then updated."""

    def __init__(self) -> None:
        self._handle: Any = None

    def update(self, text: str) -> None:
        """Show `text` in place of the one before."""
        from IPython.display import display  # noqa: PLC0415  (loaded already, or there would be no notebook)

        shown = {"text/plain": text}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)
