"""What `rlaif constitution check` and `explain` print, and how they end."""

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rlaif.cli.main import main
from rlaif.compare.comparing import compare_async
from rlaif.compare.config import compare_config
from rlaif.generation import generate_async
from rlaif.lint.codes import codes
from rlaif.testing import SimulatedServer
from tests.conftest import CONSTITUTION, MakeConfig

CLEAN = """\
name: clean
version: 1
description: d
principles:
  - id: names-risks
    compare: Which answer names more of the risks that the task really has?
    compare_only: true
    applies_to: [medicine]
"""
Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def rlaif(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Say:
    """Return a function that runs `rlaif constitution …` in a folder with two files: (exit code, out, err)."""
    monkeypatch.chdir(tmp_path)
    Path("testing.yaml").write_text(CONSTITUTION.lstrip(), encoding="utf-8")
    Path("clean.yaml").write_text(CLEAN, encoding="utf-8")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rlaif", "constitution", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


def test_a_finding_is_one_line_with_file_line_code_and_principle(rlaif: Say) -> None:
    code, out, err = rlaif("check", "testing.yaml", "--select", "C1")
    assert (code, err) == (1, "")
    assert out.splitlines()[0] == (
        'testing.yaml:13: C105 short: this question can be answered by counting words ("words")'
    )
    assert out.splitlines()[1].startswith("testing.yaml: 1 warning, 2 principles, 0 cases, hash ")
    assert out.splitlines()[2] == "to see what a code means: rlaif constitution explain C105"


def test_notes_alone_are_not_a_failure(rlaif: Say) -> None:
    code, out, _ = rlaif("check", "clean.yaml")
    assert code == 0
    assert "clean.yaml:4: C202 [note] 1 of 1 principles" in out
    assert "clean.yaml: 1 note, 1 principle, " in out


def test_nothing_found_is_ok_and_names_the_prompts_the_tags_were_compared_with(rlaif: Say) -> None:
    code, out, _ = rlaif("check", "clean.yaml", "--select", "C1,C201")
    assert code == 0
    assert out.startswith("clean.yaml: ok, 1 principle, 0 cases, hash ")
    assert out.endswith("tags compared with 240 prompts of the project's seed prompts\n")


def test_tags_are_compared_with_the_given_prompts(rlaif: Say) -> None:
    Path("p.jsonl").write_text('{"prompt": "a", "tags": ["medicin"]}\n', encoding="utf-8")
    code, out, _ = rlaif("check", "clean.yaml", "--prompts", "p.jsonl", "--select", "C201")
    assert code == 1
    assert out.splitlines()[0] == (
        "clean.yaml:8: C201 names-risks: none of the 1 prompts of p.jsonl has the tag medicine (so it is never used); "
        "did you mean medicin?"
    )


def test_a_file_that_is_not_a_constitution_outranks_warnings(rlaif: Say) -> None:
    Path("broken.yaml").write_text("name: x\n", encoding="utf-8")
    code, out, err = rlaif("check", "testing.yaml", "broken.yaml")
    assert code == 2
    assert "C105" in out
    assert err.startswith("rlaif: broken.yaml:1: ")


def test_json_is_one_list_with_the_findings_of_every_file(rlaif: Say) -> None:
    code, out, _ = rlaif("check", "testing.yaml", "nosuch", "clean.yaml", "--json")
    assert code == 2
    testing, nosuch, clean = json.loads(out)
    assert (testing["ok"], testing["name"], testing["principles"]) == (True, "testing", 2)
    assert {
        "code": "C105",
        "severity": "warning",
        "principle": "short",
        "file": "testing.yaml",
        "line": 13,
        "message": 'this question can be answered by counting words ("words")',
    } in testing["findings"]
    assert (nosuch["ok"], nosuch["file"]) == (False, "nosuch")
    assert "no constitution" in nosuch["error"]
    assert [finding["code"] for finding in clean["findings"]] == ["C202"]
    assert clean["measured"] is None


def test_a_run_adds_what_was_measured(rlaif: Say, make_config: MakeConfig) -> None:
    async def finish() -> str:
        async with SimulatedServer() as server:
            return str((await generate_async(make_config(server, 80, revision={"rounds": 0}))).path)

    run = asyncio.run(finish())
    code, out, _ = rlaif("check", "testing.yaml", "--run", run, "--select", "C3")
    assert code == 1
    assert 'C302 short: names the same winner as "kind" in 100.0% of 80 matchups' in out
    assert f"measured on 80 matchups of 80 prompts of {run}" in out
    code, out, err = rlaif("check", "clean.yaml", "--run", run)
    assert (code, out) == (2, "")
    assert err.startswith(f'rlaif: {run} was made without principle "names-risks"')


def test_a_comparison_is_measured_by_the_run_whose_rules_have_that_name(rlaif: Say, make_config: MakeConfig) -> None:
    async def finish() -> str:
        async with SimulatedServer() as server:
            settings = make_config(server, 4, out="runs/both", revision={"rounds": 0})
            return str(
                (await compare_async(compare_config(["minimal", "testing.yaml"], settings, "runs/both", 0))).path
            )

    path = asyncio.run(finish())
    code, out, _ = rlaif("check", "testing.yaml", "--run", path, "--select", "C3")
    assert code == 0
    assert f"measured on 4 matchups of 4 prompts of {path}/runs/testing" in out
    code, _, err = rlaif("check", "clean.yaml", "--run", path)
    assert code == 2
    assert "the comparison has no run with this constitution, only with minimal, testing" in err


def test_too_few_prompts_are_reported(rlaif: Say, make_config: MakeConfig) -> None:
    async def finish() -> str:
        async with SimulatedServer() as server:
            return str((await generate_async(make_config(server, 3, revision={"rounds": 0}))).path)

    code, out, _ = rlaif("check", "testing.yaml", "--run", asyncio.run(finish()), "--select", "C3")
    assert code == 0
    assert "too few to report `never` or `always` for a principle, which needs 72 prompts" in out


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--select", "C9"), "--select C9: no code begins with this"),
        (("--select", "C304"), "--select C304: this code needs a finished run; give one with --run"),
        (("--run", "nosuch"), "nosuch: no such folder"),
        (("--prompts", "nosuch.jsonl"), "nosuch.jsonl: no such file"),
    ],
)
def test_what_cannot_be_checked_is_reported_in_one_line(rlaif: Say, arguments: tuple[str, ...], complaint: str) -> None:
    code, out, err = rlaif("check", "clean.yaml", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("rlaif: ")
    assert complaint in err
    assert err.count("\n") == 1


def test_explain_lists_all_codes_or_explains_one(rlaif: Say) -> None:
    code, out, _ = rlaif("explain")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(codes())
    code, out, _ = rlaif("explain", "c102")
    assert out.startswith("C102 two questions in one (warning)\n")
    assert "Why: " in out
    assert "Bad:\n  - id: kind-and-short" in out


def test_explain_as_json_and_of_an_unknown_code(rlaif: Say) -> None:
    assert [each["id"] for each in json.loads(rlaif("explain", "--json")[1])] == list(codes())
    assert json.loads(rlaif("explain", "C205", "--json")[1])["severity"] == "warning"
    code, _, err = rlaif("explain", "C999")
    assert code == 2
    assert err.startswith("rlaif: no code 'C999'; `rlaif constitution explain` lists them")
