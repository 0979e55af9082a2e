"""Where a finding stands, what suppresses it, and whose business an inherited principle is."""

from pathlib import Path

import pytest

from rlaif.constitution.load import resolve_constitution
from rlaif.errors import UsageError
from rlaif.lint.codes import codes, find_code, select_codes
from rlaif.lint.findings import lint
from rlaif.lint.subject import PromptTags

TAGS = PromptTags("my.jsonl", 3, frozenset(), given=True)
BASE = """\
name: base
version: 1
description: d
principles:
  - id: vague
    critique: Point out what is bad.
    revise: Put it right.
    compare: >-
      Which answer is
      better?
  - id: named
    compare: Which answer names more of its sources?
    compare_only: true
"""
HEIR = "name: heir\nversion: 1\ndescription: d\nextends: base.yaml\n"


def findings(folder: Path, text: str, select: str = "C0,C1,C203") -> list[tuple[str, str | None, str, int]]:
    """Return (code, principle, file name, line) of what is found in a file beside base.yaml."""
    (folder / "base.yaml").write_text(BASE, encoding="utf-8")
    file = folder / "t.yaml"
    file.write_text(text, encoding="utf-8")
    chosen = select_codes(select.split(","), measured=False)
    return [
        (finding.code, finding.principle, Path(finding.file).name, finding.line)
        for finding in lint(resolve_constitution(file), TAGS, select=chosen)
    ]


def test_a_finding_has_the_line_of_its_key(tmp_path: Path) -> None:
    assert findings(tmp_path, BASE) == [("C103", "vague", "t.yaml", 8)]


def test_wording_is_checked_in_the_file_that_contains_it(tmp_path: Path) -> None:
    assert findings(tmp_path, HEIR) == []


def test_reworded_principles_are_checked_in_the_file_that_rewords_them(tmp_path: Path) -> None:
    text = HEIR + "override:\n  named:\n    why: w\n    compare: Which answer is good?\n"
    assert findings(tmp_path, text) == [("C103", "named", "t.yaml", 8)]


def test_a_principle_that_repeats_an_inherited_one_is_reported_at_its_own_line(tmp_path: Path) -> None:
    text = HEIR + "principles:\n- id: mine\n  compare: Which answer names more sources?\n  compare_only: true\n"
    assert findings(tmp_path, text) == [("C101", "mine", "t.yaml", 7)]


def test_two_inherited_duplicates_are_reported_at_the_later_one(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(BASE.replace("id: named", "id: sourced").replace("id: vague", "id: v"))
    text = HEIR.replace("base.yaml", "[base.yaml, {from: other.yaml, only: [sourced]}]")
    assert findings(tmp_path, text) == [("C101", "sourced", "other.yaml", 11)]


def test_a_weight_is_reported_where_it_was_changed(tmp_path: Path) -> None:
    text = HEIR + (
        "weights:\n  named: 9\nprinciples:\n- id: mine\n  compare: Which answer reaches the point sooner?\n"
        "  compare_only: true\n"
    )
    assert findings(tmp_path, text) == [("C203", "named", "t.yaml", 6)]


@pytest.mark.parametrize(
    "text",
    [
        BASE.replace("description: d\n", "description: d\nignore: [C103]\n"),
        BASE.replace("- id: vague\n", "- id: vague\n    ignore: [C103]\n"),
    ],
)
def test_a_suppressed_finding_is_not_reported(tmp_path: Path, text: str) -> None:
    assert findings(tmp_path, text) == []


def test_a_suppression_at_another_principle_suppresses_nothing_and_is_reported(tmp_path: Path) -> None:
    text = BASE.replace("- id: named\n", "- id: named\n    ignore: [C103]\n")
    assert findings(tmp_path, text) == [("C103", "vague", "t.yaml", 8), ("C002", "named", "t.yaml", 12)]


def test_a_suppression_of_a_code_that_was_not_looked_for_is_left_alone(tmp_path: Path) -> None:
    text = BASE.replace("description: d\n", "description: d\nignore: [C204]\n")
    assert findings(tmp_path, text, "C0,C103") == [("C103", "vague", "t.yaml", 9)]


def test_a_suppression_in_an_override_counts(tmp_path: Path) -> None:
    text = HEIR + 'override: {named: {compare: "Which answer is good?", ignore: [C103]}}\n'
    assert findings(tmp_path, text) == []


def test_an_unknown_code_is_reported_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match="no code 'C1O2'; did you mean C102"):
        find_code("C1O2")
    assert find_code("c102").id == "C102"


def test_select_takes_codes_and_families() -> None:
    assert select_codes(["C101", "C2"], measured=False) == ["C101", *(code for code in codes() if code[1] == "2")]
    assert not any(code.startswith("C3") for code in select_codes([], measured=False))
    assert select_codes([], measured=True) == list(codes())


@pytest.mark.parametrize(
    ("prefix", "complaint"), [("X", "no code begins with this"), ("C301", "needs a finished run; give one with --run")]
)
def test_select_refuses_what_would_find_nothing(prefix: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        select_codes([prefix], measured=False)
