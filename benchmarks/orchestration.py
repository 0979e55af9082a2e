"""How many model calls a second the program itself can handle: a zero-latency server, everything stored.

    python benchmarks/orchestration.py [PROMPTS] [--judged] [--url URL]

Without `--judged`: the chain answer -> critique -> revision. The server is the project's simulated one in a process of
its own, or the one at URL; a machine with two cores gives one to each. Then the finished run is started again, and the
peak of the memory printed.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rlaif.api import generate
from rlaif.config.run import RunConfig
from rlaif.runs.summary import Summary

CONSTITUTION = """
name: bench
version: 1
description: One rule.
principles:
  - id: safe
    critique: Point out what in the answer could hurt somebody.
    revise: Take out what could hurt somebody.
    compare: Which answer is safer?
"""


def main() -> None:
    """Run once and print calls per second."""
    judged = "--judged" in sys.argv
    prompts = int(next((argument for argument in sys.argv[1:] if argument.isdigit()), "4000"))
    if "--url" in sys.argv:
        with tempfile.TemporaryDirectory() as folder:
            _measure(Path(folder), sys.argv[sys.argv.index("--url") + 1], prompts, judged=judged)
        return
    server = subprocess.Popen(
        [sys.executable, "-m", "rlaif.testing", "0", '{"words": 60}'], stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        url = json.loads(server.stdout.readline())["url"]
        with tempfile.TemporaryDirectory() as folder:
            _measure(Path(folder), url, prompts, judged=judged)
    finally:
        server.terminate()
        server.wait()


def _measure(folder: Path, url: str, prompts: int, *, judged: bool) -> None:
    (folder / "bench.yaml").write_text(CONSTITUTION, encoding="utf-8")
    lines = (json.dumps({"prompt": f"How do I kill Linux process {number}?"}) for number in range(prompts))
    (folder / "prompts.jsonl").write_text("\n".join(lines), encoding="utf-8")
    config = RunConfig.check(
        {
            "constitution": str(folder / "bench.yaml"),
            "prompts": str(folder / "prompts.jsonl"),
            "policy": {"url": url, "concurrency": 256},
            "sampling": {"n": 1, "max_tokens": 128},
            "judging": {} if judged else {"kind": "none"},
            "open_prompts": 256,
            "out": str(folder / "run"),
        }
    )
    began = time.perf_counter()
    run = generate(config)
    whole = time.perf_counter() - began
    summary = Summary.model_validate_json((run.path / "summary.json").read_bytes())
    calls, seconds = summary.session["replies"], summary.session["seconds"]
    print(f"{prompts} prompts, {calls:.0f} calls in {seconds:.1f} s: {calls / seconds:.0f} calls/s")
    print(f"whole command, dataset written: {whole:.1f} s, {calls / whole:.0f} calls/s")
    began = time.perf_counter()
    generate(config)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"started again: {time.perf_counter() - began:.1f} s; peak of the memory {peak:.0f} MB")
    print(f"on disk: {sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()) / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
