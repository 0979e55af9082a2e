"""The command line: a table of commands, each in a file of its own that is imported when it is called."""

import io
import os
import sys
from typing import Annotated, NoReturn

import typer

from rlaif.cli.lazy import group
from rlaif.errors import RlaifError

COMMANDS = {
    "generate": ("rlaif.cli.generate:generate", "Make a preference dataset: sample, criticise, revise, judge, pair."),
    "compare": ("rlaif.cli.compare:compare", "What does swapping the rules change? Several rule sets judge one pool."),
    "show": ("rlaif.cli.show:show", "Show a run's summary and prompts, or one prompt's whole trace."),
    "export": ("rlaif.cli.export:export_command", "Write a run's dataset in one of several layouts."),
    "report": ("rlaif.cli.report:report", "Write one HTML file to read and to send."),
    "serve": ("rlaif.cli.serve:serve", "Run a managed vLLM server in the foreground, until Ctrl-C."),
    "doctor": (
        "rlaif.cli.doctor:doctor",
        "Tell what is installed, what fits on this machine, and what to do.",
    ),
    "constitution": ("rlaif.cli.constitution:app", "Write, check, test and compare constitutions."),
    "evaluate": (
        "rlaif.cli.evaluate:app",
        "Measure a judge, collected verdicts, or a policy after training.",
    ),
    "train": ("rlaif.cli.train:app", "Train a model with TRL: on revisions, on preference pairs, or both in turn."),
}
app = group(
    COMMANDS,
    name="rlaif",
    help="Constitutional AI / RLAIF preference data, from rules to a trained model, that people can trust.",
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
    """Hold the options that stand before any command."""


def main() -> NoReturn:
    """Run the command line; a person's mistake is one line on stderr, never a traceback."""
    _repair_streams()
    try:
        try:
            app(standalone_mode=True)
        finally:
            sys.stdout.flush()
    except RlaifError as error:
        from rlaif.cli.console import visible  # noqa: PLC0415  (imports rich)

        print(f"rlaif: {visible(str(error))}", file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # Ctrl-C where nothing was going on that could be gone on with
            print("rlaif: stopped", file=sys.stderr)
        raise
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except OSError as error:
        print(f"rlaif: {error.filename or 'input/output'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)
    sys.exit(0)


def _repair_streams() -> None:
    """Make standard streams that are closed, or cannot spell what is printed, no reason to fail."""
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
