"""How likely every token of a text is: asked of a server, read strictly, kept."""

import json
from pathlib import Path

import pytest

from rlaif.errors import EndpointError
from rlaif.models.backend import Reply, ScoreRequest, TemporaryFault
from rlaif.models.client import ModelClient
from rlaif.models.config import ModelConfig
from rlaif.models.model import Meter, Model
from rlaif.models.openai import ScoredCompletion
from rlaif.models.reply_store import ReplyStore
from rlaif.testing import SimulatedModel, SimulatedServer
from rlaif.testing.policy import token_ids

TEXT = "Water runs down the hill, because it cannot run up."


async def score(tmp_path: Path, server: SimulatedServer, *prompts: str | tuple[int, ...]) -> tuple[list[Reply], Meter]:
    meter = Meter()
    with ReplyStore(tmp_path / "replies.sqlite") as store:
        async with ModelClient(ModelConfig(url=(server.url,), retries=0)) as client:
            await client.connect()
            model = Model(client, store, meter)
            return [(await model.score(ScoreRequest(prompt=prompt))).reply for prompt in prompts], meter


async def test_every_token_but_the_first_has_a_score(tmp_path: Path) -> None:
    async with SimulatedServer(SimulatedModel(nats=2.0)) as server:
        (reply,), _ = await score(tmp_path, server, TEXT)
    assert reply.prompt_tokens == tuple(token_ids(TEXT))
    first, *others = reply.prompt_logprobs
    assert first is None
    assert len(others) == 9
    assert sum(others) / len(others) == pytest.approx(-2.0, abs=0.5)


async def test_a_text_and_its_tokens_are_two_questions_and_each_is_asked_once(tmp_path: Path) -> None:
    async with SimulatedServer() as server:
        replies, meter = await score(tmp_path, server, TEXT, tuple(token_ids(TEXT)), TEXT)
        assert server.count("score") == 2
    assert replies[0] == replies[2]
    assert replies[1].prompt_tokens == replies[0].prompt_tokens
    assert (meter.replies, meter.from_store) == (3, 1)


async def test_a_server_without_completions_is_named(tmp_path: Path) -> None:
    async with SimulatedServer(SimulatedModel(scores=False)) as server:
        with pytest.raises(EndpointError, match="404"):
            await score(tmp_path, server, TEXT)


def wire(tokens: list[int], scores: list[dict[str, dict[str, object]] | None]) -> bytes:
    choice = {"index": 0, "text": "x", "prompt_token_ids": tokens, "prompt_logprobs": scores}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": len(tokens)}}).encode()


def test_of_the_tokens_reported_at_a_place_the_one_that_stands_there_counts() -> None:
    scores = [None, {"8": {"logprob": -0.1, "rank": 1}, "7": {"logprob": -3.5, "rank": 9, "decoded_token": " x"}}]
    reply = ScoredCompletion.model_validate_json(wire([5, 7], scores)).reply()
    assert reply.prompt_logprobs == (None, -3.5)
    assert reply.usage.prompt_tokens == 2


@pytest.mark.parametrize(
    ("tokens", "scores"),
    [
        ([5, 7], [None, {"8": {"logprob": -0.1}}]),
        ([5, 7], [None]),
        ([5, 7, 8], [None, None, {"8": {"logprob": -0.1}}]),
    ],
)
def test_a_score_that_is_missing_is_an_error_and_no_zero(tokens: list[int], scores: list[object]) -> None:
    with pytest.raises(TemporaryFault, match="left out"):
        ScoredCompletion.model_validate_json(wire(tokens, scores)).reply()
