"""`judging.stop`: matchups whose label is sure are asked fewer questions; labels, resuming and refusals."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from rlaif.config.run import RunConfig
from rlaif.errors import ConfigError
from rlaif.generation import generate_async
from rlaif.preferences.stopping import greedy_order
from rlaif.runs.reader import Run
from rlaif.runs.stopping import STOPPING
from rlaif.runs.summary import summarise
from rlaif.testing import SimulatedModel, SimulatedServer

PROMPTS, PRINCIPLES, PILOT = 90, 6, 40


def config(server: SimulatedServer, folder: Path, out: str, **judging: object) -> RunConfig:
    rules = {
        "name": "many",
        "version": 1,
        "description": "Several rules.",
        "principles": [
            {"id": f"p{n}", "compare_only": True, "compare": f"Which answer is better by rule {n}?"}
            for n in range(PRINCIPLES)
        ],
    }
    (folder / "c.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
    rows = (json.dumps({"id": f"p{n}", "prompt": f"Tell me about number {n}."}) for n in range(PROMPTS))
    (folder / "p.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return RunConfig.check(
        {
            "constitution": str(folder / "c.yaml"),
            "prompts": str(folder / "p.jsonl"),
            "policy": {"url": server.url},
            "sampling": {"n": 2},
            "revision": {"rounds": 0},
            "judging": judging,
            "out": str(folder / out / "run"),
            "cache": str(folder / out / "replies.sqlite"),
        }
    )


STOP = {"stop": {"flip": 0.05, "pilot": PILOT}}


def labels(run: Run) -> dict[str, bool | None]:
    return {
        trace.prompt.id: None if one.abstention else (one.logit or 0) > 0
        for trace, conclusion in run.conclusions()
        for one in conclusion.judgements
    }


@pytest.mark.slow
async def test_fewer_verdicts_are_asked_and_hardly_a_label_changes(tmp_path: Path) -> None:
    async with SimulatedServer(SimulatedModel(noise=0.5)) as server:
        whole = await generate_async(config(server, tmp_path, "whole"))
        everything = server.count("judge")
        server.asked.clear()
        run = await generate_async(config(server, tmp_path, "stopped", **STOP))
        asked = server.count("judge")
    assert everything == PROMPTS * PRINCIPLES * 2
    assert PILOT * PRINCIPLES * 2 < asked < 0.9 * everything
    found, expected = labels(run), labels(whole)
    assert sum(found[name] != expected[name] for name in expected) <= 0.1 * PROMPTS
    saved = summarise(run).saved
    assert saved is not None
    assert (saved.asked, saved.whole, saved.pilot_prompts) == (asked, everything, PILOT)
    assert "verdicts asked" in saved.words
    whole_pilot = [trace for trace in run.traces() if len(trace.matchups[0].verdicts) == 2 * PRINCIPLES]
    assert len(whole_pilot) >= PILOT


@pytest.mark.slow
async def test_a_run_that_was_stopped_midway_stops_its_matchups_as_an_undisturbed_one(tmp_path: Path) -> None:
    async with SimulatedServer(SimulatedModel(noise=0.5)) as server:
        calm = await generate_async(config(server, tmp_path, "calm", **STOP))
        disturbed = config(server, tmp_path, "disturbed", **STOP)
        limited = disturbed.model_copy(update={"max_total_tokens": 60_000, "open_prompts": 4})
        first = await generate_async(limited)
        assert 0 < summarise(first).traces < PROMPTS
        run = await generate_async(disturbed)
    assert (run.path / STOPPING).read_bytes() == (calm.path / STOPPING).read_bytes()
    assert [t.model_dump_json() for t in run.traces()] == [t.model_dump_json() for t in calm.traces()]


@pytest.mark.parametrize(
    ("judging", "said"),
    [
        ({"kind": "rating"}, "needs judges that compare two responses"),
        ({"strategy": "pareto"}, "another strategy than pareto"),
        ({"principles": 1}, "saves nothing with one judge and one principle"),
    ],
)
async def test_what_cannot_be_promised_is_refused(tmp_path: Path, judging: dict[str, object], said: str) -> None:
    async with SimulatedServer() as server:
        with pytest.raises(ConfigError, match=said):
            await generate_async(config(server, tmp_path, "refused", **(STOP | judging)))


def test_the_question_that_tells_most_of_the_mean_comes_first() -> None:
    covariance = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 4.0]])
    shares = np.full(3, 1 / 3)
    # Alone, the third takes 16 / 9 off the variance of the mean; then either of the other two, which say the same.
    assert greedy_order([("j", "a"), ("j", "b"), ("j", "c")], covariance, shares) == (
        ("j", "c"),
        ("j", "a"),
        ("j", "b"),
    )
