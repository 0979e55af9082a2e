"""The reasoning of a thinking policy: kept, shown to a judge only if asked, exported and trained on where asked."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from rlaif.runs.reader import Run
from rlaif.testing import SimulatedModel, SimulatedServer
from rlaif.train.examples import read_pairs
from tests.command import Rlaif, commands, serving


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
    assert json.dumps(server.latest["judge"]["messages"]).count("<think>\\nThought ") == 2
