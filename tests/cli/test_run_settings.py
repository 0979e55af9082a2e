"""A run's settings: run file, --config, flags, --set and OPENAI_BASE_URL; all of them reach the server."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rlaif.cli.run_settings import run_settings
from rlaif.errors import ConfigError, UsageError
from rlaif.models.backend import ChatRequest, user
from rlaif.testing import SimulatedServer
from tests.command import Rlaif, commands, serving

FLAGS: dict[tuple[str, ...], Any] = {
    ("constitution",): "minimal",
    ("prompts",): "seed",
    ("policy",): "smollm2",
    ("out",): "runs/x",
}


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedServer]:
    with serving(SimulatedServer()) as running:
        yield running


@pytest.fixture
def rlaif(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Rlaif:
    monkeypatch.chdir(tmp_path)
    return commands(monkeypatch, capsys)


def run_file(server: SimulatedServer, **others: object) -> str:
    prompts = Path("p.jsonl")
    prompts.write_text("".join(json.dumps({"prompt": f"Question {n}?"}) + "\n" for n in range(2)), encoding="utf-8")
    config = {"constitution": "minimal", "prompts": str(prompts), "policy": {"base_url": server.url}, "out": "runs/x"}
    Path("run.yaml").write_text(yaml.safe_dump(config | {"revision": {"rounds": 0}} | others), encoding="utf-8")
    return "run.yaml"


def test_sampling_settings_reach_the_server_as_they_are_written(rlaif: Rlaif, server: SimulatedServer) -> None:
    sampling = {"top_k": 20, "min_p": 0.05, "presence_penalty": 0.5, "frequency_penalty": 0.1, "stop": "END"}
    more = {"repetition_penalty": 1.1, "response_format": {"type": "json_object"}, "extra_body": {"min_tokens": 3}}
    file = run_file(server, sampling=sampling | more)
    assert rlaif("generate", file).code == 0
    body = server.latest["sample"]
    expected = sampling | more | more["extra_body"] | {"stop": ["END"]}
    del expected["extra_body"]
    assert {key: body[key] for key in expected} == expected
    # Changed sampling would make other responses: the run cannot go on with it.
    assert rlaif("generate", file, "--set", "sampling.top_k=5").complains(2, "sampling", "top_k")


def test_a_schema_keeps_the_order_of_its_properties() -> None:
    schema = {"type": "json_schema", "json_schema": {"properties": {"why": {}, "answer": {}}}}
    request = ChatRequest(messages=(user("Q?"),), max_tokens=5, extra={"response_format": schema})
    assert json.loads(request.body)["response_format"] == schema
    assert request.body.index("why") < request.body.index("answer")


def test_what_is_not_set_is_not_sent(rlaif: Rlaif, server: SimulatedServer) -> None:
    assert rlaif("generate", "--config", run_file(server)).code == 0
    assert server.latest["sample"].keys() <= {"model", "messages", "n", "seed", "temperature", "top_p", "max_tokens"}


def test_a_field_that_rlaif_sets_cannot_stand_in_extra_body() -> None:
    with pytest.raises(ConfigError, match=r"`seed` is set by rlaif or by a setting of its own"):
        run_settings(None, FLAGS, dry_run=False, set_values=["sampling.extra_body={seed: 3}"])


def test_set_reaches_into_short_forms_and_lists() -> None:
    values = ["critic.timeout_s=60", "prompts.limit=7", "judging.judges=[rating, {kind: listwise}]"]
    values += ["judging.judges.1.weight=2", "sampling.stop=[END]"]
    config = run_settings(None, FLAGS, dry_run=False, set_values=values)
    assert (config.policy.timeout_s, config.critic.timeout_s, config.critic.model) == (600, 60, "smollm2")
    assert (config.prompts.path, config.prompts.limit, config.sampling.stop) == ("seed", 7, ("END",))
    assert [(judge.kind, judge.weight) for judge in config.judging.panel] == [("rating", 1), ("listwise", 2)]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("sampling.top_k", "must be KEY.PATH=VALUE"),
        ("sampling..n=3", "must be KEY.PATH=VALUE"),
        ("sampling.n=[3", "the value is not YAML"),
        ("sampling.top_kk=3", "unknown key `top_kk`; did you mean `top_k`?"),
        ("sampling.stop=''", "an empty text would end every response"),
        ("sampling.extra_body={x: .nan}", "cannot be sent as JSON"),
        ("seed.x=3", "0 has no settings, so 'x' cannot be set in it"),
        ("judging.judges.3.weight=2", "'3' is not the place of one of 1 entries, counted from 0"),
    ],
)
def test_a_bad_set_is_one_line(entry: str, says: str) -> None:
    flags = FLAGS | {("seed",): 0, ("judging", "judges"): ["rating"]}
    with pytest.raises((UsageError, ConfigError)) as caught:
        run_settings(None, flags, dry_run=False, set_values=[entry])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_file_may_leave_to_flags_what_they_give(
    rlaif: Rlaif, server: SimulatedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Path(run_file(server))
    settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    few = {name: value for name, value in settings.items() if name in {"revision", "prompts"}}
    file.write_text(yaml.safe_dump(few | {"sampling": {"n": 3}}), encoding="utf-8")
    given = (str(file), "--constitution", "minimal", "--out", "runs/y")
    assert rlaif("generate", *given).complains(2, "run.yaml:1: key `policy` is missing")
    assert rlaif("generate", *given, "--policy", server.url).code == 0
    assert server.latest["sample"]["n"] == 3
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    assert rlaif("generate", *given[:-1], "runs/z").code == 0
    file.write_text(yaml.safe_dump({"judging": {"principles": 1}}), encoding="utf-8")
    Path("r.jsonl").write_text(json.dumps({"prompt": "Q?", "responses": ["Yes.", "No."]}) + "\n", encoding="utf-8")
    assert rlaif("label", "r.jsonl", "--config", *given[:-1], "runs/labelled").code == 0


def test_two_run_files_or_two_urls_are_refused(rlaif: Rlaif, server: SimulatedServer) -> None:
    assert rlaif("generate", run_file(server), "--config", "other.yaml").complains(2, "give one run file")
    both = run_file(server, policy={"base_url": server.url, "url": server.url})
    assert rlaif("generate", both).complains(2, "run.yaml:", "`url` and `base_url` are the same setting")


def test_the_server_of_the_environment_is_the_policy_where_none_is_named(
    rlaif: Rlaif, server: SimulatedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_file(server)
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    given = ["--constitution", "minimal", "--prompts", "p.jsonl", "--rounds", "0"]
    said = rlaif("generate", *given, "--out", "runs/env", "--json")
    assert json.loads(said.out)["traces"] == 2
    assert "policy: the server of OPENAI_BASE_URL" in said.err
    assert rlaif("generate", *given, "--policy", "simulated@OPENAI_BASE_URL", "--out", "runs/named").code == 0
    monkeypatch.delenv("OPENAI_BASE_URL")
    assert rlaif("generate", *given, "--out", "runs/none").complains(2, "--policy missing")
    said = rlaif("generate", *given, "--policy", "simulated@OPENAI_BASE_URL", "--out", "runs/none")
    assert said.complains(2, "the environment variable OPENAI_BASE_URL is not set")


@pytest.mark.parametrize(
    ("words", "expected"),
    [("rlaif c", "compare"), ("rlaif generate --conf", "--config"), ("rlaif generate --constitution hon", "honesty")],
)
def test_the_shell_completes_commands_options_and_constitutions(words: str, expected: str) -> None:
    place = {"_RLAIF_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    run = [sys.executable, "-c", "import sys; sys.argv[0] = 'rlaif'; from rlaif.cli.main import main; main()"]
    said = subprocess.run(run, env={**os.environ, **place}, capture_output=True, text=True, check=False)
    assert expected in said.stdout.split()
