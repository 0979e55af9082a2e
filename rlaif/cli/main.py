"""The command line: a table of commands, each in its own file, which is imported when the command is called."""

import io
import os
import re
import sys
from typing import Annotated, NoReturn

import typer

from rlaif.cli.lazy import group
from rlaif.errors import RlaifError

COMMANDS = {
    "generate": ("rlaif.cli.generate:generate", "Make a preference dataset: sample, criticise, revise, judge, pair."),
    "plan": ("rlaif.cli.plan:plan_command", "Say what a run will ask for and cost, before it starts."),
    "label": ("rlaif.cli.label:label", "Judge responses that exist already; check the labels that they come with."),
    "compare": ("rlaif.cli.compare:compare", "Compare constitutions over the same responses."),
    "show": ("rlaif.cli.show:show", "Show a run's summary and prompts, or one prompt's whole trace."),
    "runs": ("rlaif.cli.runs:app", "List, verify, repair and clean runs."),
    "export": ("rlaif.cli.export:export_command", "Write a run's dataset in the format of a trainer or library."),
    "curate": (
        "rlaif.cli.curate:curate_command",
        "Select rows: no duplicates or test rows, the best, the most diverse.",
    ),
    "certify": (
        "rlaif.cli.certify:certify_command",
        "Keep the pairs whose labels people agree with, with a guarantee.",
    ),
    "review": ("rlaif.cli.review:review_command", "Review a run's pairs by hand, and see how far people agree."),
    "report": ("rlaif.cli.report:report", "Write a run, a comparison or an evaluation as one HTML file."),
    "serve": ("rlaif.cli.serve:serve", "Run a managed vLLM server in the foreground, until Ctrl-C."),
    "serve-reward": ("rlaif.cli.serve_reward:serve_reward", "Serve rewards under a constitution, for GRPO."),
    "doctor": (
        "rlaif.cli.doctor:doctor",
        "Show what is installed, what fits on this machine, and what to fix.",
    ),
    "constitution": ("rlaif.cli.constitution:app", "Write, check, test and compare constitutions."),
    "evaluate": (
        "rlaif.cli.evaluate:app",
        "Measure a judge, collected verdicts, or a policy before and after training.",
    ),
    "train": ("rlaif.cli.train:app", "Train a model with TRL: on revisions, on preference pairs, or on both."),
    "push": ("rlaif.cli.push:push_command", "Upload a run's dataset or a trained model to the Hugging Face Hub."),
}
app = group(
    COMMANDS,
    name="rlaif",
    add_completion=True,
    help="Constitutional AI / RLAIF preference data, from a constitution to a trained model.",
)

INTERRUPTED = 130
"""Typer's exit code for Ctrl-C."""


def _version(value: bool) -> None:
    if value:
        from rlaif.version import __version__  # noqa: PLC0415

        typer.echo(f"rlaif {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Define the options that come before a command."""


def main() -> NoReturn:
    """Run the command line and exit; a user's mistake prints one line on stderr, without a traceback."""
    _repair_streams()
    try:
        try:
            app(standalone_mode=True)
        finally:
            sys.stdout.flush()
    except RlaifError as error:
        from rlaif.cli.console import visible  # noqa: PLC0415  (imports rich)

        print(f"rlaif: {visible(_bounded(str(error)))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # Ctrl-C while no job was running that could be continued
            print("rlaif: stopped", file=sys.stderr)
        raise
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except OSError as error:
        print(f"rlaif: {error.filename or 'input/output'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)


def _bounded(message: str) -> str:
    """Return a message without the middle of words of hundreds of characters, such as somebody's name of a key."""
    return re.sub(r"\S{400,}", lambda word: f"{word.group()[:60]}…{word.group()[-20:]}", message)


def _repair_streams() -> None:
    """Reopen closed standard streams, and escape characters that their encoding lacks, so that printing never fails."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
