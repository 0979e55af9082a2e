"""A plan says what a run will ask for and cost, and a finished run says how right it was."""

import json
from pathlib import Path

import pytest
import yaml

from rlaif.constitution.load import load_constitution
from rlaif.generation import generate_async
from rlaif.job_plan import JobPlan, Prices, Speed, StepCost, plan_of_sample, plan_of_settings, prompts_of
from rlaif.progress import Silent
from rlaif.runs.summary import summarise
from rlaif.testing import SimulatedModel, SimulatedServer
from tests.command import commands, serving
from tests.conftest import MakeConfig


async def test_a_plan_from_a_sample_says_what_the_run_then_needs_and_its_replies_are_reused(
    make_config: MakeConfig,
) -> None:
    async with SimulatedServer() as server:
        config = make_config(server, prompts=24)
        plan = await plan_of_sample(config, prompts_of(config), 8, Silent())
        asked = len(server.asked)
        usage = summarise(await generate_async(config)).usage
        assert len(server.asked) == usage.requests == asked * 3  # what the sample asked is not asked again
    assert plan.total.requests == usage.requests
    assert plan.margin is not None
    planned = plan.total.prompt_tokens + plan.total.completion_tokens
    assert planned == pytest.approx(usage.prompt_tokens + usage.completion_tokens, rel=2 * plan.margin)
    assert plan.steps["judging"].requests == 24 * 24
    on_disk = (Path(config.out) / "run.sqlite").stat().st_size + config.reply_store.stat().st_size
    assert plan.bytes == pytest.approx(on_disk, rel=0.3)


async def test_a_plan_from_the_settings_counts_requests_also_of_a_sparse_design(make_config: MakeConfig) -> None:
    async with SimulatedServer(SimulatedModel(words=30)) as server:
        config = make_config(server, prompts=12, sampling={"n": 5, "max_tokens": 64})
        constitution = load_constitution(config.constitution)
        plan = plan_of_settings(config, constitution, prompts_of(config))
        run = await generate_async(config)
    assert plan.total.requests == pytest.approx(summarise(run).usage.requests, rel=0.03)


def test_time_and_money_follow_from_tokens() -> None:
    cost = StepCost(requests=10, prompt_tokens=2e6, cached_tokens=1e6, completion_tokens=0.4e6)
    plan = JobPlan(prompts=5, sampled=0, steps={"sampling": cost}, bytes=1, gpus=2)
    assert plan.seconds is None
    assert plan.money is None
    timed = plan.model_copy(update={"speed": Speed(value=1000, source="given")})
    assert timed.seconds == 2000  # (1e6 uncached + 2.5 * 0.4e6 generated) / 1000
    priced = timed.model_copy(update={"prices": Prices(prompt=0.1, cached=0.01, generated=0.5, hour=3)})
    assert priced.money == pytest.approx(0.1 + 0.01 + 0.2 + 2000 / 3600 * 2 * 3)
    assert plan.model_copy(update={"prices": Prices(hour=3)}).money is None  # no time, so no price


def test_the_command_plans_a_run_file_and_sets_what_a_run_spent_beside_it(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rlaif, file = commands(monkeypatch, capsys), tmp_path / "run.yaml"
    with serving(SimulatedServer()) as server:
        file.write_text(yaml.safe_dump(make_config(server).model_dump(mode="json")), encoding="utf-8")
        before = rlaif("plan", str(file), "--speed", "500", "--gpus", "4", "--price-prompt", "1")
        assert not server.asked
        made = rlaif("generate", str(file))
    assert "6 prompts, from the settings alone" in before.out
    assert "GPU hours on 4 GPUs, at 500 tokens/s (given)" in before.out
    assert "planned  174 requests" in made.err
    assert "planned for 6 traces: 174 requests" in made.out
    run = tmp_path / "runs" / "one"
    spent = json.loads(rlaif("plan", str(run), "--json").out)
    assert spent["spent"]["traces"] == 6
    assert spent["spent"]["requests"] == spent["total"]["requests"] == 174
    assert rlaif("plan", str(run), "--like", str(run)).code == 0
    assert rlaif("plan", str(run), "--like", str(run), "--speed", "5").complains(2, "--like", "--speed")
    assert rlaif("plan", str(file), "--speed", "-1").complains(2, "--speed -1", "above 0")
