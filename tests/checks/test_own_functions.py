"""A constitution cannot run code on what a model writes: the user allows each function."""

import json
from pathlib import Path

import pytest

from rlaif.checks import Check, allow, run_check
from rlaif.errors import ConfigError
from rlaif.records import Message, Prompt
from tests.command import Rlaif, commands

RULES = """name: theirs
version: 1
description: Somebody else's rules.
principles:
  - {id: theirs, check: {python: "ENTRY"}}
"""
ATTACK = "open('executed', 'w').close()"
CODE = "open('imported', 'w').close()\nfrom os import system\ndef even(text, prompt): return len(text) % 2 == 0\n"


@pytest.fixture
def rlaif(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rlaif:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return commands(monkeypatch, capsys)


def module_with(name: str, entry: str) -> str:
    """Write a module of this name, and rules that call its function; return the full name."""
    Path(f"{name}.py").write_text(CODE, encoding="utf-8")
    Path("rules.yaml").write_text(RULES.replace("ENTRY", f"{name}:{entry}"), encoding="utf-8")
    return f"{name}:{entry}"


@pytest.mark.parametrize("entry", ["cProfile:run", "os:system", "builtins:eval", "xml.sax:parse"])
def test_no_response_becomes_an_argument_of_the_standard_library(
    entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RLAIF_ALLOW_PYTHON", entry)
    prompt = Prompt(id="p", messages=(Message(role="user", content="Q?"),))
    with pytest.raises(ConfigError, match="standard library"):
        run_check(Check(python=entry), ATTACK, prompt)
    with pytest.raises(ConfigError, match="standard library"):
        allow([entry])
    assert not Path("executed").exists()


def test_a_function_of_the_standard_library_under_another_name_is_refused(
    rlaif: Rlaif, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLAIF_ALLOW_PYTHON", module_with("renamed", "system"))
    run = rlaif(
        "generate", "--constitution", "rules.yaml", "--prompts", "seed", "--limit", "2", "--rounds", "0", "--dry-run"
    )
    assert run.complains(2, "standard library")


def test_nothing_is_imported_before_the_user_allows_it(rlaif: Rlaif) -> None:
    entry = module_with("theirs_1", "even")
    Path("p.jsonl").write_text(json.dumps({"prompt": "Q?", "checks": [{"python": entry}]}) + "\n", encoding="utf-8")
    asked = ("--prompts", "p.jsonl", "--rounds", "0", "--dry-run")
    written = ("--prompts", "p.jsonl", "--rounds", "0", "--policy", "http://127.0.0.1:9/v1", "--out", "run")
    assert rlaif("generate", "--constitution", "rules.yaml", *written).complains(2, f"--allow-python {entry}")
    templates = ("--set", "templates=nowhere")
    assert rlaif("generate", "--constitution", "minimal", *written, *templates).complains(2, "no such folder")
    assert not Path("run").exists()
    assert rlaif("generate", "--constitution", "rules.yaml", *asked).complains(2, f"--allow-python {entry}")
    assert rlaif("generate", "--constitution", "minimal", *asked).complains(2, f"--allow-python {entry}")
    checked = rlaif("constitution", "check", "rules.yaml")
    assert checked.code == 1
    assert "C207" in checked.out
    assert f"calls {entry} on every response" in checked.out
    assert not Path("imported").exists()


def test_an_allowed_function_decides_and_is_named_before_the_run(rlaif: Rlaif) -> None:
    entry = module_with("mine_1", "even")
    Path("p.jsonl").write_text("".join(json.dumps({"prompt": f"Q{n}?"}) + "\n" for n in range(6)), encoding="utf-8")
    asked = ("--prompts", "p.jsonl", "--rounds", "0", "--dry-run", "--allow-python", entry)
    run = rlaif("generate", "--constitution", "rules.yaml", *asked)
    assert run.code == 0
    assert f"checks call {entry} on every response" in run.err + run.out
    assert "decided by checks alone" in run.out
    assert Path("imported").exists()
