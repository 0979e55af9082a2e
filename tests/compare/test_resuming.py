"""A comparison that is started again, and runs that were there before: nothing is mixed up, lost or misnamed."""

import json
from pathlib import Path

import pytest

from rlaif.compare.comparing import Compared, compare_async
from rlaif.compare.config import CompareConfig, compare_config
from rlaif.compare.directory import read_settings
from rlaif.config.run import RunConfig
from rlaif.errors import RlaifError, RunDirectoryError
from rlaif.generation import generate_async
from rlaif.report.comparison_plots import rule_sets_plot
from rlaif.testing.server import Fault, SimulatedModel, SimulatedServer
from tests.conftest import CONSTITUTION, MakeConfig

pytestmark = pytest.mark.slow


def two_files(tmp_path: Path) -> list[str]:
    found = []
    for name in ("calm", "bold"):
        file = tmp_path / f"{name}.yaml"
        file.write_text(
            CONSTITUTION.replace("testing", name).replace("kinder", f"kinder and {name}").replace("kindly", name)
        )
        found.append(str(file))
    return found


async def two_runs(tmp_path: Path, folder: str, *configs: RunConfig) -> list[str]:
    """Make a run with each of the two files; the second with the last of the configurations."""
    found = []
    for file, config in zip(two_files(tmp_path), (configs[0], configs[-1]), strict=True):
        out = str(tmp_path / folder / Path(file).stem)
        await generate_async(config.model_copy(update={"constitution": file, "out": out}))
        found.append(out)
    return found


def over(sources: list[str], run: RunConfig | None, tmp_path: Path, floor_prompts: int = 0) -> CompareConfig:
    return compare_config(sources, run, str(tmp_path / "compared"), floor_prompts)


async def test_a_prompt_that_failed_at_first_joins_the_pool_later(make_config: MakeConfig, tmp_path: Path) -> None:
    refused = Fault(kind="critique", status=400, contains="number 2")
    async with SimulatedServer(SimulatedModel(faults=(refused,))) as server:
        config = over(two_files(tmp_path), make_config(server, prompts=4), tmp_path)
        first = (await compare_async(config)).comparison
        assert (first.prompts, first.left_out) == (3, 1)
        assert any("left out" in warning for warning in first.warnings)
        second = (await compare_async(config)).comparison
        assert (second.prompts, second.left_out) == (4, 0)
        assert server.count("sample") == 4


async def test_a_finished_run_that_is_compared_stays_as_it_is(make_config: MakeConfig, tmp_path: Path) -> None:
    async with SimulatedServer(SimulatedModel(latency_s=0.02)) as server:
        sources = await two_runs(tmp_path, "runs", make_config(server, prompts=3))
        before = [(Path(source) / "summary.json").read_text() for source in sources]
        done = await compare_async(over(sources, None, tmp_path))
    assert [(Path(source) / "summary.json").read_text() for source in sources] == before
    spent = [json.loads(text)["session"]["seconds"] for text in before]
    assert [rules.seconds for rules in done.comparison.rule_sets] == spent
    assert min(spent) > 0


async def test_another_critic_than_the_runs_own_does_not_judge_their_pool(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    async with SimulatedServer() as server, SimulatedServer(SimulatedModel(name="stranger")) as other:
        sources = await two_runs(tmp_path, "runs", make_config(server, prompts=2))
        strange = make_config(server, prompts=2, critic={"url": other.url})
        with pytest.raises(RunDirectoryError, match="but stranger.* is served now"):
            await compare_async(over(sources, strange, tmp_path))
        assert other.count("judge") == 0


async def test_one_id_for_two_questions_is_refused(make_config: MakeConfig, tmp_path: Path) -> None:
    async with SimulatedServer() as server:
        config = make_config(server, prompts=2)
        letters = tmp_path / "letters.jsonl"
        letters.write_text(Path(config.prompts.path).read_text().replace("number", "letter"))
        other = config.model_copy(update={"prompts": config.prompts.model_copy(update={"path": str(letters)})})
        sources = await two_runs(tmp_path, "runs", config, other)
        with pytest.raises(RunDirectoryError, match="'p0' is not the same in calm and bold"):
            await compare_async(over(sources, None, tmp_path))


async def test_runs_that_only_bear_the_names_of_those_judged_are_refused(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    async with SimulatedServer() as server:
        sources = await two_runs(tmp_path, "runs", make_config(server, prompts=2))
        namesakes = await two_runs(tmp_path, "others", make_config(server, prompts=2, seed=7))
        await compare_async(over(sources, make_config(server), tmp_path))
        with pytest.raises(RunDirectoryError, match="the judged responses to 'p0' are not those of these runs"):
            await compare_async(over(namesakes, make_config(server), tmp_path))


async def test_what_differs_beside_the_rules_is_said(make_config: MakeConfig, tmp_path: Path) -> None:
    async with SimulatedServer() as server:
        sources = await two_runs(
            tmp_path, "runs", make_config(server, prompts=2), make_config(server, prompts=2, seed=7)
        )
        found = (await compare_async(over(sources, None, tmp_path))).comparison
    assert "bold and calm differ in more than the rules (seed 0 → 7)" in found.warnings
    assert not found.shared_samples


async def test_another_number_of_floor_prompts_is_not_passed_over(make_config: MakeConfig, tmp_path: Path) -> None:
    async with SimulatedServer() as server:
        run = make_config(server, prompts=2)
        await compare_async(over(two_files(tmp_path), run, tmp_path))
        with pytest.raises(RunDirectoryError, match="floor-prompts 0 → 50"):
            await compare_async(over(two_files(tmp_path), run, tmp_path, floor_prompts=50))


async def test_seconds_of_a_session_that_was_broken_off_count(make_config: MakeConfig, tmp_path: Path) -> None:
    refused = Fault(kind="judge", status=401, after=40)
    async with SimulatedServer(SimulatedModel(faults=(refused,), latency_s=0.1)) as server:
        policy = {"url": server.url, "retries": 0}
        config = over(two_files(tmp_path), make_config(server, prompts=4, open_prompts=1, policy=policy), tmp_path)
        with pytest.raises(RlaifError, match="API key"):
            await compare_async(config)
        spent = json.loads((tmp_path / "compared" / "spent.json").read_text())["calm"]["seconds"]
        assert spent > 0.5
        done = await compare_async(config)
    assert done.comparison.rule_sets[0].seconds > spent


async def test_judging_in_one_order_is_not_called_unreadable(make_config: MakeConfig, tmp_path: Path) -> None:
    async with SimulatedServer() as server:
        run = make_config(server, prompts=2, judging={"orders": "one"})
        done = await compare_async(over(two_files(tmp_path), run, tmp_path))
    assert "No verdict is readable in both orders." in rule_sets_plot(done.comparison).reading
    assert any("in one order only" in warning for warning in done.comparison.warnings)


async def test_a_moved_comparison_finds_its_own_runs_and_leaves_foreign_ones_where_they_are(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    async with SimulatedServer() as server:
        calm, bold = two_files(tmp_path)
        foreign = tmp_path / "runs" / "bold"  # a folder `runs` and a name that one of the comparison's own has, too
        config = make_config(server, prompts=2, constitution=calm, out=str(foreign))
        await generate_async(config)
        done: Compared = await compare_async(over([str(foreign), bold], config, tmp_path))
    moved = done.path.rename(tmp_path / "moved")
    runs = [rules.run for rules in read_settings(moved).rule_sets]
    assert runs == [str(foreign), str(moved / "runs" / "bold")]
