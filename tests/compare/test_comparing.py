"""A comparison from end to end on the simulated server: one sampling, one pool, figures, tables, going on."""

import json
from pathlib import Path

import pandas
import pytest

from rlaif.compare.comparing import compare_async
from rlaif.compare.config import CompareConfig, compare_config
from rlaif.compare.directory import pooled
from rlaif.config.run import RunConfig
from rlaif.errors import ConfigError, RlaifError, RunDirectoryError
from rlaif.generation import generate_async
from rlaif.testing import Fault, PlantedRule, SimulatedModel, SimulatedServer
from tests.conftest import CONSTITUTION, MakeConfig

pytestmark = pytest.mark.slow

OTHER = (
    CONSTITUTION.replace("name: testing", "name: other")
    .replace("kinder", "bolder")
    .replace("kindly", "boldly")
    .replace("in fewer words.", "in few words.")
)


@pytest.fixture
def sources(constitution_file: Path) -> list[str]:
    other = constitution_file.with_name("other.yaml")
    other.write_text(OTHER)
    return [str(constitution_file), str(other)]


def comparison(sources: list[str], run: RunConfig, tmp_path: Path, floor_prompts: int = 200) -> CompareConfig:
    return compare_config(sources, run, str(tmp_path / "runs" / "compared"), floor_prompts)


async def test_all_rule_sets_share_one_sampling_and_judge_one_pool(
    make_config: MakeConfig, sources: list[str], tmp_path: Path
) -> None:
    async with SimulatedServer() as server:
        done = await compare_async(comparison(sources, make_config(server, prompts=6), tmp_path))
        assert server.count("sample") == 6
        keys = [asked.key for asked in server.asked]
        assert len(keys) == len(set(keys))
    found = done.comparison
    assert (found.prompts, found.judged_twice) == (6, 6)
    assert found.matchups == sum(found.matchups_by_kind.values()) == 6 * (1 + 4 + 2)
    for rules in found.rule_sets:
        assert rules.matchups == found.matchups
        assert rules.matchups == round((rules.labelled.value or 0) * rules.matchups) + sum(rules.abstained.values())
    for pool in pooled(done.path):
        assert {(s.rules, s.again) for s in pool.sittings} == {(n, a) for n in ("testing", "other") for a in (0, 1)}
    for name in ("testing", "other"):
        assert (done.path / "runs" / name / "dataset" / "README.md").is_file()


async def test_the_tables_hold_what_the_figures_say(
    make_config: MakeConfig, sources: list[str], tmp_path: Path
) -> None:
    async with SimulatedServer(SimulatedModel(rules=(PlantedRule(contains="bolder", agrees=0.5),))) as server:
        done = await compare_async(comparison(sources, make_config(server, prompts=8), tmp_path))
    table = pandas.read_parquet(done.path / "matchups.parquet")
    first = table[~table.again & table.abstention.isna()].pivot(
        index=["prompt_id", "a", "b"], columns="rules", values="p_a"
    )
    both = first.dropna()
    flips = ((both.testing > 0.5) != (both.other > 0.5)).mean()
    two = done.comparison.pairs[0]
    assert flips == pytest.approx(two.flips.value)
    assert flips > 0
    assert two.guilty[0].principle == "kind"
    principles = pandas.read_parquet(done.path / "principles.parquet")
    assert set(principles.principle) == {"kind", "short"}
    assert json.loads((done.path / "comparison.json").read_text()) == done.comparison.model_dump(mode="json")


async def test_a_comparison_that_was_broken_off_goes_on_and_asks_nothing_twice(
    make_config: MakeConfig, sources: list[str], tmp_path: Path
) -> None:
    refused = Fault(kind="judge", status=401, after=120, times=1)
    async with SimulatedServer(SimulatedModel(faults=(refused,))) as server:
        policy = {"url": server.url, "concurrency": 32, "retries": 0}
        config = comparison(sources, make_config(server, prompts=6, policy=policy), tmp_path)
        with pytest.raises(RlaifError, match="API key"):
            await compare_async(config)
        done = await compare_async(config)
        asked = [asked.key for asked in server.asked if asked.answered]
        # What was on its way when it broke off was not kept.
        assert len(asked) - len(set(asked)) <= 32
        assert server.count("sample") == 6
        count = len(server.asked)
        again = await compare_async(config)
        assert len(server.asked) == count
    assert again.comparison == done.comparison


async def test_two_runs_that_differ_in_nothing_but_their_seed_do_not_differ_beyond_noise(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    sources = [str(tmp_path / "runs" / f"seed-{seed}") for seed in (0, 1)]
    async with SimulatedServer(SimulatedModel(noise=1.0)) as server:
        for seed, out in enumerate(sources):
            await generate_async(make_config(server, prompts=40, seed=seed, out=out))
        done = await compare_async(compare_config(sources, None, str(tmp_path / "runs" / "both"), 200))
    found = done.comparison
    assert [rules.name for rules in found.rule_sets] == ["testing", "seed-1"]
    assert found.pairs[0].beyond_noise.holds(0)
    assert all(rules.noise_floor.value > 0.02 for rules in found.rule_sets)
    # The critic is the same, and so are the rules: neither run's revisions may be the favoured ones.
    assert found.rivals.cells[0][0].holds(0.5)
    assert found.rivals.cells[1][0].holds(0.5)


async def test_the_same_rules_in_other_words_do_not_differ_beyond_noise(
    make_config: MakeConfig, sources: list[str], tmp_path: Path
) -> None:
    # The simulated judge's noise hangs on the words of the question; what it thinks of an answer does not.
    async with SimulatedServer(SimulatedModel(noise=1.0)) as server:
        done = await compare_async(comparison(sources, make_config(server, prompts=60), tmp_path))
    two = done.comparison.pairs[0]
    assert two.flips.low > 0.02
    assert two.beyond_noise.holds(0)
    assert any("not shown to be more than the judge's own noise" in warning for warning in done.comparison.warnings)


async def test_rules_that_really_differ_do_so_beyond_noise(
    make_config: MakeConfig, sources: list[str], tmp_path: Path
) -> None:
    model = SimulatedModel(noise=0.3, rules=(PlantedRule(contains="bolder", agrees=0.4),))
    async with SimulatedServer(model) as server:
        done = await compare_async(comparison(sources, make_config(server, prompts=40), tmp_path))
    assert done.comparison.pairs[0].beyond_noise.low > 0.1


async def test_a_judge_led_by_position_only_in_the_second_words_is_freed_of_it_there(
    make_config: MakeConfig, sources: list[str], tmp_path: Path
) -> None:
    led = PlantedRule(contains="Decide one thing only", position_bias=3.0)
    async with SimulatedServer(SimulatedModel(rules=(led,))) as server:
        done = await compare_async(comparison(sources, make_config(server, prompts=10), tmp_path))
    table = pandas.read_parquet(done.path / "matchups.parquet")
    labelled = table.abstention.isna().groupby(table.again).sum()
    assert labelled[True] == labelled[False] > 0
    for rules in done.comparison.rule_sets:
        assert rules.noise_floor.n == round(rules.labelled.value * rules.matchups)


async def test_a_rule_set_whose_own_revisions_only_it_likes_shows_in_the_matrix(
    make_config: MakeConfig, sources: list[str], tmp_path: Path
) -> None:
    # Under the other rules the better answer always loses, and revisions are better than their parents.
    model = SimulatedModel(revision_gain=1.5, rules=(PlantedRule(contains="bolder", agrees=0.0),))
    async with SimulatedServer(model) as server:
        config = make_config(server, prompts=20, judging={"principles": "all"})
        done = await compare_async(comparison(sources, config, tmp_path, floor_prompts=0))
    cells = done.comparison.over_parent.cells
    assert all(cell.low > 0.5 for cell in cells[0])
    assert all(cell.high < 0.5 for cell in cells[1])
    assert done.comparison.rule_sets[0].over_parent_elsewhere.high < 0.5
    assert any("nothing was judged twice" in warning for warning in done.comparison.warnings)


async def test_runs_over_other_prompts_or_with_another_critic_are_not_compared(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    async with SimulatedServer() as one, SimulatedServer(SimulatedModel(noise=0.1)) as other:
        await generate_async(make_config(one, prompts=2, out=str(tmp_path / "runs" / "one")))
        await generate_async(make_config(other, prompts=2, out=str(tmp_path / "runs" / "two")))
        sources = [str(tmp_path / "runs" / name) for name in ("one", "two")]
        with pytest.raises(RunDirectoryError, match="rules and critics differ at the same time"):
            await compare_async(compare_config(sources, None, str(tmp_path / "runs" / "both"), 0))


def test_bad_sources_are_named(make_config: MakeConfig, sources: list[str], tmp_path: Path) -> None:
    run = make_config(SimulatedServer())
    with pytest.raises(ConfigError, match="at least two"):
        comparison(sources[:1], run, tmp_path)
    with pytest.raises(ConfigError, match="is not a run directory; to compare constitutions, give settings"):
        compare_config(sources, None, str(tmp_path / "x"), 0)
    with pytest.raises(ConfigError, match="another rule set is also called testing"):
        comparison([sources[0], sources[0]], run, tmp_path)
    with pytest.raises(ConfigError, match="not a run directory"):
        comparison([str(tmp_path), sources[0]], run, tmp_path)


async def test_another_comparison_in_the_same_place_is_refused(
    make_config: MakeConfig, sources: list[str], tmp_path: Path
) -> None:
    async with SimulatedServer() as server:
        run = make_config(server, prompts=2)
        await compare_async(comparison(sources, run, tmp_path))
        with pytest.raises(RunDirectoryError, match="holds another comparison"):
            await compare_async(comparison([sources[0], "minimal"], run, tmp_path))
        stranger = tmp_path / "stranger"
        stranger.mkdir()
        (stranger / "notes.txt").touch()
        with pytest.raises(RunDirectoryError, match="contains other files"):
            await compare_async(compare_config(sources, run, str(stranger), 0))
