from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rlaif.config.run import RunConfig
from rlaif.errors import ConfigError
from rlaif.models.config import ModelConfig, model_from_text
from rlaif.shipped import _ROOT as ROOT
from rlaif.yaml_file import parse_yaml

SHORT: dict[str, Any] = {"constitution": "honesty", "prompts": "seed", "policy": "smollm2", "out": "runs/x"}


def fault(**others: object) -> str:
    with pytest.raises(ConfigError) as caught:
        RunConfig.check(SHORT | others)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def load(folder: Path, text: str) -> RunConfig:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return RunConfig.load(path)


def test_four_lines_make_a_run():
    config = RunConfig.check(SHORT)
    assert config.prompts.path == "seed"
    assert config.policy.model == "smollm2"
    assert config.critic == config.policy


def test_the_critic_may_be_another_model():
    assert RunConfig.check(SHORT | {"critic": "http://critic:8000/v1"}).critic.url == ("http://critic:8000/v1",)


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_is_a_run(path: Path):
    assert RunConfig.load(path).out


def test_a_fault_in_a_file_is_said_with_file_and_line(tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "constitution: honesty\nprompts: seed\npolicy: m\nout: x\nsampling:\n  n: 0\n")
    assert str(caught.value) == (
        f"{tmp_path}/run.yaml:6: sampling.n: input should be greater than or equal to 1, not 0"
    )


def test_a_constitution_given_as_a_run_file_is_called_one():
    file = ROOT / "constitutions" / "minimal.yaml"
    with pytest.raises(ConfigError) as caught:
        RunConfig.load(file)
    says = "this is a constitution, not a run file; a run file names one under `constitution:`"
    assert str(caught.value).split(":", 2)[2] == f" {says}"


def test_a_misspelt_key_in_a_file_is_corrected(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"run\.yaml:5: unknown key `sampilng`; did you mean `sampling`\?$"):
        load(tmp_path, "constitution: honesty\nprompts: seed\npolicy: m\nout: x\nsampilng: {n: 2}\n")


def test_flags_are_checked_like_a_file():
    assert fault(sampling={"n": 0}) == "sampling.n: input should be greater than or equal to 1, not 0"


@pytest.mark.parametrize(
    ("section", "value", "says"),
    [
        ("sampling", {"n": 2, "temperature": 0}, "set n to 1"),
        ("sampling", {"temperature": float("nan")}, "temperature"),
        ("sampling", {"top_p": 0}, "top_p"),
        ("judging", {"labels": ["A", " A"]}, "must differ"),
        ("judging", {"labels": ["A", " "]}, "neither may be empty"),
        ("judging", {"labels": ["A"]}, "labels"),
        ("judging", {"principles": 0}, "at least 1"),
        ("judging", {"min_margin": 0.5}, "min_margin"),
        ("pairs", {"test_fraction": 1}, "test_fraction"),
        ("pairs", {"select": "best"}, "select"),
        ("policy", {"url": "ftp://x"}, "must start with http:// or https://"),
        ("policy", {}, "give `model` (to start a server), `url` (of a running server), or both"),
        ("prompts", {"path": "x", "columns": {"question": "q"}}, "columns"),
        ("seed", -1, "seed"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(section: str, value: object, says: str):
    assert says in fault(**{section: value})


def test_one_greedy_answer_is_allowed():
    assert RunConfig.check(SHORT | {"sampling": {"n": 1, "temperature": 0}}).sampling.temperature == 0


@pytest.mark.parametrize(
    ("text", "model", "url"),
    [
        ("smollm2", "smollm2", ()),
        ("org/model", "org/model", ()),
        ("http://a/v1/", None, ("http://a/v1",)),
        ("http://a/v1,https://b/v1", None, ("http://a/v1", "https://b/v1")),
        ("org/model@http://a/v1", "org/model", ("http://a/v1",)),
        ("org/model@http://a/v1,http://b/v1", "org/model", ("http://a/v1", "http://b/v1")),
        ("org/model@main", "org/model@main", ()),
    ],
)
def test_the_short_form_of_a_model(text: str, model: str | None, url: tuple[str, ...]):
    parsed = ModelConfig.model_validate(model_from_text(text))
    assert (parsed.model, parsed.url, parsed.managed) == (model, url, not url)


def test_one_url_need_not_be_a_list():
    assert ModelConfig(url="http://a/v1").url == ("http://a/v1",)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "  "])
def test_an_empty_model_name_is_refused(name: str):
    with pytest.raises(ConfigError):
        RunConfig.check(SHORT | {"policy": name})


def test_the_path_of_a_fault_names_no_types():
    with pytest.raises(ConfigError) as caught:
        RunConfig.check(SHORT | {"judging": {"principles": "some"}})
    assert ".int" not in str(caught.value)
    path = "judging.principles"
    text = "constitution: honesty\nprompts: seed\npolicy: m\nout: x\njudging:\n  principles: some\n"
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, RunConfig, name="run.yaml")
    assert f"{path}.int" not in str(caught.value)


def test_thresholds_never_make_a_trace_stale():
    changed = RunConfig.check(
        SHORT
        | {
            "judging": {"min_margin": 0.3, "min_label_mass": 0.9, "allow_order_noise": True},
            "pairs": {"test_fraction": 0.4},
            "open_prompts": 3,
            "out": "elsewhere",
        }
    )
    assert changed.questions() == RunConfig.check(SHORT).questions()


@pytest.mark.parametrize(
    "others",
    [
        {"seed": 1},
        {"sampling": {"temperature": 0.5}},
        {"revision": {"rounds": 2}},
        {"judging": {"orders": "one"}},
        {"judging": {"labels": ["1", "2"]}},
        {"pairs": {"select": "best-vs-random"}},
        {"policy": {"model": "smollm2", "chat_template_kwargs": {"enable_thinking": False}}},
    ],
)
def test_what_is_asked_of_a_model_makes_a_trace_stale(others: dict[str, object]):
    assert RunConfig.check(SHORT | others).questions() != RunConfig.check(SHORT).questions()


def test_a_configuration_cannot_be_changed_afterwards():
    config = RunConfig.check(SHORT)
    with pytest.raises(ValidationError, match="frozen"):
        config.seed = 3  # type: ignore[misc]


def test_a_configuration_survives_its_own_json():
    config = RunConfig.check(SHORT | {"critic": "m@http://a/v1", "judging": {"principles": 2}})
    assert RunConfig.check(config.model_dump(mode="json")) == config
