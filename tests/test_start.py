"""Every command of docs/start.md runs as it stands, and what its table names is there."""

import re
import shlex
from pathlib import Path

import pytest

from tests.command import commands

PAGE = Path("docs/start.md")
TEXT = PAGE.read_text(encoding="utf-8")
COMMANDS = [
    line for block in re.findall(r"```bash\n(.*?)```", TEXT, re.S) for line in block.replace("\\\n", " ").splitlines()
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_runs_and_makes_pairs(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name, *arguments = shlex.split(command)
    assert name == "rlaif"
    before = sorted(Path().iterdir())
    said = commands(monkeypatch, capsys)(*arguments)
    assert said.code == 0, said.err
    pairs = re.search(r"(\d+) with a pair", said.out)
    assert pairs
    assert int(pairs[1]) > 0
    assert sorted(Path().iterdir()) == before


def test_each_way_of_the_table_has_a_command() -> None:
    ways = re.findall(r"\]\(#([a-z-]+)\)", TEXT)
    sections = [title.lower().replace(" ", "-") for title in re.findall(r"^## (.+)$", TEXT, re.M)]
    assert len(ways) == len(COMMANDS) >= 3
    assert set(ways) == set(sections)
