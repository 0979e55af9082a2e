"""Check one constitution: every rule over it, what is suppressed taken out, each finding with file and line.

findings = check(resolve_constitution("mine.yaml"), PromptTags.read())
"""

from collections.abc import Collection, Iterator, Mapping

from rlaif.constitution.load import ConstitutionFile, Resolved
from rlaif.lint import measured as by_measure
from rlaif.lint import use, wording
from rlaif.lint.codes import MEASURED, Severity, codes
from rlaif.lint.double_questions import two_questions
from rlaif.lint.duplicates import near_duplicates, opposites
from rlaif.lint.measure import Measurement
from rlaif.lint.subject import Hit, PromptTags, Rule, Subject
from rlaif.records import Record

RULES: Mapping[str, Rule] = {
    "C003": wording.not_english,
    "C101": near_duplicates,
    "C102": two_questions,
    "C103": wording.names_nothing_observable,
    "C104": wording.only_forbids,
    "C105": wording.asks_for_length,
    "C106": wording.does_not_choose,
    "C107": wording.points_at_the_unseen,
    "C108": wording.judges_a_mind,
    "C109": opposites,
    "C201": use.tag_nobody_carries,
    "C202": use.too_few_cases,
    "C203": use.outweighs_the_rest,
    "C204": use.gap_in_the_levels,
    "C205": use.length_tells,
    "C206": use.check_does_not_tell,
    "C301": by_measure.never_decides,
    "C302": by_measure.always_agrees,
    "C303": by_measure.always_contradicts,
    "C304": by_measure.answered_by_position,
    "C305": by_measure.not_answered,
}
"""C001 and C002 are about the suppression of these."""


class Finding(Record):
    """One thing found, and where it stands."""

    code: str
    severity: Severity
    principle: str | None
    """None when it concerns the whole constitution."""
    file: str
    """The file that is checked, or the one a principle was inherited from (a path, or a shipped name)."""
    line: int
    message: str


def check(
    resolved: Resolved,
    prompts: PromptTags,
    measured: Measurement | None = None,
    select: Collection[str] | None = None,
) -> list[Finding]:
    """Return what is found, the file's own first, by line.

    `select` holds the ids of the codes to look for, all by default; without `measured` those of C3 find nothing.
    """
    subject = Subject.of(resolved, prompts, measured)
    chosen = set(codes() if select is None else select)
    found = [(code, hit) for code, rule in RULES.items() if code in chosen for hit in rule(subject)]
    kept = [(code, hit) for code, hit in found if not _suppressed(code, hit, resolved)]
    about = [(code, hit) for code, hit in _about_suppressions(resolved, found, chosen) if code in chosen]
    findings = [_finding(code, hit, resolved) for code, hit in [*kept, *about]]
    return sorted(findings, key=lambda f: (f.file != resolved.lines.name, f.file, f.line, f.code, f.principle or ""))


def _finding(code: str, hit: Hit, resolved: Resolved) -> Finding:
    file, line = _place(hit, resolved)
    severity = "note" if hit.note else codes()[code].severity
    return Finding(code=code, severity=severity, principle=hit.principle, file=file, line=line, message=hit.message)


def _place(hit: Hit, resolved: Resolved) -> tuple[str, int]:
    """Return where the key stands that the hit is about: in this file, or in the one it is inherited from."""
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
    resolved: Resolved, found: Collection[tuple[str, Hit]], chosen: Collection[str]
) -> Iterator[tuple[str, Hit]]:
    """Yield C001 for suppressions of codes that don't exist, C002 for those that suppress nothing."""
    for code, principle in _suppressions(resolved.file):
        if code not in codes():
            yield "C001", Hit(f"ignores {code}, and there is no such code", principle, "ignore")
            continue
        idle = not any(code == other and principle in {None, hit.principle} for other, hit in found)
        if idle and code in chosen and not code.startswith(_DEPENDS):
            yield "C002", Hit(f"ignores {code}, which finds nothing here", principle, "ignore")


_DEPENDS = (MEASURED, "C201")
"""What these find depends on the run or the prompts, and another one may need the suppression."""


def _suppressions(file: ConstitutionFile) -> Iterator[tuple[str, str | None]]:
    """Yield (code, principle or None) for every suppression written in this file."""
    yield from ((code, None) for code in file.ignore)
    for principle in file.principles:
        yield from ((code, principle.id) for code in principle.ignore)
    for name, change in file.override.items():
        yield from ((code, name) for code in change.ignore or ())
