"""The difference of two constitutions: principles added, removed, renamed, and what changed in the others.

Input: two resolved constitutions. A principle that is reworded *and* renamed counts as removed and added.
"""

from collections.abc import Sequence
from typing import Any

from rlaif.constitution.schema import Constitution, Principle
from rlaif.records import Record

WORDS = ("why", "critique", "revise", "compare")
SETTINGS = ("weight", "priority", "group", "applies_to", "tags", "critique_only", "compare_only", "check", "ignore")
LISTS = ("examples", "cases")
HEAD = ("name", "version", "description", "after", "ignore")


class FieldChange(Record):
    """One field whose value differs."""

    field: str
    before: Any
    after: Any


class ListChange(Record):
    """Worked examples or cases that were added or removed; a changed one counts as both."""

    field: str
    before: int
    """Number of entries."""
    after: int
    added: int
    gone: int


class PrincipleChange(Record):
    """A principle that both constitutions have, and what differs."""

    id: str
    was: str | None = None
    """Its former id, where it was renamed."""
    words: tuple[FieldChange, ...] = ()
    settings: tuple[FieldChange, ...] = ()
    lists: tuple[ListChange, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether anything differs."""
        return bool(self.was or self.words or self.settings or self.lists)


class ConstitutionDiff(Record):
    """How one constitution differs from another."""

    before_hash: str
    after_hash: str
    """Equal where only cases and lint settings differ."""
    head: tuple[FieldChange, ...]
    added: tuple[Principle, ...]
    gone: tuple[Principle, ...]
    changed: tuple[PrincipleChange, ...]
    same: int
    """Number of principles in which nothing differs."""
    moved: bool
    """Whether the common principles are in another order."""

    @property
    def differs(self) -> bool:
        """Whether anything differs."""
        return bool(self.head or self.added or self.gone or self.changed or self.moved)


def compare_constitutions(before: Constitution, after: Constitution) -> ConstitutionDiff:
    """Return what differs, in the order of `after` (removed principles: of `before`)."""
    pairs = _paired(before.principles, after.principles)
    old, new = {one.id for one, _ in pairs}, {other.id for _, other in pairs}
    changes = [_principle_change(one, other) for one, other in pairs]
    return ConstitutionDiff(
        before_hash=before.hash,
        after_hash=after.hash,
        head=_fields(before, after, HEAD),
        added=tuple(p for p in after.principles if p.id not in new),
        gone=tuple(p for p in before.principles if p.id not in old),
        changed=tuple(change for change in changes if change.differs),
        same=sum(not change.differs for change in changes),
        moved=[one.id for one, _ in pairs] != [p.id for p in before.principles if p.id in old],
    )


def _paired(before: Sequence[Principle], after: Sequence[Principle]) -> list[tuple[Principle, Principle]]:
    """Pair principles by their ids, then the remaining ones by their instructions and question."""
    by_id = {principle.id: principle for principle in before}
    ids = {principle.id for principle in after}
    alone = [principle for principle in before if principle.id not in ids]
    pairs = []
    for principle in after:
        partner = by_id.get(principle.id) or next((p for p in alone if _asks(p) == _asks(principle)), None)
        if partner is not None:
            pairs.append((partner, principle))
            alone = [p for p in alone if p is not partner]
    return pairs


def _asks(principle: Principle) -> tuple[str | None, ...]:
    return (principle.critique, principle.revise, principle.decides_by or None)


def _principle_change(before: Principle, after: Principle) -> PrincipleChange:
    return PrincipleChange(
        id=after.id,
        was=before.id if before.id != after.id else None,
        words=_fields(before, after, WORDS),
        settings=_fields(before, after, SETTINGS),
        lists=tuple(
            ListChange(
                field=field,
                before=len(old),
                after=len(new),
                added=sum(entry not in old for entry in new),
                gone=sum(entry not in new for entry in old),
            )
            for field in LISTS
            if (old := getattr(before, field)) != (new := getattr(after, field))
        ),
    )


def _fields(before: Record, after: Record, fields: Sequence[str]) -> tuple[FieldChange, ...]:
    changes = (FieldChange(field=field, before=getattr(before, field), after=getattr(after, field)) for field in fields)
    return tuple(change for change in changes if change.before != change.after)
