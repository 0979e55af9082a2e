"""The server of a review: on this machine only, and only for whoever has the address with its token.

Every address begins with a random token of 256 bits; without it, nothing is sent but one sentence. A page of another
site cannot reach it either: the Host header must name this machine (against DNS rebinding), a POST must come from the
page itself (Origin), no other site may frame or read the page, and the page may load nothing from elsewhere. Nothing is
kept in cookies, which a browser would also send to other programs on this machine. The assets are
`rlaif/review/assets` and the style and the functions of reports.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import ValidationError

from rlaif.base import Record
from rlaif.errors import RlaifError, StorageError, UsageError
from rlaif.report.html_page import asset
from rlaif.review.session import Given, Session

HOST = "127.0.0.1"
OWN_NAMES = {"127.0.0.1", "localhost", "::1"}
LARGEST_REQUEST = 64 * 1024
"""Bytes; the longest words are shorter, also where each of their characters is escaped."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "rlaif",
}
_ASSETS = Path(__file__).parent / "assets"


@asynccontextmanager
async def review_server(session: Session, port: int = 0, token: str | None = None) -> AsyncIterator[str]:
    """Serve a review on this machine and yield its address; with 0, on a free port. Raises UsageError for a used port.

    `token` is for tests; otherwise it is random.
    """
    token = token or secrets.token_urlsafe(32)
    runner = web.AppRunner(make_app(session, token), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, HOST, port).start()
        except OSError as error:
            raise UsageError(f"--port {port}: cannot be used ({error.strerror}); leave it out for a free one") from None
        yield f"http://{HOST}:{runner.addresses[0][1]}/{token}/"
    finally:
        await runner.cleanup()


def make_app(session: Session, token: str) -> web.Application:
    """Return the application that serves a review under `/TOKEN/`."""

    async def state(_: web.Request) -> web.Response:
        return _json(session.state)

    async def pair(request: web.Request) -> web.Response:
        return _json(session.show(int(request.match_info["place"])))

    async def verdict(request: web.Request) -> web.Response:
        given = Given.model_validate_json(await request.read())
        return _json(session.judge(int(request.match_info["place"]), given))

    app = web.Application(middlewares=[_guard(token), _errors_as_json], client_max_size=LARGEST_REQUEST)
    app.router.add_get("/{token}", _with_slash)
    app.router.add_get("/{token}/", _page)
    app.router.add_get("/{token}/review.css", _style)
    app.router.add_get("/{token}/review.js", _script)
    app.router.add_get("/{token}/state", state)
    app.router.add_get(r"/{token}/pairs/{place:\d{1,9}}", pair)
    app.router.add_post(r"/{token}/pairs/{place:\d{1,9}}", verdict)
    app.on_response_prepare.append(_add_headers)
    return app


def _guard(token: str) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = _refusal(request, token)
        if refusal:
            return web.Response(status=403, text=f"{refusal}\n")
        try:
            return await handler(request)
        except web.HTTPException as error:  # no page of aiohttp's own, but the same headers
            error.text = f"{error.status} {error.reason}\n"
            raise

    return guard


def _refusal(request: web.Request, token: str) -> str | None:
    """Return why a request is refused, before anything else is looked at; None where it is allowed."""
    host = request.headers.get("Host", "")
    if _name_of(host) not in OWN_NAMES:
        return "this page is for this machine only: open it as 127.0.0.1 or localhost"
    given = request.path.removeprefix("/").partition("/")[0]
    if not secrets.compare_digest(given.encode("utf-8", "replace"), token.encode()):
        return "open the address that `rlaif review` printed, with its token"
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    if request.method == "POST" and (request.headers.get("Origin") != f"http://{host}" or site != "same-origin"):
        return "verdicts are taken from the page of this review only"
    return None


def _name_of(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ValidationError as error:
        return web.json_response({"error": f"not a verdict: {error.errors()[0]['msg']}"}, status=400)
    except RlaifError as error:
        status = 507 if isinstance(error, StorageError) else 409
        return web.json_response({"error": str(error)}, status=status)


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)


async def _with_slash(request: web.Request) -> web.Response:
    raise web.HTTPFound(f"{request.path}/")


async def _page(_: web.Request) -> web.Response:
    return web.Response(text=_own("review.html"), content_type="text/html")


async def _style(_: web.Request) -> web.Response:
    return web.Response(text=asset("report.css") + _own("review.css"), content_type="text/css")


async def _script(_: web.Request) -> web.Response:
    return web.Response(text=asset("page.js") + _own("review.js"), content_type="text/javascript")


def _json(value: Record) -> web.Response:
    return web.json_response(value.model_dump(mode="json"))


@cache
def _own(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")
