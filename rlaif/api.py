"""`generate` for programs and notebooks: a run with its gate, in an event loop of its own."""

from rlaif.config.run import RunConfig
from rlaif.evaluate.gate import gate_of
from rlaif.generation import generate_async
from rlaif.notebook import notebook_screen
from rlaif.progress import Screen
from rlaif.runs.reader import Run
from rlaif.tasks import run_in_loop


def generate(config: RunConfig, *, screen: Screen | None = None) -> Run:
    """Generate the run that `config` describes, or finish it; export its dataset and return the run.

    Works in a notebook, too: an event loop that already runs in this thread is not touched, and without a `screen` the
    progress is shown in the cell. Raises UsageError before any request is sent when the input cannot be used, RunError
    when the run fails later; finished prompts are kept, and the same call continues from there.
    """
    screen = screen or notebook_screen()
    return run_in_loop(lambda: generate_async(config, screen=screen, make_gate=gate_of))
