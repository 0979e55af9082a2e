"""`generate` and `label` for programs and notebooks: a run with its gate, in an event loop of its own."""

from pathlib import Path
from typing import Any

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


def label(
    responses: str | Path | dict[str, Any],
    *,
    constitution: str | Path,
    critic: str | dict[str, Any],
    out: str | Path,
    screen: Screen | None = None,
    **sections: Any,  # noqa: ANN401  (sections of a run file)
) -> Run:
    """Judge responses that exist already, or finish doing so; export the dataset and return the run.

    `responses` is a file or hub dataset id, or a dict with `path` and perhaps `shape`, `columns`, `split` and `limit`.
    `critic` is a model, a URL or MODEL@URL, or a dict. `sections` are those of a run file, such as
    `revision={"rounds": 1}` or `judging={"principles": 4}`. `run.labelled_rows` has the labels of the file and what the
    critic decides of them; `run.flips()` yields those that it flips, the likeliest wrong ones first. Raises what
    `generate` raises.
    """
    source = responses if isinstance(responses, dict) else str(responses)
    given = {"responses": source, "constitution": str(constitution), "critic": critic, "out": str(out)}
    return generate(RunConfig.check(given | sections), screen=screen)
