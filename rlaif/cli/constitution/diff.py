"""`rlaif constitution diff`: how one constitution differs from another."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from rlaif.cli.console import stdout_console
from rlaif.cli.constitution.show import PARTS, settings
from rlaif.cli.options import Json
from rlaif.cli.trace import marked_difference
from rlaif.constitution.diff import ConstitutionDiff, FieldChange, PrincipleChange, compare_constitutions
from rlaif.constitution.load import load_constitution
from rlaif.constitution.schema import Principle
from rlaif.text.wording import counted


def constitution_diff(
    before: Annotated[str, typer.Argument(help="Shipped name or YAML file.")],
    after: Annotated[str, typer.Argument(help="Shipped name or YAML file.")],
    json_: Json = False,
) -> None:
    """Show how one constitution differs from another, inherited principles included. Always exits with 0.

    Removed words are marked [-like this-], added ones {+like this+}.

    \b
    Examples:
      rlaif constitution diff honesty mine.yaml
      rlaif constitution diff old.yaml new.yaml --json
    """
    diff = compare_constitutions(load_constitution(before), load_constitution(after))
    if json_:
        print(json.dumps({"differs": diff.differs} | diff.model_dump(mode="json"), ensure_ascii=False))
        return
    console = stdout_console()
    if not diff.differs:
        console.print(f"no difference: {counted(diff.same, 'principle')}, {diff.after_hash}", markup=False)
        return
    for field in diff.head:
        _print_field(field, "", console)
    for principle in diff.gone:
        _print_whole(principle, "-", "red", console)
    for principle in diff.added:
        _print_whole(principle, "+", "green", console)
    for change in diff.changed:
        _print_change(change, console)
    console.print(f"\n{_counted(diff)}", style="bold", markup=False)


def _print_field(change: FieldChange, indent: str, console: Console) -> None:
    label = Text(f"{indent}{change.field:9} ")
    if isinstance(change.before, str) and isinstance(change.after, str) and " " in change.before + change.after:
        console.print(label.append(marked_difference(change.before, change.after, least=0.0)))
    else:
        console.print(label.append(f"{_short(change.before)} → {_short(change.after)}"))


def _short(value: Any) -> str:  # noqa: ANN401  (whatever a field holds)
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else "none" if value in (None, "") else str(value)


def _print_whole(principle: Principle, sign: str, colour: str, console: Console) -> None:
    console.print(
        Text(f"\n{sign} {principle.id}", style=f"bold {colour}").append(f"  {settings(principle)}", "not bold")
    )
    for label in PARTS:
        if text := getattr(principle, label):
            console.print(f"  {sign} {label:9} {text}", style=colour, markup=False)


def _print_change(change: PrincipleChange, console: Console) -> None:
    renamed = f"  (was {change.was})" if change.was else ""
    console.print(Text(f"\n~ {change.id}", style="bold cyan").append(renamed, "not bold"))
    for field in (*change.settings, *change.words):
        _print_field(field, "  ", console)
    for entries in change.lists:
        what = f"{entries.added} added, {entries.gone} removed" if entries.added or entries.gone else "in another order"
        console.print(f"  {entries.field:9} {entries.before} → {entries.after} ({what})", markup=False)


def _counted(diff: ConstitutionDiff) -> str:
    renamed = sum(change.was is not None for change in diff.changed)
    reworded = sum(bool(change.words) for change in diff.changed)
    parts = [
        f"{len(diff.added)} added, {len(diff.gone)} removed, {len(diff.changed)} changed "
        f"({reworded} reworded, {renamed} renamed), {diff.same} unchanged",
        *(["in another order"] if diff.moved else []),
        f"{diff.before_hash} → {diff.after_hash}" if diff.before_hash != diff.after_hash else "the same hash",
    ]
    return ";  ".join(parts)
