"""`report_to`: which trackers there are, what is said where one is not installed, and that metrics reach one."""

import json
import os
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from rlaif.errors import ConfigError, UsageError
from rlaif.train.config import DpoConfig, load_config
from rlaif.train.directory import claim
from rlaif.train.tracking import check_tracking, known_trackers
from rlaif.train.training import train
from tests.command import commands
from tests.train.tiny import tiny_model


def test_the_names_are_those_of_the_installed_transformers() -> None:
    assert {"wandb", "mlflow", "tensorboard"} <= set(known_trackers())
    with pytest.raises(ConfigError, match="here: there is no tracker 'tensorbord'; did you mean `tensorboard`"):
        check_tracking("tensorbord", "here")


@pytest.mark.parametrize("name", ["wandb", "mlflow", "tensorboard"])
def test_a_tracker_that_is_not_installed_is_one_line_before_training(name, capsys, monkeypatch, tmp_path) -> None:
    if find_spec(name) or (name == "tensorboard" and find_spec("tensorboardX")):
        pytest.skip(f"{name} is installed")
    monkeypatch.chdir(tmp_path)
    said = commands(monkeypatch, capsys)(
        "train", "dpo", "x", "--model", "m", "--out", "o", "--report-to", f"{name},kubeflow"
    )
    assert said.complains(2, f"{name} needs the package {name}, which is not installed", f"pip install {name}")
    assert not Path("o").exists()


def test_nothing_is_reported_by_default_and_all_is_left_to_transformers() -> None:
    places = {("data",): "x", ("model",): "m", ("out",): "o"}
    given = {"none": ["none"], "all": ["all"], "kubeflow": ["kubeflow"], None: ["none"]}
    for value, names in given.items():
        assert load_config(DpoConfig, None, places | {("trl", "report_to"): value}).trl["report_to"] == names
    assert "report_to" not in load_config(DpoConfig, None, places).trl
    with pytest.raises(UsageError):
        check_tracking(["no such thing"], "here")


WRITER = """
import json, pathlib

class NoLogin(Exception):
    pass

class SummaryWriter:
    def __init__(self, log_dir):
        if (pathlib.Path(log_dir).parent / "no-login").exists():
            raise NoLogin("no key\\nis set")
        pathlib.Path(log_dir).mkdir(parents=True)
        self.file = open(pathlib.Path(log_dir) / "scalars.jsonl", "w")
    def add_scalar(self, name, value, step):
        print(json.dumps([name, value, step]), file=self.file, flush=True)
    def add_text(self, *_): pass
    def flush(self): pass
    def close(self): self.file.close()
"""


class Quiet:
    def say(self, line: str) -> None: ...

    def show(self, progress: object) -> None: ...

    def rest(self) -> None: ...


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_metrics_reach_the_tracker_and_stay_after_the_training(tmp_path: Path, monkeypatch) -> None:
    """A package with tensorboardX's writer, on the path as an installed one is; transformers' callback writes to it."""
    if find_spec("tensorboard") or find_spec("tensorboardX"):
        pytest.skip("a tensorboard is installed")
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "tensorboardX.py").write_text(WRITER)
    monkeypatch.syspath_prepend(tmp_path / "packages")
    tiny_model(tmp_path / "base")
    pair = {"chosen": "yes .", "rejected": "no no .", "p_chosen": 0.8}
    rows = [{**pair, "id": n, "prompt": "what is " + "very " * n + "?"} for n in range(20)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out"
    places = {("data",): str(tmp_path / "rows.jsonl"), ("model",): str(tmp_path / "base"), ("out",): str(out)}
    tracked = {("trl", "report_to"): "tensorboard", ("max_length",): 64}
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "mine"))
    (tmp_path / "no-login").touch()
    with pytest.raises(UsageError, match=r"tensorboard does not work \(no key is set\); log in"):
        train(load_config(DpoConfig, None, places | tracked), Quiet())
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR")
    done = train(load_config(DpoConfig, None, places | tracked), Quiet())
    lines = [json.loads(line) for line in (out / "tensorboard" / "scalars.jsonl").read_text().splitlines()]
    logged = {step: value for name, value, step in lines if name == "train/loss"}
    ours = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert logged == pytest.approx({line["step"]: line["loss"] for line in ours if "loss" in line})
    assert len(logged) >= 1
    other = done.model_copy(update={"settings": done.settings | {"trl": {}}})
    assert claim(out, other) == done  # trackers do not make it another training
    assert "TENSORBOARD_LOGGING_DIR" not in os.environ  # a second training writes into its own folder
    sys.modules.pop("tensorboardX", None)
