"""`rlaif constitution list | show`: the shipped constitutions, and the principles of one."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from rlaif.cli.console import stdout_console
from rlaif.cli.options import Json
from rlaif.constitution.load import Origin, Resolved, flat_yaml, load_constitution, resolve_constitution
from rlaif.constitution.schema import Constitution, Head, Principle
from rlaif.errors import UsageError
from rlaif.shipped import constitution_names
from rlaif.text.wording import counted


def constitution_list(json_: Json = False) -> None:
    """List the shipped constitutions."""
    shipped = [load_constitution(name) for name in constitution_names()]
    if json_:
        print(json.dumps([facts(constitution) for constitution in shipped], ensure_ascii=False))
        return
    for constitution in shipped:
        head = f"{constitution.name:24} v{constitution.version}  {len(constitution.principles):2} principles"
        print(f"{head}  {constitution.description}")


def constitution_show(
    name: Annotated[str, typer.Argument(help="Shipped name or YAML file.")],
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Include inherited principles, and where each comes from.")
    ] = False,
    yaml: Annotated[bool, typer.Option("--yaml", help="Print it as one YAML file without `extends`.")] = False,
    json_: Json = False,
) -> None:
    """Show the principles of a constitution.

    A file that extends others is shown as written; --resolved adds what it inherits, each principle with the file and
    line it comes from and where it was changed.

    \b
    Examples:
      rlaif constitution show honesty
      rlaif constitution show mine.yaml --resolved
      rlaif constitution show mine.yaml --yaml > flat.yaml
    """
    if yaml and json_:
        raise UsageError("--yaml and --json cannot be combined; choose one")
    found = resolve_constitution(name)
    if yaml:
        print(flat_yaml(found.constitution, f"{name}, written out flat ({found.constitution.hash})"), end="")
    elif json_:
        print(json.dumps(_as_json(found, resolved=resolved), ensure_ascii=False))
    elif resolved or not found.file.extends:
        console = stdout_console()
        _print_head(found.constitution, found.constitution.hash, console)
        for principle in found.constitution.principles:
            _print_principle(principle, found.origins[principle.id] if resolved else None, console)
    else:
        _print_file(name, found, stdout_console())


def facts(constitution: Constitution) -> dict[str, object]:
    """Return name, version, description, number of principles and hash of a constitution."""
    return {
        "name": constitution.name,
        "version": constitution.version,
        "description": constitution.description,
        "principles": len(constitution.principles),
        "hash": constitution.hash,
    }


PARTS = ("why", "critique", "revise", "compare", "check")


def _as_json(found: Resolved, *, resolved: bool) -> dict[str, Any]:
    known = facts(found.constitution)
    if found.file.extends and not resolved:
        return known | found.file.model_dump(mode="json", by_alias=True, exclude_unset=True)
    origins = {"origins": {name: vars(origin) for name, origin in found.origins.items()}} if resolved else {}
    return known | found.constitution.model_dump(mode="json") | origins


def _print_file(name: str, found: Resolved, console: Console) -> None:
    """Print a file that extends others as written, and the command that shows the inherited principles."""
    file = found.file
    _print_head(file, found.constitution.hash, console)
    for parent in file.extends:
        only = f", only {', '.join(parent.only)}" if parent.only else ""
        without = f", without {', '.join(parent.drop)}" if parent.drop else ""
        console.print(f"extends {parent.from_}{only}{without}", markup=False)
    if file.drop:
        console.print(f"drop {', '.join(file.drop)}", markup=False)
    for inherited, weight in file.weights.items():
        console.print(f"weight of {inherited} {weight:g}", markup=False)
    for inherited, changes in file.override.items():
        console.print(Text(f"\noverride {inherited}", style="bold cyan"))
        for field, value in changes.model_dump(mode="json", exclude_unset=True).items():
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            console.print(f"  {field:9} {shown}", markup=False)
    for principle in file.principles:
        _print_principle(principle, None, console)
    total, own = len(found.constitution.principles), len(file.principles)
    console.print(
        f"\n{total} principles = {total - own} inherited + {own} of its own; to see all: "
        f"rlaif constitution show {name} --resolved",
        markup=False,
    )


def _print_head(head: Head, content_hash: str, console: Console) -> None:
    console.print(Text(f"{head.name} v{head.version}  {content_hash}", style="bold"))
    console.print(head.description, markup=False)
    for work in head.after:
        console.print(f"  after {work}", style="dim", markup=False)


def _print_principle(principle: Principle, origin: Origin | None, console: Console) -> None:
    console.print(Text(f"\n{principle.id}", style="bold cyan").append(f"  {settings(principle)}", style="not bold"))
    if origin is not None:
        console.print(f"  from      {origin}", style="dim", markup=False)
    for label in PARTS:
        if text := getattr(principle, label):
            console.print(f"  {label:9} {text}", markup=False)
    lists = {"worked example": principle.examples, "case": principle.cases}
    if counts := [counted(len(entries), what) for what, entries in lists.items() if entries]:
        console.print(f"  {', '.join(counts)}", style="dim", markup=False)


def settings(principle: Principle) -> str:
    """Return weight, priority, group, tags and use of a principle in one line."""
    shown = {
        f"weight {principle.weight:g}": True,
        f"priority {principle.priority}": principle.priority != 1,
        f"group {principle.group}": principle.group,
        f"applies to {', '.join(principle.applies_to)}": principle.applies_to,
        "critique only": principle.critique_only,
        "compare only": principle.compare_only,
        "decided by a program": principle.check,
    }
    return "  ".join(text for text, given in shown.items() if given)
