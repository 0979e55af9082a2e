"""`rlaif runs list`, `verify`, `repair` and `clean`."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from rlaif.cli.console import plain, stdout_console
from rlaif.cli.format import size_in_words
from rlaif.cli.options import Json
from rlaif.errors import UsageError
from rlaif.runs.integrity import verify
from rlaif.runs.upkeep import delete, leftovers, list_runs, repair
from rlaif.text.wording import counted

Runs = Annotated[Path, typer.Argument(help="Folder with runs, or a run directory.")]
RunPath = Annotated[Path, typer.Argument(help="A run directory.")]


def runs_list(folder: Runs = Path("runs"), json_: Json = False) -> None:
    """List the runs of a folder and its subfolders: state, counts, size, last change.

    \b
    Examples:
      rlaif runs list
      rlaif runs list experiments --json
    """
    runs = list(list_runs(_existing(folder)))
    if json_:
        print(json.dumps([run.model_dump(mode="json") for run in runs]))
        return
    if not runs:
        print(f"{folder} has no runs")
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name, side in (("run", "left"), ("state", "left"), ("constitution", "left"), ("traces", "right")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for name in ("failed", "size", "changed"):
        table.add_column(name, justify="right")
    for run in runs:
        changed = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.changed))
        counts = f"{run.traces:,} of {run.prompts:,}"
        cells = (run.path, run.state, run.constitution, counts, f"{run.failures:,}", size_in_words(run.bytes), changed)
        table.add_row(*(plain(cell) for cell in cells))
    console = stdout_console()
    console.print(table)
    for run in runs:
        if run.problem:
            console.print(f"! {run.problem}", markup=False)


def runs_verify(runs: Annotated[list[Path], typer.Argument(help="Run directories.")], json_: Json = False) -> None:
    """Check that runs are whole and as they were written; exit code 1 where one is not.

    The hashes of all records, prompts, templates and of the constitution are computed again, and compared with those in
    the run, its summary and its dataset. Somebody who changes a record and computes all hashes again is not found, but
    the run's hash then differs from the one in a dataset's card that was published before.

    \b
    Examples:
      rlaif runs verify runs/first
      rlaif runs verify runs/* --json
    """
    found = [verify(path) for path in runs]
    if json_:
        print(json.dumps([one.model_dump(mode="json") | {"whole": one.whole} for one in found]))
    for one in [] if json_ else found:
        without = f", {one.without_hash:,} of them by a version without hashes" if one.without_hash else ""
        state = f"whole, hash {one.root}" if one.whole else counted(len(one.problems), "problem")
        print(f"{one.run}   {counted(one.records, 'record')}{without}: {state}")
        for problem in one.problems:
            stdout_console().print(f"! {problem}", markup=False)
    if not all(one.whole for one in found):
        raise typer.Exit(1)


def runs_repair(run: RunPath, json_: Json = False) -> None:
    """Write a run's store anew from what can be read and is as it was written; the old file is kept.

    Records that were changed or cannot be read are taken out; `rlaif generate RUN` makes them again, from the replies
    in the reply store where it has them.

    \b
    Examples:
      rlaif runs repair runs/first
      rlaif generate runs/first
    """
    found = repair(_existing(run))
    if json_:
        print(found.model_dump_json())
        return
    print(f"saved      {counted(found.prompts, 'prompt')}, {counted(found.records, 'record')}")
    if found.taken_out:
        print(f"taken out  {counted(len(found.taken_out), 'record')}: {', '.join(found.taken_out[:10])}")
    if found.lost_prompts:
        print(f"! lost     {counted(found.lost_prompts, 'prompt')} of the file cannot be read")
    print(f"the file as it was: {found.kept}\nnext: rlaif generate {run}")


def runs_clean(
    folder: Runs = Path("runs"),
    yes: Annotated[
        bool, typer.Option("--yes", help="Delete; without it, what would be deleted is only listed.")
    ] = False,
    json_: Json = False,
) -> None:
    """Delete what nothing reads any more: exports that were interrupted, and files that were repaired.

    \b
    Examples:
      rlaif runs clean            # lists
      rlaif runs clean --yes      # deletes
    """
    found = list(leftovers(_existing(folder)))
    for path, _ in found if yes else []:
        delete(path)
    if json_:
        print(json.dumps({"deleted": yes, "paths": [{"path": str(path), "bytes": size} for path, size in found]}))
        return
    for path, size in found:
        stdout_console().print(f"{size_in_words(size):>9}  {path}", markup=False)
    total = size_in_words(sum(size for _, size in found))
    if not found:
        print(f"{folder}: nothing to delete")
    else:
        print(f"{total} deleted" if yes else f"{total} would be deleted; --yes deletes")


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    return folder
