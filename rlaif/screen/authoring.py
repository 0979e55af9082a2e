"""`rlaif constitution diff | import | schema`: what a person who writes constitutions sees."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from rlaif.authoring.diff import ConstitutionDiff, FieldChange, ListChange, PrincipleChange, compare_constitutions
from rlaif.authoring.imports import Imported, import_constitution
from rlaif.authoring.schema import constitution_schema
from rlaif.composition import load_constitution
from rlaif.constitution import Principle
from rlaif.errors import StorageError, UsageError
from rlaif.screen import SafeConsole, counted, stdout_console
from rlaif.screen.show import PARTS, settings
from rlaif.screen.trace import marked_difference


def diff_job(before: str, after: str, *, as_json: bool) -> None:
    """Print how one constitution differs from another."""
    diff = compare_constitutions(load_constitution(before), load_constitution(after))
    if as_json:
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


def import_job(file: Path, name: str | None, out: Path | None) -> None:
    """Turn somebody's JSON into a constitution; YAML to stdout or a file, what was done to stderr."""
    if out is not None and out.exists():
        raise UsageError(f"{out} is there already; name another --out")
    imported = import_constitution(file, name)
    if out is None:
        print(imported.yaml, end="")
    else:
        _write(out, imported.yaml)
    console = SafeConsole(stderr=True, highlight=False, soft_wrap=True)
    console.print(_what_was_done(file, imported, out), markup=False)
    for warning in _warnings(imported):
        console.print(f"! {warning}", style="yellow", markup=False)


def schema_job() -> None:
    """Print the JSON Schema of a constitution file."""
    print(json.dumps(constitution_schema(), indent=2, ensure_ascii=False))


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
    if principle.check is not None:
        console.print(f"  {sign} {'check':9} {principle.check}", style=colour, markup=False)


def _print_change(change: PrincipleChange, console: Console) -> None:
    renamed = f"  (was {change.was})" if change.was else ""
    console.print(Text(f"\n~ {change.id}", style="bold cyan").append(renamed, "not bold"))
    for field in (*change.settings, *change.words):
        _print_field(field, "  ", console)
    for entries in change.lists:
        console.print(f"  {_list_change(entries)}", markup=False)


def _list_change(change: ListChange) -> str:
    what = f"{change.added} added, {change.gone} gone" if change.added or change.gone else "in another order"
    return f"{change.field:9} {change.before} → {change.after} ({what})"


def _counted(diff: ConstitutionDiff) -> str:
    renamed = sum(change.was is not None for change in diff.changed)
    reworded = sum(bool(change.words) for change in diff.changed)
    parts = [
        f"{len(diff.added)} added, {len(diff.gone)} gone, {len(diff.changed)} changed "
        f"({reworded} reworded, {renamed} renamed), {diff.same} the same",
        *(["in another order"] if diff.moved else []),
        f"{diff.before_hash} → {diff.after_hash}" if diff.before_hash != diff.after_hash else "the same hash",
    ]
    return ";  ".join(parts)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} cannot be made: something stands in its place") from None
    except OSError as error:
        if path.is_file():  # it was not there before, and half of it must not stand in the way of the next try
            path.unlink()
        raise StorageError(f"{path}: cannot be written: {error.strerror}") from None


def _what_was_done(file: Path, imported: Imported, out: Path | None) -> str:
    principles, ranking = imported.constitution.principles, imported.constitution.comparing
    counts = f"{imported.critique_only} critique_only, {imported.compare_only} compare_only, {len(ranking)} can rank"
    duplicates = f", {counted(imported.duplicates, 'duplicate')} dropped" if imported.duplicates else ""
    where = f", written to {out}" if out else ""
    return f"{file}: {counted(len(principles), 'principle')} ({counts}){duplicates}{where}"


def _warnings(imported: Imported) -> list[str]:
    found = []
    if imported.critique_only:
        found.append(
            f"{counted(imported.critique_only, 'principle')} without a comparison question can't rank answers; "
            "where it should, write a `compare` and take `critique_only` away"
        )
    if imported.no_question:
        comparisons = counted(imported.no_question, "comparison")
        found.append(f"{comparisons} that neither ask nor tell to choose; a judge needs a question")
    if imported.ignored:
        found.append(f"left out: {', '.join(imported.ignored)}")
    return found
