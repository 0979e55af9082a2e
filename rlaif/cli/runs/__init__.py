"""`rlaif runs`: which runs a folder has, whether they are whole, repair and cleaning."""

from rlaif.cli.lazy import group

app = group(
    {
        "list": ("rlaif.cli.runs.upkeep:runs_list", "List the runs of a folder: state, counts, size."),
        "verify": ("rlaif.cli.runs.upkeep:runs_verify", "Check that a run is whole and as it was written."),
        "repair": ("rlaif.cli.runs.upkeep:runs_repair", "Save what can be read of a damaged run."),
        "clean": ("rlaif.cli.runs.upkeep:runs_clean", "Delete what nothing reads any more."),
    },
    help="List, verify, repair and clean runs. What is in a run: rlaif show.",
)


@app.callback()
def _group() -> None:
    """Make typer treat this as a group of commands."""
