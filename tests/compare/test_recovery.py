"""A disagreement planted in the simulated judge is found again, with intervals that hold it as often as they say."""

from pathlib import Path

import pytest

from rlaif.compare.comparing import compare_async
from rlaif.compare.comparison_schema import RuleSetPair
from rlaif.compare.config import compare_config
from rlaif.compare.directory import pooled
from rlaif.compare.metrics import compare_two, pool_bootstrap
from rlaif.compare.tallies import pool_rules
from rlaif.constitution.load import load_constitution
from rlaif.testing import PlantedRule, SimulatedModel, SimulatedServer
from tests.conftest import MakeConfig

REPETITIONS = 200
PROMPTS_EACH = 20
FLIPS, KAPPA, UNDONE = 0.3, 0.4, 0.8

HEAD = "name: {name}\nversion: 1\ndescription: Rules for tests.\nprinciples:\n"
KIND = '  - {id: kind, compare: "Which answer is kinder?", compare_only: true}\n'
# It outweighs the two others together, so that the label is its own; with `short` siding against the better answer in
# one case of five, the others alone then tie, and taking the causing one away does not give the other rule set's label.
OTHERS = (
    '  - {id: causing, compare: "Which answer is bolder?", compare_only: true, weight: 5}\n'
    '  - {id: short, compare: "Which answer is shorter?", compare_only: true}\n'
)
MODEL = SimulatedModel(
    position_bias=1.0,
    rules=(PlantedRule(contains="bolder", agrees=1 - FLIPS), PlantedRule(contains="shorter", agrees=UNDONE)),
)


@pytest.mark.slow
async def test_flips_kappa_and_the_causing_principle_are_recovered_in_200_repetitions(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    found = await _two_hundred_times(make_config, tmp_path)
    held = {
        "flips": sum(two.flips.holds(FLIPS) for two in found),
        "kappa": sum(two.kappa.holds(KAPPA) for two in found),
        "undone": sum(two.guilty[0].undone.holds(UNDONE) for two in found),
    }
    for estimate, times in held.items():
        assert 0.92 <= times / REPETITIONS <= 0.98, (estimate, times)
    assert [(two.guilty[0].rules, two.guilty[0].principle) for two in found] == [("bold", "causing")] * REPETITIONS


async def _two_hundred_times(make_config: MakeConfig, tmp_path: Path) -> list[RuleSetPair]:
    """Compare once over many prompts, and take each group of prompts for one repetition."""
    (tmp_path / "mild.yaml").write_text(HEAD.format(name="mild") + KIND)
    (tmp_path / "bold.yaml").write_text(HEAD.format(name="bold") + KIND + OTHERS)
    sources = [str(tmp_path / "mild.yaml"), str(tmp_path / "bold.yaml")]
    constitutions = {Path(source).stem: load_constitution(source) for source in sources}
    async with SimulatedServer(MODEL) as server:
        run = make_config(
            server,
            prompts=REPETITIONS * PROMPTS_EACH,
            policy={"url": server.url, "concurrency": 128},
            sampling={"n": 3, "max_tokens": 64},
            revision={"rounds": 0},
            judging={"min_margin": 0},
        )
        done = await compare_async(compare_config(sources, run, str(tmp_path / "compared"), floor_prompts=0))
    prompts = list(pooled(done.path))
    assert done.comparison.pairs[0].flips.value == pytest.approx(FLIPS, abs=0.02)
    found = []
    for start in range(0, len(prompts), PROMPTS_EACH):
        group = prompts[start : start + PROMPTS_EACH]
        bootstrap = pool_bootstrap(group, pool_rules(run, constitutions, group))
        found.append(compare_two(bootstrap, "mild", "bold", constitutions))
    return found
