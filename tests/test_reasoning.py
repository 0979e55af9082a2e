"""The reasoning of a thinking policy: kept, shown to a judge only if asked, exported and trained on where asked."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rlaif.generation import generate_async
from rlaif.runs.reader import Run
from rlaif.runs.summary import warnings_of
from rlaif.testing import Habit, SimulatedModel, SimulatedServer
from rlaif.testing.request_kind import kind_of
from rlaif.train.examples import read_pairs
from tests.command import Rlaif, commands, serving
from tests.conftest import MakeConfig


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedServer]:
    with serving(SimulatedServer(SimulatedModel(thinks=True, cut_while_thinking=0.1))) as running:
        yield running


@pytest.fixture
def generate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, server: SimulatedServer
) -> Rlaif:
    monkeypatch.chdir(tmp_path)
    Path("p.jsonl").write_text("".join(json.dumps({"prompt": f"Question {n}?"}) + "\n" for n in range(30)))
    given = ("--constitution", "minimal", "--prompts", "p.jsonl", "--policy", server.url, "--out", "run")
    return commands(monkeypatch, capsys, "generate", *given)


def test_the_judges_see_the_response_alone_and_the_trace_keeps_the_thoughts(
    generate: Rlaif, server: SimulatedServer
) -> None:
    assert generate().code == 0
    for kind in ("judge", "critique", "revise"):
        assert "about it." not in json.dumps(server.latest[kind]["messages"])
    responses = [response for trace in Run("run").traces() for response in trace.responses]
    assert all(response.reasoning for response in responses)
    dropped = json.loads(Path("run/summary.json").read_text())["dropped"]
    assert dropped["cut off while reasoning"] == sum(not response.text for response in responses) > 0
    file = next(Path("run/dataset/preference").glob("*.parquet"))
    assert "reasoning_content" not in pd.read_parquet(file).iloc[0].chosen[0]


def test_where_asked_the_thoughts_are_in_the_dataset_and_in_training(generate: Rlaif, server: SimulatedServer) -> None:
    assert generate("--set", "pairs.reasoning=true").code == 0
    row = pd.read_parquet(Path("run/dataset/preference/train.parquet")).iloc[0]
    texts = {r.text: r.reasoning for r in Run("run").trace(row.prompt_id).responses}
    for side in (row.chosen[0], row.rejected[0]):
        assert side["reasoning_content"] == texts[side["content"]]
    example = read_pairs("run/dataset").train[0]
    assert (example.chosen_reasoning, example.rejected_reasoning) == (texts[example.chosen], texts[example.rejected])


def test_where_asked_a_judge_reads_the_thoughts(generate: Rlaif, server: SimulatedServer) -> None:
    assert generate("--set", "judging.see_reasoning=true").code == 0
    assert json.dumps(server.latest["judge"]["messages"]).count("< think>\\nThought ") == 2  # not a control token


class _CriticThatRunsOut(SimulatedServer):
    """A server whose critiques end inside the reasoning."""

    def reply_to(self, body: dict[str, Any]) -> dict[str, Any]:
        reply = super().reply_to(body)
        if kind_of(body) == "critique":
            reply["choices"][0] |= {"message": {"content": None, "reasoning": "First, hm"}, "finish_reason": "length"}
        return reply


async def test_nothing_is_revised_after_a_critique_that_ends_inside_its_reasoning(make_config: MakeConfig) -> None:
    async with _CriticThatRunsOut() as server:
        run = await generate_async(make_config(server, prompts=3))
    assert [response for trace in run.traces() for response in trace.responses if response.origin == "revision"] == []
    assert {critique.reasoning for trace in run.traces() for critique in trace.critiques} == {"First, hm"}
    assert any(warning.startswith("6 critiques ended inside the critic's reasoning") for warning in warnings_of(run))


async def test_what_is_cut_off_or_still_contains_its_reasoning_is_a_warning(make_config: MakeConfig) -> None:
    tagged = Habit(says="Well, <think>what is it?</think>", share=0.5)
    async with SimulatedServer(SimulatedModel(habits=(tagged,), thinks=True, cut_while_thinking=0.3)) as server:
        run = await generate_async(make_config(server, prompts=20, revision={"rounds": 0}))
    texts = [response.text for trace in run.traces() for response in trace.responses]
    with_tags, cut = sum("<think>" in text for text in texts), texts.count("")
    assert min(with_tags, cut) > 0
    warnings = "\n".join(warnings_of(run))
    assert f"{with_tags} of 40 responses have tags of reasoning (such as <think>) in their text" in warnings
    assert f"{cut} of 40 responses ended at max_tokens inside their reasoning and were not compared" in warnings
    assert json.loads((run.path / "dataset" / "rlaif.json").read_text())["warnings"] == warnings_of(run)
