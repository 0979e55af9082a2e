"""`rlaif constitution ...` as a person sees it: what is printed, what is refused, and with which exit code."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from rlaif.constitution.load import load_constitution
from rlaif.testing import PlantedRule, SimulatedModel, SimulatedServer
from tests.command import Rlaif, commands, serving
from tests.constitution.test_load import BASE, COMPOSED, HEAD, mutated

MINE = """\
name: mine
version: 1
description: For tests.
extends: [base.yaml, {from: honesty, only: [admits-doubt]}]
weights: {short: 3}
override:
  kind: {compare: "Which answer is kinder, [b]all in all[/b]?"}
  admits-doubt: {cases: []}
principles:
  - id: brave
    group: helpful
    priority: 2
    applies_to: [courage]
    compare: Which answer is braver?
    compare_only: true
    cases:
      - {prompt: Dare I, better: "Dare (quality +2.0).", worse: "Wait (quality -2.0)."}
      - {prompt: Shall I, better: "Dare (quality +2.0).", worse: "Wait (quality -2.0)."}
"""


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("base.yaml").write_text(HEAD.format(name="base") + BASE, encoding="utf-8")
    Path("mine.yaml").write_text(MINE, encoding="utf-8")


@pytest.fixture
def rlaif(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rlaif:
    return commands(monkeypatch, capsys, "constitution")


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedServer]:
    model = SimulatedModel(scale=2.0, rules=(PlantedRule(contains="shorter", agrees=0.0),))
    with serving(SimulatedServer(model)) as running:
        yield running


# show


def test_a_file_that_extends_others_is_shown_as_written(rlaif: Rlaif) -> None:
    out = rlaif("show", "mine.yaml").out
    for line in (
        "extends base.yaml",
        "extends honesty, only admits-doubt",
        "weight of short 3",
        "override kind",
        "  compare   Which answer is kinder, [b]all in all[/b]?",
        "brave  weight 1  priority 2  group helpful  applies to courage  compare only",
        "  2 cases",
        "4 principles = 3 inherited + 1 of its own; to see all: rlaif constitution show mine.yaml --resolved",
    ):
        assert line in out.splitlines()
    assert "Say it kindly." not in out


def test_resolved_shows_everything_with_where_it_comes_from(rlaif: Rlaif) -> None:
    lines = rlaif("show", "mine.yaml", "--resolved").out.splitlines()
    heads = [n for n, line in enumerate(lines) if "  weight " in line]
    assert [lines[n].split()[0] for n in heads] == ["kind", "short", "admits-doubt", "brave"]
    assert lines[heads[0] + 1] == "  from      base.yaml:5 (changed in mine.yaml:7)"
    assert lines[heads[1] + 1] == "  from      base.yaml:9 (changed in mine.yaml:5)"
    assert lines[heads[2] + 1].startswith("  from      honesty:")
    assert lines[heads[3] + 1] == "  from      mine.yaml:10"
    assert "  revise    Say it kindly." in lines


def test_json_of_a_file_and_of_what_it_resolves_to(rlaif: Rlaif) -> None:
    stands = json.loads(rlaif("show", "mine.yaml", "--json").out)
    assert [parent["from"] for parent in stands["extends"]] == ["base.yaml", "honesty"]
    assert [principle["id"] for principle in stands["principles"]] == ["brave"]
    resolved = json.loads(rlaif("show", "mine.yaml", "--resolved", "--json").out)
    assert [principle["id"] for principle in resolved["principles"]] == ["kind", "short", "admits-doubt", "brave"]
    assert resolved["origins"]["kind"] == {"file": "base.yaml", "line": 5, "changed_in": "mine.yaml:7"}
    assert stands["hash"] == resolved["hash"] == load_constitution("mine.yaml").hash
    flat = json.loads(rlaif("show", "base.yaml", "--json").out)
    assert "extends" not in flat
    assert [principle["id"] for principle in flat["principles"]] == ["kind", "short"]


def test_the_flat_yaml_is_the_same_constitution(rlaif: Rlaif) -> None:
    Path("flat.yaml").write_text(rlaif("show", "mine.yaml", "--yaml").out, encoding="utf-8")
    assert load_constitution("flat.yaml") == load_constitution("mine.yaml")
    assert "extends" not in yaml.safe_load(Path("flat.yaml").read_text(encoding="utf-8"))
    assert rlaif("show", "mine.yaml", "--yaml", "--json").complains(2, "--yaml and --json")


# test


def test_the_cases_are_asked_and_the_results_shown(rlaif: Rlaif, server: SimulatedServer) -> None:
    result = rlaif("test", "mine.yaml", "--critic", server.url)
    lines = result.out.splitlines()
    assert result.code == 0
    (row,) = [line for line in lines if line.startswith("brave")]
    assert row.split()[:7] == ["brave", "2", "2", "0", "0", "100%", "(16–100)"]
    assert "2 cases may be right by chance" in row
    assert "2 cases = 2 right + 0 wrong + 0 neither" in lines
    assert "without cases: kind, short, admits-doubt" in lines
    assert "4 replies (0 from the reply store)" in result.err
    assert Path("runs/replies.sqlite").is_file()
    asked = server.count("judge")
    again = rlaif("test", "mine.yaml", "--critic", server.url)
    assert again.out == result.out
    assert "4 replies (4 from the reply store)" in again.err
    assert server.count("judge") == asked


def test_the_json_holds_every_case_with_its_probabilities(rlaif: Rlaif, server: SimulatedServer) -> None:
    result = rlaif("test", "mine.yaml", "--critic", server.url, "--cache", "other.sqlite", "--json")
    report = json.loads(result.out)
    assert [(r["principle"], r["number"], r["outcome"]) for r in report["results"]] == [
        ("brave", 1, "right"),
        ("brave", 2, "right"),
    ]
    assert all(r["p_better"] > 0.99 and len(r["verdicts"]) == 2 for r in report["results"])
    assert report["overall"]["accuracy"]["value"] == 1
    assert result.err == ""
    assert Path("other.sqlite").is_file()
    assert not Path("runs").exists()


def test_a_constitution_without_cases_is_one_line_and_starts_nothing(rlaif: Rlaif) -> None:
    result = rlaif("test", "base.yaml", "--critic", "no-such-model")
    assert result.complains(2, "constitution base has no cases")
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("critic", "code", "complaint"),
    [
        ("http://127.0.0.1:9/v1", 1, "http://127.0.0.1:9/v1"),
        ("http://", 2, "--critic http://: "),
        ("", 2, "--critic : "),
        ("ftp://x", 2, "is not a URL"),
    ],
)
def test_a_critic_that_cannot_be_asked_is_one_line(rlaif: Rlaif, critic: str, code: int, complaint: str) -> None:
    assert rlaif("test", "mine.yaml", "--critic", critic).complains(code, complaint)


def test_a_critic_under_another_name_is_one_line(rlaif: Rlaif, server: SimulatedServer) -> None:
    assert rlaif("test", "mine.yaml", "--critic", f"nobody@{server.url}").complains(2, "nobody", "simulated")


# diff


def test_a_difference_is_marked_word_by_word(rlaif: Rlaif) -> None:
    result = rlaif("diff", "base.yaml", "mine.yaml")
    lines = [line.rstrip() for line in result.out.splitlines()]
    assert result.code == 0
    assert "name      base → mine" in lines
    assert "  compare   Which answer is [-kinder?-] {+kinder, [b]all in all[/b]?+}" in lines
    assert "  weight    2 → 3" in lines
    assert "+ brave  weight 1  priority 2  group helpful  applies to courage  compare only" in lines
    assert any(line.startswith("2 added, 0 removed, 2 changed (1 reworded, 0 renamed), 0 unchanged;") for line in lines)


def test_the_check_of_a_removed_principle_is_shown(rlaif: Rlaif) -> None:
    Path("counted.yaml").write_text(HEAD.format(name="base") + BASE + "  - {id: brief, check: {words: {max: 80}}}\n")
    assert "  - check     words: at most 80" in rlaif("diff", "counted.yaml", "base.yaml").out


def test_no_difference_is_reported(rlaif: Rlaif) -> None:
    assert rlaif("diff", "base.yaml", "base.yaml").out.startswith("no difference: 2 principles")
    assert json.loads(rlaif("diff", "base.yaml", "base.yaml", "--json").out)["differs"] is False


def test_what_differs_in_json(rlaif: Rlaif) -> None:
    found = json.loads(rlaif("diff", "mine.yaml", "base.yaml", "--json").out)
    assert found["differs"]
    assert [principle["id"] for principle in found["gone"]] == ["admits-doubt", "brave"]
    assert {change["id"]: [c["field"] for c in change["words"]] for change in found["changed"]} == {
        "kind": ["compare"],
        "short": [],
    }


# import


def test_an_import_is_a_constitution_and_warns_of_what_is_missing(rlaif: Rlaif) -> None:
    entries = [{"critic": "Say what is rude.", "revision": "Make it polite."}] * 2
    Path("theirs.json").write_text(json.dumps({"constitutions": entries, "system_chat": []}), encoding="utf-8")
    result = rlaif("import", "theirs.json", "--name", "polite", "--out", "new/polite.yaml")
    assert (result.code, result.out) == (0, "")
    assert result.err.splitlines() == [
        "theirs.json: 1 principle (1 critique_only, 0 compare_only, 0 can rank), 1 duplicate dropped, "
        "written to new/polite.yaml",
        "! 1 principle without a comparison question cannot rank responses; to rank, add `compare:` and remove "
        "`critique_only`",
        "! left out: system_chat",
    ]
    assert load_constitution("new/polite.yaml").name == "polite"
    assert rlaif("import", "theirs.json", "--out", "new/polite.yaml").complains(2, "already exists")
    Path("piped.yaml").write_text(rlaif("import", "theirs.json").out, encoding="utf-8")
    assert load_constitution("piped.yaml").name == "theirs"


def test_a_bad_import_is_one_line_and_leaves_no_file(rlaif: Rlaif) -> None:
    Path("x.json").write_text('[{"critique": "c"}]', encoding="utf-8")
    assert rlaif("import", "x.json", "--out", "x.yaml").complains(2, "x.json: entry 1: has no revise instruction")
    assert not Path("x.yaml").exists()
    assert rlaif("import", "nosuch.json").complains(2, "nosuch.json: cannot be read")
    Path("y.json").write_text('["Which?"]', encoding="utf-8")
    assert rlaif("import", "y.json", "--out", "x.json/y.yaml").complains(2, "cannot be written: x.json already exists")


# schema, help, broken files


def test_the_schema_is_json(rlaif: Rlaif) -> None:
    assert json.loads(rlaif("schema").out)["title"] == "rlaif constitution"


@pytest.mark.parametrize("command", ["show", "test", "diff", "import", "schema"])
def test_every_command_has_help_with_an_example(rlaif: Rlaif, command: str) -> None:
    result = rlaif(command, "--help")
    assert result.code == 0
    assert "Example" in result.out
    assert f"rlaif constitution {command}" in result.out


@pytest.mark.parametrize("seed", range(6))
def test_a_broken_file_never_shows_a_traceback(tmp_path: Path, seed: int) -> None:
    Path("broken.yaml").write_bytes(mutated(COMPOSED, random.Random(seed)).encode("utf-8", "surrogatepass"))
    command = [sys.executable, "-m", "rlaif", "constitution", "show", "broken.yaml", "--resolved"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert done.returncode == 2
        assert done.stderr.startswith(("rlaif: broken.yaml:", "rlaif: base.yaml:"))
        assert len(done.stderr.splitlines()) == 1
