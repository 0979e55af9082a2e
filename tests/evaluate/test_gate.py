"""A run that asks for fit judges measures them first, and stops before anything is generated where they are not."""

import json
from pathlib import Path

import pytest

from rlaif.errors import ConfigError, RunError, UnfitJudgeError
from rlaif.evaluate.gate import MEASURED, gate_of, needed
from rlaif.generation import generate_async
from rlaif.progress import Silent
from rlaif.testing import Fault, SimulatedModel, SimulatedServer
from tests.command import commands
from tests.conftest import MakeConfig
from tests.evaluate.test_judge_evaluation import gold_file

CASES = """
    cases:
      - {prompt: "Q1?", better: "One (quality +1.0)", worse: "Two (quality -1.0)"}
      - {prompt: "Q2?", better: "Three (quality +0.5)", worse: "Four (quality -1.5)"}
      - {prompt: "Q3?", better: "Five (quality +0.9)", worse: "Six (quality -0.2)"}
      - {prompt: "Q5?", better: "Nine (quality +1.4)", worse: "Ten (quality -1.2)"}
      - {prompt: "Q6?", better: "Eleven (quality +1.4)", worse: "Twelve (quality -2.2)"}
      - {prompt: "Q7?", better: "Thirteen (quality +1.1)", worse: "Fourteen (quality -0.7)"}
      - {prompt: "Q8?", better: "Fifteen (quality +1.2)", worse: "Sixteen (quality -0.9)"}
      - {prompt: "Q9?", better: "Seventeen (quality +1.3)", worse: "Eighteen (quality -0.8)"}
      - {prompt: "Q4?", better: "Seven (quality +0.4)", worse: "Eight (quality -1.2)"}
"""


class Lines(Silent):
    """A screen that keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def with_cases(constitution_file: Path) -> str:
    constitution_file.write_text(constitution_file.read_text() + CASES, encoding="utf-8")
    return str(constitution_file)


async def test_fit_judges_are_let_through_and_what_was_measured_is_kept(
    make_config: MakeConfig, with_cases: str
) -> None:
    async with SimulatedServer() as server:
        config = make_config(server, constitution=with_cases, judging={"require": {"accuracy": 0.6}})
        run = await generate_async(config, make_gate=gate_of)
    assert run.prompt_count() == 6
    measured = json.loads((run.path / MEASURED).read_text())
    assert measured["overall"]["accuracy_labels"]["value"] == 1.0
    assert measured["overall"]["items"] == 9


async def test_unfit_judges_stop_the_run_before_anything_is_sampled(make_config: MakeConfig, with_cases: str) -> None:
    async with SimulatedServer(SimulatedModel(scale=-1.0)) as server:
        config = make_config(server, constitution=with_cases, judging={"require": {}})
        with pytest.raises(UnfitJudgeError, match=r"labels that are right 0% \(.*required 65%.*Nothing is generated"):
            await generate_async(config, make_gate=gate_of)
        assert server.count("sample") == 0
        assert server.count("judge") == 18
        lowered = make_config(
            server, constitution=with_cases, judging={"require": {"accuracy": None, "label_mass": 0.9}}
        )
        assert (await generate_async(lowered, make_gate=gate_of)).prompt_count() == 6


async def test_a_case_is_put_to_its_own_principle_alone(make_config: MakeConfig, with_cases: str) -> None:
    async with SimulatedServer() as server:
        await generate_async(
            make_config(server, prompts=1, constitution=with_cases, judging={"require": {}}), make_gate=gate_of
        )
        kinds = [asked.kind for asked in server.asked]
    assert kinds[:19] == ["judge"] * 18 + ["sample"]


async def test_the_gate_takes_a_gold_file(make_config: MakeConfig, tmp_path: Path) -> None:
    gold = gold_file(tmp_path, n=40)
    async with SimulatedServer(SimulatedModel(label_mass=0.3)) as server:
        wanted = {"gold": str(gold), "limit": 20, "accuracy": None, "label_mass": 0.8, "calibration_error": 0.9}
        with pytest.raises(UnfitJudgeError, match=r"20 labelled pairs .*label mass 30% .*required 80%"):
            await generate_async(
                make_config(server, judging={"require": wanted, "min_label_mass": 0.1}), make_gate=gate_of
            )


async def test_a_constitution_without_cases_is_refused_before_anything_starts(make_config: MakeConfig) -> None:
    async with SimulatedServer() as server:
        with pytest.raises(ConfigError, match=r"has no cases to measure the judges on.*give a file of gold labels"):
            await generate_async(make_config(server, judging={"require": {}}), make_gate=gate_of)
        assert not server.asked


async def test_cases_that_judges_are_shown_do_not_test_them(make_config: MakeConfig, with_cases: str) -> None:
    async with SimulatedServer() as server:
        judges = [{"kind": "pairwise-logprob", "cases": 3}]
        config = make_config(server, constitution=with_cases, judging={"judges": judges, "require": {"accuracy": 0.5}})
        run = await generate_async(config, make_gate=gate_of)
    assert json.loads((run.path / MEASURED).read_text())["overall"]["items"] == 6


async def test_a_range_that_allows_no_label_is_refused(make_config: MakeConfig) -> None:
    async with SimulatedServer() as server:
        with pytest.raises(ConfigError, match=r"min_margin 0.2 is too large for the judges' clamp"):
            await generate_async(
                make_config(server, judging={"kind": "pairwise-reasoned", "min_margin": 0.2}), make_gate=gate_of
            )


async def test_a_handful_of_labels_proves_nothing(make_config: MakeConfig, with_cases: str) -> None:
    async with SimulatedServer() as server:
        config = make_config(server, constitution=with_cases, judging={"require": {"limit": 5}})
        with pytest.raises(
            ConfigError, match=r"the 5 labelled pairs .* cannot show an accuracy of 65%: that takes at least 9"
        ):
            await generate_async(config, make_gate=gate_of)
        assert not server.asked


def test_a_dry_run_says_so_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], with_cases: str, tmp_path: Path
) -> None:
    file = tmp_path / "run.yaml"
    run = f"constitution: {with_cases}\nprompts: seed\npolicy: none\nout: run\njudging: {{require: {{accuracy: 0.9}}}}"
    file.write_text(run, encoding="utf-8")
    said = commands(monkeypatch, capsys)("generate", str(file), "--dry-run")
    assert said.complains(2, "the 9 labelled pairs", "cannot show an accuracy of 90%: that takes at least 36")


async def test_a_coin_does_not_pass() -> None:
    """Of 10 labels, 9 may be right by luck; of 400, a coin never has 280."""
    assert [needed(0.65, labels) for labels in (8, 9, 10, 20, 100, 400)] == [None, 9, 10, 18, 75, 280]
    assert needed(0.0, 5) == 0


async def test_how_many_must_be_right_is_said_beforehand(make_config: MakeConfig, with_cases: str) -> None:
    screen = Lines()
    async with SimulatedServer(SimulatedModel(scale=-1.0)) as server:
        config = make_config(server, constitution=with_cases, judging={"require": {}})
        with pytest.raises(
            UnfitJudgeError, match=r"required 65% at the lower end of the interval: \d of \d must be right"
        ):
            await generate_async(config, make_gate=gate_of, screen=screen)
    assert any("of as many labels, 9 must be right to show an accuracy of 65%" in line for line in screen.lines)


async def test_a_server_that_breaks_at_the_gate_is_no_unfit_judge(make_config: MakeConfig, with_cases: str) -> None:
    broken = Fault(kind="judge", does="disconnect", after=6, times=12)
    async with SimulatedServer(SimulatedModel(faults=(broken,))) as server:
        policy = {"url": server.url, "retries": 0}
        config = make_config(server, constitution=with_cases, policy=policy, judging={"require": {"accuracy": 0.6}})
        says = r"\d of 9 labelled pairs .* failed.*closed the connection.*the same command asks the failed ones again"
        with pytest.raises(RunError, match=says):
            await generate_async(config, make_gate=gate_of)
        assert server.count("sample") == 0
        assert (await generate_async(config, make_gate=gate_of)).prompt_count() == 6
