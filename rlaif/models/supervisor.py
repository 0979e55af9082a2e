"""Run a server, and end it with all its child processes when its owner ends.

    python -m rlaif.models.supervisor LOGFILE COMMAND [ARG ...]     (standard input: a pipe that the owner holds)

The owner's end of the pipe closes however the owner ends, also after `kill -9`. Linux only: as a subreaper, this
process becomes the parent of grandchildren whose own parent ended.
"""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

GRACE_S = 10.0
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def main() -> int:
    """Run until the command or the owner ends; return the command's exit code."""
    log, *command = sys.argv[1:]
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    stop = [False]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.__setitem__(0, True))
    with Path(log).open("ab", buffering=0) as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM),  # noqa: PLW1509  (one thread here)
        )
    while child.poll() is None and not stop[0]:
        ready, _, _ = select.select([sys.stdin], [], [], 0.2)
        if ready and not os.read(sys.stdin.fileno(), 1):
            break
    _end_everything()
    return child.wait()


def _end_everything() -> None:
    children = psutil.Process().children(recursive=True)
    for process in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    deadline = time.monotonic() + GRACE_S
    while (alive := psutil.Process().children(recursive=True)) and time.monotonic() < deadline:
        psutil.wait_procs(alive, timeout=0.5)
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
