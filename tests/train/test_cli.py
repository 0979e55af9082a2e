"""`rlaif train ...` as a person sees it: one line for what is wrong, exit code 2, and nothing heavy loaded for it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import Rlaif, commands

PAIR = {"prompt": "Why?", "chosen": "So.", "rejected": "No."}


@pytest.fixture
def rlaif(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Rlaif:
    monkeypatch.chdir(tmp_path)
    return commands(monkeypatch, capsys)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "rows.jsonl: the file is empty"),
        ('{"prompt": "Why?", "chosen": "So."}', "rows.jsonl:1: has no `rejected`; it has prompt, chosen"),
        (
            json.dumps({**PAIR, "p_chosen": -0.5}),
            "rows.jsonl:1: p_chosen is -0.5; must be a probability between 0 and 1",
        ),
        ("{", "rows.jsonl:1: is not JSON"),
    ],
)
def test_bad_data_is_one_line_and_exit_code_2(rlaif: Rlaif, text: str, says: str) -> None:
    Path("rows.jsonl").write_text(text)
    said = rlaif("train", "dpo", "rows.jsonl", "--model", "smollm2", "--out", "out")
    assert said.code == 2
    assert says in said.err
    assert said.err.count("\n") == 1
    assert not Path("out").exists()


def test_flags_are_checked_like_the_file(rlaif: Rlaif) -> None:
    said = rlaif("train", "dpo", "x", "--model", "m", "--out", "o", "--trl", "beeta=0.1")
    assert (said.code, said.err) == (
        2,
        "rlaif: --trl beeta: TRL's DPOConfig has no option `beeta`; did you mean `beta`?\n",
    )
    assert rlaif("train", "dpo", "x", "--model", "m", "--out", "o", "--labels", "sure").err.startswith(
        "rlaif: labels: "
    )
    assert "--model, --out missing" in rlaif("train", "sft", "x").err
    assert "x: no such run, dataset or file" in rlaif("train", "dpo", "x", "--model", "m", "--out", "o").err


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--epochs", "inf"), "epochs: input should be a finite number, not inf"),
        (("--learning-rate", "inf"), "learning_rate: input should be a finite number, not inf"),
        (("--beta", "nan"), "`beta` must be float, not nan"),
        (("--trl", "weight_decay=.inf"), "--trl weight_decay: `weight_decay` must be float, not inf"),
    ],
)
def test_a_number_without_end_is_no_setting(rlaif: Rlaif, flags: tuple[str, str], says: str) -> None:
    said = rlaif("train", "dpo", "x", "--model", "m", "--out", "o", *flags)
    assert said.code == 2
    assert says in said.err
    assert said.err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_settings_that_trl_refused_keep_no_folder_from_the_right_ones(rlaif: Rlaif) -> None:
    from tests.train.tiny import tiny_model

    tiny_model(Path("base"))
    pair = {"chosen": "yes .", "rejected": "no no .", "p_chosen": 0.8}
    rows = [{**pair, "id": n, "prompt": "what is " + "very " * n + "?"} for n in range(20)]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = ("train", "dpo", "rows.jsonl", "--model", "base", "--out", "out", "--max-length", "64")
    said = rlaif(*command, "--trl", "lr_scheduler_type=cosin")
    assert said.code == 2
    assert "cosin is not a valid SchedulerType" in said.err
    command = (*command, "--batch-size", "4")
    assert rlaif(*command, "--trl", "lr_scheduler_type=cosine").code == 0
    assert json.loads(Path("out/training.json").read_text())["plan"]["at_a_time"] == 4  # the first try's plan is gone
    assert "holds another training" in rlaif(*command, "--trl", "lr_scheduler_type=linear").err


def test_without_the_training_extra_it_says_what_to_install(rlaif: Rlaif, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trl", None)
    Path("rows.jsonl").write_text("".join(json.dumps({**PAIR, "id": n}) + "\n" for n in range(30)))
    said = rlaif("train", "dpo", "rows.jsonl", "--model", "smollm2", "--out", "out")
    assert said.code == 2
    assert said.err == (
        "rlaif: training needs trl, which is not installed; install it in a checkout with: pip install '.[train]'\n"
    )


def test_revisions_that_were_all_judged_worse_are_not_trained_on(rlaif: Rlaif) -> None:
    Path("rows.jsonl").write_text('{"prompt": "Why?", "completion": "So.", "p_better": 0.31}\n')
    said = rlaif("train", "sft", "rows.jsonl", "--model", "smollm2", "--out", "out")
    assert said.code == 2
    assert said.err == (
        "rlaif: rows.jsonl: all revisions have a probability below 0.5 of being better than what they revise; "
        "set min_p_better to 0 to train on all of them\n"
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_whole_command_trains_on_two_processes_and_says_once_what_came_out(tmp_path: Path) -> None:
    from tests.train.tiny import tiny_model

    tiny_model(tmp_path / "base")
    pair = {"chosen": "yes .", "rejected": "no no .", "p_chosen": 0.8}
    rows = [{**pair, "id": n, "prompt": "what is " + "very " * n + "?"} for n in range(40)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "rlaif"]
    command = ["train", "dpo", "rows.jsonl", "--model", "base", "--out", "out", "--max-length", "64"]
    options = ["--learning-rate", "1e-2", "--lora", "--merge"]
    done = subprocess.run([*launch, *command, *options], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.count("held out 100.0% of 2 pairs right") == 1
    assert done.stderr.count("adapters of rank 16") == 1
    assert "2 × the CPU" in done.stderr
    assert "Warning" not in done.stderr
    assert "it/s]" not in done.stderr
    assert (tmp_path / "out" / "model.safetensors").is_file()
