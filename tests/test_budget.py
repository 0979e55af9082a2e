"""A run stops at a number of pairs, of tokens or of hours, says so, and goes on from there."""

import json

import pytest

from rlaif.budget import Budget, prompts_for
from rlaif.constitution.load import load_constitution
from rlaif.errors import ConfigError
from rlaif.forecast import PlannedStep, WorkForecast
from rlaif.generation import generate_async
from rlaif.models.model import Meter, StepUse
from rlaif.progress import Progress, Silent
from rlaif.records import Usage
from rlaif.runs.description import summary_lines
from rlaif.runs.reader import Run
from rlaif.runs.summary import Summary, summarise
from rlaif.testing import SimulatedModel, SimulatedServer
from tests.conftest import MakeConfig

HALF_TOO_CLOSE = SimulatedModel(quality_sd=0.8, noise=0.3)


async def test_a_run_of_n_pairs_has_exactly_the_first_n_and_goes_on_to_more(make_config: MakeConfig) -> None:
    async with SimulatedServer(HALF_TOO_CLOSE) as server:
        config = make_config(server, prompts=60, max_pairs=12, judging={"min_margin": 0.15}, revision={"rounds": 0})
        run = await generate_async(config)
        first, summary = list(run.preference_rows()), _summary(run)
        assert len(first) == summary.pairs == 12
        assert 0 < summary.open < 60
        assert summary.traces == 12 + sum(summary.traces_without_pair.values())
        assert f"stopped by max_pairs 12, with {summary.open} prompts not reached" in summary_lines(summary)
        made = [trace.prompt.id for trace in run.traces()]
        assert made == [f"p{n}" for n in range(len(made))]  # no prompt was passed over

        more = await generate_async(config.model_copy(update={"max_pairs": 20}))
    assert [row.prompt_id for row in more.preference_rows()][:12] == [row.prompt_id for row in first]
    assert len(more.pairs) == _summary(more).pairs == 20


async def test_a_run_with_its_pairs_needs_no_server_and_may_be_made_smaller(make_config: MakeConfig) -> None:
    async with SimulatedServer() as server:
        config = make_config(server, prompts=30, max_pairs=8)
        await generate_async(config)
    smaller = await generate_async(config.model_copy(update={"max_pairs": 3}))
    summary = _summary(smaller)
    assert summary.pairs == len(smaller.pairs) == 3
    assert summary.traces_without_pair["beyond max_pairs"] == summary.traces - 3
    assert smaller.conclude(smaller.trace("p3")).no_pair == "beyond max_pairs"


async def test_too_few_prompts_for_the_pairs_end_the_run_without_a_word_of_a_limit(make_config: MakeConfig) -> None:
    async with SimulatedServer(HALF_TOO_CLOSE) as server:
        run = await generate_async(make_config(server, prompts=6, max_pairs=50))
    summary = _summary(run)
    assert (summary.traces, summary.open, summary.stopped) == (6, 0, "")


async def test_a_run_keeps_to_its_tokens_and_the_next_start_goes_on(make_config: MakeConfig) -> None:
    async with SimulatedServer() as server:
        whole = await generate_async(make_config(server, prompts=16, open_prompts=2, revision={"rounds": 0}))
        usage = summarise(whole).usage
        limit = (usage.prompt_tokens + usage.completion_tokens) // 3
        (whole.path.parent / "replies.sqlite").unlink()
        config = make_config(
            server,
            prompts=16,
            open_prompts=2,
            max_total_tokens=limit,
            revision={"rounds": 0},
            out=str(whole.path.parent.parent / "two" / "r"),
        )
        summary = _summary(await generate_async(config))
        used = summary.session["prompt_tokens"] + summary.session["completion_tokens"]
        assert 0.6 * limit < used <= limit
        assert summary.stopped.startswith(f"max_total_tokens {limit:,} (")
        while summary.open:
            before = summary.traces
            summary = _summary(await generate_async(config))
            assert summary.traces > before
    assert summary.traces == 16


def test_a_token_budget_counts_what_open_prompts_will_still_need() -> None:
    progress = Progress(prompts=9, open=2, meter=Meter(steps={"sampling": StepUse(replies=1, prompt_tokens=500)}))
    forecast = WorkForecast({"sampling": PlannedStep(1, read=100, written=100, cached=300)})
    forecast.finish(Usage(requests=1, prompt_tokens=400, completion_tokens=100))
    # 500 tokens for a prompt; 500 are used by the finished one, so two open ones and another need 1,500 more.
    assert Budget(progress, Silent(), forecast, max_tokens=2000).has_tokens_for_another()
    assert not Budget(progress, Silent(), forecast, max_tokens=1999).has_tokens_for_another()


def test_rounds_for_more_pairs_grow_with_what_is_known() -> None:
    assert prompts_for(100, 0, 0, per_prompt=1) == 100
    assert prompts_for(100, 0, 0, per_prompt=3) == 34
    assert prompts_for(100, 50, 100, per_prompt=1) == 100  # (50 + 7.1) / 0.5 = 115, but not more than were traced
    assert prompts_for(100, 84, 168, per_prompt=1) == 40  # (16 + 4) / 0.5
    assert prompts_for(10, 0, 10, per_prompt=1) == 10


def test_pairs_cannot_be_limited_where_none_are_made(make_config: MakeConfig) -> None:
    config = make_config(SimulatedServer(), judging={"kind": "none"}, max_pairs=3)
    with pytest.raises(ConfigError, match="max_pairs"):
        config.check_usable(load_constitution(config.constitution))


def _summary(run: Run) -> Summary:
    return Summary.model_validate(json.loads((run.path / "summary.json").read_text()))
