"""What tests share: a constitution, prompts and a configuration against the simulated server."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from rlaif.config.run import RunConfig
from rlaif.testing import SimulatedServer

# Started in the background of a script, Python inherits that Ctrl-C is ignored, and so would all it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more of what else the machine does than of the code.
settings.register_profile("calm", deadline=None)
settings.load_profile("calm")

CONSTITUTION = """
name: testing
version: 1
description: Two rules for tests.
principles:
  - id: kind
    critique: Point out what is unkind.
    revise: Say it kindly.
    compare: Which answer is kinder?
    weight: 2
  - id: short
    critique: Point out what is too long.
    revise: Say it in fewer words.
    compare: Which answer says it in fewer words?
"""

MakeConfig = Callable[..., RunConfig]


@pytest.fixture
def constitution_file(tmp_path: Path) -> Path:
    path = tmp_path / "testing.yaml"
    path.write_text(CONSTITUTION, encoding="utf-8")
    return path


@pytest.fixture
def make_config(tmp_path: Path, constitution_file: Path) -> MakeConfig:
    """Return a function that describes a run against a simulated server; sections are merged into the defaults."""
    return configs_in(tmp_path, constitution_file)


def configs_in(folder: Path, constitution: Path) -> MakeConfig:
    """Return the same for a folder, where several tests share a run."""

    def make(server: SimulatedServer, prompts: int = 6, **sections: object) -> RunConfig:
        file = folder / f"prompts-{prompts}.jsonl"
        rows = [{"id": f"p{n}", "prompt": f"Tell me about number {n}.", "tags": ["numbers"]} for n in range(prompts)]
        file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
        data: dict[str, object] = {
            "constitution": str(constitution),
            "prompts": str(file),
            "policy": {"url": server.url, "concurrency": 32, "retries": 2},
            "sampling": {"n": 2, "max_tokens": 64},
            "judging": {"min_margin": 0.02},
            "out": str(folder / "runs" / "one"),
        }
        return RunConfig.check(data | sections)

    return make
