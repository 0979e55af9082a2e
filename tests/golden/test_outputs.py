"""What the program makes of fixed replies is what it was: summaries, rows of every format, cards, figures.

Where a difference is meant: `python -m tests.golden.outputs record`, and say in the commit what changed.
"""

from pathlib import Path

import pytest

from tests.golden.outputs import NAMES, compare


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_fixed_replies_give_the_same_outputs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])  # run files name other files from there
    assert [line[:500] for line in compare(name, tmp_path)] == []
