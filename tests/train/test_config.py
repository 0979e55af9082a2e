"""A training file and its flags: one line with a place for what is wrong, before anything heavy is loaded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rlaif.errors import ConfigError
from rlaif.train.config import CaiConfig, DpoConfig, RewardConfig, SftConfig, load_config, trl_flags

WHERE = "data: runs/first\nmodel: smollm2\nout: models/first\n"


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "train.yaml"
    file.write_text(text)
    return file


def test_flags_win_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    file = written(tmp_path, WHERE + "epochs: 2\nlabels: hard\ntrl: {beta: 0.3}\n")
    config = load_config(DpoConfig, file, {("epochs",): 3.0, ("trl", "beta"): 0.5})
    assert (config.epochs, config.labels, config.batch_size, config.trl) == (3.0, "hard", 16, {"beta": 0.5})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "trl:\n  beta: 0.1\n  precompute_ref_logprobs: true\n",
            "6: TRL's DPOConfig has no option `precompute_ref_logp",
        ),
        ("trl:\n  beta: high\n", "5: `beta` must be float, not 'high'"),
        ("trl:\n  use_weighting: 1\n", "5: `use_weighting` must be bool, not 1"),
        ("trl:\n  output_dir: x\n", "5: `output_dir` cannot be set here; `out:` says where"),
        ("trl:\n  loss_type: sigmoyd\n", "5: there is no loss 'sigmoyd'; did you mean `sigmoid`?"),
        ("label: soft\n", "4: unknown key `label`; did you mean `labels`?"),
        ("labels: sure\n", "4: labels: input should be 'soft' or 'hard', not 'sure'"),
        ("epochs: 0\n", "4: epochs: input should be greater than 0, not 0"),
        ("margins: none\n", "4: unknown key `margins`"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    file = written(tmp_path, WHERE + text)
    with pytest.raises(ConfigError) as error:
        load_config(DpoConfig, file, {})
    assert says in str(error.value)
    assert str(error.value).startswith(f"{file}:")


def test_a_misspelled_option_is_answered_with_the_likely_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean `precompute_ref_log_probs`"):
        load_config(DpoConfig, written(tmp_path, WHERE + "trl: {precompute_ref_logprobs: true}\n"), {})


def test_options_of_one_trainer_are_none_of_another() -> None:
    flags = {("data",): "d", ("model",): "m", ("out",): "o"}
    packing = {("trl", "packing"): True}
    assert load_config(SftConfig, None, flags | packing).trl == {"packing": True}
    with pytest.raises(ConfigError, match="--trl packing: TRL's RewardConfig has no option"):
        load_config(RewardConfig, None, flags | packing)


def test_a_number_that_yaml_takes_for_a_text_is_a_number(tmp_path: Path) -> None:
    config = load_config(DpoConfig, written(tmp_path, WHERE + "learning_rate: 1e-6\ntrl: {beta: 5e-2}\n"), {})
    assert (config.learning_rate, config.trl) == (1e-6, {"beta": 0.05})


def test_no_that_yaml_takes_for_false_is_a_strategy() -> None:
    flags = {("data",): "d", ("model",): "m", ("out",): "o"}
    options = trl_flags(["logging_strategy=no"])
    config = load_config(DpoConfig, None, flags | {("trl", name): value for name, value in options.items()})
    assert config.trl == {"logging_strategy": "no"}


def test_flags_of_trl_are_read_as_yaml() -> None:
    assert trl_flags(["loss_type=[sigmoid,sft]", "max_steps=3"]) == {"loss_type": ["sigmoid", "sft"], "max_steps": 3}
    with pytest.raises(ConfigError, match="must be NAME=VALUE"):
        trl_flags(["beta"])


def test_the_stages_of_cai_have_their_own_options(tmp_path: Path) -> None:
    file = written(tmp_path, WHERE + "sft: {epochs: 2}\ndpo:\n  trl: {packing: true}\n")
    with pytest.raises(ConfigError, match="train.yaml:6: TRL's DPOConfig has no option `packing`"):
        load_config(CaiConfig, file, {})


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match="the run or dataset, --out missing"):
        load_config(SftConfig, None, {("model",): "m"})


def test_a_bad_option_is_refused_without_importing_torch(tmp_path: Path) -> None:
    file = written(tmp_path, WHERE + "trl: {lerning_rate: 1}\n")
    program = (
        "import sys, json\nfrom rlaif.cli.main import app\n"
        f"from rlaif.errors import ConfigError\ntry: app(['train', 'dpo', '--config', {str(file)!r}])\n"
        "except ConfigError as error: print(json.dumps([str(error), 'torch' in sys.modules, 'trl' in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    said, torch, trl = json.loads(done.stdout)
    assert "lerning_rate" in said
    assert not torch
    assert not trl
