"""A headless Chromium for tests, spoken to in its own protocol (Chrome DevTools) over aiohttp's WebSocket.

Comes in: a file to open, scripts, keys. Goes out: values, pictures, and everything the page asked the network for or
complained about. aiohttp is there anyway; Selenium would bring seven packages and a second program, and could neither
watch the network nor set the medium without the same protocol.
"""

import asyncio
import base64
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

KEYS = {
    "Enter": ("Enter", "\r", 13),
    "Escape": ("Escape", "", 27),
    "Tab": ("Tab", "", 9),
    "ArrowDown": ("ArrowDown", "", 40),
    "ArrowLeft": ("ArrowLeft", "", 37),
    "ArrowRight": ("ArrowRight", "", 39),
}


class Page:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._loaded = asyncio.Event()
        self._listening = asyncio.create_task(self._listen())
        self.requests: list[str] = []
        """What the page fetched, itself included."""
        self.complaints: list[str] = []
        """Errors of scripts, refusals by the content security policy, and whatever else went to the console."""

    async def start(self) -> None:
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self.ask(f"{domain}.enable")

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        number = len(self._answers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        answer = await asyncio.wait_for(self._answers[number], 60)
        assert "error" not in answer, (method, answer)
        return dict(answer["result"])

    async def open(self, file: Path, fragment: str = "") -> None:
        """Open a file anew, also when only the fragment differs."""
        for url in ("about:blank", file.resolve().as_uri() + fragment):
            self._loaded.clear()
            await self.ask("Page.navigate", url=url)
            await asyncio.wait_for(self._loaded.wait(), 60)
        await self.until("document.readyState === 'complete' && location.protocol === 'file:'")

    async def visit(self, url: str) -> None:
        """Open a page of a server."""
        self._loaded.clear()
        await self.ask("Page.navigate", url=url)
        await asyncio.wait_for(self._loaded.wait(), 60)

    async def run(self, script: str) -> Any:
        """Return the value of an expression."""
        found = await self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def until(self, script: str) -> None:
        """Wait until an expression is true."""
        for _ in range(400):
            if await self.run(script):
                return
            await asyncio.sleep(0.025)
        raise AssertionError(f"never became true: {script}")

    async def press(self, key: str) -> None:
        name, text, code = KEYS[key] if key in KEYS else (key, key, ord(key.upper()))
        event = {"key": name, "text": text, "windowsVirtualKeyCode": code}
        await self.ask("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **event)
        await self.ask("Input.dispatchKeyEvent", type="keyUp", **event)

    async def type(self, text: str) -> None:
        await self.ask("Input.insertText", text=text)

    async def look(self, width: int = 1280, height: int = 900, *, dark: bool = False, medium: str = "screen") -> None:
        """Set the window and the medium."""
        await self.ask(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 700
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.ask("Emulation.setEmulatedMedia", media=medium, features=[scheme])

    async def picture(self, file: Path, *, whole: bool = False) -> None:
        found = await self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(found["data"]))

    async def pdf(self) -> bytes:
        found = await self.ask("Page.printToPDF", preferCSSPageSize=True, paperWidth=8.27, paperHeight=11.69)
        return base64.b64decode(found["data"])

    async def _listen(self) -> None:
        async for message in self._socket:
            event = json.loads(message.data)
            if "id" in event:
                self._answers[event["id"]].set_result(event)
            elif event["method"] == "Page.loadEventFired":
                self._loaded.set()
            elif event["method"] == "Network.requestWillBeSent":
                self.requests.append(event["params"]["request"]["url"])
            elif event["method"] in {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"}:
                self.complaints.append(json.dumps(event["params"]))


@asynccontextmanager
async def chromium_page(*, javascript: bool = True) -> AsyncIterator[Page]:
    """Yield a tab of a Chromium of its own; it ends with the block."""
    with tempfile.TemporaryDirectory(prefix="rlaif-chromium-", ignore_cleanup_errors=True) as home:
        process = await asyncio.create_subprocess_exec(
            find_chromium(),
            "--headless=new",
            "--no-sandbox",  # tests run as root in containers
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--remote-debugging-port=0",
            f"--user-data-dir={home}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            port = await _port(Path(home))
            async with aiohttp.ClientSession() as session:
                async with session.put(f"http://127.0.0.1:{port}/json/new?about:blank") as reply:
                    url = (await reply.json(content_type=None))["webSocketDebuggerUrl"]
                async with session.ws_connect(url, max_msg_size=2**28) as socket:
                    page = Page(socket)
                    await page.start()
                    if not javascript:
                        await page.ask("Emulation.setScriptExecutionDisabled", value=True)
                    yield page
        finally:
            process.terminate()
            await process.wait()


def find_chromium() -> str:
    """Return the browser's program. Raises with what to do where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if found := shutil.which(name):
            return found
    raise RuntimeError(
        "no Chromium for the browser tests; `apt-get install chromium`, or set RLAIF_NO_BROWSER=1 to skip them"
    )


async def _port(home: Path) -> int:
    file = home / "DevToolsActivePort"
    for _ in range(1200):
        if file.is_file() and (text := file.read_text()):
            return int(text.splitlines()[0])
        await asyncio.sleep(0.05)
    raise RuntimeError("Chromium did not start within a minute")
