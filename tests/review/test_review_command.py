"""`rlaif review` as a process: killed and started again, and how it opens the browser."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rlaif.runs.reader import Run
from rlaif.runs.reviews import file_of, read_verdicts
from tests.review.runs import reviewed_run

pytestmark = pytest.mark.slow


@pytest.fixture
def run(tmp_path: Path, constitution_file: Path) -> Run:
    return reviewed_run(tmp_path / "run", constitution_file, prompts=12)


@contextmanager
def started(run: Run, *options: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Start the command and yield its process and what it prints; it is stopped as by Ctrl-C."""
    command = [sys.executable, "-m", "rlaif", "review", str(run.path), "--reviewer", "ann", "--json", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment)
    try:
        assert process.stdout is not None
        yield process, json.loads(process.stdout.readline())
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
    finally:
        process.kill()
        process.communicate()


def call(url: str, given: dict[str, str] | None = None) -> Any:
    headers = {"Origin": "/".join(url.split("/")[:3])}
    data = None if given is None else json.dumps(given).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=20) as reply:
        return json.loads(reply.read())


def test_killed_in_the_middle_no_verdict_is_lost(run: Run):
    with started(run, "--no-browser", "--pairs", "8") as (process, said):
        assert (said["pairs"], said["done"]) == (8, 0)
        for place in range(5):
            shown = call(f"{said['url']}pairs/{place}")
            call(f"{said['url']}pairs/{place}", {"id": shown["id"], "verdict": "first"})
        process.kill()
        process.wait()
    assert len(read_verdicts(file_of(run.path, "ann"))) == 5
    with started(run, "--no-browser") as (_, again):
        assert (again["pairs"], again["done"]) == (8, 5)
        assert again["url"] != said["url"]
        assert call(f"{again['url']}state")["next"] == 5
        other = subprocess.run(
            [sys.executable, "-m", "rlaif", "review", str(run.path), "--reviewer", "ann", "--no-browser"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (other.returncode, "reviewing this run in another process" in other.stderr) == (2, True)


def test_the_browser_is_opened_without_the_token_in_its_arguments(run: Run, tmp_path: Path):
    """Other users of a machine see the arguments of its programs."""
    seen = tmp_path / "seen"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$@" > {seen}\n')
    browser.chmod(0o700)
    with started(run, BROWSER=str(browser)) as (_, said):
        for _ in range(400):
            if seen.is_file() and seen.read_text():
                break
            time.sleep(0.025)
        opened = Path(seen.read_text().strip().removeprefix("file://"))
        assert opened.stat().st_mode & 0o777 == 0o600
        assert re.findall(r"url=([^\"]+)\"", opened.read_text()) == [said["url"]]
    assert not opened.exists()
