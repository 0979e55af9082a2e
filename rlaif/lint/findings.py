"""Lint one constitution: apply every rule, drop suppressed findings, and give each finding a file and line.

findings = lint(resolve_constitution("mine.yaml"), PromptTags.read())
"""

from collections.abc import Collection, Iterator

from rlaif.constitution.load import ConstitutionFile, Resolved
from rlaif.lint import measured as measured_rules  # noqa: F401  (its rules register themselves)
from rlaif.lint import use, wording  # noqa: F401
from rlaif.lint.codes import MEASURED, RULES, Hit, Severity, codes
from rlaif.lint.subject import Measurement, PromptTags, Subject
from rlaif.records import Record


class Finding(Record):
    """One fault, with file and line."""

    code: str
    severity: Severity
    principle: str | None
    """None when it concerns the whole constitution."""
    file: str
    """The file that is linted, or the one from which the principle is inherited (a path, or a shipped name)."""
    line: int
    message: str


def lint(
    resolved: Resolved,
    prompts: PromptTags,
    measured: Measurement | None = None,
    select: Collection[str] | None = None,
) -> list[Finding]:
    """Return the findings by line, those in the file itself first.

    `select` limits the codes, all by default; without `measured` the codes C3 find nothing.
    """
    subject = Subject.of(resolved, prompts, measured)
    chosen = set(codes() if select is None else select)
    hits = [(code, hit) for code, rule in RULES.items() if code in chosen for hit in rule(subject)]
    reported = [(code, hit) for code, hit in hits if not _suppressed(code, hit, resolved)]
    reported += [(code, hit) for code, hit in _about_suppressions(resolved, hits, chosen) if code in chosen]
    findings = [_finding(code, hit, resolved) for code, hit in reported]
    return sorted(findings, key=lambda f: (f.file != resolved.lines.name, f.file, f.line, f.code, f.principle or ""))


def _finding(code: str, hit: Hit, resolved: Resolved) -> Finding:
    file, line = _place(hit, resolved)
    severity = "note" if hit.note else codes()[code].severity
    return Finding(code=code, severity=severity, principle=hit.principle, file=file, line=line, message=hit.message)


def _place(hit: Hit, resolved: Resolved) -> tuple[str, int]:
    """Return (file, line) of the key that a hit concerns, in this file or in the one that it is inherited from."""
    file, lines = resolved.file, resolved.lines
    name, part = hit.principle, hit.part
    within = () if hit.case is None else (hit.case,)
    if name is None:
        return lines.name, lines.line(part or "principles")
    change = file.override.get(name)
    if part == "weight" and name in file.weights:
        return lines.name, lines.line("weights", name)
    if change is not None and part in change.model_fields_set:
        return lines.name, lines.line("override", name, part or "", *within)
    for place, principle in enumerate(file.principles):
        if principle.id == name:
            return lines.name, lines.line("principles", place, part or "id", *within)
    return resolved.origins[name].file, resolved.origins[name].line


def _suppressed(code: str, hit: Hit, resolved: Resolved) -> bool:
    rules = resolved.constitution
    return code in rules.ignore or (hit.principle is not None and code in rules.principle(hit.principle).ignore)


def _about_suppressions(
    resolved: Resolved, hits: Collection[tuple[str, Hit]], chosen: Collection[str]
) -> Iterator[tuple[str, Hit]]:
    """Yield C001 for suppressions of codes that don't exist, C002 for those that suppress nothing."""
    for code, principle in _suppressions(resolved.file):
        if code not in codes():
            yield "C001", Hit(f"ignores {code}, but there is no such code", principle, "ignore")
            continue
        unused = not any(code == other and principle in {None, hit.principle} for other, hit in hits)
        if unused and code in chosen and not code.startswith(_DEPENDS):
            yield "C002", Hit(f"ignores {code}, which finds nothing here", principle, "ignore")


_DEPENDS = (MEASURED, "C201")
"""Codes whose findings depend on the run or the prompts: with others, the suppression may be needed."""


def _suppressions(file: ConstitutionFile) -> Iterator[tuple[str, str | None]]:
    """Yield (code, principle or None) for every suppression written in this file."""
    yield from ((code, None) for code in file.ignore)
    for principle in file.principles:
        yield from ((code, principle.id) for code in principle.ignore)
    for name, change in file.override.items():
        yield from ((code, name) for code in change.ignore or ())
