"""A server never outlives its owner, however the owner ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

FAMILY = """
import subprocess, sys, time, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN) if {stubborn} else None
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session={stray})
print(child.pid, flush=True)
time.sleep(300)
"""

OWNER = """
import subprocess, sys, time
process = subprocess.Popen([sys.executable, "-m", "rlaif.models.supervisor", {log!r}, sys.executable, "-c", {family!r}],
                           stdin=subprocess.PIPE, start_new_session=True)
print(process.pid, flush=True)
time.sleep(300)
"""


def start(tmp_path: Path, *, stray: bool = False, stubborn: bool = False) -> tuple[subprocess.Popen, list[int]]:
    """Start owner -> supervisor -> server -> child; return the owner and the pids of the three others."""
    log = tmp_path / "log"
    family = FAMILY.format(stray=stray, stubborn=stubborn)
    script = OWNER.format(log=str(log), family=family)
    owner = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    supervisor = int(owner.stdout.readline())
    deadline = time.monotonic() + 30
    while not (log.exists() and log.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.05)
    child = int(log.read_text())
    return owner, [supervisor, psutil.Process(child).ppid(), child]


def all_gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 25
    while time.monotonic() < deadline:
        if not any(psutil.pid_exists(p) and psutil.Process(p).status() != psutil.STATUS_ZOMBIE for p in pids):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("way_out", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_everything_ends_with_the_owner(tmp_path: Path, way_out: signal.Signals) -> None:
    owner, pids = start(tmp_path)
    owner.send_signal(way_out)
    owner.wait()
    assert all_gone(pids)
    owner.stdout.close()


def test_children_in_a_session_of_their_own_end_too(tmp_path: Path) -> None:
    owner, pids = start(tmp_path, stray=True)
    owner.kill()
    owner.wait()
    assert all_gone(pids)
    owner.stdout.close()


def test_everything_ends_when_the_supervisor_is_told_to(tmp_path: Path) -> None:
    owner, pids = start(tmp_path)
    os.kill(pids[0], signal.SIGTERM)
    assert all_gone(pids[1:])
    owner.kill()
    owner.wait()
    owner.stdout.close()


def test_the_commands_exit_code_is_passed_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rlaif.models.supervisor", str(tmp_path / "log"), sys.executable, "-c", "exit(7)"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as supervisor:
        assert supervisor.wait() == 7
