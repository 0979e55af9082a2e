"""`kill -9` at any moment: starting again gives the same traces and asks nothing twice that was answered."""

import asyncio
import json
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from rlaif.generation import generate_async
from rlaif.runs.reader import Run
from rlaif.runs.summary import summarise
from rlaif.testing import Asked, SimulatedModel, SimulatedServer
from tests.conftest import MakeConfig

PROMPTS = 12
SERVER = SimulatedModel(latency_s=0.03)
KEPT_AFTER_S = 0.5
"""A reply older than this survives. The project promises a tenth of a second; a crowded machine may take longer."""


@pytest.mark.parametrize(
    "requests_before_the_kill", [1, 30, *(pytest.param(n, marks=pytest.mark.slow) for n in (120, 220, 330))]
)
async def test_a_killed_run_goes_on_without_loss_or_repetition(
    make_config: MakeConfig, tmp_path: Path, requests_before_the_kill: int
) -> None:
    async with SimulatedServer(SERVER) as server:
        undisturbed = await generate_async(make_config(server, PROMPTS, out=str(tmp_path / "calm" / "run")))
        server.asked.clear()
        run_file = _run_file(make_config(server, PROMPTS, open_prompts=3), tmp_path)

        process = await _start(run_file)
        await _until(lambda: len(server.asked) >= requests_before_the_kill)
        process.send_signal(signal.SIGKILL)
        killed_at = time.time()
        await process.wait()

        again = await _start(run_file)
        assert await again.wait() == 0

    run = Run(tmp_path / "runs" / "one")
    assert summarise(run).traces == PROMPTS
    assert [t.model_dump_json() for t in run.traces()] == [t.model_dump_json() for t in undisturbed.traces()]
    assert _asked_twice_though_kept(server.asked, killed_at) == []


@pytest.mark.slow
async def test_ctrl_c_stops_cleanly_and_the_run_directory_alone_is_enough_to_go_on(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    async with SimulatedServer(SERVER) as server:
        run_file = _run_file(make_config(server, PROMPTS, open_prompts=3), tmp_path)
        process = await _start(run_file)
        await _until(lambda: server.count("judge") >= 100)
        process.send_signal(signal.SIGINT)
        stopped_at = time.time()
        _, said = await process.communicate()
        assert process.returncode == 130
        assert said.decode().strip().splitlines()[-1].startswith("rlaif: stopped")
        assert "Traceback" not in said.decode()
        moved = tmp_path / "elsewhere" / "moved"
        moved.parent.mkdir()
        (tmp_path / "runs" / "one").rename(moved)
        run_file.unlink()
        for file in tmp_path.glob("*.jsonl"):
            file.unlink()
        again = await _start(moved, "--cache", str(tmp_path / "runs" / "replies.sqlite"))
        assert await again.wait() == 0
    assert summarise(Run(moved)).traces == PROMPTS
    assert _asked_twice_though_kept(server.asked, stopped_at) == []


@pytest.mark.slow
async def test_the_first_ctrl_c_keeps_the_replies_of_open_requests_and_the_second_ends_them(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    async with SimulatedServer(SERVER.model_copy(update={"latency_s": 0.5})) as server:
        run_file = _run_file(make_config(server, PROMPTS, open_prompts=3), tmp_path)
        process = await _start(run_file)
        await _until(lambda: len(server.asked) >= 3)
        process.send_signal(signal.SIGINT)
        _, said = await process.communicate()
        assert "open requests may finish, within 30 s" in said.decode()
        once = len(server.asked)
        assert all(asked.answered for asked in server.asked)
        again = await _start(run_file)
        await _until(lambda: len(server.asked) >= once + 3)
        again.send_signal(signal.SIGINT)
        await asyncio.sleep(0.1)
        again.send_signal(signal.SIGINT)
        stopped_at = time.time()
        _, said = await again.communicate()
        assert time.time() - stopped_at < 5
        assert (again.returncode, "Traceback" in said.decode()) == (130, False)
    assert len({asked.key for asked in server.asked}) == len(server.asked)  # nothing was asked twice


NOTEBOOK = """
import asyncio, sys
from rlaif import RunConfig, generate

async def cell():
    generate(RunConfig.load(sys.argv[1]))

# A notebook's kernel runs its loop without the handler that asyncio.run() puts before KeyboardInterrupt.
asyncio.new_event_loop().run_until_complete(cell())
"""


@pytest.mark.slow
async def test_interrupting_a_notebook_cell_stops_the_run_and_frees_its_directory(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    async with SimulatedServer(SERVER) as server:
        run_file = _run_file(make_config(server, PROMPTS, open_prompts=3), tmp_path)
        notebook = await asyncio.create_subprocess_exec(
            sys.executable, "-c", NOTEBOOK, str(run_file), stderr=asyncio.subprocess.PIPE
        )
        await _until(lambda: server.count("judge") >= 60)
        notebook.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            _, said = await notebook.communicate()
        assert "KeyboardInterrupt" in said.decode()
        seen = len(server.asked)
        assert server.count("judge") < PROMPTS * 24
        await asyncio.sleep(0.2)
        assert len(server.asked) == seen
        again = await _start(run_file)
        assert await again.wait() == 0
    assert summarise(Run(tmp_path / "runs" / "one")).traces == PROMPTS


@pytest.mark.slow
async def test_a_second_writer_is_turned_away(make_config: MakeConfig, tmp_path: Path) -> None:
    async with SimulatedServer(SERVER) as server:
        run_file = _run_file(make_config(server, PROMPTS), tmp_path)
        first = await _start(run_file)
        await _until(lambda: len(server.asked) >= 5)
        second = await _start(run_file)
        _, said = await second.communicate()
        assert second.returncode == 2
        assert f"being written by another process (process {first.pid}" in said.decode()
        assert await first.wait() == 0


@pytest.mark.slow
async def test_a_finished_run_needs_no_server(make_config: MakeConfig, tmp_path: Path) -> None:
    async with SimulatedServer() as server:
        await generate_async(make_config(server))
    again = await _start(tmp_path / "runs" / "one", "--json")
    out, _ = await again.communicate()
    assert again.returncode == 0
    assert json.loads(out)["traces"] == 6


def _asked_twice_though_kept(asked: list[Asked], killed_at: float) -> list[str]:
    by_key: dict[str, list[Asked]] = defaultdict(list)
    for request in asked:
        by_key[request.key].append(request)
    return [
        key
        for key, requests in by_key.items()
        for earlier in requests[:-1]
        if earlier.answered is not None and earlier.answered < killed_at - KEPT_AFTER_S
    ]


async def _until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not reached():
            await asyncio.sleep(0.005)


def _run_file(config, tmp_path: Path) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")), encoding="utf-8")
    return path


async def _start(source: Path, *flags: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rlaif", "generate", str(source), *flags,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
