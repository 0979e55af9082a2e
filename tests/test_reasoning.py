"""A thinking policy: its reasoning is kept apart, counted, exported where asked, and shown to no judge unless asked."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from rlaif.generation import generate_async
from rlaif.runs.reader import Run
from rlaif.runs.summary import summarise
from rlaif.testing import SimulatedModel, SimulatedServer, Thinking
from tests.command import commands
from tests.conftest import MakeConfig

Rows = list[dict[str, Any]]


class Recording(SimulatedServer):
    """A simulated server that keeps the text of every request."""

    def reply_to(self, body: dict[str, Any]) -> dict[str, Any]:
        self.__dict__.setdefault("texts", []).append("\n".join(turn["content"] for turn in body["messages"]))
        return super().reply_to(body)


def thinking(**settings: Any) -> Recording:
    return Recording(SimulatedModel(thinking=Thinking(**settings), words=8))


def read(folder: Path, table: str) -> Rows:
    from datasets import load_dataset

    rows: Rows = load_dataset(str(folder), table, split="train+test").to_list()
    return rows


@pytest.mark.parametrize("where", ["reasoning", "reasoning_content", "tags"])
async def test_reasoning_is_kept_with_samples_revisions_and_critiques_and_nobody_is_shown_it(
    make_config: MakeConfig, where: Literal["reasoning", "reasoning_content", "tags"]
) -> None:
    async with thinking(where=where) as server:
        run = await generate_async(make_config(server, prompts=3))
    (trace, *_) = run.traces()
    assert {r.origin for r in trace.responses if r.reasoning} == {"sample", "revision"}
    assert all(critique.reasoning for critique in trace.critiques)
    thoughts = [r.reasoning for r in trace.responses] + [c.reasoning for c in trace.critiques]
    shown = server.__dict__["texts"]
    assert [thought for thought in thoughts if thought and any(thought in text for text in shown)] == []
    summary = summarise(run)
    assert "12 of 12 responses have reasoning: not shown to the judges, not in the dataset (pairs.reasoning)" in (
        summary.notes
    )
    assert not any("reasoning" in warning for warning in summary.warnings)
    assert set(read(run.path / "dataset", "preference")[0]["chosen"][0]) == {"role", "content"}


async def test_a_response_cut_off_inside_its_reasoning_is_counted_under_that_reason(make_config: MakeConfig) -> None:
    async with thinking(cut=0.4) as server:
        run = await generate_async(make_config(server, prompts=20, sampling={"n": 3}))
    traces = list(run.traces())
    cut = [r for t in traces for r in t.responses if r.reasoning and not r.text]
    summary = summarise(run)
    assert 20 < len(cut) < 60
    assert all(r.finish_reason == "length" for r in cut)
    named = [d for t in traces for d in t.dropped if d.reason == "cut inside its reasoning"]
    ends = [r for t in traces for r in t.responses if not r.text and r.origin == "sample"]
    assert {r.id for r in ends} <= {d.response for d in named}
    assert summary.dropped.keys() == {"cut inside its reasoning"}
    assert any(f"{len(cut)} of {summary.samples + summary.revisions} responses ended" in w for w in summary.warnings)
    critiques = [c for t in traces for c in t.critiques if c.cut_in_reasoning]
    assert critiques
    assert any(f"{len(critiques)} critiques ended inside the critic's reasoning" in w for w in summary.warnings)
    revised = {(t.prompt.id, r.parent) for t in traces for r in t.responses if r.parent}
    assert not revised & {(t.prompt.id, c.of) for t in traces for c in t.critiques if c.cut_in_reasoning}


async def test_tags_of_reasoning_inside_a_text_are_a_warning(make_config: MakeConfig) -> None:
    async with thinking(where="inner tags", critiques=False) as server:
        run = await generate_async(make_config(server, prompts=2, revision={"rounds": 0}))
    (warning,) = [w for w in summarise(run).warnings if "<think>" in w]
    assert warning.startswith("4 of 4 responses have tags of reasoning (such as <think>) in their text")
    assert "--reasoning-parser NAME" in warning


async def test_judges_see_the_reasoning_where_they_are_asked_to(make_config: MakeConfig) -> None:
    async with thinking(critiques=False) as server:
        judges = [{"kind": "pairwise-logprob"}, {"kind": "rating"}]
        judging = {"min_margin": 0.02, "show_reasoning": True, "judges": judges}
        run = await generate_async(make_config(server, prompts=1, judging=judging))
        texts = server.__dict__["texts"]
    (trace,) = run.traces()
    for response in trace.responses:
        whole = f"[reasoning before the answer]\n{response.reasoning}\n\n[answer]\n{response.text}\n</answer"
        compared = re.compile(r"<answer-A (\w+)>\n" + re.escape(whole) + r"-A \1>")
        assert any(compared.search(text) for text in texts)
        assert any(f"{whole} " in text for text in texts)  # the rating judge
    assert run.manifest.questions["judging"]["show_reasoning"] is True
    assert "with_reasoning" in run.manifest.templates


async def test_reasoning_is_exported_where_asked_as_templates_read_it(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with thinking() as server:
        run = await generate_async(make_config(server, prompts=6, pairs={"reasoning": True}))
        plain = await generate_async(make_config(server, prompts=6, out=str(tmp_path / "runs" / "plain")))
    for table, side in (("preference", "chosen"), ("preference", "rejected"), ("sft", "completion")):
        rows = read(run.path / "dataset", table)
        assert rows
        for row in rows:
            (turn,) = row[side]
            assert turn["reasoning_content"] == _thought(run, row["prompt_id"], turn["content"])
    said = commands(monkeypatch, capsys)("export", str(plain.path), "--reasoning", "--out", str(tmp_path / "with"))
    assert said.code == 0, said.err
    assert read(tmp_path / "with", "preference") == read(run.path / "dataset", "preference")
    rlaif = commands(monkeypatch, capsys)
    assert rlaif("export", str(plain.path), "--reasoning", "--format", "ranking").complains(
        2, "ranking has no messages"
    )
    shown = rlaif("show", str(plain.path), "p0").out
    assert f"reasoning: {plain.trace('p0').responses[0].reasoning}" in shown


def _thought(run: Run, prompt: str, text: str) -> str | None:
    by_text: Mapping[str, str | None] = {r.text: r.reasoning for r in run.trace(prompt).responses}
    return by_text[text]
