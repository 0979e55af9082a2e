"""What `applies_to` and `priority` mean from end to end, against the simulated server."""

import json
from pathlib import Path

import pytest

from rlaif.generation import generate_async
from rlaif.runs.reader import Run
from rlaif.testing import PlantedRule, SimulatedModel, SimulatedServer
from tests.conftest import MakeConfig

HEAD = "name: testing\nversion: 1\ndescription: For tests.\nprinciples:\n"
ENTRY = """\
  - id: {name}
    critique: Point out what is not {name}.
    revise: Make it {name}.
    compare: Which answer is more {name}?
"""


async def run_with(make_config: MakeConfig, constitution: str, model: SimulatedModel, **sections: object) -> Run:
    async with SimulatedServer(model) as server:
        config = make_config(server, **sections)
        Path(config.constitution).write_text(HEAD + constitution, encoding="utf-8")
        rows = [
            {"id": f"p{n}", "prompt": f"Number {n}?", "tags": [["code"], ["advice", "health"], []][n % 3]}
            for n in range(9)
        ]
        Path(config.prompts.path).write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
        return await generate_async(config)


async def test_a_principle_is_used_for_the_prompts_it_applies_to_and_no_others(make_config: MakeConfig) -> None:
    health = ENTRY.format(name="careful") + "    applies_to: [health, law]\n"
    run = await run_with(make_config, ENTRY.format(name="kind") + health, SimulatedModel())
    criticised_by: dict[str, set[str]] = {}
    for trace in run.traces():
        where = ",".join(trace.prompt.tags)
        expected = ("kind", "careful") if "health" in trace.prompt.tags else ("kind",)
        assert trace.judged_by == expected
        assert {v.principle for m in trace.matchups for v in m.verdicts} == set(expected)
        criticised_by.setdefault(where, set()).update(p for c in trace.critiques for p in c.principles)
    assert criticised_by == {"code": {"kind"}, "": {"kind"}, "advice,health": {"kind", "careful"}}


async def test_a_prompt_no_principle_applies_to_is_a_trace_without_a_pair(make_config: MakeConfig) -> None:
    only_code = ENTRY.format(name="exact") + "    applies_to: [code]\n"
    run = await run_with(make_config, only_code, SimulatedModel())
    for trace, conclusion in run.conclusions():
        assert bool(trace.matchups) == bool(trace.critiques) == ("code" in trace.prompt.tags)
        assert bool(conclusion.pairs) == ("code" in trace.prompt.tags)
        assert (conclusion.no_pair is None) == ("code" in trace.prompt.tags)


async def test_a_low_level_decides_only_the_matchups_the_high_one_leaves_open(make_config: MakeConfig) -> None:
    levels = ENTRY.format(name="safe") + ENTRY.format(name="short") + "    priority: 2\n    weight: 10\n"
    rules = (PlantedRule(contains="safe"), PlantedRule(contains="short", agrees=0.0))
    run = await run_with(make_config, levels, SimulatedModel(rules=rules, noise=1.0), judging={"min_margin": 0.2})
    decided = {1: 0, 2: 0}
    against = 0
    for _, conclusion in run.conclusions():
        for judgement in conclusion.judgements:
            safe, short = (part.logit for part in judgement.principles)
            if judgement.priority is None:
                assert judgement.abstention is not None
                continue
            decided[judgement.priority] += 1
            against += judgement.priority == 1 and safe * short < 0
            assert judgement.logit == pytest.approx(safe if judgement.priority == 1 else short)
    assert decided[1] > decided[2] > 0
    assert against > 0  # ten times the weight of a lower level changed nothing
