"""From principles as others publish them (JSON) to a constitution of ours.

Shapes that are understood: a list, or a dict of names, of entries with a critique and a revision instruction (the
Constitutional AI paper's `prompt` and `edit_request`, `critic` and `revision`, LangChain's `critique_request` and
`revision_request`), perhaps with a comparison; and of plain texts, which are taken as comparison questions. The list
may stand under a key such as `constitutions` or `principles`. Words are taken as they are, without the frames
("CritiqueRequest:", "Options:") of the prompts they were cut from. What is not understood is an error, never left out.
"""

import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rlaif.constitution.flat import flat_yaml, from_flat
from rlaif.constitution.published_shapes import read_drafts
from rlaif.constitution.schema import Constitution
from rlaif.errors import ConfigError
from rlaif.records import Record
from rlaif.yaml_file import explain_validation

_ASKS = re.compile(r"\?|\b(which|choose|select|pick|prefer|compare|indicate)\b", re.I)


class Imported(Record):
    """A constitution made from somebody else's file, and what was done on the way."""

    constitution: Constitution
    yaml: str
    """The same as text; it was read back and is equal."""
    duplicates: int
    """Entries whose words stood there before."""
    ignored: tuple[str, ...]
    """Keys beside the principles that were left out, such as `system_chat`."""
    no_question: int
    """Comparisons that neither ask nor tell to choose, so that a judge may not know what to do with them."""

    @property
    def critique_only(self) -> int:
        """Principles that can't rank."""
        return sum(principle.critique_only for principle in self.constitution.principles)

    @property
    def compare_only(self) -> int:
        """Principles that can't criticise or revise."""
        return sum(principle.compare_only for principle in self.constitution.principles)


def import_constitution(path: Path, name: str | None = None) -> Imported:
    """Read a JSON file of principles. Raises ConfigError that says what was found instead."""
    drafts, ignored = read_drafts(path)
    kept, seen = [], set()
    for draft in drafts:
        words = tuple(draft.get(part) for part in ("critique", "revise", "compare"))
        if words not in seen:
            kept.append(draft)
        seen.add(words)
    content = {
        "name": _slug(name or path.stem) or "imported",
        "version": 1,
        "description": f"Imported from {path.name!r}.",
        "principles": [draft | {"id": given} for draft, given in zip(kept, _ids(kept), strict=True)],
    }
    try:
        constitution = Constitution.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{path}: {explain_validation(error, Constitution)}") from None
    text = flat_yaml(constitution, remark=_remark(path, constitution))
    if from_flat(text, "the imported file") != constitution:
        raise ConfigError(f"{path}: holds text that YAML cannot write down")
    return Imported(
        constitution=constitution,
        yaml=text,
        duplicates=len(drafts) - len(kept),
        ignored=tuple(ignored),
        no_question=sum(not p.critique_only and not _ASKS.search(p.compare or "") for p in constitution.principles),
    )


def _ids(drafts: list[dict[str, Any]]) -> list[str]:
    """Return one id for each: made from its name, or `imported-N`; a number tells equal ones apart."""
    taken: dict[str, None] = {}
    for number, draft in enumerate(drafts, start=1):
        wanted = _slug(draft["id"] or "") or f"imported-{number}"
        attempt, candidate = 1, wanted
        while candidate in taken:
            attempt += 1
            candidate = f"{wanted[:56].rstrip('-')}-{attempt}"
        taken[candidate] = None
    return list(taken)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:64].rstrip("-")


def _remark(path: Path, constitution: Constitution) -> str:
    lines = [f"Imported from {path.name!r}; the words are its authors', and so is the licence."]
    if any(principle.critique_only for principle in constitution.principles):
        lines.append(
            "Principles marked critique_only can't rank: give them a `compare` question and take the mark away."
        )
    return "\n".join(lines)
