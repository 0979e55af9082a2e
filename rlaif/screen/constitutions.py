"""`rlaif constitution ...`: list, show."""

import json

from rich.text import Text

from rlaif.composition import load_constitution
from rlaif.constitution import Constitution
from rlaif.screen import stdout_console
from rlaif.shipped import constitution_names


def list_job(*, as_json: bool) -> None:
    """Print the shipped constitutions."""
    found = [load_constitution(name) for name in constitution_names()]
    if as_json:
        print(json.dumps([_facts(constitution) for constitution in found], ensure_ascii=False))
        return
    for constitution in found:
        head = f"{constitution.name:24} v{constitution.version}  {len(constitution.principles):2} principles"
        print(f"{head}  {constitution.description}")


def show_job(name: str, *, as_json: bool) -> None:
    """Print one constitution."""
    constitution = load_constitution(name)
    if as_json:
        print(json.dumps(_facts(constitution) | constitution.model_dump(mode="json"), ensure_ascii=False))
        return
    console = stdout_console()
    console.print(Text(f"{constitution.name} v{constitution.version}  {constitution.hash}", style="bold"))
    console.print(constitution.description, markup=False)
    for work in constitution.after:
        console.print(f"  after {work}", style="dim", markup=False)
    for principle in constitution.principles:
        console.print(
            Text(f"\n{principle.id}", style="bold cyan").append(f"  weight {principle.weight:g}", style="not bold")
        )
        for label in ("why", "critique", "revise", "compare"):
            if text := getattr(principle, label):
                console.print(f"  {label:9} {text}", markup=False)
        if principle.examples:
            console.print(f"  {len(principle.examples)} worked example(s)", style="dim", markup=False)


def _facts(constitution: Constitution) -> dict[str, object]:
    return {
        "name": constitution.name,
        "version": constitution.version,
        "description": constitution.description,
        "principles": len(constitution.principles),
        "hash": constitution.hash,
    }
