"""A server is started when there is something to ask it, and not before.

Instead of vLLM a stand-in of the same name is started: the simulated server, told on its command line what to load.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from rlaif.models.hardware import processor, processor_file
from rlaif.models.managed import on_gpu
from tests.conftest import CONSTITUTION

STAND_IN = """
import argparse, asyncio, os, sys
from aiohttp import web
from rlaif.testing import SimulatedModel, SimulatedServer

parser = argparse.ArgumentParser()
for name in ("--model", "--served-model-name"):
    parser.add_argument(name)
parser.add_argument("--port", type=int)
given = parser.parse_known_args()[0]
root = os.environ.get("LOADS", given.model)

class Server(SimulatedServer):
    async def _models(self, request):
        return web.json_response({"object": "list", "data": [{"id": self.model.name, "root": root}]})

async def serve():
    with open(os.environ["STARTS"], "a") as file:
        print(given.served_model_name, *(["eagerly"] if "--enforce-eager" in sys.argv else []), file=file)
    model = SimulatedModel(name=given.served_model_name, api_key=os.environ["VLLM_API_KEY"])
    async with Server(model, port=given.port):
        await asyncio.Event().wait()

asyncio.run(serve())
"""

START = [sys.executable, "-m", "rlaif"]
Rlaif = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def starts(tmp_path: Path) -> Path:
    """Return a file with one line for each server that was started."""
    file = tmp_path / "starts"
    file.touch()
    return file


@pytest.fixture
def rlaif(tmp_path: Path, starts: Path, monkeypatch: pytest.MonkeyPatch) -> Rlaif:
    """Return a function that runs the command line where `vllm` is the stand-in."""
    entry = tmp_path / "lib" / "vllm" / "entrypoints" / "launchers" / "api_server" / "entry.py"
    entry.parent.mkdir(parents=True)
    entry.write_text(STAND_IN)
    for package in entry.relative_to(tmp_path / "lib").parents:
        (tmp_path / "lib" / package / "__init__.py").touch()
    (tmp_path / "lib" / "__init__.py").unlink()
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "mine.yaml").write_text(CONSTITUTION + "    cases: [{prompt: Hi, better: Yes., worse: 'No, no.'}]\n")
    rows = [{"prompt": f"Tell me about number {n}."} for n in range(2)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "gold.jsonl").write_text(json.dumps({"prompt": "Hi", "chosen": "Yes.", "rejected": "No, no."}))
    made = tmp_path / "cache" / "models" / "smollm2"
    made.mkdir(parents=True)
    (made / "config.json").write_text("{}")
    processor()
    shutil.copy(processor_file(), tmp_path / "cache")  # so that nothing is measured anew for every test
    monkeypatch.setenv("RLAIF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "lib"), str(Path(__file__).parents[2])]))
    monkeypatch.setenv("STARTS", str(starts))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*START, *arguments], env=os.environ | more, capture_output=True, text=True, check=False, timeout=120
        )

    return run


MODEL = "{here}/model"
COMMANDS = {
    "generate": ["generate", "--constitution", "mine.yaml", "--prompts", "prompts.jsonl", "--policy", MODEL],
    "compare": ["compare", "mine.yaml", "minimal", "--prompts", "prompts.jsonl", "--policy", MODEL],
    "test": ["constitution", "test", "mine.yaml", "--critic", MODEL],
    "judge": ["evaluate", "judge", "--constitution", "mine.yaml", "--gold", "gold.jsonl", "--critic", MODEL],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_where_everything_was_answered_before_no_server_starts(
    rlaif: Rlaif, starts: Path, tmp_path: Path, name: str
) -> None:
    for place, out in enumerate(["runs/one", "runs/two"]):
        folder = ["--out", out] if name in {"generate", "compare"} else []
        done = rlaif(*(part.format(here=tmp_path) for part in COMMANDS[name]), *folder)
        assert done.returncode == 0, done.stderr
        assert ("starting " in done.stderr) == (place == 0)
        assert " left" not in done.stderr.partition("… ready in")[0]
    assert starts.read_text().splitlines() == [f"{tmp_path}/model"]


@pytest.mark.slow
def test_a_model_that_was_trained_further_is_asked_again(rlaif: Rlaif, starts: Path, tmp_path: Path) -> None:
    command = [part.format(here=tmp_path) for part in COMMANDS["test"]]
    assert rlaif(*command).returncode == 0
    (tmp_path / "model" / "config.json").write_text("{ }")
    assert rlaif(*command).returncode == 0
    assert len(starts.read_text().splitlines()) == 2


@pytest.mark.slow
def test_a_server_that_loaded_something_else_is_not_believed(rlaif: Rlaif, tmp_path: Path) -> None:
    command = [part.format(here=tmp_path) for part in COMMANDS["test"]]
    done = rlaif(*command, LOADS="another/model")
    assert done.returncode == 1
    assert f"the server of {tmp_path}/model loaded {tmp_path}/model<another/model>" in done.stderr
    assert "was expected" in done.stderr


@pytest.mark.slow
def test_after_a_model_that_is_not_there_the_same_run_takes_the_right_one(rlaif: Rlaif, tmp_path: Path) -> None:
    command = [part.format(here=tmp_path) for part in COMMANDS["generate"]]
    wrong = rlaif(*command[:-1], "./modell", "--out", "runs/one")
    assert (wrong.returncode, wrong.stderr.splitlines()[-1]) == (1, "rlaif: ./modell: no such model folder")
    right = rlaif(*command, "--out", "runs/one")
    assert right.returncode == 0, right.stderr


@pytest.mark.slow
@pytest.mark.skipif(on_gpu(), reason="compiling pays on a GPU")
@pytest.mark.parametrize("name", ["test", "judge"])
def test_for_a_few_questions_on_a_cpu_smollm2_is_not_compiled(rlaif: Rlaif, starts: Path, name: str) -> None:
    done = rlaif(*COMMANDS[name][:-1], "smollm2")
    assert done.returncode == 0, done.stderr
    assert starts.read_text() == "smollm2 eagerly\n"


@pytest.mark.slow
@pytest.mark.parametrize("key", ["", "a-key-of-mine"])
def test_serving_says_what_to_paste_and_that_it_stopped(
    rlaif: Rlaif, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLAIF_API_KEY", key)
    server = subprocess.Popen([*START, "serve", "smollm2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = [server.stdout.readline().rstrip() for _ in range(5 if key else 6)]
    told = {name: value for name, _, value in (line.partition("   ") for line in lines[:3])}
    url = told["url"].strip()
    assert lines[-1] == f"  rlaif constitution test mine.yaml --critic {url}"
    if not key:
        assert lines[4] == f"  export RLAIF_API_KEY={told['key'].strip()}"
        monkeypatch.setenv("RLAIF_API_KEY", told["key"].strip())
    assert rlaif(*lines[-1].split()[1:]).returncode == 0
    family = psutil.Process(server.pid).children(recursive=True)
    server.terminate()
    assert server.communicate(timeout=30)[1].splitlines()[-1] == "rlaif: server stopped"
    assert server.returncode == 130
    assert psutil.wait_procs(family, timeout=30)[1] == []
