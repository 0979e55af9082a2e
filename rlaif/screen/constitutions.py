"""`rlaif constitution list`, and what identifies a constitution wherever one is printed."""

import json

from rlaif.composition import load_constitution
from rlaif.constitution import Constitution
from rlaif.shipped import constitution_names


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
