"""Planted disagreement is recovered, and its intervals contain the truth as often as they say."""

import math
import random
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import pytest

from rlaif.compare.comparing import compare_async
from rlaif.compare.comparison_schema import RuleSetPair
from rlaif.compare.config import compare_config
from rlaif.compare.metrics import compare_two, pool_tallies
from rlaif.compare.pool import Candidate, JudgingPass, PooledPrompt, PoolMatchup
from rlaif.compare.tallies import pool_rules
from rlaif.constitution.load import load_constitution
from rlaif.records import Matchup, Message, Prompt, Verdict
from rlaif.stats.log_odds import sigmoid
from rlaif.testing import PlantedRule, SimulatedModel, SimulatedServer
from tests.conftest import MakeConfig

REPETITIONS, PROMPTS_EACH = 400, 20
FLIPS, KAPPA, UNDONE, BIAS = 0.3, 0.4, 0.8, 1.0

HEAD = "name: {name}\nversion: 1\ndescription: Rules for tests.\nprinciples:\n"
KIND = '  - {id: kind, compare: "Which answer is kinder?", compare_only: true}\n'
# `causing` outweighs the two others together, so the label is its own. `short` prefers the worse response in one case
# of five; the others then tie, and removing `causing` does not give the other rule set's label.
OTHERS = (
    '  - {id: causing, compare: "Which answer is bolder?", compare_only: true, weight: 5}\n'
    '  - {id: short, compare: "Which answer is shorter?", compare_only: true}\n'
)


@pytest.fixture
def sources(tmp_path: Path) -> list[str]:
    (tmp_path / "mild.yaml").write_text(HEAD.format(name="mild") + KIND)
    (tmp_path / "bold.yaml").write_text(HEAD.format(name="bold") + KIND + OTHERS)
    return [str(tmp_path / "mild.yaml"), str(tmp_path / "bold.yaml")]


async def test_a_comparison_recovers_the_planted_flips_and_their_cause(
    make_config: MakeConfig, sources: list[str], tmp_path: Path
) -> None:
    model = SimulatedModel(
        position_bias=BIAS,
        rules=(PlantedRule(contains="bolder", agrees=1 - FLIPS), PlantedRule(contains="shorter", agrees=UNDONE)),
    )
    async with SimulatedServer(model) as server:
        run = make_config(
            server,
            prompts=200,
            policy={"url": server.url, "concurrency": 128},
            sampling={"n": 3, "max_tokens": 64},
            revision={"rounds": 0},
            judging={"min_margin": 0},
        )
        done = await compare_async(compare_config(sources, run, str(tmp_path / "compared"), floor_prompts=0))
    (two,) = done.comparison.pairs
    assert two.flips.value == pytest.approx(FLIPS, abs=0.06)
    assert (two.guilty[0].rules, two.guilty[0].principle) == ("bold", "causing")
    assert two.guilty[0].undone.value == pytest.approx(UNDONE, abs=0.08)


@pytest.mark.slow
def test_the_intervals_contain_the_truth_in_95_of_100_comparisons(make_config: MakeConfig, sources: list[str]) -> None:
    constitutions = {Path(source).stem: load_constitution(source) for source in sources}
    run = make_config(SimulatedServer(), judging={"min_margin": 0})
    rng = random.Random(1)
    found: list[RuleSetPair] = []
    for repetition in range(REPETITIONS):
        prompts = [_judged_prompt(rng, f"{repetition}-{i}") for i in range(PROMPTS_EACH)]
        tallies = pool_tallies(prompts, pool_rules(run, constitutions, prompts))
        found.append(compare_two(tallies, "mild", "bold", constitutions))
    contained = {
        "flips": sum(two.flips.holds(FLIPS) for two in found),
        "kappa": sum(two.kappa.holds(KAPPA) for two in found),
        "undone": sum(two.guilty[0].undone.holds(UNDONE) for two in found),
    }
    for estimate, times in contained.items():
        assert 0.925 <= times / REPETITIONS <= 0.99, (estimate, times)
    assert {(two.guilty[0].rules, two.guilty[0].principle) for two in found} == {("bold", "causing")}


@pytest.mark.slow
def test_the_interval_of_the_position_bias_takes_a_prompts_matchups_together(
    make_config: MakeConfig, sources: list[str]
) -> None:
    constitutions = {Path(source).stem: load_constitution(source) for source in sources}
    run = make_config(SimulatedServer(), judging={"min_margin": 0})
    rng, held = random.Random(2), []
    for repetition in range(200):
        prompts = [_judged_prompt(rng, f"{repetition}-{i}", rng.gauss(BIAS, 0.5)) for i in range(PROMPTS_EACH)]
        interval = pool_rules(run, constitutions, prompts)["bold", False].bias.overall_interval
        assert interval.prompts == PROMPTS_EACH
        held.append(interval.holds(BIAS))
    assert 0.9 <= sum(held) / 200 <= 0.99


def _judged_prompt(rng: random.Random, name: str, bias: float = BIAS) -> PooledPrompt:
    """Make three candidates, judged under both rule sets by a critic with a constant position bias."""
    quality = {f"s{i}": rng.gauss(0, 1) for i in range(3)}
    matchups = tuple(PoolMatchup(a=a, b=b, kind="samples") for a, b in combinations(quality, 2))
    rule_sets = {"mild": {"kind": 1.0}, "bold": {"kind": 1.0, "causing": 1 - FLIPS, "short": UNDONE}}
    passes = []
    for rules, principles in rule_sets.items():
        judged = tuple(
            Matchup(a=one.a, b=one.b, verdicts=tuple(_verdicts(rng, principles, quality[one.a] - quality[one.b], bias)))
            for one in matchups
        )
        passes.append(JudgingPass(rules=rules, judged_by=tuple(principles), matchups=judged))
    return PooledPrompt(
        prompt=Prompt(id=f"p{name}", messages=(Message(role="user", content=name),)),
        candidates=tuple(Candidate(id=one, text=f"{name} {one}") for one in quality),
        matchups=matchups,
        identical=0,
        sittings=tuple(passes),
    )


def _verdicts(rng: random.Random, principles: dict[str, float], difference: float, bias: float) -> Iterator[Verdict]:
    """Yield both orders of each principle, which agrees with the difference in quality as often as planted."""
    for principle, agrees in principles.items():
        logit = difference if rng.random() < agrees else -difference
        for order, x in (("ab", bias + logit), ("ba", bias - logit)):
            first, second = (math.log(0.97 * sigmoid(sign * x)) for sign in (1, -1))
            yield Verdict(principle=principle, order=order, first=first, second=second, label_mass=0.97, reply="r")
