"""`rlaif constitution check | explain`: what the linter found, and what its codes mean."""

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from rlaif.cli.console import visible
from rlaif.cli.options import Json
from rlaif.compare.job import read_settings
from rlaif.constitution.load import resolve_constitution
from rlaif.constitution.schema import Constitution
from rlaif.errors import ConfigError, RlaifError
from rlaif.lint.check import Finding, check
from rlaif.lint.codes import Code, codes, find_code, select_codes
from rlaif.lint.measure import ENOUGH_FOR_ALWAYS, Measurement
from rlaif.lint.subject import PromptTags
from rlaif.records import Trace
from rlaif.runs.directory import COMPARISON, TRACES
from rlaif.runs.reader import Run
from rlaif.runs.store import TraceReader
from rlaif.text.wording import counted


def constitution_check(
    files: Annotated[list[str], typer.Argument(help="Shipped names or YAML files.")],
    run: Annotated[str | None, typer.Option(help="A run directory: adds what was measured of each principle.")] = None,
    prompts: Annotated[
        str | None, typer.Option(help="Prompts whose tags count; the run's by default, else the seed prompts.")
    ] = None,
    select: Annotated[str | None, typer.Option(help="Only these codes, or those that begin so: C1,C203.")] = None,
    json_: Json = False,
) -> None:
    """Check that files are constitutions, and lint them: wording, use, and with --run what was measured.

    Every finding comes with file, line and a code. `ignore: [C104]` at the top of a file or at a principle
    suppresses one.

    Exit codes: 0 nothing found, or notes only; 1 warnings; 2 a file is not a constitution, or was not what the run
    was made with.

    \b
    Examples:
      rlaif constitution check mine.yaml harmlessness
      rlaif constitution check mine.yaml --run runs/first
      rlaif constitution check mine.yaml --prompts my.jsonl --select C1,C201 --json
    """
    check_job(files, run=run, prompts=prompts, select=select, as_json=json_)


def constitution_explain(
    code: Annotated[str | None, typer.Argument(help="Such as C102; all codes in a list when left out.")] = None,
    json_: Json = False,
) -> None:
    """Explain a code of `rlaif constitution check`: what is reported, why, and how to mend it.

    \b
    Examples:
      rlaif constitution explain
      rlaif constitution explain C102
    """
    explain_job(code, as_json=json_)


@dataclass(frozen=True)
class Checked:
    """One file, and what became of it."""

    file: str
    error: str | None = None
    """Why it is no constitution, or can't be held against the run; None when it is and can."""
    constitution: Constitution | None = None
    findings: tuple[Finding, ...] = ()
    measured: Measurement | None = None


def check_job(names: list[str], *, run: str | None, prompts: str | None, select: str | None, as_json: bool) -> None:
    """Check files; exit with 2 when one of them is not a constitution, with 1 when one has warnings."""
    finished = _runs(Path(run)) if run else []
    prefixes = [part.strip().upper() for part in (select or "").split(",") if part.strip()]
    chosen = select_codes(prefixes, measured=bool(finished))
    tags = _prompt_tags(prompts, finished[0] if finished else None)
    results = [_checked(name, finished, tags, chosen) for name in names]
    if as_json:
        print(json.dumps([_facts(result, tags) for result in results], ensure_ascii=False))
    else:
        _print(results, tags)
    if any(result.error for result in results):
        raise SystemExit(ConfigError.exit_code)
    if any(finding.severity == "warning" for result in results for finding in result.findings):
        raise SystemExit(1)


def explain_job(code_id: str | None, *, as_json: bool) -> None:
    """Print what a code means, or the list of all codes."""
    if code_id is None:
        found = list(codes().values())
        shown = "\n".join(f"{code.id}  {code.severity:7}  {code.title}" for code in found)
    else:
        found = [find_code(code_id)]
        shown = _explanation(found[0])
    if as_json:
        facts = [code.model_dump(mode="json") for code in found]
        print(json.dumps(facts if code_id is None else facts[0], ensure_ascii=False))
    else:
        print(shown)


def _prompt_tags(path: str | None, run: Run | None) -> PromptTags:
    """Return the tags of the prompts a person named, else of the run, else of the project's seed prompts."""
    if path is not None or run is None:
        return PromptTags.read(path)
    with TraceReader(run.path / TRACES, Trace) as reader:
        return PromptTags.of(reader.prompts(), str(run.path))


def _runs(path: Path) -> list[Run]:
    """Return the run of a directory, or the runs of a comparison."""
    if (path / COMPARISON).is_file():
        return [Run(rules.run) for rules in read_settings(path).rule_sets]
    return [Run(path)]


def _run_of(constitution: Constitution, runs: list[Run]) -> Run | None:
    """Return the run to measure a constitution by: of a comparison's, the one made with rules of that name."""
    if len(runs) < 2:
        return runs[0] if runs else None
    found = next((run for run in runs if run.constitution.name == constitution.name), None)
    if found is None:
        names = ", ".join(run.constitution.name for run in runs)
        raise ConfigError(
            f"{constitution.name}: the comparison has no run of this name, only of {names}; name one with --run"
        )
    return found


def _checked(name: str, runs: list[Run], tags: PromptTags, chosen: list[str]) -> Checked:
    try:
        resolved = resolve_constitution(name)
        run = _run_of(resolved.constitution, runs)
        measured = Measurement.of(run, resolved.constitution) if run else None
        findings = check(resolved, tags, measured, chosen)
    except RlaifError as error:
        return Checked(name, str(error))
    return Checked(name, None, resolved.constitution, tuple(findings), measured)


def _print(results: list[Checked], tags: PromptTags) -> None:
    for result in results:
        for finding in result.findings:
            print(visible(_line(finding)))
        if result.constitution is not None:
            print(visible(f"{result.file}: {_summary(result, result.constitution, tags)}"))
    met = sorted({finding.code for result in results for finding in result.findings})
    if met:
        print(f"what a code means: rlaif constitution explain {met[0]}")
    for result in results:
        if result.error:
            print(f"rlaif: {visible(result.error)}", file=sys.stderr)


def _line(finding: Finding) -> str:
    note = " [note]" if finding.severity == "note" else ""
    who = f" {finding.principle}:" if finding.principle else ""
    return f"{finding.file}:{finding.line}: {finding.code}{note}{who} {finding.message}"


def _summary(result: Checked, constitution: Constitution, tags: PromptTags) -> str:
    found = Counter(finding.severity for finding in result.findings)
    counts = [counted(found[each], each) for each in ("warning", "note") if found[each]]
    cases = sum(len(principle.cases) for principle in constitution.principles)
    told = [", ".join(counts) or "ok", counted(len(constitution.principles), "principle"), counted(cases, "case")]
    told.append(f"hash {constitution.hash}")
    if any(principle.applies_to for principle in constitution.principles):
        told.append(f"tags held against {tags.prompts} prompts of {tags.source}")
    if measured := result.measured:
        told.append(
            f"measured on {counted(measured.matchups, 'matchup')} of {counted(measured.prompts, 'prompt')} of "
            f"{measured.run}"
        )
        if measured.prompts < ENOUGH_FOR_ALWAYS:
            told.append(f"too few to say `never` or `always` of a principle: that takes {ENOUGH_FOR_ALWAYS} prompts")
    return ", ".join(told)


def _facts(result: Checked, tags: PromptTags) -> dict[str, Any]:
    if result.constitution is None:
        return {"file": result.file, "ok": False, "error": result.error}
    constitution, measured = result.constitution, result.measured
    return {
        "file": result.file,
        "ok": True,
        "name": constitution.name,
        "version": constitution.version,
        "description": constitution.description,
        "principles": len(constitution.principles),
        "hash": constitution.hash,
        "findings": [finding.model_dump(mode="json") for finding in result.findings],
        "tags_of": {"source": tags.source, "prompts": tags.prompts, "given": tags.given},
        "measured": measured and {"run": measured.run, "prompts": measured.prompts, "matchups": measured.matchups},
    }


def _explanation(code: Code) -> str:
    told = [
        f"{code.id} {code.title} ({code.severity})",
        "",
        code.what,
        "",
        f"Why: {code.why}",
        "",
        f"Mend: {code.mend}",
    ]
    for word, example in (("Bad:", code.bad), ("Good:", code.good)):
        if example:
            told += ["", word, *(f"  {line}" for line in example.splitlines())]
    return "\n".join(told)
