"""Probabilities of labels: exact where the server reports named tokens, looked for among the likely ones elsewhere."""

from pathlib import Path
from typing import Any

import pytest

from rlaif.errors import UsageError
from rlaif.generation import generate_async
from rlaif.records import Trace
from rlaif.testing import SimulatedModel, SimulatedServer
from tests.conftest import MakeConfig

RARE = SimulatedModel(label_mass=0.02, reported=8, noise=0.5)
"""A critic whose labels are less likely than eight other words, so that they are not reported among the likely ones."""
ANY = {"min_label_mass": 0, "min_margin": 0}


class OldServer(SimulatedServer):
    """A server that tokenises and does not know the field `logprob_token_ids`, which it ignores or refuses."""

    refuses = False

    def reply_to(self, body: dict[str, Any]) -> dict[str, Any]:
        if body.pop("logprob_token_ids", None) and self.refuses:
            raise ValueError("unknown field")
        return super().reply_to(body)


def verdicts(traces: list[Trace]) -> list[Any]:
    return [verdict for trace in traces for matchup in trace.matchups for verdict in matchup.verdicts]


async def test_the_mass_of_labels_is_exact_however_rare_they_are(make_config: MakeConfig) -> None:
    async with SimulatedServer(RARE) as server:
        run = await generate_async(make_config(server, judging=ANY))
    found = verdicts(list(run.traces()))
    assert len(found) > 20
    assert all(verdict.label_mass == pytest.approx(0.02) and verdict.floor is None for verdict in found)


@pytest.mark.parametrize(
    "server_of", [lambda model: SimulatedServer(model.model_copy(update={"tokenises": False})), OldServer]
)
async def test_other_servers_are_asked_for_their_likely_tokens(make_config: MakeConfig, server_of: Any) -> None:
    async with server_of(RARE.model_copy(update={"label_mass": 0.9})) as server:
        run = await generate_async(make_config(server, judging=ANY))
    found = verdicts(list(run.traces()))
    assert all(verdict.label_mass == pytest.approx(0.9, abs=0.1) for verdict in found)
    async with server_of(RARE) as server:
        config = make_config(server, judging=ANY, out=str(Path(run.path).with_name("two")))
        rare = verdicts(list((await generate_async(config)).traces()))
    assert all(verdict.label_mass == 0 and verdict.first is None for verdict in rare)


async def test_a_finished_run_is_read_without_asking_for_tokens(make_config: MakeConfig) -> None:
    async with SimulatedServer(RARE) as server:
        config = make_config(server, judging=ANY)
        first = await generate_async(config)
        asked = len(server.asked)
        again = await generate_async(config.model_copy(update={"out": str(first.path.with_name("again"))}))
        assert len(server.asked) == asked
    assert verdicts(list(again.traces())) == verdicts(list(first.traces()))


async def test_a_label_of_several_tokens_is_refused_before_the_run(make_config: MakeConfig) -> None:
    async with SimulatedServer() as server:
        with pytest.raises(UsageError, match="the label 'not A' is more than one token for simulated"):
            await generate_async(make_config(server, judging={"labels": ["A", "not A"]}))
        assert not server.asked


async def test_a_number_of_two_tokens_is_read_in_two_steps(make_config: MakeConfig) -> None:
    """A rating from 1 to 10, on a server whose `10` is two tokens."""

    class Digits(SimulatedServer):
        async def _tokenize(self, request: Any) -> Any:
            if (await request.json())["prompt"].strip() == "10":
                from aiohttp import web

                return web.json_response({"tokens": [1, 2]})
            return await super()._tokenize(request)

    async with Digits() as server:
        judges = [{"kind": "rating", "aspects": "overall"}]
        run = await generate_async(make_config(server, judging={"judges": judges}))
    scores = [s for t in run.traces() for m in t.matchups for scored in m.scores for s in (scored.a, scored.b)]
    assert scores
    assert all(score is not None and score.label_mass == pytest.approx(0.97, abs=0.05) for score in scores)
