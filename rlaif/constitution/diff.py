"""The difference of two constitutions: principles added, removed, renamed and changed.

Input: two resolved constitutions. A principle that is reworded *and* renamed counts as one removed and one added.
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
    """Numbers of added and removed worked examples or cases; a changed one counts as both."""

    field: str
    before: int
    """Number of entries."""
    after: int
    added: int
    gone: int


class PrincipleChange(Record):
    """The differences of a principle that both constitutions have."""

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
    """The differences of two constitutions."""

    before_hash: str
    after_hash: str
    """Equal to `before_hash` where only cases and lint settings differ."""
    head: tuple[FieldChange, ...]
    added: tuple[Principle, ...]
    gone: tuple[Principle, ...]
    changed: tuple[PrincipleChange, ...]
    same: int
    """Number of principles in which nothing differs."""
    moved: bool
    """Whether the common principles are in a different order."""

    @property
    def differs(self) -> bool:
        """Whether anything differs."""
        return bool(self.head or self.added or self.gone or self.changed or self.moved)


def compare_constitutions(before: Constitution, after: Constitution) -> ConstitutionDiff:
    """Return the differences, in the order of `after` (removed principles: of `before`)."""
    pairs = _paired(before.principles, after.principles)
    old_ids, new_ids = {old.id for old, _ in pairs}, {new.id for _, new in pairs}
    changes = [_principle_change(old, new) for old, new in pairs]
    return ConstitutionDiff(
        before_hash=before.hash,
        after_hash=after.hash,
        head=_fields(before, after, HEAD),
        added=tuple(p for p in after.principles if p.id not in new_ids),
        gone=tuple(p for p in before.principles if p.id not in old_ids),
        changed=tuple(change for change in changes if change.differs),
        same=sum(not change.differs for change in changes),
        moved=[old.id for old, _ in pairs] != [p.id for p in before.principles if p.id in old_ids],
    )


def _paired(before: Sequence[Principle], after: Sequence[Principle]) -> list[tuple[Principle, Principle]]:
    """Return pairs (before, after) of principles with the same id, then of those with the same texts."""
    by_id = {principle.id: principle for principle in before}
    ids = {principle.id for principle in after}
    unpaired = [principle for principle in before if principle.id not in ids]
    pairs = []
    for principle in after:
        partner = by_id.get(principle.id) or next((p for p in unpaired if _texts(p) == _texts(principle)), None)
        if partner is not None:
            pairs.append((partner, principle))
            unpaired = [p for p in unpaired if p is not partner]
    return pairs


def _texts(principle: Principle) -> tuple[str | None, ...]:
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
