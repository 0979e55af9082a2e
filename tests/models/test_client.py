"""The client against a simulated server with faults."""

import asyncio

import pytest

from rlaif.errors import EndpointError, ReplyError, RequestRejectedError, RetriesExhaustedError, UsageError
from rlaif.models.backend import ChatRequest
from rlaif.models.client import ModelClient
from rlaif.models.config import ModelConfig, model_from_text
from rlaif.records import Message
from rlaif.testing import Fault, SimulatedModel, SimulatedServer


def question(text: str = "hello", **fields: object) -> ChatRequest:
    return ChatRequest(messages=(Message(role="user", content=text),), max_tokens=8, **fields)


async def ask(faults: tuple[Fault, ...] = (), **config: object) -> tuple[SimulatedServer, object]:
    async with SimulatedServer(SimulatedModel(faults=faults)) as server:
        async with ModelClient(ModelConfig(url=server.url, **{"retries": 2, **config})) as client:
            await client.connect()
            return server, await client.post(question())


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
async def test_statuses_that_may_pass_are_asked_again(status: int) -> None:
    server, reply = await ask((Fault(status=status, times=2),))
    assert len(server.asked) == 3
    assert reply.choices[0].text


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refusal_is_final_and_carries_the_servers_words(status: int) -> None:
    with pytest.raises(RequestRejectedError, match="too long, sorry"):
        await ask((Fault(status=status, message="too long, sorry", times=None),))


async def test_retries_end_and_say_how_often_it_was_tried() -> None:
    with pytest.raises(RetriesExhaustedError, match=r"HTTP 503: overloaded \(3 attempts\)"):
        await ask((Fault(status=503, message="overloaded", times=None),))


async def test_a_hanging_server_is_given_up_after_the_timeout_and_asked_again() -> None:
    server, reply = await ask((Fault(does="hang", times=1),), timeout_s=0.3)
    assert len(server.asked) == 2
    assert reply.choices[0].text


async def test_retry_after_is_waited_for() -> None:
    server, _ = await ask((Fault(status=429, retry_after="0.6", times=1),))
    assert server.asked[1].received - server.asked[0].received >= 0.6


async def test_a_closed_connection_is_asked_again() -> None:
    server, reply = await ask((Fault(does="disconnect", times=2),))
    assert len(server.asked) == 3
    assert reply.choices[0].text


async def test_a_reply_that_is_no_chat_completion_is_named() -> None:
    with pytest.raises(ReplyError, match="not a chat completion.*not the reply you expected"):
        await ask((Fault(does="garbage", times=None),))


async def test_a_wrong_key_names_the_variable_and_never_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLAIF_API_KEY", "sk-wrong")
    async with SimulatedServer(SimulatedModel(api_key="sk-right")) as server:
        async with ModelClient(ModelConfig(url=server.url)) as client:
            with pytest.raises(EndpointError, match="refused the API key.*RLAIF_API_KEY") as caught:
                await client.connect()
    assert "sk-wrong" not in str(caught.value)


async def test_a_named_key_variable_must_be_set() -> None:
    with pytest.raises(UsageError, match="NO_SUCH_VARIABLE_HERE"):
        ModelClient(ModelConfig(url="http://127.0.0.1:1/v1", api_key_env="NO_SUCH_VARIABLE_HERE"))


async def test_the_only_served_model_needs_no_name() -> None:
    async with (
        SimulatedServer(SimulatedModel(name="lonely")) as server,
        ModelClient(ModelConfig(url=server.url)) as client,
    ):
        await client.connect()
        assert client.model == "lonely"


async def test_a_model_the_server_lacks_is_answered_with_what_it_has() -> None:
    async with SimulatedServer(SimulatedModel(name="one")) as server:
        async with ModelClient(ModelConfig(model="other", url=server.url)) as client:
            with pytest.raises(UsageError, match="does not serve a model named 'other'; it serves one"):
                await client.connect()


async def test_nobody_there_is_said_with_what_to_look_at() -> None:
    async with ModelClient(ModelConfig(url="http://127.0.0.1:9/v1")) as client:
        with pytest.raises(EndpointError, match="is the server running, and does the URL end in /v1"):
            await client.connect()


async def test_no_more_requests_are_in_flight_than_allowed() -> None:
    async with SimulatedServer(SimulatedModel(latency_s=0.05)) as server:
        async with ModelClient(ModelConfig(url=server.url, concurrency=3)) as client:
            await client.connect()
            await asyncio.gather(*(client.post(question(str(n))) for n in range(12)))
    spans = sorted((a.received, a.answered) for a in server.asked)
    busiest = max(sum(start <= at < end for start, end in spans) for at, _ in spans)
    assert busiest == 3


async def test_older_work_goes_first_when_the_server_is_busy() -> None:
    async with SimulatedServer(SimulatedModel(latency_s=0.02)) as server:
        async with ModelClient(ModelConfig(url=server.url, concurrency=1)) as client:
            await client.connect()
            order: list[int] = []

            async def one(priority: int) -> None:
                await client.post(question(str(priority)), priority=priority)
                order.append(priority)

            await asyncio.gather(*(one(priority) for priority in (9, 5, 7, 1, 3)))
    assert order == [9, 1, 3, 5, 7]


async def test_a_dead_server_among_two_costs_no_question() -> None:
    async with SimulatedServer() as alive:
        dead = SimulatedServer()
        await dead.__aenter__()
        config = ModelConfig(url=(alive.url, dead.url), retries=3)
        async with ModelClient(config) as client:
            await client.connect()
            await dead.__aexit__()
            replies = await asyncio.gather(*(client.post(question(str(n))) for n in range(40)))
    assert len(replies) == 40


async def test_arguments_of_a_managed_server_make_another_model() -> None:
    async with SimulatedServer() as server:
        identities = set()
        for arguments in ((), ("--quantization", "fp8"), ("--chat-template", "x.jinja")):
            async with ModelClient(ModelConfig(url=server.url, vllm_args=arguments)) as client:
                await client.connect()
                identities.add(client.identity)
    assert len(identities) == 3


async def test_a_backend_can_be_named_before_a_url_and_is_not_part_of_the_identity() -> None:
    identities = []
    async with SimulatedServer() as server:
        for url in (server.url, f"openai+{server.url}"):
            async with ModelClient(ModelConfig(**model_from_text(f"simulated@{url}"))) as client:
                await client.connect()
                identities.append(client.identity)
                assert (await client.post(question())).choices[0].text
    assert identities[0] == identities[1]


def test_an_unknown_backend_is_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"nothing\+http://127.0.0.1:9/v1: .*'nothing'; the backends are: openai"):
        ModelClient(ModelConfig(url="nothing+http://127.0.0.1:9/v1"))
