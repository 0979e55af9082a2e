"""Everything in examples/ is what it is said to be: it loads, could be run, and its rules pass their own cases."""

from pathlib import Path

import pytest

from rlaif.config.run import RunConfig
from rlaif.constitution.load import load_constitution
from rlaif.datasets.prompts import read_prompts
from rlaif.train.config import CONFIGS, CaiConfig, load_config
from tests.command import commands

EXAMPLES = Path("examples")


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_a_run_file_names_prompts_and_rules_that_are_there(file: Path) -> None:
    config = RunConfig.load(file)
    config.check_usable(load_constitution(config.constitution))
    if config.prompts.path == "seed" or Path(config.prompts.path).exists():
        assert read_prompts(config.prompts).prompts


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*/rules.yaml")), ids=lambda file: file.parent.name)
def test_rules_pass_the_linter_and_their_own_cases(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = commands(monkeypatch, capsys)("constitution", "check", str(file))
    assert (said.code, said.out.count("\n")) == (0, 1), said.out


@pytest.mark.parametrize("file", sorted((EXAMPLES / "training").glob("*.yaml")), ids=lambda file: file.stem)
def test_training_settings_fit_the_training_they_are_called_after(file: Path) -> None:
    kind = CaiConfig if file.stem == "cai" else CONFIGS[file.stem]
    flags = {("data",): "x", ("model",): "m", ("out",): "o"}
    assert load_config(kind, file, flags)
