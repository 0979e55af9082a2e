"""What `rlaif show` says of one prompt."""

from io import StringIO

from rich.console import Console

from rlaif.cli.trace import print_overview, print_trace
from rlaif.generation import generate_async
from rlaif.testing import SimulatedServer
from tests.conftest import MakeConfig


async def test_every_candidate_has_its_strength_and_the_pair_those_of_both(make_config: MakeConfig) -> None:
    async with SimulatedServer() as server:
        run = await generate_async(make_config(server, prompts=3, judging={"min_margin": 0.0}))
    trace, conclusion = next((trace, found) for trace, found in run.conclusions() if found.pairs)
    out = StringIO()
    print_trace(run, trace, Console(file=out, width=200))
    said = out.getvalue()
    for strength in conclusion.strengths.values():
        assert f"score {strength.value:+.2f} (se {strength.se:.2f})" in said
    pair = conclusion.pairs[0]
    assert f"scores {pair.score_chosen:+.2f} (se {pair.score_chosen_se:.2f}) and {pair.score_rejected:+.2f}" in said


async def test_what_a_run_warns_of_stands_beneath_its_prompts_and_beneath_each_of_them(make_config: MakeConfig) -> None:
    async with SimulatedServer() as server:
        run = await generate_async(make_config(server, prompts=3, judging={"min_margin": 0.0}))
    overview, whole = StringIO(), StringIO()
    print_overview(run, Console(file=overview, width=200))
    print_trace(run, next(trace for trace, _ in run.conclusions()), Console(file=whole, width=200))
    for said in (overview.getvalue(), whole.getvalue()):
        assert "! protective thresholds are switched off (min_margin is 0): do not train on these pairs" in said
