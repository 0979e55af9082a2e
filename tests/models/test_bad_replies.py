"""Replies of status 200 that are not what the model said: asked again, never kept, and named where they persist."""

import asyncio
import math
from pathlib import Path
from typing import get_args

import pytest

from rlaif.errors import EndpointError, ReplyError
from rlaif.models.backend import ChatRequest, Choice, Reply, TokenLogprob
from rlaif.models.client import ModelClient
from rlaif.models.config import ModelConfig
from rlaif.models.model import Meter, Model, Step
from rlaif.models.reply_store import ReplyStore
from rlaif.models.soundness import flaw, repaired
from rlaif.records import Message, Usage
from rlaif.testing import Fault, SimulatedModel, SimulatedServer
from rlaif.testing.simulated_model import BadReply

ASK = (Message(role="user", content="hello"),)
TEXT = ChatRequest(messages=ASK, max_tokens=8)
VERDICT = TEXT.model_copy(update={"max_tokens": 1, "logprobs": True, "top_logprobs": 20})
PASSING = [kind for kind in get_args(BadReply) if kind not in {"too-many-choices", "repeated", "negative-usage"}]
OF_VERDICTS = ("nan", "placeholder", "positive", "huge")


def reply(*tops: float, text: str = "A", ended: str = "stop", choices: int = 1, tokens: int = 0) -> Reply:
    top = tuple(TokenLogprob(token=f"t{place}", logprob=value) for place, value in enumerate(tops))
    choice = Choice(text=text, finish_reason=ended, first_token=top)
    return Reply(choices=(choice,) * choices, usage=Usage(completion_tokens=tokens))


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        (VERDICT, reply(math.nan, -0.1)),
        (VERDICT, reply(3.0, -0.1)),
        (VERDICT, reply(1e6)),
        (VERDICT, reply(-0.1, -0.1)),
        (VERDICT, reply(-9999.0, -math.inf)),
        (VERDICT, reply()),
        (TEXT, reply(text="")),
        (TEXT, reply(text="", tokens=8)),
        (TEXT, reply(ended="error")),
        (TEXT, reply(ended="abort")),
        (TEXT.model_copy(update={"n": 3}), reply(choices=2)),
    ],
)
def test_a_reply_that_no_model_gives_has_a_flaw(request_: ChatRequest, found: Reply) -> None:
    assert flaw(request_, repaired(request_, found))


@pytest.mark.parametrize(
    ("request_", "found"),
    [
        (VERDICT, reply(0.0, -9999.0)),
        (VERDICT, reply(1e-6, -20.0)),
        (VERDICT, reply(-0.2, -1.8)),
        (VERDICT, reply(-0.2, -1.7)),  # 1.001 together: rounded
        (VERDICT, reply(-0.2, text="")),
        (TEXT, reply(text="", tokens=1)),  # the model ended its text at once
        (TEXT, reply(text="", ended="content_filter")),
        (TEXT, reply(ended="length")),
    ],
)
def test_a_reply_that_a_model_gives_has_none(request_: ChatRequest, found: Reply) -> None:
    assert flaw(request_, repaired(request_, found)) is None


def test_what_was_not_asked_for_is_left_out_and_a_repeated_token_counts_once() -> None:
    twice = Reply(choices=(reply(-0.7).choices[0],) * 3, usage=Usage())
    doubled = twice.choices[0].model_copy(update={"first_token": twice.choices[0].first_token * 2})
    found = repaired(VERDICT, twice.model_copy(update={"choices": (doubled, *twice.choices)}))
    assert [len(choice.first_token) for choice in found.choices] == [1]


async def asked(fault: Fault, request: ChatRequest, folder: Path, *, times: int = 1) -> tuple[SimulatedServer, Reply]:
    async with SimulatedServer(SimulatedModel(faults=(fault,))) as server:
        with ReplyStore(folder / "replies.sqlite") as store:
            async with ModelClient(ModelConfig(url=server.url, retries=2)) as client:
                await client.connect()
                for _ in range(times):
                    found = await Model(client, store, Meter()).chat(request)
                return server, found.reply


@pytest.mark.parametrize("kind", PASSING)
async def test_a_bad_reply_is_asked_again(kind: BadReply, tmp_path: Path) -> None:
    if kind == "content-filter":
        return  # not a fault that passes; below
    request = VERDICT if kind in OF_VERDICTS else TEXT
    server, found = await asked(Fault(does=kind), request, tmp_path)
    assert len(server.asked) == 2
    assert flaw(request, found) is None


@pytest.mark.parametrize("kind", [kind for kind in PASSING if kind != "content-filter"])
async def test_one_that_persists_fails_and_is_not_kept(kind: BadReply, tmp_path: Path) -> None:
    request = VERDICT if kind in OF_VERDICTS else TEXT
    with pytest.raises(ReplyError):
        await asked(Fault(does=kind, times=None), request, tmp_path)
    server, found = await asked(Fault(does=kind, times=1, after=99), request, tmp_path)
    assert len(server.asked) == 1  # nothing was in the store
    assert flaw(request, found) is None


@pytest.mark.parametrize(("step", "request_"), [("critique", TEXT), ("judging", VERDICT), ("judging", TEXT)])
async def test_what_a_content_filter_withheld_from_the_critic_is_no_critique_and_no_verdict(
    step: Step, request_: ChatRequest, tmp_path: Path
) -> None:
    async with SimulatedServer(SimulatedModel(faults=(Fault(does="content-filter", times=None),))) as server:
        with ReplyStore(tmp_path / "replies.sqlite") as store:
            async with ModelClient(ModelConfig(url=server.url)) as client:
                await client.connect()
                found = await Model(client, store, Meter()).chat(request_, step=step)
        choice = found.reply.choices[0]
        assert (choice.text, choice.first_token, choice.withheld) == ("", (), True)
        assert len(server.asked) == 1


async def test_a_bad_reply_in_the_store_of_an_earlier_version_is_deleted_and_asked_again(tmp_path: Path) -> None:
    async with SimulatedServer() as server:
        with ReplyStore(tmp_path / "replies.sqlite") as store:
            async with ModelClient(ModelConfig(url=server.url)) as client:
                await client.connect()
                first = await Model(client, store, Meter()).chat(VERDICT)
                store.delete(first.key)
                store.put(first.key, reply(1e6))
                store.flush()
                again = await Model(client, store, Meter()).chat(VERDICT)
        assert again == first
        assert len(server.asked) == 2


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_refusal_in_the_middle_may_pass_and_one_at_the_start_does_not(status: int, tmp_path: Path) -> None:
    with pytest.raises(EndpointError):
        await asked(Fault(status=status), TEXT, tmp_path)
    async with SimulatedServer(SimulatedModel(faults=(Fault(status=status, after=1),))) as server:
        async with ModelClient(ModelConfig(url=server.url)) as client:
            await client.connect()
            for seed in (1, 2):
                await client.post(TEXT.model_copy(update={"seed": seed}))
        assert len(server.asked) == 3


async def test_a_refusal_that_stays_ends_the_run(tmp_path: Path) -> None:
    async with SimulatedServer(SimulatedModel(faults=(Fault(status=404, after=1, times=None),))) as server:
        async with ModelClient(ModelConfig(url=server.url, retries=1)) as client:
            await client.connect()
            await client.post(TEXT)
            with pytest.raises(EndpointError, match="no such page or model"):
                await client.post(TEXT.model_copy(update={"seed": 2}))


async def test_a_server_that_comes_back_with_another_model_ends_the_run() -> None:
    async with SimulatedServer() as server:
        port = server.port
        async with ModelClient(ModelConfig(url=server.url, retries=4)) as client:
            await client.connect()
            await client.post(TEXT)
            await server.__aexit__()
            asking = asyncio.ensure_future(client.post(TEXT.model_copy(update={"seed": 2})))
            while not client.endpoints[0].was_away:
                await asyncio.sleep(0.01)
            async with SimulatedServer(SimulatedModel(scale=5.0), port=port):
                with pytest.raises(EndpointError, match="came back with another model"):
                    await asking
