"""The linter's codes: their explanations, read from codes.yaml beside this file, and the register of their rules.

C0: the linting itself. C1: wording. C2: use. C3: measurements of a finished run.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from rlaif.constitution.schema import LintCode, Text
from rlaif.errors import UsageError
from rlaif.lint.subject import Subject
from rlaif.records import Record
from rlaif.yaml_file import read_yaml

Severity = Literal["warning", "note"]

MEASURED = "C3"
"""Prefix of the codes that need a finished run."""


class Code(Record):
    """The explanation of one code."""

    id: LintCode
    title: Text
    severity: Severity
    """A `warning` makes `rlaif constitution check` fail; a `note` does not."""
    what: Text
    """The exact condition for a finding."""
    why: Text
    fix: Text = Field(serialization_alias="mend")
    bad: str = ""
    """YAML of principles, one of which has the fault."""
    good: str = ""
    """YAML of similar principles without the fault."""


class _Codes(Record):
    codes: tuple[Code, ...]


@cache
def codes() -> Mapping[str, Code]:
    """Return all codes by id, in order."""
    file = read_yaml(Path(__file__).with_name("codes.yaml"), _Codes)
    return {code.id: code for code in file.codes}


def find_code(code_id: str) -> Code:
    """Return one code. Raises UsageError with the most similar one."""
    code = codes().get(code_id.upper())
    if code is None:
        near = difflib.get_close_matches(code_id.upper(), codes(), n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(f"no code {code_id!r}; {hint}`rlaif constitution explain` lists them")
    return code


def select_codes(prefixes: list[str], *, measured: bool) -> list[str]:
    """Return the ids of the codes that begin with one of the prefixes; all when there are none.

    Raises UsageError for a prefix of no code, and for a measured code without a run.
    """
    for prefix in prefixes:
        if not any(code.startswith(prefix) for code in codes()):
            raise UsageError(f"--select {prefix}: no code begins with this; `rlaif constitution explain` lists them")
        if prefix.startswith(MEASURED) and not measured:
            raise UsageError(f"--select {prefix}: this code needs a finished run; give one with --run")
    chosen = [code for code in codes() if not prefixes or code.startswith(tuple(prefixes))]
    return [code for code in chosen if measured or not code.startswith(MEASURED)]


@dataclass(frozen=True)
class Hit:
    """One finding of a rule, without file and line."""

    message: str
    principle: str | None = None
    """Id of the principle; None when it concerns the whole constitution."""
    part: str | None = None
    """Key in the file that it concerns; determines the line."""
    note: bool = False
    """Report it as a note, regardless of the severity of its code."""
    case: int | None = None
    """Index of the case that it concerns; `part` is then `cases`."""


Rule = Callable[[Subject], Iterator[Hit]]

RULES: dict[str, Rule] = {}
"""Rules by code. C001 and C002, about suppressions, are not here: they depend on the findings of these."""


def rule(code: str) -> Callable[[Rule], Rule]:
    """Register a function as the rule that finds a code; codes.yaml explains the code."""

    def register(function: Rule) -> Rule:
        RULES[code] = function
        return function

    return register
