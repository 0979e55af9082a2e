"""`rlaif constitution list | show`."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from rlaif.cli.console import stdout_console
from rlaif.cli.options import Json
from rlaif.constitution.flat import flat_yaml
from rlaif.constitution.load import ConstitutionFile, Origin, Parent, Resolved, load_constitution, resolve_constitution
from rlaif.constitution.schema import Constitution, Principle
from rlaif.errors import UsageError
from rlaif.shipped import constitution_names


def constitution_list(json_: Json = False) -> None:
    """List the shipped constitutions."""
    list_job(as_json=json_)


def constitution_show(
    name: Annotated[str, typer.Argument(help="Shipped name or YAML file.")],
    resolved: Annotated[bool, typer.Option("--resolved", help="With all that is inherited, and where from.")] = False,
    yaml: Annotated[bool, typer.Option("--yaml", help="Written out flat, as a YAML file of its own.")] = False,
    json_: Json = False,
) -> None:
    """Show the principles of a constitution.

    A file that extends others is shown as it stands; --resolved shows what comes of it, each principle with the file
    and line it comes from and where it was changed.

    \b
    Examples:
      rlaif constitution show honesty
      rlaif constitution show mine.yaml --resolved
      rlaif constitution show mine.yaml --yaml > flat.yaml
    """
    show_job(name, resolved=resolved, as_yaml=yaml, as_json=json_)


def list_job(*, as_json: bool) -> None:
    """Print the shipped constitutions."""
    found = [load_constitution(name) for name in constitution_names()]
    if as_json:
        print(json.dumps([facts(constitution) for constitution in found], ensure_ascii=False))
        return
    for constitution in found:
        head = f"{constitution.name:24} v{constitution.version}  {len(constitution.principles):2} principles"
        print(f"{head}  {constitution.description}")


def facts(constitution: Constitution) -> dict[str, object]:
    """Return what identifies a constitution, for --json."""
    return {
        "name": constitution.name,
        "version": constitution.version,
        "description": constitution.description,
        "principles": len(constitution.principles),
        "hash": constitution.hash,
    }


PARTS = ("why", "critique", "revise", "compare")


def show_job(name: str, *, resolved: bool, as_yaml: bool, as_json: bool) -> None:
    """Print one constitution; where it extends others, what stands in the file, or all of it with `resolved`."""
    if as_yaml and as_json:
        raise UsageError("--yaml and --json are two ways to print it; choose one")
    found = resolve_constitution(name)
    if as_yaml:
        print(flat_yaml(found.constitution, remark=f"{name}, written out flat ({found.constitution.hash})"), end="")
    elif as_json:
        print(json.dumps(_as_json(found, resolved=resolved), ensure_ascii=False))
    elif resolved or not found.file.extends:
        _print_constitution(found.constitution, found.origins if resolved else {}, stdout_console())
    else:
        _print_file(name, found, stdout_console())


def _as_json(found: Resolved, *, resolved: bool) -> dict[str, Any]:
    known = facts(found.constitution)
    if resolved:
        origins = {name: vars(origin) for name, origin in found.origins.items()}
        return known | found.constitution.model_dump(mode="json") | {"origins": origins}
    if found.file.extends:
        return known | found.file.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return known | found.constitution.model_dump(mode="json")


def _print_constitution(constitution: Constitution, origins: Mapping[str, Origin], console: Console) -> None:
    _print_head(constitution, constitution.hash, console)
    for principle in constitution.principles:
        _print_principle(principle, origins.get(principle.id), console)


def _print_file(name: str, found: Resolved, console: Console) -> None:
    """Print a file that extends others as it stands, and how to see the rest."""
    file = found.file
    _print_head(file, found.constitution.hash, console)
    for parent in file.extends:
        console.print(f"extends {_parent(parent)}", markup=False)
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
        f"\n{total} principles = {total - own} inherited + {own} its own; all of them: "
        f"rlaif constitution show {name} --resolved",
        markup=False,
    )


def _parent(parent: Parent) -> str:
    only = f", only {', '.join(parent.only)}" if parent.only else ""
    return parent.from_ + only + (f", without {', '.join(parent.drop)}" if parent.drop else "")


def _print_head(head: Constitution | ConstitutionFile, content_hash: str, console: Console) -> None:
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
    if principle.check is not None:
        console.print(f"  check     {principle.check}", markup=False)
    counts = {"worked example": len(principle.examples), "case": len(principle.cases)}
    held = [f"{count} {what}{'s' if count > 1 else ''}" for what, count in counts.items() if count]
    if held:
        console.print(f"  {', '.join(held)}", style="dim", markup=False)


def settings(principle: Principle) -> str:
    """Return weight, level and use of a principle in one line."""
    facts_ = [f"weight {principle.weight:g}"]
    if principle.priority != 1:
        facts_.append(f"priority {principle.priority}")
    if principle.group:
        facts_.append(f"group {principle.group}")
    if principle.applies_to:
        facts_.append(f"applies to {', '.join(principle.applies_to)}")
    facts_ += [flag.replace("_", " ") for flag in ("critique_only", "compare_only") if getattr(principle, flag)]
    if principle.check is not None:
        facts_.append("decided by a program")
    return "  ".join(facts_)
