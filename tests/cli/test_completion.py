"""A shell's completion, as bash asks for it."""

import sys

import pytest

from tests.command import commands


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("rlaif ge", {"generate"}),
        ("rlaif evaluate p", {"policy"}),
        ("rlaif constitution show ho", {"honesty"}),
        ("rlaif generate --constitution h", {"harmlessness", "helpful-honest-harmless", "honesty"}),
        ("rlaif compare minimal di", {"directness"}),
        ("rlaif generate --min-m", {"--min-margin"}),
    ],
)
def test_commands_options_and_shipped_constitutions_are_completed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str, completed: set[str]
) -> None:
    monkeypatch.setenv("_RLAIF_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    assert set(commands(monkeypatch, capsys)().out.split()) == completed


def test_completing_a_command_imports_no_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name == "rlaif.cli.doctor"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv("_RLAIF_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "rlaif ")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert {"generate", "doctor"} <= set(commands(monkeypatch, capsys)().out.split())
    assert "rlaif.cli.doctor" not in sys.modules
