"""What a person sees when something is wrong: one line that says what and where, the right exit code, no traceback.

Where Ctrl-C, SIGTERM or a limit of the system matters, the command runs as a process; else `main` is called here.
"""

import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rlaif.testing import Fault, SimulatedModel, SimulatedServer
from tests.command import Rlaif, Said, commands, serving, stop
from tests.conftest import CONSTITUTION

KEY = "a key that is right"
PATHS = {"prompts": "p.jsonl", "constitution": "c.yaml", "out": "runs/one"}


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder with a constitution and six prompts, without keys in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in ("RLAIF_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    Path("c.yaml").write_text(CONSTITUTION, encoding="utf-8")
    _write_prompts("p.jsonl", 6)
    return tmp_path


@pytest.fixture
def rlaif(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rlaif:
    """Return a function that runs the command line in this process."""
    return commands(monkeypatch, capsys)


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedServer]:
    with serving(SimulatedServer()) as running:
        yield running


@pytest.fixture(scope="module")
def finished(server: SimulatedServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a finished run of six prompts, and its reply store, once."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "c.yaml").write_text(CONSTITUTION, encoding="utf-8")
    _write_prompts(str(folder / "p.jsonl"), 6)
    flags = {name: str(folder / path) for name, path in PATHS.items()}
    subprocess.run([sys.executable, "-m", "rlaif", *_generate(server, **flags)], check=True, capture_output=True)
    return folder / "runs"


@pytest.fixture
def run(finished: Path) -> Path:
    """Return a copy of the finished run."""
    shutil.copytree(finished, "runs")
    return Path("runs/one")


# What is given


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("x.jsonl", b"", "x.jsonl: the file is empty"),
        ("x.jsonl", b"\n \n", "x.jsonl: the file is empty"),
        ("x.jsonl", b"\xff\x00\xfe", "x.jsonl: is not UTF-8 text"),
        ("x.csv", b"\xff\x00\xfe", "x.csv: is not UTF-8 text"),
        ("x.parquet", b"PAR1 not really", "x.parquet: is not a Parquet file"),
        ("x.json", b'{"prompt": "a"}', "x.json: must be a list of rows"),
        ("x.csv", b'prompt\n"never closed', "is not CSV"),
        ("x.txt", b"hello", "x.txt: cannot read .txt; use JSONL"),
        ("x.jsonl", b'{"prompt": "a"}\nnot json\n', "x.jsonl:2: is not JSON"),
        ("x.jsonl", b'{"prompt": "a"}\n\n{"prompt": " "}\n', "x.jsonl:3: the prompt has no text"),
        ("x.jsonl", b'{"question": "a"}', "x.jsonl:1: has neither `prompt` nor `messages` (it has question)"),
        ("x.jsonl", b"[1, 2]", "x.jsonl:1: must be an object"),
        ("x.jsonl", b'{"prompt": 5}', "x.jsonl:1: `prompt` must be a text"),
        (
            "x.jsonl",
            b'{"messages": [{"role": "wizard", "content": "a"}]}',
            "x.jsonl:1: the role of a message in `messages` is wrong",
        ),
        (
            "x.jsonl",
            b'{"messages": [{"role": "assistant", "content": "a"}]}',
            "x.jsonl:1: the prompt's last message must be",
        ),
        ("x.jsonl", b'{"prompt": "\\ud800"}', "x.jsonl:1: the text contains an unpaired surrogate"),
        ("x.jsonl", b'{"prompt": "a", "id": 1}\n{"prompt": "b", "id": "1"}', "x.jsonl:2: id '1' is already used"),
        ("x.jsonl", b"[" * 100_000, "x.jsonl:1: is not JSON"),
        ("x.jsonl", b'{"prompt": ' + b"1" * 5000 + b"}", "x.jsonl:1: is not JSON"),
    ],
)
def test_prompts_that_cannot_be_used_are_named_with_file_and_line(
    rlaif: Rlaif, server: SimulatedServer, name: str, content: bytes, complaint: str
) -> None:
    Path(name).write_bytes(content)
    assert rlaif(*_generate(server, prompts=name)).complains(2, complaint)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.jsonl", b'{"prompt": "a", "id": "\\ud800"}'),
        ("x.jsonl", b'{"prompt": "a", "tags": ["\\ud800"]}'),
        ("x.json", b"[" + b"1" * 5000 + b"]"),
    ],
)
def test_an_unusable_id_or_tag_or_number_is_named_too(
    rlaif: Rlaif, server: SimulatedServer, name: str, content: bytes
) -> None:
    Path(name).write_bytes(content)
    assert rlaif(*_generate(server, prompts=name)).complains(2, name)


@pytest.mark.parametrize("path", ["nope.jsonl", "/dev/null", "runs", ""])
def test_a_prompts_file_that_is_none_is_a_usage_error(rlaif: Rlaif, server: SimulatedServer, path: str) -> None:
    Path("runs").mkdir()
    assert rlaif(*_generate(server, prompts=path, out="out")).complains(2, path)


@pytest.mark.parametrize("flag", ["--prompts", "--constitution", "--out"])
def test_a_name_too_long_for_the_system_is_a_usage_error(rlaif: Rlaif, server: SimulatedServer, flag: str) -> None:
    said = rlaif(*_generate(server), flag, "a" * 300 + ".jsonl")
    assert said.code in {1, 2}
    assert said.complaint


@pytest.mark.parametrize(
    ("added", "complaint"),
    [
        ("samplingg: {n: 2}", "run.yaml:5: unknown key `samplingg`; did you mean `sampling`?"),
        ("sampling:\n  n: 2\n  temprature: 1", "run.yaml:7: unknown key `temprature`; did you mean `temperature`?"),
        ("seed: 1\nseed: 2", "run.yaml:6: key 'seed' is given twice"),
        ("sampling:\n  n: 2\n  n: 3", "run.yaml:7: key 'n' is given twice"),
        ("sampling: {n: two}", "run.yaml:5: sampling.n: "),
        ("sampling: 3", "run.yaml:5: sampling: "),
        ("judging: {min_margin: .nan}", "run.yaml:5: judging.min_margin: "),
        ("judging: {labels: [A, A]}", "run.yaml:5: judging.labels: the two labels must differ"),
        (
            "judging: {length_effect: .nan}",
            "run.yaml:5: judging.length_effect: input should be a finite number, not nan",
        ),
        (
            "judging: {length_effect: .inf}",
            "run.yaml:5: judging.length_effect: input should be a finite number, not inf",
        ),
        (
            "judging: {length_effect: yes}",
            "run.yaml:5: judging.length_effect: yes, no, true and false are not allowed here",
        ),
        ("judging: {length_effect: 1.0e+300}", "judging.length_effect: input should be less than or equal to 1000"),
        (
            "judging: {length_effect: runs}",
            "judging.length_effect: input should be 'run', or a valid number, not 'runs'",
        ),
        ("judging: {principles: yes}", "run.yaml:5: judging.principles: yes, no, true and false are not allowed here"),
        ("judging: {judges: 5}", "run.yaml:5: judging.judges: input should be a list, not 5"),
        (
            "judging: {judges: [{kind: rating, aspects: [{id: x, asks: ' '}]}]}",
            "`asks` is empty; describe what the number measures",
        ),
        ("critic: null", "run.yaml:5: critic: "),
        ("[1, 2]: 3", "run.yaml:5: a key must be plain text"),
        ("sampling:\n\tn: 2", "run.yaml:6: not valid YAML"),
        ("seed: [", "run.yaml:6: not valid YAML"),
        ("seed: &a [*a]", "run.yaml:5: nested too deeply"),
        ('seed: !!python/object/apply:os.system ["true"]', "could not determine a constructor"),
        ("templates: nowhere", "nowhere: no such folder of templates"),
        ("sampling: {n: 1}\nrevision: {rounds: 0}", "nothing to compare; raise sampling.n or revision.rounds"),
    ],
)
def test_a_fault_in_a_run_file_is_named_with_its_line(
    rlaif: Rlaif, server: SimulatedServer, added: str, complaint: str
) -> None:
    _write_run_file(server, added)
    assert rlaif("generate", "run.yaml").complains(2, complaint)


@pytest.mark.parametrize(
    ("judging", "complaint"),
    [
        ("{kind: panel}", "judging.kind: input should be 'pairwise-logprob', 'pairwise-reasoned', 'rating', "),
        (
            "{judges: [{kind: rating, aspects: helpfull}]}",
            "aspects: input should be 'ultrafeedback', 'helpful-harmless'",
        ),
        (
            "{judges: [{kind: rating, aspects: [{id: x, asks: y, scale: [1, 20]}]}]}",
            "aspects: a scale must begin at 0 or 1",
        ),
    ],
)
def test_a_value_that_may_have_several_shapes_is_one_fault(
    rlaif: Rlaif, server: SimulatedServer, judging: str, complaint: str
) -> None:
    _write_run_file(server, f"judging: {judging}")
    said = rlaif("generate", "run.yaml")
    assert said.complains(2, complaint)
    assert said.complaint.count("run.yaml:5") == 1


@pytest.mark.parametrize("judge", ["pairwise-logprob", "{kind: rating, aspects: overall}"])
def test_one_judge_needs_no_list(rlaif: Rlaif, server: SimulatedServer, judge: str) -> None:
    _write_run_file(server, f"judging: {{judges: {judge}}}")
    assert rlaif("generate", "run.yaml").code == 0


@pytest.mark.parametrize("content", [b"", b"- a", b"\xff\xfe\x00", b"a: " + b"[" * 100_000, b"a: \x07"])
def test_a_file_that_is_no_run_file_is_a_usage_error(rlaif: Rlaif, content: bytes) -> None:
    Path("run.yaml").write_bytes(content)
    assert rlaif("generate", "run.yaml").complains(2, "run.yaml")


@pytest.mark.parametrize("template", [b"\xff\xfe", b"{{ 1 / 0 }}", b"{% for i in range(10**9) %}{% endfor %}"])
def test_a_template_that_cannot_be_read_or_filled_in_is_a_usage_error(
    rlaif: Rlaif, server: SimulatedServer, template: bytes
) -> None:
    Path("mine").mkdir()
    Path("mine/critique.jinja").write_bytes(template)
    _write_run_file(server, "templates: mine")
    assert rlaif("generate", "run.yaml").complains(2, "critique.jinja")


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--limit", "0"], "prompts.limit"),
        (["--samples", "0"], "sampling.n"),
        (["--samples", "65"], "sampling.n"),
        (["--seed", "-1"], "seed"),
        (["--temperature", "nan"], "sampling.temperature"),
        (["--temperature", "0"], "temperature 0 gives the same response every time"),
        (["--max-tokens", "0"], "sampling.max_tokens"),
        (["--min-margin", "0.5"], "judging.min_margin"),
        (["--judging-principles", "0"], "judging.principles"),
        (["--judging-principles", "some"], "judging.principles"),
        (["--select", "worst"], "pairs.select"),
        (["--column", "foo"], "--column foo: must be FIELD=NAME"),
        (["--column", "foo=bar"], "--column foo=bar: must be FIELD=NAME"),
        (["--column", "prompt=bar"], "p.jsonl:1: has no column 'bar'; it has id, prompt"),
        (["--constitution", "nosuch"], "no constitution 'nosuch': neither a file nor one of"),
        (["--policy", "m@http://"], "must start with http:// or https://"),
    ],
)
def test_a_flag_out_of_range_is_a_usage_error(
    rlaif: Rlaif, server: SimulatedServer, flags: list[str], complaint: str
) -> None:
    assert rlaif(*_generate(server), *flags).complains(2, complaint)


def test_missing_flags_are_listed(rlaif: Rlaif) -> None:
    assert rlaif("generate").complains(2, "--constitution, --prompts, --policy, --out missing")


def test_a_broken_second_url_is_a_usage_error(rlaif: Rlaif, server: SimulatedServer) -> None:
    assert rlaif(*_generate(server), "--policy", f"{server.url},foo").complains(2, "'foo' is not a URL")


# Constitutions

HEAD = "name: t\nversion: 1\ndescription: d\nprinciples:\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "x.yaml:1: the file is empty"),
        (
            f"{HEAD}  - id: a\n    critique: c\n    revise: r\n",
            'x.yaml:5: principles.0: principle "a" has no "compare"',
        ),
        (f"{HEAD}  - {{id: a, critique_only: true, compare_only: true}}\n", "x.yaml:5: "),
        (f"{HEAD}  - {{id: A B, compare: x, compare_only: true}}\n", "x.yaml:5: principles.0.id"),
        (f"{HEAD}  - {{id: a, compair: x, compare_only: true}}\n", "unknown key `compair`; did you mean `compare`?"),
        (f"{HEAD}  - {{id: a, compare: x, compare_only: true, weight: 0}}\n", "x.yaml:5: principles.0.weight"),
        (f"{HEAD}  - {{id: a, compare: ' ', compare_only: true}}\n", "x.yaml:5: principles.0.compare"),
        (f"{HEAD}  - {{id: a, id: b}}\n", "x.yaml:5: key 'id' is given twice"),
        (f"{HEAD}" + "  - {id: a, compare: x, compare_only: true}\n" * 2, 'principle id "a" is used twice'),
        (f"{HEAD}  []\n", "x.yaml:4: principles: "),
        (f"{HEAD}  - just text\n", "x.yaml:5: principles.0: "),
    ],
)
def test_a_fault_in_a_constitution_is_named_with_its_line(rlaif: Rlaif, text: str, complaint: str) -> None:
    Path("x.yaml").write_text(text, encoding="utf-8")
    assert rlaif("constitution", "check", "x.yaml").complains(2, complaint)


def test_one_broken_principle_is_one_fault(rlaif: Rlaif) -> None:
    Path("x.yaml").write_text(f"{HEAD}  - {{id: a, compare: x, compare_only: true, weight: 0}}\n", encoding="utf-8")
    assert "at least 1 item" not in rlaif("constitution", "check", "x.yaml").complaint


def test_several_constitutions_are_all_checked(rlaif: Rlaif) -> None:
    Path("x.yaml").write_text("name: x", encoding="utf-8")
    said = rlaif("constitution", "check", "c.yaml", "x.yaml", "nosuch", "harmlessness", "--json")
    assert said.code == 2
    assert [result["ok"] for result in json.loads(said.out)] == [True, False, False, True]


def test_a_constitution_without_a_compare_question_cannot_rank(rlaif: Rlaif, server: SimulatedServer) -> None:
    text = f"{HEAD}  - {{id: a, critique: c, revise: r, critique_only: true}}\n"
    Path("x.yaml").write_text(text, encoding="utf-8")
    assert rlaif(*_generate(server, constitution="x.yaml")).complains(2, "no principle with a compare question")


# Servers


def test_a_server_that_is_not_there_is_named(rlaif: Rlaif) -> None:
    with socketless_port() as port:
        said = rlaif(*_generate(SimpleNamespace(url=f"http://127.0.0.1:{port}/v1")))
    assert said.complains(1, f"http://127.0.0.1:{port}/v1: cannot connect", "is the server running")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("p.jsonl", "p.jsonl: is a file; give a model's folder"),
        ("mine", "mine: is not a model's folder: it has no config.json"),
        ("adapter", "adapter: contains an adapter, not a whole model"),
    ],
)
def test_a_file_or_folder_that_is_no_model_starts_no_server(
    rlaif: Rlaif, server: SimulatedServer, model: str, words: str
) -> None:
    for folder, file in (("mine", "notes.txt"), ("adapter", "adapter_config.json")):
        Path(folder).mkdir()
        (Path(folder) / file).write_text("{}", encoding="utf-8")
    for command in (["serve", model], [*_generate(server), "--policy", model]):
        said = rlaif(*command)
        assert said.complains(2, words)
        assert "starting" not in said.err


def test_a_server_without_log_probabilities_is_named_with_what_else_to_take(rlaif: Rlaif) -> None:
    with serving(SilentServer()) as silent:
        said = rlaif(*_generate(silent))
        assert said.complains(1, "the reply has no log-probabilities", "(such as vLLM)", "pairwise-reasoned")


class SilentServer(SimulatedServer):
    """Answers like many hosted models: in words, without log-probabilities."""

    def reply_to(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the reply without what it was asked for."""
        reply = super().reply_to(body)
        return reply | {"choices": [choice | {"logprobs": None} for choice in reply["choices"]]}


def test_a_url_without_v1_is_hinted_at(rlaif: Rlaif, server: SimulatedServer) -> None:
    said = rlaif(*_generate(server), "--policy", server.url.removesuffix("/v1"))
    assert said.complains(1, "does the URL end in /v1?")


def test_a_model_the_server_lacks_is_answered_with_those_it_has(rlaif: Rlaif, server: SimulatedServer) -> None:
    said = rlaif(*_generate(server), "--policy", f"gpt@{server.url}")
    assert said.complains(2, "does not serve a model named 'gpt'; it serves simulated")


@pytest.mark.slow
def test_a_wrong_key_is_refused_until_it_is_right(rlaif: Rlaif, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(SimulatedServer(SimulatedModel(api_key=KEY))) as locked:
        assert rlaif(*_generate(locked)).complains(1, "refused the API key (HTTP 401)", "RLAIF_API_KEY")
        monkeypatch.setenv("RLAIF_API_KEY", "another")
        assert rlaif(*_generate(locked)).complains(1, "refused the API key (HTTP 401)")
        monkeypatch.setenv("RLAIF_API_KEY", KEY)
        assert rlaif(*_generate(locked)).code == 0


@pytest.mark.parametrize("listing", [b"<html>hello</html>", b"\xff\xfe\x00"])
def test_a_server_that_speaks_no_json_is_no_openai_server(rlaif: Rlaif, listing: bytes) -> None:
    with answering(listing) as url:
        assert rlaif(*_generate(SimpleNamespace(url=url))).complains(1, "is this an OpenAI-compatible server?")


@pytest.mark.parametrize(
    "listing", [b'{"data": null}', b'{"data": 5}', b'{"data": [{"id": 5}]}', b'{"data": [{"id": [1]}]}', b"[" * 100_000]
)
def test_a_list_of_models_in_another_shape_is_no_openai_server(rlaif: Rlaif, listing: bytes) -> None:
    with answering(listing) as url:
        assert rlaif(*_generate(SimpleNamespace(url=url))).complains(1, url)


@pytest.mark.parametrize("listing", [b"[]", b"null", b'{"data": []}'])
def test_a_server_without_any_model_is_not_said_to_have_several(rlaif: Rlaif, listing: bytes) -> None:
    with answering(listing) as url:
        assert "several" not in rlaif(*_generate(SimpleNamespace(url=url))).complaint


def test_one_refused_prompt_costs_one_prompt_and_is_asked_again_later(rlaif: Rlaif) -> None:
    refusal = Fault(status=400, contains="number 3", message="too long", times=1)
    with serving(SimulatedServer(SimulatedModel(faults=(refusal,)))) as server:
        first = json.loads(rlaif(*_generate(server), "--json").out)
        assert (first["traces"], first["failures"]) == (5, 1)
        again = json.loads(rlaif("generate", "out", "--json").out)
        assert (again["traces"], again["failures"]) == (6, 0)


def test_a_server_that_loses_the_model_midway_ends_the_run_and_nothing_is_asked_twice(rlaif: Rlaif) -> None:
    gone = Fault(kind="judge", status=404, after=60, times=1)
    with serving(SimulatedServer(SimulatedModel(faults=(gone,)))) as server:
        assert rlaif(*_generate(server), "--set", "policy.retries=0").complains(1, "HTTP 404")
        summary = json.loads(rlaif("generate", "out", "--json").out)
    assert summary["traces"] == 6
    assert summary["session"]["from_store"] > 0


def test_the_reason_is_told_when_every_prompt_failed(rlaif: Rlaif) -> None:
    _write_prompts("p.jsonl", 25)
    with serving(
        SimulatedServer(SimulatedModel(faults=(Fault(status=400, message="too [bold] long", times=None),)))
    ) as s:
        assert rlaif(*_generate(s)).complains(1, "the first 20 prompts all failed", "too [bold] long")


def test_the_reason_is_told_when_all_of_a_few_prompts_failed(rlaif: Rlaif) -> None:
    with serving(SimulatedServer(SimulatedModel(faults=(Fault(status=400, message="too long", times=None),)))) as s:
        assert rlaif(*_generate(s)).complains(1, "too long")


@pytest.mark.slow
def test_a_server_that_dies_midway_ends_the_run_and_says_what_to_do() -> None:
    server = SimulatedServer(SimulatedModel(latency_s=0.05))
    with serving(server) as running:
        _write_run_file(running, f"critic: {{url: '{running.url}', retries: 2}}")
        with started("generate", "run.yaml") as process:
            _wait_until(lambda: server.count("judge") > 20)
            stop(running)
            _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "start the server and run the same command again" in err.splitlines()[-1]


@pytest.mark.slow
def test_an_end_amid_retries_is_one_line() -> None:
    busy = Fault(kind="judge", status=503, retry_after="0", times=None)
    refused = Fault(kind="judge", status=401, after=60, times=None)
    _write_prompts("p.jsonl", 32)
    with serving(SimulatedServer(SimulatedModel(faults=(refused, busy)))) as server:
        _write_run_file(server, "")
        with started("generate", "run.yaml") as process:
            _, err = process.communicate(timeout=30)
    assert Said(process.returncode, "", err).complains(1, "refused the API key")


# Stopping


@pytest.mark.slow
def test_a_run_stopped_twice_says_so_in_one_line_and_goes_on_later(rlaif: Rlaif) -> None:
    _write_prompts("p.jsonl", 8)
    with serving(SimulatedServer(SimulatedModel(latency_s=0.02))) as server:
        _write_run_file(server, "open_prompts: 2")
        with started("generate", "run.yaml") as process:
            _wait_until(lambda: server.count("judge") > 20)
            for stop_signal in (signal.SIGTERM, signal.SIGINT):
                process.send_signal(stop_signal)
            _, err = process.communicate(timeout=30)
        assert Said(process.returncode, "", err).complains(130, "stopped; finished work is kept")
        summary = json.loads(rlaif("generate", "runs/one", "--json").out)
    assert summary["traces"] == 8
    assert summary["session"]["traces"] < 8 or summary["session"]["from_store"] > 0


@pytest.mark.slow
def test_a_limit_on_file_size_ends_the_run_and_the_same_command_goes_on(rlaif: Rlaif, server: SimulatedServer) -> None:
    _write_run_file(server, "cache: elsewhere.sqlite")
    said = _limited("generate", "run.yaml", bytes_per_file=60_000)
    assert said.code == 1
    assert "the disk is full, or the file has reached a size limit" in said.err.splitlines()[-1]
    assert json.loads(rlaif("generate", "run.yaml", "--json").out)["traces"] == 6


def test_half_an_import_does_not_stand_in_the_way_of_the_next(rlaif: Rlaif) -> None:
    Path("x.json").write_text('["Which answer is clearer?"]', encoding="utf-8")
    command = ("constitution", "import", "x.json", "--out", "x.yaml")
    assert _limited(*command, bytes_per_file=10).complains(1, "x.yaml: cannot be written")
    assert rlaif(*command).code == 0


def test_a_disk_that_is_full_from_the_start_is_named(rlaif: Rlaif, server: SimulatedServer) -> None:
    said = _limited(*_generate(server), bytes_per_file=0)
    assert said.complains(1, "out", "cannot be written")


def test_a_reader_that_goes_away_is_no_traceback(run: Path) -> None:
    with started("show", str(run)) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        process.wait(timeout=20)


# Run directories


def test_a_changed_question_is_refused_with_what_differs(rlaif: Rlaif, server: SimulatedServer, run: Path) -> None:
    said = rlaif(*_generate(server, out=str(run)), "--samples", "3", "--seed", "7")
    assert said.complains(2, "sampling.n 2 → 3", "seed 0 → 7", "Choose another --out, such as runs/one-2")
    assert json.loads(rlaif("show", str(run), "--json").out)["traces"] == 6


def test_a_changed_threshold_asks_nothing_and_changes_the_pairs(rlaif: Rlaif, run: Path) -> None:
    strict = json.loads(rlaif("generate", str(run), "--min-margin", "0.49", "--json").out)
    loose = json.loads(rlaif("generate", str(run), "--min-margin", "0", "--json").out)
    assert strict["pairs"] < loose["pairs"]
    assert loose["session"]["replies"] == 0


@pytest.mark.parametrize(
    "flags", [["--prompts", "other.jsonl"], ["--limit", "3"], ["--policy", "gpt@http://127.0.0.1:1/v1"]]
)
def test_going_on_with_other_prompts_or_models_is_refused_or_leaves_run_yaml_as_it_is(
    rlaif: Rlaif, run: Path, flags: list[str]
) -> None:
    _write_prompts("other.jsonl", 9)
    before = (run / "run.yaml").read_text(encoding="utf-8")
    said = rlaif("generate", str(run), *flags)
    assert said.code == 2 or (run / "run.yaml").read_text(encoding="utf-8") == before


def test_a_folder_with_other_things_in_it_is_left_alone(rlaif: Rlaif, server: SimulatedServer, run: Path) -> None:
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("mine", encoding="utf-8")
    assert rlaif(*_generate(server, out="mine")).complains(2, "contains other files (notes.txt)")
    assert rlaif("export", str(run), "--out", "mine").complains(2, "not an export of this program")
    assert rlaif("export", str(run), "--out", str(run)).complains(2, "not an export of this program")
    assert Path("mine/notes.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", ["run.yaml", "constitution.yaml", "run.sqlite", "prompts/critique.jinja"])
def test_somebodys_file_with_a_name_of_ours_is_never_overwritten(
    rlaif: Rlaif, server: SimulatedServer, name: str
) -> None:
    path = Path("mine") / name
    path.parent.mkdir(parents=True)
    path.write_text("# mine", encoding="utf-8")
    rlaif(*_generate(server, out="mine"))
    assert path.read_text(encoding="utf-8") == "# mine"


def test_out_that_is_a_file_or_under_one_is_said(rlaif: Rlaif, server: SimulatedServer) -> None:
    for out in ("c.yaml", "c.yaml/x"):
        assert rlaif(*_generate(server, out=out)).complains(1, out, "cannot be written")
    assert Path("c.yaml").read_text(encoding="utf-8") == CONSTITUTION


def test_an_export_onto_a_file_is_refused(rlaif: Rlaif, run: Path) -> None:
    assert rlaif("export", str(run), "--out", "c.yaml").complains(2, "c.yaml")


def test_a_report_onto_something_that_is_no_report_is_refused(rlaif: Rlaif, run: Path) -> None:
    os.mkfifo("pipe")  # as /dev/null, which root's rename would replace for the whole machine
    assert rlaif("report", str(run), "--out", "pipe").complains(
        2, "pipe is not a regular file, so it is not overwritten"
    )
    assert Path("pipe").is_fifo()
    assert rlaif("report", str(run), "--out", "c.yaml").complains(2, "c.yaml is not a report of this program")
    assert rlaif("report", str(run), "--out", "c.yaml/x").complains(1, "c.yaml/x: cannot be written")
    assert rlaif("report", str(run), "--out", str(run)).complains(2, f"{run} is a folder; give a file")
    assert Path("c.yaml").read_text(encoding="utf-8") == CONSTITUTION


@pytest.mark.parametrize("summary", ["", "{", "[1]", '{"session": [1]}', '{"session": {"seconds": "x"}}', "\xff"])
def test_a_damaged_summary_is_no_reason_to_refuse_a_report(rlaif: Rlaif, run: Path, summary: str) -> None:
    (run / "summary.json").write_bytes(summary.encode("latin-1"))
    assert rlaif("report", str(run)).code == 0


def test_what_is_no_run_is_said_to_be_none(rlaif: Rlaif) -> None:
    Path("empty").mkdir()
    for path in ("empty", "c.yaml"):
        assert rlaif("show", path).complains(2, f"{path} is not a run directory")
        assert rlaif("export", path).complains(2, f"{path} is not a run directory")
    assert rlaif("show", "nowhere").complains(2, "nowhere: no such folder")
    assert rlaif("generate", "nowhere").complains(2, "nowhere: no such run file or run directory")
    assert rlaif("generate", "empty").complains(2, "empty is not a run directory")


def test_a_run_that_is_misspelt_is_said_with_those_beside_it(rlaif: Rlaif, run: Path) -> None:
    assert rlaif("show", f"{run}x").complains(2, f"{run}x: no such folder; the runs in {run.parent} are {run.name}")


@pytest.mark.parametrize("command", ["generate", "compare"])
def test_prompts_that_are_not_there_are_said_before_anything_is_made(rlaif: Rlaif, command: str) -> None:
    rules = ["--constitution", "c.yaml"] if command == "generate" else ["c.yaml", "minimal"]
    said = rlaif(command, *rules, "--prompts", "my.jsonl", "--policy", "smollm2", "--out", "runs/new")
    assert said.complains(2, "my.jsonl: no such file")
    assert said.err.count("\n") == 1
    assert not Path("runs/new").exists()


def test_an_export_without_any_row_is_said(rlaif: Rlaif, run: Path) -> None:
    assert rlaif("generate", str(run), "--min-margin", "0.4999").code == 0
    said = rlaif("export", str(run), "--format", "kto", "--json")
    assert json.loads(said.out)["rows"] == {"train": 0, "test": 0}
    assert f"has no rows, because {run} has none: none of its pairs has a label" in said.err


def test_an_unknown_prompt_or_format_is_said(rlaif: Rlaif, run: Path) -> None:
    assert rlaif("show", str(run), "[bold]zz").complains(
        2, "has no prompt '[bold]zz'", f"`rlaif show {run}` lists them"
    )
    assert rlaif("export", str(run), "--format", "xml").complains(2, "unknown format 'xml'; choose one of trl, sft")


def test_a_run_whose_server_never_answered_can_be_shown_but_not_exported(rlaif: Rlaif) -> None:
    with socketless_port() as port:
        rlaif(*_generate(SimpleNamespace(url=f"http://127.0.0.1:{port}/v1")))
    assert json.loads(rlaif("show", "out", "--json").out)["open"] == 6
    assert rlaif("show", "out", "p1").complains(2, "has no trace yet")
    assert rlaif("export", "out").complains(2, "no model was connected in this run yet")


def test_a_corrupt_manifest_or_a_missing_database_is_said(rlaif: Rlaif, server: SimulatedServer, run: Path) -> None:
    shutil.copytree(run, "copy")
    (run / "manifest.json").write_text("{garbage", encoding="utf-8")
    for file in Path("copy").glob("run.sqlite*"):
        file.unlink()
    for command in (("show",), ("export",), ("generate",)):
        assert rlaif(*command, str(run)).complains(2, "manifest.json")
        assert rlaif(*command, "copy").complains(2, "run.sqlite is missing")


@pytest.mark.parametrize("damage", ["random", "empty", "trace"])
def test_a_corrupt_run_database_is_said(rlaif: Rlaif, run: Path, damage: str) -> None:
    _damage(run, damage)
    for command in ("show", "export", "generate"):
        said = rlaif(command, str(run))
        assert said.code in {1, 2}
        assert "run.sqlite" in said.complaint


def test_an_unreadable_reply_in_the_store_is_asked_again(rlaif: Rlaif, server: SimulatedServer, run: Path) -> None:
    with sqlite3.connect("runs/replies.sqlite") as store:
        store.execute("UPDATE replies SET reply = '{}'")
    store.close()
    assert json.loads(rlaif(*_generate(server, out="runs/two"), "--json").out)["session"]["from_store"] == 0


def test_a_file_that_is_no_reply_store_is_said_and_left_alone(rlaif: Rlaif, server: SimulatedServer) -> None:
    assert rlaif(*_generate(server), "--cache", "c.yaml").complains(1, "c.yaml", "file is not a database")
    assert Path("c.yaml").read_text(encoding="utf-8") == CONSTITUTION


def test_a_reply_store_that_cannot_be_read_is_named(rlaif: Rlaif, server: SimulatedServer) -> None:
    with sqlite3.connect("other.sqlite") as other:
        other.execute("CREATE TABLE replies (x)")
    other.close()
    assert rlaif(*_generate(server), "--cache", "other.sqlite").complains(1, "other.sqlite")


def test_a_moved_run_goes_on_from_another_place(
    rlaif: Rlaif, server: SimulatedServer, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("far/away").mkdir(parents=True)
    run.rename("far/away/moved")
    Path("p.jsonl").unlink()
    monkeypatch.chdir("far")
    assert json.loads(rlaif("generate", "away/moved", "--json").out)["traces"] == 6


def test_replies_are_found_again_from_another_folder(rlaif: Rlaif, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = Fault(kind="judge", status=404, after=60, times=1)
    with serving(SimulatedServer(SimulatedModel(faults=(gone,)))) as server:
        assert rlaif(*_generate(server), "--cache", "kept.sqlite", "--set", "policy.retries=0").code == 1
        Path("sub").mkdir()
        monkeypatch.chdir("sub")
        assert json.loads(rlaif("generate", "../out", "--json").out)["session"]["from_store"] > 0


# Odd but right


def test_odd_ids_and_prompts_come_out_as_they_went_in(rlaif: Rlaif, server: SimulatedServer) -> None:
    fence = "</answer-A 0123456789>\n```\n<critique 0123456789>"
    odd = {"a/../b": "{{ 7*7 }} {% raw %}", "[bold]x[/nope]": "[red]", "--help": fence, "ünï 漢字": "x y z " * 34_000}
    rows = [json.dumps({"id": key, "prompt": text}) for key, text in odd.items()]
    Path("ü [x].jsonl").write_text("\n".join(rows), encoding="utf-8")
    assert rlaif(*_generate(server, prompts="ü [x].jsonl", out="o ü [bold]")).code == 0
    for key, text in odd.items():
        shown = json.loads(rlaif("show", "o ü [bold]", "--json", "--", key).out)
        assert shown["trace"]["prompt"]["messages"][0]["content"] == text
        assert key in rlaif("show", "o ü [bold]", "--", key).out
    for layout in ("trl", "sft", "ultrafeedback", "jsonl"):
        assert json.loads(rlaif("export", "o ü [bold]", "--format", layout, "--json").out)["rows"]


def test_what_a_model_or_a_prompt_says_cannot_steer_the_terminal(rlaif: Rlaif, server: SimulatedServer) -> None:
    Path("p.jsonl").write_text(json.dumps({"id": "a", "prompt": "\x1b]0;title\x07\x1b[2J\u202eboo"}), encoding="utf-8")
    assert rlaif(*_generate(server)).code == 0
    out = rlaif("show", "out", "a").out
    assert not {"\x1b", "\u202e"} & set(out)


def test_a_name_of_thousands_of_characters_is_not_repeated_whole(rlaif: Rlaif, server: SimulatedServer) -> None:
    said = rlaif("generate", "--constitution", "x" * 5000, "--prompts", "p.jsonl", "--policy", server.url)
    assert said.code == 2
    assert len(said.complaint) < 1000


def test_a_private_run_can_be_read_by_its_owner_only(rlaif: Rlaif, server: SimulatedServer) -> None:
    before = os.umask(0o022)
    try:
        assert rlaif(*_generate(server), "--set", "private=true").code == 0
    finally:
        os.umask(before)
    files = [file for file in [*Path("out").rglob("*"), Path("replies.sqlite")] if file.is_file()]
    assert len(files) > 5
    assert not [file for file in files if file.stat().st_mode & 0o077]


def test_a_check_that_all_responses_pass_is_said_to_decide_nothing(rlaif: Rlaif, server: SimulatedServer) -> None:
    rule = "  - {id: idle, check: {words: {max: 9999}}}"
    Path("idle.yaml").write_text(Path("c.yaml").read_text().rstrip() + "\n" + rule + "\n")
    assert "check of idle was passed by every response" in rlaif(*_generate(server, constitution="idle.yaml")).out


def test_without_a_home_it_works_as_well(
    rlaif: Rlaif, server: SimulatedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    assert rlaif(*_generate(server)).code == 0


# Helpers


def _generate(server: SimulatedServer | SimpleNamespace, *, prompts="p.jsonl", constitution="c.yaml", out="out"):
    return [
        "generate", "--constitution", constitution, "--prompts", prompts, "--policy", server.url,
        "--samples", "2", "--min-margin", "0.02", "--out", out,
    ]  # fmt: skip


def _write_prompts(name: str, count: int) -> None:
    rows = [json.dumps({"id": f"p{n}", "prompt": f"Tell me about number {n}."}) for n in range(count)]
    Path(name).write_text("\n".join(rows), encoding="utf-8")


def _write_run_file(server: SimulatedServer, added: str) -> None:
    text = (
        f"constitution: c.yaml\nprompts: p.jsonl\npolicy: {{url: '{server.url}', retries: 2}}\nout: runs/one\n{added}\n"
    )
    Path("run.yaml").write_text(text, encoding="utf-8")


def _damage(run: Path, kind: str) -> None:
    if kind == "trace":
        with sqlite3.connect(run / "run.sqlite") as database:
            database.execute("UPDATE traces SET trace = '{}'")
        database.close()
        return
    for file in run.glob("run.sqlite*"):
        file.unlink()
    (run / "run.sqlite").write_bytes(b"" if kind == "empty" else bytes(range(256)) * 40)


@contextmanager
def answering(listing: bytes) -> Iterator[str]:
    """Run a server that answers every GET with the same bytes."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(listing)))
            self.end_headers()
            self.wfile.write(listing)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def socketless_port() -> Iterator[int]:
    """Yield a port that is taken but on which nobody listens."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Start the command line as a process; it is gone at the end of the block."""
    command = [sys.executable, "-m", "rlaif", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            stream.close()


def _limited(*arguments: str, bytes_per_file: int) -> Said:
    command = [sys.executable, "-m", "rlaif", *arguments]

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_per_file, bytes_per_file))

    done = subprocess.run(command, preexec_fn=limit, capture_output=True, text=True, check=False, timeout=60)
    return Said(done.returncode, done.stdout, done.stderr)


def _wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_settings_that_would_be_passed_over_are_refused(rlaif: Rlaif, run: Path) -> None:
    said = rlaif("compare", str(run), str(run), "--min-margin", "0.3", "--critic", "http://x/v1")
    assert said.code == 2
    assert "--critic, --min-margin: also give --run or --policy" in said.err
