"""`rlaif constitution check | explain`: the linter's findings, and what their codes mean."""

import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from rlaif.cli.console import visible
from rlaif.cli.constitution.show import facts
from rlaif.cli.options import Json
from rlaif.compare.directory import read_settings
from rlaif.constitution.load import resolve_constitution
from rlaif.constitution.schema import Constitution
from rlaif.errors import ConfigError, RlaifError
from rlaif.lint.codes import Code, codes, find_code, select_codes
from rlaif.lint.findings import Finding, lint
from rlaif.lint.subject import ENOUGH_FOR_ALWAYS, Measurement, PromptTags
from rlaif.records import Trace
from rlaif.runs.directory import COMPARISON, TRACES
from rlaif.runs.reader import Run
from rlaif.runs.store import TraceReader
from rlaif.text.wording import counted


def constitution_check(
    files: Annotated[list[str], typer.Argument(help="Shipped names or YAML files.")],
    run: Annotated[
        str | None, typer.Option(help="Run or comparison directory: adds findings that it measured on each principle.")
    ] = None,
    prompts: Annotated[
        str | None, typer.Option(help="Prompts to compare tags with; by default the run's, else the seed prompts.")
    ] = None,
    select: Annotated[str | None, typer.Option(help="Report only these codes or prefixes, such as C1,C203.")] = None,
    json_: Json = False,
) -> None:
    """Validate constitution files and lint them: wording, use, and with --run what a run measured.

    Every finding has a file, a line and a code. `ignore: [C104]` at the top of a file or at a principle
    suppresses a code.

    Exit codes: 0 nothing found, or only notes; 1 warnings; 2 a file is not a constitution, or its questions differ
    from the run's.

    \b
    Examples:
      rlaif constitution check mine.yaml harmlessness
      rlaif constitution check mine.yaml --run runs/first
      rlaif constitution check mine.yaml --prompts my.jsonl --select C1,C201 --json
    """
    finished = _runs(Path(run)) if run else []
    prefixes = [part.strip().upper() for part in (select or "").split(",") if part.strip()]
    chosen = select_codes(prefixes, measured=bool(finished))
    tags = _prompt_tags(prompts, finished[0] if finished else None)
    results = [_checked(name, finished, tags, chosen) for name in files]
    if json_:
        print(json.dumps([_facts(result, tags) for result in results], ensure_ascii=False))
    else:
        _print(results, tags)
    if any(result.error for result in results):
        raise SystemExit(ConfigError.exit_code)
    if any(finding.severity == "warning" for result in results for finding in result.findings):
        raise SystemExit(1)


def constitution_explain(
    code: Annotated[str | None, typer.Argument(help="A code, such as C102; without it, all codes are listed.")] = None,
    json_: Json = False,
) -> None:
    """Explain a code of `rlaif constitution check`: what is reported, why, and how to fix it.

    \b
    Examples:
      rlaif constitution explain
      rlaif constitution explain C102
    """
    found = list(codes().values()) if code is None else [find_code(code)]
    if json_:
        known = [each.model_dump(mode="json", by_alias=True) for each in found]
        print(json.dumps(known if code is None else known[0], ensure_ascii=False))
    elif code is None:
        print("\n".join(f"{each.id}  {each.severity:7}  {each.title}" for each in found))
    else:
        print(_explanation(found[0]))


@dataclass(frozen=True)
class Checked:
    """The result for one file."""

    file: str
    error: str | None = None
    """Why it is not a constitution, or cannot be compared with the run; None where it is valid."""
    constitution: Constitution | None = None
    findings: tuple[Finding, ...] = ()
    measured: Measurement | None = None


def _prompt_tags(path: str | None, run: Run | None) -> PromptTags:
    """Return the tags of the prompts of --prompts, or of the run, or of the project's seed prompts."""
    if path is not None or run is None:
        return PromptTags.read(path)
    with TraceReader(run.path / TRACES, Trace) as reader:
        return PromptTags.of(list(reader.prompts()), str(run.path))


def _runs(path: Path) -> list[Run]:
    """Return the run of a directory, or the runs of a comparison."""
    if (path / COMPARISON).is_file():
        return [Run(rules.run) for rules in read_settings(path).rule_sets]
    return [Run(path)]


def _run_of(constitution: Constitution, runs: list[Run]) -> Run | None:
    """Return the run that measured a constitution; of a comparison's runs, the one whose constitution has its name."""
    if len(runs) < 2:
        return runs[0] if runs else None
    found = next((run for run in runs if run.constitution.name == constitution.name), None)
    if found is None:
        names = ", ".join(run.constitution.name for run in runs)
        raise ConfigError(
            f"{constitution.name}: the comparison has no run with this constitution, only with {names}; give the run's "
            "own directory with --run"
        )
    return found


def _checked(name: str, runs: list[Run], tags: PromptTags, chosen: list[str]) -> Checked:
    try:
        resolved = resolve_constitution(name)
        run = _run_of(resolved.constitution, runs)
        measured = Measurement.of(run, resolved.constitution) if run else None
        findings = lint(resolved, tags, measured, chosen)
    except RlaifError as error:
        return Checked(name, str(error))
    return Checked(name, None, resolved.constitution, tuple(findings), measured)


def _print(results: list[Checked], tags: PromptTags) -> None:
    for result in results:
        for found in result.findings:
            note = " [note]" if found.severity == "note" else ""
            who = f" {found.principle}:" if found.principle else ""
            print(visible(f"{found.file}:{found.line}: {found.code}{note}{who} {found.message}"))
        if result.constitution is not None:
            print(visible(f"{result.file}: {_summary(result, result.constitution, tags)}"))
    if reported := {finding.code for result in results for finding in result.findings}:
        print(f"to see what a code means: rlaif constitution explain {min(reported)}")
    for result in results:
        if result.error:
            print(f"rlaif: {visible(result.error)}", file=sys.stderr)


def _summary(result: Checked, constitution: Constitution, tags: PromptTags) -> str:
    found = Counter(finding.severity for finding in result.findings)
    counts = [counted(found[each], each) for each in ("warning", "note") if found[each]]
    cases = sum(len(principle.cases) for principle in constitution.principles)
    parts = [", ".join(counts) or "ok", counted(len(constitution.principles), "principle"), counted(cases, "case")]
    parts.append(f"hash {constitution.hash}")
    if any(principle.applies_to for principle in constitution.principles):
        parts.append(f"tags compared with {tags.prompts} prompts of {tags.source}")
    if measured := result.measured:
        parts.append(
            f"measured on {counted(measured.matchups, 'matchup')} of {counted(measured.prompts, 'prompt')} of "
            f"{measured.run}"
        )
        if measured.prompts < ENOUGH_FOR_ALWAYS:
            parts.append(
                f"too few to report `never` or `always` for a principle, which needs {ENOUGH_FOR_ALWAYS} prompts"
            )
    return ", ".join(parts)


def _facts(result: Checked, tags: PromptTags) -> dict[str, Any]:
    if result.constitution is None:
        return {"file": result.file, "ok": False, "error": result.error}
    constitution, measured = result.constitution, result.measured
    return {
        "file": result.file,
        "ok": True,
        **facts(constitution),
        "findings": [finding.model_dump(mode="json") for finding in result.findings],
        "tags_of": {"source": tags.source, "prompts": tags.prompts, "given": tags.given},
        "measured": measured and {"run": measured.run, "prompts": measured.prompts, "matchups": measured.matchups},
    }


def _explanation(code: Code) -> str:
    lines = [f"{code.id} {code.title} ({code.severity})", "", code.what]
    lines += ["", f"Why: {code.why}", "", f"Fix: {code.fix}"]
    for word, example in (("Bad:", code.bad), ("Good:", code.good)):
        if example:
            lines += ["", word, *(f"  {line}" for line in example.splitlines())]
    return "\n".join(lines)
