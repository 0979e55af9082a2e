"""A recalibrator from judged items to its file and back."""

import re
from pathlib import Path

import pytest

from rlaif.config.judging import JudgingConfig
from rlaif.errors import ConfigError
from rlaif.evaluate.judge_files import recalibrator_of, save_recalibrator
from rlaif.preferences.recalibration import FittedOn
from rlaif.runs.calibrate import load_recalibrator
from rlaif.testing.server import SimulatedModel
from tests.evaluate.test_judge_evaluation import evaluated, gold_file

pytestmark = pytest.mark.slow

SOURCE = FittedOn(
    gold="g", gold_hash="h", critic="c", constitution="t", constitution_hash="x", asked=JudgingConfig().asked()
)


@pytest.mark.parametrize("kind", ["temperature", "isotonic"])
async def test_a_critic_is_recalibrated_by_what_a_run_could_read(tmp_path: Path, kind: str) -> None:
    file = gold_file(tmp_path, n=500, gap=1.0)
    found, judged = await evaluated(tmp_path, SimulatedModel(noise=2.0, scale=3.0, ties=0.1), gold=file)
    report = found.critics[0]
    recalibrator = recalibrator_of(kind, judged, SOURCE)  # type: ignore[arg-type]
    assert recalibrator.items == 500
    assert recalibrator.fitted_on == SOURCE
    if kind == "temperature":
        assert recalibrator.slope == pytest.approx(report.recalibration.slope.value, abs=1e-4)
    path = tmp_path / "folder" / "recalibration.json"
    save_recalibrator(path, recalibrator)
    assert load_recalibrator(path) == recalibrator


async def test_items_that_a_run_cannot_read_say_nothing_about_the_temperature(tmp_path: Path) -> None:
    file = gold_file(tmp_path, n=300, gap=1.0)
    _, judged = await evaluated(tmp_path, SimulatedModel(noise=2.0, unreadable=0.2), gold=file)
    unreadable = sum(one.outcome == "unreadable" for one in judged)
    assert unreadable > 50
    assert recalibrator_of("temperature", judged, SOURCE).items == 300 - unreadable


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("nonsense", "is not a recalibration: Invalid JSON"),
        ("{}", "is not a recalibration: kind: Field required"),
        ('{"kind": "temperature", "slope": 0, "items": 9, "fitted_on": {}}', "slope: Input should be greater than 0"),
    ],
)
def test_a_file_that_is_no_recalibration_is_told_in_one_line(tmp_path: Path, content: str | None, words: str) -> None:
    path = tmp_path / "recalibration.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(words)) as caught:
        load_recalibrator(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.endswith("make one with rlaif evaluate judge --recalibrate")
    assert "\n" not in message
