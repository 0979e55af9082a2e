"""How long a run will take is told from its first second on, and a run with a time limit makes what fits."""

import time
from dataclasses import replace

import pytest

from rlaif.cli.live import Recent, progress_line
from rlaif.constitution.load import load_constitution
from rlaif.forecast import WRITTEN_COSTS, PlannedStep, WorkForecast, plan_prompt
from rlaif.generation import generate_async
from rlaif.models.model import Meter, StepUse
from rlaif.progress import Progress
from rlaif.records import Usage
from rlaif.runs.summary import summarise
from rlaif.testing import SimulatedModel, SimulatedServer
from tests.conftest import MakeConfig

PLAN = {"sampling": PlannedStep(1, read=100, written=40), "judging": PlannedStep(10, read=20, written=0)}
"""100 + 2.5 x 40 + 10 x 20 = 400 tokens of work for a prompt."""


def test_before_the_first_reply_the_plan_and_the_expected_speed_tell() -> None:
    assert WRITTEN_COSTS == 2.5
    assert WorkForecast(PLAN, speed=40.0).seconds_for(16, Meter(), 0.0) == pytest.approx(16 * 400 / 40)
    assert WorkForecast(PLAN).seconds_for(16, Meter(), 5.0) is None  # of a server elsewhere nothing is known


def test_what_was_measured_replaces_what_was_expected() -> None:
    meter = Meter(steps={"sampling": StepUse(replies=98, prompt_tokens=9_800, completion_tokens=1_960)})
    forecast = WorkForecast(PLAN, speed=1e6)
    # 98 of 100 requests took 100 + 2.5 x 20, two count as planned; of 10 + 1,990 seconds nearly all were measured.
    work = 98 * 150
    speed = (work + 10 * 1e6) / (1990 + 10)
    prompt = (2 * 200 + work) / 100 + 200
    assert forecast.seconds_for(200, meter, 1990.0) == pytest.approx((200 * prompt - work) / speed)


def test_finished_prompts_tell_what_a_prompt_costs() -> None:
    forecast = WorkForecast(PLAN, speed=100.0)
    for _ in range(3):
        forecast.finish(Usage(requests=11, prompt_tokens=900, cached_tokens=100, completion_tokens=0))
    assert forecast.work_per_prompt(Meter()) == (400 + 3 * 800) / 4


def test_what_is_unfinished_is_never_about_to_take_no_time() -> None:
    meter = Meter(steps={"judging": StepUse(replies=1000, prompt_tokens=10**6)})
    left = WorkForecast(PLAN, speed=100.0).seconds_for(1, meter, 1000.0)
    assert left is not None
    assert left > 0


def test_the_plan_counts_what_the_settings_ask_for(make_config: MakeConfig) -> None:
    config = make_config(SimulatedServer(), sampling={"n": 3, "max_tokens": 100})
    plan = plan_prompt(config, load_constitution(config.constitution))
    # three samples and three revisions are six candidates, so 15 matchups, two principles, both orders
    assert {step: planned.requests for step, planned in plan.items()} == {
        "sampling": 1, "critique": 3, "revision": 3, "judging": 60,
    }  # fmt: skip
    assert plan["sampling"].written == pytest.approx(3 * 70)


async def test_the_plan_of_a_run_is_what_its_run_asks(make_config: MakeConfig) -> None:
    async with SimulatedServer() as server:
        config = make_config(server, prompts=4)
        run = await generate_async(config)
    planned = sum(step.requests for step in plan_prompt(config, run.constitution).values())
    assert [trace.usage.requests for trace in run.traces()] == [planned] * 4


async def test_a_run_with_too_little_time_makes_the_first_prompts_and_goes_on_with_the_rest(
    make_config: MakeConfig,
) -> None:
    async with SimulatedServer(SimulatedModel(latency_s=0.05)) as server:
        config = make_config(server, prompts=60, open_prompts=2, max_minutes=1 / 60)
        run = await generate_async(config)
        made = [trace.prompt.id for trace in run.traces()]
        summary = summarise(run)
        assert 0 < len(made) < 60
        assert made == [f"p{n}" for n in range(len(made))]
        assert (summary.traces, summary.open, summary.failures) == (len(made), 60 - len(made), 0)
        assert len(list((run.path / "dataset" / "preference").glob("*.parquet"))) > 0
        rest = await generate_async(config.model_copy(update={"max_minutes": None, "open_prompts": 32}))
    assert [trace.prompt.id for trace in rest.traces()] == [f"p{n}" for n in range(60)]


def test_the_first_prompt_is_begun_however_little_time_there_is() -> None:
    progress = Progress(prompts=3, forecast=WorkForecast(PLAN, speed=1.0), limit_s=1.0)
    assert progress.has_time_for_another()
    progress.open = 1
    assert not progress.has_time_for_another()


def test_the_line_says_what_is_being_asked_how_fast_of_late_and_how_long_still() -> None:
    use = StepUse(asking=3, replies=20, prompt_tokens=5_000, completion_tokens=700)
    meter = Meter(steps={"sampling": use, "judging": StepUse(asking=0)}, from_store=2)
    progress = Progress(prompts=16, done=4, failed=1, meter=meter, started=time.monotonic() - 40)
    recent = Recent()
    recent.add(Meter(), 0.0)
    recent.add(replace(meter, steps={"sampling": replace(use, replies=5, completion_tokens=100)}), 20.0)
    recent.add(meter, 40.0)
    line = progress_line(progress, recent)
    assert line == (
        "prompts 4/16  1 failed  sampling 3  0.5 replies/s, 18 tokens/s written, 125 read  about 2 min left"
    )


@pytest.mark.parametrize(("replies", "words"), [(0, "no reply in the last 30 s"), (6, "6 replies in 30 s")])
def test_no_rate_is_shown_that_rounds_to_nothing(replies: int, words: str) -> None:
    recent = Recent()
    recent.add(Meter(), 100.0)
    recent.add(Meter(steps={"judging": StepUse(replies=replies)}), 130.0)
    assert recent.words().startswith(words)
