"""Under larger limits only what was cut off or is missing is asked, and what hangs on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rlaif.config.run import RunConfig
from rlaif.generation import generate_async
from rlaif.models.backend import ChatRequest, Choice, Reply, user
from rlaif.models.salvage import Limits, Salvage, best, smaller
from rlaif.records import Response, Trace, Usage
from rlaif.runs.reader import Run
from rlaif.runs.summary import warnings_of
from rlaif.testing import SimulatedModel, SimulatedServer
from rlaif.testing.simulated_model import Kind
from tests.conftest import MakeConfig

WRITER = SimulatedModel(continues=True)
"""Its texts have 40 words on average, so that a limit of 40 cuts off about half of them."""
STEPS: tuple[Kind, ...] = ("sample", "critique", "revise", "judge")


def limited(make_config: MakeConfig, server: SimulatedServer, name: str, limit: int, n: int = 2) -> RunConfig:
    return make_config(
        server,
        prompts=5,
        sampling={"n": n, "max_tokens": limit},
        revision={"max_tokens": limit},
        out=f"{make_config(server).out}-{name}",
    )


async def test_doubled_max_tokens_ask_only_for_what_was_cut_off_and_what_hangs_on_it(make_config: MakeConfig) -> None:
    async with SimulatedServer(WRITER) as server:
        before = await generate_async(limited(make_config, server, "short", 40))
        server.asked.clear()
        after = await generate_async(limited(make_config, server, "long", 80))
        asked = {step: server.count(step) for step in STEPS}
        server.asked.clear()
        await generate_async(limited(make_config, server, "again", 80))
        assert not server.asked
    cut_samples = sum(response.finish_reason == "length" for response in _samples(before))
    assert 2 <= cut_samples <= 8
    assert asked == {
        "sample": cut_samples,
        "critique": cut_samples,
        "revise": sum(_revised_anew(*traces) for traces in zip(before.traces(), after.traces(), strict=True)),
        "judge": sum(_judged_anew(*traces) for traces in zip(before.traces(), after.traces(), strict=True)),
    }
    for one, other in zip(_samples(before), _samples(after), strict=True):
        assert other.text.startswith(one.text)
        assert other.again == ("repeated" if one.finish_reason == "length" else None)
    assert not [response for response in _samples(after) if response.finish_reason == "length"]
    assert not [line for line in warnings_of(after) if "drawn anew" in line]


async def test_more_samples_ask_only_for_the_missing_ones(make_config: MakeConfig) -> None:
    async with SimulatedServer(WRITER) as server:
        two = await generate_async(limited(make_config, server, "two", 80, n=2))
        server.asked.clear()
        three = await generate_async(limited(make_config, server, "three", 80, n=3))
        assert server.latest["sample"]["n"] == 1
        # One more sample, its critique and its revision; of 15 matchups of six candidates, 6 were judged before.
        assert {step: server.count(step) for step in STEPS} == {
            "sample": 5, "critique": 5, "revise": 5, "judge": 5 * 9 * 2 * 2,
        }  # fmt: skip
        server.asked.clear()
        one = await generate_async(limited(make_config, server, "one", 80, n=1))
        assert not server.asked
    for few, more, least in zip(two.traces(), three.traces(), one.traces(), strict=True):
        texts = [response.text for response in more.responses]
        assert [response.text for response in few.responses[:2]] == texts[:2]
        assert least.responses[0].text == texts[0]
        assert len(set(texts)) == 6
        assert more.usage.requests == few.usage.requests + 3 + 9 * 4


async def test_a_server_that_draws_other_texts_for_the_cut_off_ones_is_warned_of(make_config: MakeConfig) -> None:
    async with SimulatedServer(SimulatedModel(words=40)) as server:
        before = await generate_async(limited(make_config, server, "short", 30))
        after = await generate_async(limited(make_config, server, "long", 80))
    # On this server the second of two choices is not the only one of seed + 1.
    cut = sum(response.finish_reason == "length" and response.id == "s1" for response in _samples(before))
    drawn = sum(response.again == "redrawn" for response in _samples(after))
    assert drawn == cut > 0
    assert [line for line in warnings_of(after) if line.startswith(f"{drawn} of ") and "drawn anew" in line]


async def test_without_the_runs_that_asked_nothing_is_found_and_all_is_asked(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    async with SimulatedServer(WRITER) as server:
        before = await generate_async(limited(make_config, server, "short", 40))
        before.path.rename(tmp_path / "elsewhere")
        server.asked.clear()
        await generate_async(limited(make_config, server, "long", 80))
        assert server.count("sample") == 5


@pytest.mark.parametrize(("reason", "kept"), [("stop", (0,)), ("length", ()), ("abort", ()), ("unknown", ())])
def test_only_a_text_that_ended_by_itself_is_kept(reason: str, kept: tuple[int, ...]) -> None:
    reply = Reply(choices=(Choice(text="So it is.", finish_reason=reason),), usage=Usage(requests=1))
    request = ChatRequest(messages=(user("Well?"),), max_tokens=64, seed=3)
    assert Salvage.of(request, reply, 32).kept == kept
    assert Salvage.of(request.model_copy(update={"n": 2}), reply, 64).kept == (0,)  # the same limit cuts it again


def test_replies_of_larger_limits_and_choices_without_a_seed_are_not_used() -> None:
    request = ChatRequest(messages=(user("Well?"),), n=2, max_tokens=64, seed=3)
    earlier = {Limits(2, 64), Limits(2, 128), Limits(2, 32), Limits(4, 64), Limits(1, 16)}
    assert [(one.n, one.max_tokens) for one in smaller(request, earlier)] == [(4, 64), (2, 32), (1, 16)]
    unseeded = request.model_copy(update={"seed": None})
    assert not list(smaller(unseeded, earlier))
    assert [one.max_tokens for one in smaller(unseeded.model_copy(update={"n": 1}), earlier)] == [16]
    assert best([]) is None


def _samples(run: Run) -> Iterator[Response]:
    return (response for trace in run.traces() for response in trace.responses if response.origin == "sample")


def _texts(trace: Trace) -> dict[str, str]:
    return {response.id: response.text for response in trace.responses}


def _revised_anew(before: Trace, after: Trace) -> int:
    """Return the revisions that were cut off, or whose response was."""
    cut = {response.id for response in before.responses if response.finish_reason == "length"}
    return sum(response.id in cut or response.parent in cut for response in after.responses if response.parent)


def _judged_anew(before: Trace, after: Trace) -> int:
    """Return the verdicts on matchups of which a response is another one than before, for two rules and both orders."""
    was, now = _texts(before), _texts(after)
    changed = {name for name in now if was[name] != now[name]}
    return sum(4 for matchup in after.matchups if {matchup.a, matchup.b} & changed)
