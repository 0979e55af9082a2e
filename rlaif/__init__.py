"""Constitutional AI / RLAIF preference data, from rules to a trained model.

from rlaif import RunConfig, generate, load_constitution

run = generate(RunConfig.load("examples/demo.yaml"))
run.pairs          # a pandas DataFrame, one row per preference pair
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlaif.composition import load_constitution
    from rlaif.config import RunConfig
    from rlaif.constitution import Constitution
    from rlaif.generation import generate
    from rlaif.runs.run import Run

__version__ = "0.1.0"
__all__ = ["Constitution", "Run", "RunConfig", "__version__", "generate", "load_constitution"]

_HOMES = {
    "Constitution": "rlaif.constitution",
    "Run": "rlaif.runs.run",
    "RunConfig": "rlaif.config",
    "generate": "rlaif.generation",
    "load_constitution": "rlaif.composition",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  (PEP 562; keeps `rlaif --help` quick)
    if name not in _HOMES:
        raise AttributeError(f"module 'rlaif' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
