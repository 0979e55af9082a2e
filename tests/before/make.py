"""Make the files of `was/` and `expected/` with the version that is checked out on PYTHONPATH; see README.md.

Everything runs in a fresh folder with relative paths, so that no path of the machine stands in the files.
"""

import asyncio
import gzip
import json
import shutil
import signal
import sqlite3
import sys
import tempfile
import urllib.request
from contextlib import chdir, closing
from pathlib import Path
from typing import Any

import pyarrow.parquet
import yaml

from rlaif.testing.server import SimulatedServer
from rlaif.testing.simulated_model import SimulatedModel
from tests.train.tiny import tiny_model

HERE = Path(__file__).parent
URL = "http://127.0.0.1:8000/v1"
"""What the files name in place of the server's own port."""
FORMATS = ("trl", "sft", "ultrafeedback", "jsonl", "kto", "reward", "ranking", "openrlhf", "nemo-rl")
PROMPTS = 5
SERVER = SimulatedModel(words=10, noise=0.5, position_bias=0.6, latency_s=0.01)
KILLED_AFTER = 75
"""Requests of the interrupted run; a finished one has about twice as many."""

RULES = """name: testing
version: 1
description: Rules of three kinds.
principles:
  - id: kind
    critique: Point out what is unkind.
    revise: Say it kindly.
    compare: Which response is kinder?
    weight: 2
  - id: clear
    critique: Point out what is hard to understand.
    revise: Say it clearly.
    compare: Which response is clearer?
  - id: brief
    check: {words: {max: 12}}
"""
OTHER = """name: other
version: 2
description: One rule.
principles:
  - id: bold
    critique: Point out what is timid.
    revise: Say it boldly.
    compare: Which response is bolder?
"""
SHARED: dict[str, Any] = {
    "constitution": "rules.yaml",
    "prompts": "prompts.jsonl",
    "policy": {"model": "simulated", "url": URL, "retries": 2},
    "sampling": {"n": 2, "max_tokens": 32},
    "judging": {"min_margin": 0.02},
    "pairs": {"test_fraction": 0.4},
}
PANEL = {
    "prompts": {"path": "prompts.jsonl", "limit": 2},
    "judging": {
        "min_margin": 0.02,
        "judges": [
            {"kind": "pairwise-logprob", "name": "first", "weight": 2},
            {"kind": "pairwise-reasoned", "name": "second", "read": "logprob", "clamp": [0.3, 0.7]},
            {"kind": "rating", "aspects": "overall"},
            {"kind": "listwise"},
        ],
    },
}
TRAINING = ("--max-length", "64", "--batch-size", "2", "--learning-rate", "3e-3", "--epochs", "2")


async def rlaif(*arguments: str) -> str:
    """Run the command line and return what it prints."""
    process = await started(*arguments)
    out, err = await process.communicate()
    assert process.returncode == 0, f"rlaif {' '.join(arguments)}\n{err.decode()}"
    return out.decode()


async def started(*arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "rlaif", *arguments, stdout=pipe, stderr=pipe)


async def make() -> None:
    """Make runs, a comparison and a training in the working directory, and what the version makes of them."""
    inputs()
    async with SimulatedServer(SERVER) as server:
        models = await asyncio.to_thread(lambda: urllib.request.urlopen(f"{server.url}/models").read())
        Path("models.json").write_bytes(models)
        for name, settings in (("finished", {}), ("panel", PANEL)):
            await rlaif("generate", run_file(name, server.url, {**settings, "out": f"runs/{name}"}), "--json")
        await interrupted(server)
        settings = run_file("compare", server.url, {"out": "compared/comparison", "prompts": PANEL["prompts"]})
        sources = ("rules.yaml", "other.yaml", "--run", settings, "--out", "compared/comparison")
        await rlaif("compare", *sources, "--floor-prompts", "1", "--json")
    expected = Path("expected")
    expected.mkdir()
    for name in ("finished", "panel"):
        keep(expected / f"{name}.json.gz", await made_of(name))
    tiny_model(Path("base"))
    await rlaif("train", "dpo", "runs/finished/dataset", "--model", "base", "--out", "trained", *TRAINING, "--json")
    tidy(server.url)


def inputs() -> None:
    Path("rules.yaml").write_text(RULES)
    Path("other.yaml").write_text(OTHER)
    rows: list[dict[str, Any]] = [{"id": f"p{n}", "prompt": f"What is number {n} ?"} for n in range(PROMPTS)]
    rows[0] |= {"tags": ["ordinary"]}
    rows[1] |= {"checks": [{"id": "no-river", "forbids": ["river"]}]}
    Path("prompts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def run_file(name: str, url: str, settings: dict[str, Any]) -> str:
    data = SHARED | {"policy": SHARED["policy"] | {"url": url}} | settings
    Path(f"{name}.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return f"{name}.yaml"


async def interrupted(server: SimulatedServer) -> None:
    """Kill a run between its first and its last trace."""
    before = len(server.asked)
    settings = {"out": "interrupted/run", "open_prompts": 1}
    process = await started("generate", run_file("interrupted", server.url, settings), "--json")
    while len(server.asked) < before + KILLED_AFTER:
        assert process.returncode is None
        await asyncio.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    Path("interrupted/run/run.pid").write_text("process 4242 on machine")
    with closing(sqlite3.connect("file:interrupted/run/run.sqlite?mode=ro", uri=True)) as store:
        (traces,) = store.execute("SELECT count(*) FROM traces").fetchone()
    assert 0 < traces < PROMPTS, f"{traces} traces: choose another KILLED_AFTER"


async def made_of(name: str) -> dict[str, Any]:
    """Return what this version shows and exports of a run."""
    run = f"runs/{name}"
    ids = [json.loads(line)["id"] for line in Path("prompts.jsonl").read_text().splitlines()]
    ids = ids if name == "finished" else ids[:2]
    found: dict[str, Any] = {"show": json.loads(await rlaif("show", run, "--json"))}
    found["traces"] = {one: json.loads(await rlaif("show", run, one, "--json")) for one in ids}
    found["report"] = json.loads(await rlaif("report", run, "--out", "report.html", "--json"))
    for format_ in FORMATS:
        folder = Path("exported") / name / format_
        found[format_] = json.loads(await rlaif("export", run, "--format", format_, "--out", str(folder), "--json"))
        for file in sorted(path for path in folder.rglob("*") if path.suffix in {".parquet", ".jsonl"}):
            found[f"{format_}/{file.relative_to(folder)}"] = content(file)
    return found


def content(file: Path) -> Any:
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text().splitlines()]
    table = pyarrow.parquet.read_table(file)
    return {"columns": {field.name: str(field.type) for field in table.schema}, "rows": table.to_pylist()}


def keep(file: Path, value: Any) -> None:
    file.write_bytes(gzip.compress(json.dumps(value, ensure_ascii=False).encode(), mtime=0))


def tidy(url: str) -> None:
    """Take away what no test needs, and what speaks of this machine."""
    shutil.rmtree("exported")
    for dataset in Path("compared").rglob("dataset"):
        shutil.rmtree(dataset)
    for file in (Path("report.html"), *Path("trained").iterdir()):
        if file.name not in {"training.json", "metrics.jsonl", "README.md", "run.lock"}:
            file.unlink()
    for shared_memory in Path().rglob("*.sqlite-shm"):  # made anew from the log by whoever opens it
        shared_memory.unlink()
    for file in [path for path in Path().rglob("*") if path.suffix in {".yaml", ".json", ".md"}]:
        text = file.read_text()
        file.write_text(text.replace(url, URL).replace(f"{Path.cwd()}/", ""))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        with chdir(folder):
            asyncio.run(make())
        for name in ("was", "expected"):
            shutil.rmtree(HERE / name, ignore_errors=True)
        shutil.move(Path(folder) / "expected", HERE / "expected")
        shutil.copytree(folder, HERE / "was")
