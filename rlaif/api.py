"""The main job as programs call it: a run with all that stands around it."""

from rlaif.config.run import RunConfig
from rlaif.evaluate.gate import gate_of
from rlaif.generation import generate_async
from rlaif.progress import Screen
from rlaif.runs.reader import Run
from rlaif.tasks import run_in_loop


def generate(config: RunConfig, *, screen: Screen | None = None) -> Run:
    """Make or finish the run that `config` describes, export its dataset, and return it.

    Works in a notebook too (a running event loop in this thread is left alone). Raises UsageError before
    anything is asked when the input is not usable, RunError when it breaks on the way; what was finished is
    kept, and the same call goes on from there.
    """
    return run_in_loop(lambda: generate_async(config, screen=screen, make_gate=gate_of))
