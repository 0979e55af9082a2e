"""Probabilities of runs in planted worlds, end to end; full size: `benchmarks.worlds`, `benchmarks.world_warnings`."""

import asyncio
from pathlib import Path

import pytest

from benchmarks.worlds import WORLDS, Labels, errors_of, run_in
from rlaif.runs.calibrate import correction_of, doubts
from rlaif.runs.reader import Run

pytestmark = pytest.mark.slow


def run_of(folder: Path, world: str, candidates: int, prompts: int, labels: int = 0) -> Run:
    return asyncio.run(run_in(folder, WORLDS[world], candidates, 2.0, prompts, labels=Labels(labels)))


def test_exported_rows_have_honest_probabilities_although_both_orders_err_alike(tmp_path: Path) -> None:
    calibrated, raw, _, rows = errors_of(run_of(tmp_path, "shared", 4, 400))
    assert rows > 200
    assert calibrated < 0.05
    assert raw > 0.15


def test_labels_by_people_correct_a_critic_that_is_too_sure(tmp_path: Path) -> None:
    calibrated, raw, _, rows = errors_of(run_of(tmp_path, "overconfident", 4, 200, labels=300))
    assert rows > 100
    assert calibrated < 0.05
    assert raw > 0.1


@pytest.mark.parametrize(("world", "doubtful"), [("independent", False), ("revision-loving", True)])
def test_a_run_warns_where_its_probabilities_cannot_hold(tmp_path: Path, world: str, doubtful: bool) -> None:
    assert bool(doubts(correction_of(run_of(tmp_path, world, 4, 120)).what)) == doubtful
