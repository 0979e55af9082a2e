"""`rlaif constitution ...`: list, show, check."""

import json
import sys

from rich.text import Text

from rlaif.composition import load_constitution
from rlaif.constitution import Constitution
from rlaif.errors import ConfigError, RlaifError
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


def check_job(names: list[str], *, as_json: bool) -> None:
    """Check files; exit with 2 when one of them is not a constitution."""
    results = []
    for name in names:
        try:
            constitution = load_constitution(name)
            results.append({"file": name, "ok": True, **_facts(constitution)})
        except RlaifError as error:
            results.append({"file": name, "ok": False, "error": str(error)})
    if as_json:
        print(json.dumps(results, ensure_ascii=False))
    for result in results if not as_json else []:
        if result["ok"]:
            print(f"{result['file']}: ok, {result['principles']} principles, hash {result['hash']}")
        else:
            print(f"rlaif: {result['error']}", file=sys.stderr)
    if not all(result["ok"] for result in results):
        raise SystemExit(ConfigError.exit_code)


def _facts(constitution: Constitution) -> dict[str, object]:
    return {
        "name": constitution.name,
        "version": constitution.version,
        "description": constitution.description,
        "principles": len(constitution.principles),
        "hash": constitution.hash,
    }
