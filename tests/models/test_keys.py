"""No key is written down or shown, whoever quotes it, and no request goes to an address that the user did not name."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from rlaif.errors import EndpointError, RlaifError
from rlaif.generation import generate_async
from rlaif.models.client import ModelClient
from rlaif.models.config import ModelConfig
from rlaif.testing import SimulatedModel, SimulatedServer
from tests.command import commands
from tests.conftest import MakeConfig

KEY = "sk-planted-0123456789abcdef"


async def serve(app: web.Application) -> tuple[web.AppRunner, str]:
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}/v1"


@pytest.fixture
async def echo() -> AsyncIterator[str]:
    """Yield the URL of a server that quotes the Authorization header in each refusal."""

    async def models(request: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m", "root": f"m {request.headers['Authorization']}"}]})

    async def refuse(request: web.Request) -> web.Response:
        said = f"bad request with {request.headers['Authorization']}"
        return web.json_response({"error": {"message": said}}, status=400)

    app = web.Application()
    app.router.add_get("/v1/models", models)
    app.router.add_post("/{page:.*}", refuse)
    runner, url = await serve(app)
    yield url
    await runner.cleanup()


async def test_a_key_that_a_server_quotes_is_neither_kept_nor_shown(
    echo: str, tmp_path: Path, make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLAIF_API_KEY", KEY)
    config = make_config(SimulatedServer(SimulatedModel()), prompts=3, policy={"url": echo})
    with pytest.raises(RlaifError) as caught:
        await generate_async(config)
    assert "bad request with Bearer [API key]" in str(caught.value)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 4
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("url", ["http://me:SECRET@127.0.0.1:1/v1", "http://127.0.0.1:1/v1?api_key=SECRET"])
def test_a_url_with_a_key_is_refused_before_anything_is_written(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rlaif = commands(monkeypatch, capsys)
    run = rlaif("generate", "--constitution", "minimal", "--prompts", "seed", "--policy", url, "--out", "run")
    assert run.complains(2, "no user, password or query", "RLAIF_API_KEY")
    tested = rlaif("constitution", "test", "honesty", "--critic", url)
    assert tested.complains(2, "no user, password or query")
    assert "SECRET" not in run.err + run.out + tested.err + tested.out
    assert list(tmp_path.iterdir()) == []


async def test_a_redirect_is_not_followed() -> None:
    reached: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.json_response({"data": [{"id": "m"}]})

    other = web.Application()
    other.router.add_route("*", "/{page:.*}", elsewhere)
    other_runner, other_url = await serve(other)

    async def away(request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(other_url.removesuffix("/v1") + request.path)

    app = web.Application()
    app.router.add_route("*", "/{page:.*}", away)
    runner, url = await serve(app)
    async with ModelClient(ModelConfig(url=url)) as client:
        with pytest.raises(EndpointError, match="refers to another address .HTTP 307."):
            await client.connect()
    assert reached == []
    await runner.cleanup()
    await other_runner.cleanup()
