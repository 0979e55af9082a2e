"""`rlaif evaluate policy` as a person sees it: what is printed and written, and one line for what is wrong."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rlaif.evaluate.policy.policy_report import PolicyEvaluation
from rlaif.testing.server import SimulatedModel, SimulatedServer
from tests.command import Rlaif, commands, serving
from tests.conftest import CONSTITUTION
from tests.evaluate.policy.test_policy_evaluation import BASE, TUNED


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("RLAIF_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    Path("c.yaml").write_text(CONSTITUTION)
    Path("p.jsonl").write_text("\n".join(json.dumps({"id": f"p{n}", "prompt": f"About {n}?"}) for n in range(40)))


@pytest.fixture
def rlaif(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rlaif:
    return commands(monkeypatch, capsys, "evaluate", "policy")


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Rlaif:
    return commands(monkeypatch, capsys, "report")


@pytest.fixture(scope="module")
def servers() -> Iterator[list[SimulatedServer]]:
    """Serve base, tuned model and critic."""
    with (
        serving(SimulatedServer(BASE)) as base,
        serving(SimulatedServer(TUNED)) as tuned,
        serving(SimulatedServer(SimulatedModel(name="critic", scale=3.0))) as critic,
    ):
        yield [base, tuned, critic]


@pytest.fixture
def given(servers: list[SimulatedServer]) -> list[str]:
    """Return the flags that name them."""
    base, tuned, critic = servers
    return ["--base", base.url, "--tuned", tuned.url, "--critic", critic.url]


WHAT = ("--prompts", "p.jsonl", "--constitution", "c.yaml", "--samples", "2")


def test_gains_losses_and_what_cannot_be_said_are_printed_and_written(rlaif: Rlaif, given: list[str]) -> None:
    said = rlaif(*given, *WHAT, "--out", "ev", "--trained-on", "p.jsonl", "--limit", "3")
    assert said.complains(2, "all 3 prompts are in the training data")
    said = rlaif(*given, *WHAT, "--out", "ev")
    assert said.code == 0, said.err
    assert "base → tuned" in said.out
    losses, _, gains = said.out.partition("shown to be a loss")[2].partition("shown to be a gain")
    assert "harmless requests with an alarming word that are refused" in losses
    assert "harmful requests that are complied with" in gains
    assert "no difference shown: " in said.out
    assert "under testing: 40 pairs = tuned " in said.out
    found = PolicyEvaluation.model_validate_json(Path("ev/evaluation.json").read_text())
    assert (found.prompts, found.sampling.n) == (40, 2)
    rows = [json.loads(row) for row in Path("ev/answers.jsonl").read_text().splitlines()]
    assert len(rows) == 2 * (40 + 42 + 26 + 2 * 34)
    assert {len(row["answers"]) for row in rows} == {2}


def test_the_page_stands_alone_and_says_the_same(rlaif: Rlaif, given: list[str]) -> None:
    hostile = "<script>alert(1)</script>"
    Path("p.jsonl").write_text(json.dumps({"prompt": hostile}) + "\n" + json.dumps({"prompt": "Two?"}))
    report = json.loads(rlaif(*given, *WHAT, "--out", "ev", "--limit", "2", "--json").out)
    page = Path("ev/report.html").read_text()
    assert hostile not in page
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://127.0.0.1", "")
    for line in report["lines"]:
        assert line["label"] in page
    assert "with only 2 prompts, only large differences are detected" in page.lower()
    assert page.count("<svg") >= 2


def test_the_report_of_an_evaluation_is_made_again_from_its_figures(
    rlaif: Rlaif, given: list[str], report: Rlaif
) -> None:
    rlaif(*given, *WHAT, "--limit", "2", "--out", "ev")
    page = Path("ev/report.html").read_bytes()
    Path("ev/report.html").unlink()
    assert report("ev").out.startswith("ev/report.html   (0.")
    assert Path("ev/report.html").read_bytes() == page
    assert json.loads(report("ev", "--out", "other.html", "--json").out) == {"file": "other.html", "bytes": len(page)}
    Path("ev/evaluation.json").write_text('{"critics": []}')
    assert report("ev").complains(2, "ev/evaluation.json: this version of `rlaif evaluate policy` did not write it")


def test_where_programs_decide_no_critic_judges_its_own_responses(rlaif: Rlaif, servers: list[SimulatedServer]) -> None:
    base, tuned, _ = servers
    Path("counted.yaml").write_text(
        "name: counted\nversion: 1\ndescription: d\nprinciples: [{id: brief, check: {words: {max: 5}}}]\n"
    )
    given = ["--base", base.url, "--tuned", tuned.url, "--prompts", "p.jsonl", "--samples", "1", "--limit", "3"]
    before = base.count("judge")
    assert "its own responses" not in rlaif(*given, "--constitution", "counted.yaml").out
    assert base.count("judge") == before
    assert "the critic is the base model, which judges its own responses" in rlaif(
        *given, "--constitution", "c.yaml"
    ).out.replace("\n", " ")


def test_the_rules_as_a_system_prompt_are_a_control_for_a_trained_model(
    rlaif: Rlaif, servers: list[SimulatedServer]
) -> None:
    base, tuned, _ = servers
    given = ["--base", base.url, "--tuned", tuned.url, "--base-system", "constitution", "--limit", "2"]
    said = rlaif(*given, *WHAT, "--out", "ev")
    assert "base with a system prompt → tuned" in said.out
    first, *others = base.latest["sample"]["messages"]
    assert first["role"] == "system" and "keeps to the rules below" in first["content"]
    assert [turn["role"] for turn in others] == ["user"]
    assert tuned.latest["sample"]["messages"][0]["role"] == "user"
    found = PolicyEvaluation.model_validate_json(Path("ev/evaluation.json").read_text())
    assert (found.base.system, found.tuned.system) == (first["content"], None)
    drift = next(line for line in found.lines if line.name == "divergence")
    assert (drift.finding, drift.note) == ("not measured", "a system prompt makes another text of each prompt")


def test_the_same_command_asks_nothing_twice(rlaif: Rlaif, given: list[str], servers: list[SimulatedServer]) -> None:
    one = rlaif(*given, *WHAT, "--limit", "4", "--json")
    asked = [len(server.asked) for server in servers]
    again = rlaif(*given, *WHAT, "--limit", "4", "--json")
    assert one.out == again.out
    assert json.loads(one.out)["probes"]["questions"] == 4
    assert [len(server.asked) for server in servers] == asked


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--base", "ftp://x"), ["--base ftp://x", "must start with http"]),
        (("--tuned", "adapter"), ["--tuned adapter", "contains an adapter", "--merge"]),
        (("--tuned", "empty"), ["--tuned empty", "no config.json"]),
        (("--tuned", "p.jsonl"), ["--tuned p.jsonl", "is a file; give a model's folder"]),
        (("--out", "judged"), ["--out judged", "has an evaluation.json of another kind"]),
        (("--prompts", "none.jsonl"), ["none.jsonl", "no such file"]),
        (("--constitution", "nothing"), ["no constitution 'nothing'"]),
        (("--trained-on", "nowhere"), ["--trained-on nowhere", "no such run directory"]),
        (("--trained-on", "judged.jsonl"), ["--trained-on judged.jsonl", "none of its rows has a prompt"]),
        (("--principles", "x"), ["--principles x", "`all`"]),
        (("--out", "p.jsonl"), ["--out p.jsonl", "is a file"]),
    ],
)
def test_bad_input_is_one_line_that_names_the_flag(
    rlaif: Rlaif, given: list[str], arguments: tuple[str, str], words: list[str]
) -> None:
    for name, file in (("adapter", "adapter_config.json"), ("empty", "notes.txt"), ("judged", "evaluation.json")):
        Path(name).mkdir()
        (Path(name) / file).write_text("{}")
    Path("judged.jsonl").write_text('{"id": "p1", "answers": ["Yes."]}')
    assert rlaif(*given, *WHAT, *arguments).complains(2, *words)


@pytest.mark.parametrize("flag", ["--base", "--tuned", "--critic"])
def test_a_server_that_is_not_there_is_named_before_the_others_are_asked(
    rlaif: Rlaif, given: list[str], servers: list[SimulatedServer], flag: str
) -> None:
    asked = [len(server.asked) for server in servers]
    said = rlaif(*given, *WHAT, flag, "http://127.0.0.1:9/v1", "--cache", f"{flag}.sqlite")
    assert said.complains(1, "127.0.0.1:9", "is the server running")
    assert [len(server.asked) for server in servers] == asked
