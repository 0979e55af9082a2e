"""`rlaif evaluate shortcuts`: measure by intervention what surface features are worth to a run's judges."""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from rlaif.cli.console import plain, run_stoppable, stdout_console
from rlaif.cli.format import decimals
from rlaif.cli.live import LiveScreen
from rlaif.cli.options import Json, connection_of
from rlaif.errors import UsageError
from rlaif.evaluate.comparisons import raise_if_many_failed
from rlaif.evaluate.shortcuts import ShortcutTest, measure_shortcuts, shortcut_test
from rlaif.models.config import ModelConfig
from rlaif.preferences.shortcuts import FEWEST_MOVED, Effect, ShortcutEffects
from rlaif.runs.directory import locked, write_json
from rlaif.runs.reader import Run
from rlaif.runs.shortcuts import EFFECTS
from rlaif.text.shortcuts import SHORTCUTS, UNITS, Shortcut


def shortcuts_command(
    run: Annotated[Path, typer.Argument(help="A finished run directory.")],
    critic: Annotated[
        str | None, typer.Option(help="MODEL, URL or MODEL@URL of the run's critic; as in the run by default.")
    ] = None,
    prompts: Annotated[int, typer.Option(min=1, help="Edit responses of this many prompts for each edit.")] = 100,
    edits: Annotated[str | None, typer.Option(help=f"Only some of: {','.join(SHORTCUTS)}.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be asked, and ask nothing.")] = False,
    json_: Json = False,
) -> None:
    """Measure what surface features are worth to a run's judges, whatever the responses are worth.

    A program edits one thing in a response: it adds words that say nothing (padding), lays the same words out in
    Markdown, or adds a flattering opening, a hedge, a claim of authority or "Answer: A". The judges are asked again as
    in the run. The difference is the causal effect of the edit, in logits, with a 95 % interval over prompts. One side
    of the matchup is edited, each side equally often. The effects are written to RUN/shortcuts.json; a run with
    judging: {shortcuts: run} subtracts those that are shown. Replies are kept: the same command continues where it was
    stopped. What an effect means, and its limits: docs/judging.md.

    \b
    Examples:
      rlaif evaluate shortcuts runs/first --dry-run
      rlaif evaluate shortcuts runs/first
      rlaif evaluate shortcuts runs/first --critic http://127.0.0.1:8000/v1 --prompts 300 --edits padding,markdown
      rlaif generate runs/first --shortcuts run        # p_chosen without the shown effects; asks nothing again
    """
    wanted = edits_given(edits)
    server = None if critic is None else connection_of(critic)
    if dry_run:
        plan_job(shortcut_test(Run(run), wanted, prompts), as_json=json_)
        return
    shortcuts_job(run, wanted, prompts, server, as_json=json_)


def edits_given(text: str | None) -> tuple[Shortcut, ...]:
    """Return the edits of --edits, all by default. Raises UsageError for others."""
    if text is None:
        return SHORTCUTS
    names = [name.strip() for name in text.split(",")]
    unknown = next((name for name in names if name not in SHORTCUTS), None)
    if unknown is not None:
        raise UsageError(f"--edits {text}: {unknown or 'an empty name'} is not one of {', '.join(SHORTCUTS)}")
    return tuple(edit for edit in SHORTCUTS if edit in names)


def plan_job(test: ShortcutTest, *, as_json: bool) -> None:
    """Print what would be asked."""
    unedited, missing = test.unedited()
    if as_json:
        prompts = {edit: _prompts(test)[edit] for edit in test.edits}
        plan = {"prompts": test.prompts, "edits": prompts, "requests": test.questions + missing}
        print(json.dumps(plan | {"edited": test.questions, "unedited": unedited, "unedited_missing": missing}))
        return
    for line in plan_lines(test):
        print(line)


def plan_lines(test: ShortcutTest) -> list[str]:
    """Return the forecast of the requests."""
    unedited, missing = test.unedited()
    by_edit = ", ".join(f"{edit} {_prompts(test)[edit]}" for edit in test.edits)
    return [
        f"{test.run.path}: {len(test.planned):,} edited responses of {test.prompts:,} prompts ({by_edit})",
        f"about {test.questions + missing:,} requests: {test.questions:,} about edited responses, {missing:,} about "
        f"the same matchups unedited ({unedited - missing:,} of {unedited:,} are in the reply store)",
    ]


def _prompts(test: ShortcutTest) -> Counter[Shortcut]:
    return Counter(one.edit for one in test.planned)


def shortcuts_job(
    path: Path, edits: tuple[Shortcut, ...], prompts: int, critic: ModelConfig | None, *, as_json: bool
) -> None:
    """Measure the effects, write them and print them. Raises RunError where too many requests failed."""
    run = Run(path)
    with locked(path):
        test = shortcut_test(run, edits, prompts)
        with LiveScreen(quiet=as_json) as screen:
            for line in plan_lines(test):
                screen.say(line)
            measured = run_stoppable(lambda: measure_shortcuts(test, critic, screen), say=screen.say)
        raise_if_many_failed(measured.failed, measured.asked, measured.error)
        write_json(path / EFFECTS, measured.effects.model_dump(mode="json"))
    if as_json:
        print(measured.effects.model_dump_json())
        return
    print_effects(measured.effects, run, stdout_console())


def print_effects(found: ShortcutEffects, run: Run, console: Console) -> None:
    """Print the effects as a table, and what can be done with them."""
    table = Table(box=None, pad_edge=False)
    for column in ("edit", "prompts", "moved", "change of log-odds (95 %)", "logits per unit (95 %)", "unit", "shown"):
        table.add_column(column, justify="right" if column in {"prompts", "moved"} else "left")
    for effect in found.effects:
        table.add_row(*(plain(cell) for cell in _cells(effect)))
    console.print(table)
    for line in notes_of(found, run):
        console.print(line, markup=False)
    shown = [effect.edit for effect in found.effects if effect.shown]
    console.print(f"effects  {run.path / EFFECTS}", markup=False)
    if shown and run.config.judging.shortcuts != "run":
        console.print(
            f"next     rlaif generate {run.path} --shortcuts run   # subtracts the shown effects from all log-odds; "
            "asks nothing again",
            markup=False,
        )
    elif shown:
        console.print(f"next     rlaif generate {run.path}   # subtracts them; asks nothing again", markup=False)


def _cells(effect: Effect) -> tuple[str, ...]:
    why = effect.why_not_shown
    return (
        effect.edit,
        f"{effect.effect.prompts:,}",
        f"{effect.moved:,}",
        decimals(effect.change, "+.2f"),
        decimals(effect.effect, "+.2f"),
        UNITS[effect.edit],
        "yes" if why is None else f"no: {why}",
    )


def notes_of(found: ShortcutEffects, run: Run) -> list[str]:
    """Return remarks on how the effects are to be read."""
    notes = ["per unit: without what the edit also changed of the other features, such as the length"]
    judging = run.config.judging
    if any(effect.edit == "answer" for effect in found.effects) and judging.has_order:
        notes.append(
            "answer: in both orders, a critic that obeys `Answer: A` favours the response shown first, which cancels"
            if judging.orders == "both"
            else "answer: in one order, a critic that obeys `Answer: A` favours the response shown first"
        )
    if found.failed:
        notes.append(
            f"{found.failed} of {found.matchups} edited matchups failed and are left out; the same command asks again"
        )
    if found.unreadable:
        notes.append(
            f"{found.unreadable} of {found.matchups} edited matchups are left out, because no verdict could be read "
            "before and after the edit"
        )
    if found.prompts < FEWEST_MOVED:
        notes.append(f"an effect counts as shown from {FEWEST_MOVED} prompts on; raise --prompts or generate more")
    return notes
