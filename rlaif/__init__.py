"""Constitutional AI / RLAIF preference data, from rules to a trained model.

from rlaif import RunConfig, generate, label, load_constitution

run = generate(RunConfig.load("examples/demo.yaml"))
run.pairs          # a pandas DataFrame, one row per preference pair

label("answers.jsonl", constitution="honesty", critic="Qwen/Qwen3-8B", out="runs/labelled")   # responses that exist
reward("honesty", "http://127.0.0.1:8000/v1")   # a reward function for TRL's GRPO trainer
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rlaif.version import __version__

if TYPE_CHECKING:
    from rlaif.api import generate, label
    from rlaif.config.run import RunConfig
    from rlaif.constitution.load import load_constitution
    from rlaif.constitution.schema import Constitution
    from rlaif.rewards import reward
    from rlaif.runs.reader import Run

__all__ = ["Constitution", "Run", "RunConfig", "__version__", "generate", "label", "load_constitution", "reward"]

_MODULES = {
    "Constitution": "rlaif.constitution.schema",
    "Run": "rlaif.runs.reader",
    "RunConfig": "rlaif.config.run",
    "generate": "rlaif.api",
    "label": "rlaif.api",
    "load_constitution": "rlaif.constitution.load",
    "reward": "rlaif.rewards",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  (PEP 562; keeps `rlaif --help` fast)
    if name not in _MODULES:
        raise AttributeError(f"module 'rlaif' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
