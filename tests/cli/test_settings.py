"""Settings beside a run file: --config, --set, base_url and OPENAI_BASE_URL."""

import json
from pathlib import Path

import pytest
import yaml

from rlaif.config.run import RunConfig
from rlaif.errors import ConfigError
from rlaif.models.config import ModelConfig
from rlaif.testing import SimulatedServer
from tests.command import Rlaif, commands, serving
from tests.conftest import MakeConfig


@pytest.fixture
def rlaif(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rlaif:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    return commands(monkeypatch, capsys)


@pytest.fixture
def run_file(tmp_path: Path, make_config: MakeConfig) -> Path:
    """A run file without a policy."""
    config = make_config(SimulatedServer(), prompts=2).model_dump(mode="json", exclude_unset=True)
    del config["policy"]
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    return file


def test_a_run_file_without_a_policy_uses_the_server_of_the_environment_and_says_so(
    rlaif: Rlaif, run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rlaif("generate", str(run_file)).complains(2, "--policy missing")
    with serving(SimulatedServer()) as server, serving(SimulatedServer()) as other:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        said = rlaif("generate", "--config", str(run_file), "--set", "sampling.n=3", "--set", "judging.min_margin=0.05")
        assert said.code == 0, said.err
        assert f"policy: the server at {server.url} (OPENAI_BASE_URL)\n" in said.err
        used = RunConfig.load(tmp_path / "runs" / "one" / "run.yaml")
        assert (used.policy.url, used.sampling.n, used.judging.min_margin) == ((server.url,), 3, 0.05)
        assert server.count("sample") == 2
        explicit = rlaif("generate", str(run_file), "--policy", other.url, "--out", str(tmp_path / "runs" / "two"))
        assert explicit.code == 0
        assert "OPENAI_BASE_URL" not in explicit.err
        assert other.count("sample") == 2


def test_two_different_files_are_refused_and_the_same_one_twice_is_not(rlaif: Rlaif, run_file: Path) -> None:
    said = rlaif("generate", str(run_file), "--config", "other.yaml")
    assert said.complains(2, "run.yaml and --config other.yaml are two sources of settings; give one of them")
    twice = ["generate", str(run_file), "--config", str(run_file), "--policy", "smollm2", "--dry-run", "--json"]
    monkeyed = rlaif(*twice)
    assert "two sources" not in monkeyed.err


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("sampling.topk=5", "--set sampling.topk=5: sampling.topk: unknown key `topk`; did you mean `top_k`?"),
        ("samplng.n=5", "unknown key `samplng`; did you mean `sampling`?"),
        ("sampling.n=many", "--set sampling.n=many: sampling.n: "),
        ("sampling.n", "--set sampling.n: must be KEY.PATH=VALUE"),
        ("sampling.stop=[a", "--set sampling.stop=[a: the value is not valid YAML"),
        ("policy.url.7=http://x/v1", "policy.url is a list, and its entries are 0 to 0"),
        ("seed.part=1", "--set seed.part=1: seed has no parts to set: it is 3"),
        ("judging.min_margin=0.9", "--set judging.min_margin=0.9: judging.min_margin: "),
    ],
)
def test_a_setting_that_does_not_exist_is_refused_with_the_entry_and_the_nearest_key(
    rlaif: Rlaif, run_file: Path, entry: str, words: str
) -> None:
    flags = ("--policy", "http://127.0.0.1:9/v1", "--seed", "3")
    said = rlaif("generate", str(run_file), *flags, "--set", "policy.url=[http://127.0.0.1:9/v1]", "--set", entry)
    assert said.complains(2, words)


def test_a_setting_inside_a_short_form_or_a_list_is_set_there(rlaif: Rlaif, run_file: Path, tmp_path: Path) -> None:
    """--policy URL becomes a section, and the critic, which is not set, follows the policy."""
    with serving(SimulatedServer()) as server:
        entries = ["policy.concurrency=7", "critic.retries=1", "judging.judges=[rating, pairwise-logprob]"]
        entries += ["judging.judges.1.weight=2"]
        flags = [part for entry in entries for part in ("--set", entry)]
        said = rlaif("generate", str(run_file), "--policy", server.url, *flags)
        assert said.code == 2  # a list of names has no weights yet
        entries[2] = "judging.judges=[{kind: rating}, {kind: pairwise-logprob}]"
        flags = [part for entry in entries for part in ("--set", entry)]
        said = rlaif("generate", str(run_file), "--policy", server.url, *flags)
        assert said.code == 0, said.err
    used = RunConfig.load(tmp_path / "runs" / "one" / "run.yaml")
    assert (used.policy.concurrency, used.critic.concurrency, used.critic.retries) == (7, 7, 1)
    assert [judge.weight for judge in used.judging.judges] == [1, 2]


def test_a_judge_is_measured_with_the_settings_of_a_file_and_single_ones(
    rlaif: Rlaif, run_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gold = tmp_path / "gold.jsonl"
    rows = [{"prompt": "Why?", "chosen": f"Yes {n}.", "rejected": f"No {n}."} for n in range(3)]
    gold.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    cache = ("--cache", str(tmp_path / "replies.sqlite"))
    with serving(SimulatedServer()) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        said = rlaif(
            *("evaluate", "judge", "--config", str(run_file), "--gold", str(gold), *cache, "--json"),
            *("--set", "judging.orders=one"),
        )
        assert said.code == 0, said.err
        assert server.count("judge") == 3 * 2  # two principles, one order
        assert "critic: the server" not in said.err
        assert f"policy: the server at {server.url}" in said.err
        alone = rlaif("evaluate", "judge", "--constitution", "minimal", "--gold", str(gold), *cache, "--json")
        assert alone.code == 0, alone.err
        assert f"critic: the server at {server.url} (OPENAI_BASE_URL)" in alone.err
    assert rlaif("evaluate", "judge", "--gold", str(gold), "--set", "seed=1").complains(2, "give one with --run")


def test_settings_of_a_training_are_set_singly(rlaif: Rlaif) -> None:
    said = rlaif("train", "dpo", "--model", "smollm2", "--out", "x", "--set", "batchsize=4")
    assert said.complains(2, "--set batchsize=4: batchsize: unknown key `batchsize`; did you mean `batch_size`?")
    said = rlaif("train", "dpo", "--model", "smollm2", "--out", "x", "--set", "trl.bta=4")
    assert said.complains(2, "bta")


def test_base_url_is_another_name_for_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://h:2/v1/")
    assert ModelConfig.model_validate({"base_url": "http://h:1/v1"}).url == ("http://h:1/v1",)
    named = RunConfig.check(
        {"constitution": "minimal", "prompts": "seed", "out": "x", "policy": "small@OPENAI_BASE_URL"}
    )
    assert (named.policy.model, named.policy.url) == ("small", ("http://h:2/v1",))
    monkeypatch.delenv("OPENAI_BASE_URL")
    for policy, words in (
        ({"url": "http://h/v1", "base_url": "http://h/v1"}, "`base_url` is another name for `url`; give one of them"),
        ("OPENAI_BASE_URL", "names OPENAI_BASE_URL, but that environment variable is not set"),
    ):
        with pytest.raises(ConfigError, match=words):
            RunConfig.check({"constitution": "minimal", "prompts": "seed", "out": "x", "policy": policy})
