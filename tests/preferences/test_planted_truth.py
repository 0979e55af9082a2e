"""The arithmetic against critics of whom everything is known. The full size: `python -m benchmarks.planted_truth`."""

from statistics import fmean

import pytest

from rlaif.config.run import RunConfig
from rlaif.preferences.position import PositionBias
from tests.preferences.planted import CANDIDATES, JUDGING, Found, World, conclude_as, plant, study, world
from tests.preferences.test_conclusion import BASE, trace

pytestmark = pytest.mark.slow

SEEDS = 100


@pytest.fixture(scope="module")
def quiet() -> list[tuple[World, Found]]:
    """Return critics with noise of half a logit on each verdict."""
    worlds = [world(seed, 1500, 0.5) for seed in range(SEEDS)]
    return [(one, study(one)) for one in worlds]


@pytest.fixture(scope="module", params=[1.0, 2.0])
def noisy(request: pytest.FixtureRequest) -> list[Found]:
    return [study(world(seed, 5000, request.param)) for seed in range(15)]


def test_probabilities_of_labels_are_honest_once_length_is_taken_out(quiet: list[tuple[World, Found]]):
    assert fmean(found.error_without_length for _, found in quiet) <= 0.02
    biased = [found for world, found in quiet if abs(world.length) > 0.7]
    assert fmean(one.error_of_critic for one in biased) > fmean(one.error_without_length for one in biased) + 0.01


def test_the_log_odds_of_one_matchup_of_a_noisy_critic_are_overconfident(noisy: list[Found]):
    assert min(found.error_without_length for found in noisy) > 0.03


def test_the_planted_position_bias_is_inside_its_interval(quiet: list[tuple[World, Found]]):
    assert 0.92 <= fmean(found.position.holds(world.position) for world, found in quiet) <= 0.98


def test_the_planted_worth_of_length_is_inside_its_interval(quiet: list[tuple[World, Found]]):
    assert 0.92 <= fmean(found.length.linear.holds(world.length) for world, found in quiet) <= 0.98


def test_no_label_comes_from_a_tie_or_from_what_could_not_be_read(quiet: list[tuple[World, Found]], noisy: list[Found]):
    assert sum(found.labels for _, found in quiet) > 50_000
    assert not any(found.wrongly_labelled for found in [*noisy, *(found for _, found in quiet)])


@pytest.mark.parametrize("select", ["best-vs-worst", "best-vs-random", "revision-vs-parent"])
def test_no_pair_comes_from_a_tie_an_unreadable_verdict_or_an_abstention(select: str):
    planted = plant(World(7, position=3.0, noise=1.5, unreadable=0.2, ties=0.3))
    bias = PositionBias.measure(planted.matchups, JUDGING.min_label_mass)
    config = RunConfig.check(BASE | {"pairs": {"select": select, "per_prompt": 2}})
    pairs = 0
    for start in range(0, len(planted.matchups), 6):
        matchups = planted.matchups[start : start + 6]
        unfit = planted.tie[start : start + 6] | planted.unreadable[start : start + 6]
        found = conclude_as(config, trace(*matchups, ids=CANDIDATES), {"k": 1.0}, None, bias)
        decided = {
            frozenset((judged.a, judged.b))
            for judged, bad in zip(found.judgements, unfit, strict=True)
            if judged.abstention is None and not bad
        }
        assert {frozenset((pair.chosen, pair.rejected)) for pair in found.pairs} <= decided
        pairs += len(found.pairs)
    assert pairs > 100
