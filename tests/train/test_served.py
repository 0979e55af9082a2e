"""A trained model on a real vLLM server: what training writes is what serving reads."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rlaif.api import generate
from rlaif.config.run import RunConfig
from rlaif.runs.reader import Run

pytestmark = pytest.mark.server


def trained(folder: Path, kind: str, *flags: str) -> Path:
    """Train smollm2 for one step."""
    pair = {"chosen": "It is bread. It is baked.", "rejected": "It is bread, which is baked.", "p_chosen": 0.9}
    rows = [{**pair, "id": n, "prompt": f"What is it, {n}?"} for n in range(12)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, "-m", "rlaif", "train", kind, str(folder / "rows.jsonl"), "--model", "smollm2"]
    options = ["--out", str(folder / kind), "--max-length", "64", "--batch-size", "2", "--trl", "max_steps=1", *flags]
    subprocess.run([*command, *options], check=True)
    return folder / kind


def test_the_managed_server_serves_a_trained_model(tmp_path: Path) -> None:
    model = trained(tmp_path, "dpo", "--lora", "--merge")
    run = generate(
        RunConfig.check(
            {
                "constitution": "honesty",
                "prompts": {"path": "seed", "limit": 2},
                "policy": {"model": str(model), "eager": True},
                "sampling": {"n": 1, "max_tokens": 16},
                "revision": {"rounds": 1, "critique_max_tokens": 16, "max_tokens": 16},
                "judging": {"kind": "none"},
                "out": str(tmp_path / "run"),
            }
        )
    )
    traces = list(Run(run.path).traces())
    assert len(traces) == 2
    assert all(trace.responses[0].text.strip() for trace in traces)
