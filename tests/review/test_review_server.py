"""Who may see the page of a review, what it says of a pair, and what is on disk after a verdict."""

import json
import resource
import shutil
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from rlaif.errors import StorageError
from rlaif.records import FunctionCall, Message, ToolCall
from rlaif.review.session import Given, Session
from rlaif.runs.reader import Run
from rlaif.runs.reviews import REVIEWS, ReviewFile, file_of, read_verdicts
from tests.conftest import CONSTITUTION
from tests.review.runs import reviewed_run, served, session

PAIRS = 12
PATHS = ("", "review.css", "review.js", "state", "pairs/0")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("review")
    (folder / "testing.yaml").write_text(CONSTITUTION)
    return reviewed_run(folder / "run", folder / "testing.yaml", prompts=16)


@pytest.fixture
def run(made: Run) -> Run:
    """Return a run that nobody has reviewed."""
    shutil.rmtree(made.path / REVIEWS, ignore_errors=True)
    return made


@pytest.fixture
async def review(run: Run) -> AsyncIterator[tuple[Session, str]]:
    async with served(run, pairs=PAIRS) as found:
        yield found


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as found:
        yield found


def origin(url: str) -> dict[str, str]:
    return {"Origin": f"http://{urlsplit(url).netloc}"}


async def post(client: aiohttp.ClientSession, url: str, place: int, **given: Any) -> tuple[int, Any]:
    async with client.post(f"{url}pairs/{place}", json=given, headers=origin(url)) as reply:
        return reply.status, await reply.json()


async def test_without_the_token_nobody_sees_or_changes_anything(
    review: tuple[Session, str], client: aiohttp.ClientSession
):
    asked, url = review
    site = f"http://{urlsplit(url).netloc}/"
    token = urlsplit(url).path.strip("/")
    assert len(token) >= 40
    for wrong in ("", "x/", f"{token[:-1]}/", f"{token}x/", f"%20{token}/", f"../{token[:-1]}/"):
        for path in PATHS:
            async with client.get(site + wrong + path) as reply:
                assert reply.status == 403, (wrong, path)
                assert await reply.text() == "open the address that `rlaif review` printed, with its token\n"
                assert reply.headers["Cache-Control"] == "no-store"
        async with client.post(f"{site}{wrong}pairs/0", json={}, headers=origin(url)) as reply:
            assert reply.status == 403
    for path in PATHS:  # with it, all of these are there
        async with client.get(url + path) as reply:
            assert reply.status == 200, path
    assert not asked.file.path.exists()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:80", "0.0.0.0", "", "[::1"])
async def test_another_name_for_this_machine_is_refused(
    review: tuple[Session, str], client: aiohttp.ClientSession, host: str
):
    _, url = review
    for path in PATHS:
        async with client.get(url + path, headers={"Host": host}) as reply:
            assert reply.status in {400, 403}
            assert "answer" not in await reply.text()
    given = {"id": "x", "verdict": "tie"}
    headers = {"Host": host, "Origin": f"http://{host}"}
    async with client.post(f"{url}pairs/0", json=given, headers=headers) as reply:
        assert reply.status in {400, 403}


async def test_the_server_listens_on_the_loopback_address_only(
    review: tuple[Session, str], client: aiohttp.ClientSession
):
    # 127.0.0.2 is this machine, too: a server that listened on all addresses would answer there.
    with pytest.raises(aiohttp.ClientConnectorError):
        await client.get(review[1].replace("127.0.0.1", "127.0.0.2"))


async def test_a_forwarded_port_is_still_this_machine(review: tuple[Session, str], client: aiohttp.ClientSession):
    async with client.get(review[1], headers={"Host": "localhost:8080"}) as reply:
        assert reply.status == 200


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}],
)
async def test_a_verdict_from_another_page_is_refused(
    review: tuple[Session, str], client: aiohttp.ClientSession, headers: dict[str, str]
):
    asked, url = review
    given = {"id": asked.queue[0].id, "verdict": "first"}
    async with client.post(f"{url}pairs/0", json=given, headers=headers) as reply:
        assert reply.status == 403
    both = origin(url) | {"Sec-Fetch-Site": "same-site"}
    async with client.post(f"{url}pairs/0", json=given, headers=both) as reply:
        assert reply.status == 403
    assert asked.done == 0
    assert (await post(client, url, 0, **given))[0] == 200


async def test_every_reply_has_the_strict_headers(review: tuple[Session, str], client: aiohttp.ClientSession):
    _, url = review
    for path in (*PATHS, "no-such-page", "pairs/99"):
        async with client.get(url + path) as reply:
            assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
            assert "unsafe" not in reply.headers["Content-Security-Policy"]
            assert reply.headers["X-Content-Type-Options"] == "nosniff"
            assert reply.headers["Server"] == "rlaif"


async def test_a_pair_is_shown_blind(review: tuple[Session, str], client: aiohttp.ClientSession):
    asked, url = review
    chosen_first = 0
    for place, planned in enumerate(asked.queue):
        async with client.get(f"{url}pairs/{place}") as reply:
            shown = await reply.json()
        assert set(shown) == {"place", "id", "conversation", "first", "second", "verdict", "words"}
        texts = {planned.row.chosen[0].content, planned.row.rejected[0].content}
        assert {shown["first"], shown["second"]} == texts
        chosen_first += shown["first"] == planned.row.chosen[0].content
    assert 0 < chosen_first < PAIRS


def test_the_whole_conversation_is_shown_with_tools_and_their_calls(run: Run):
    asked = session(run, "ann", PAIRS)
    call = ToolCall(function=FunctionCall(name="weather", arguments={"city": "Rome"}))
    turns = (
        Message(role="user", content="Weather?"),
        Message(role="assistant", content="", tool_calls=(call,)),
        Message(role="tool", content="Sunny"),
    )
    tools = json.dumps([{"type": "function", "function": {"name": "weather", "description": "Looks it up."}}])
    row = asked.queue[0].row.model_copy(update={"prompt": turns, "tools": tools})
    shown = replace(asked, queue=[replace(asked.queue[0], row=row)]).show(0)
    assert [turn.role for turn in shown.conversation] == [
        "tools that the assistant can call",
        "user",
        "assistant",
        "tool",
    ]
    assert "Looks it up." in shown.conversation[0].text
    assert shown.conversation[2].text == 'calls weather with {"city": "Rome"}'


async def test_sides_belong_to_the_pair_and_the_reviewer(run: Run):
    shown = {
        name: [session(run, name, PAIRS).show(place).first for place in range(PAIRS)] for name in ("ann", "ben", "ann")
    }
    assert shown["ann"] != shown["ben"]
    assert [session(run, "ann").show(place).first for place in range(PAIRS)] == shown["ann"]


async def test_a_verdict_is_on_disk_before_the_answer_and_the_same_reviewer_goes_on(
    run: Run, review: tuple[Session, str], client: aiohttp.ClientSession
):
    asked, url = review
    for place, verdict in enumerate(("first", "second", "tie", "cannot-tell")):
        status, state = await post(client, url, place, id=asked.queue[place].id, verdict=verdict, words=" why ")
        assert (status, state["done"], state["next"]) == (200, place + 1, place + 1)
        lines = file_of(run.path, "ann").read_text().splitlines()
        assert len(lines) == place + 1
        written = json.loads(lines[-1])
        assert (written["verdict"], written["words"]) == (verdict, "why")
        shown = {"first": written["first"], "second": written["second"]}
        row = asked.queue[place].row
        texts = {row.chosen_id: row.chosen[0].content, row.rejected_id: row.rejected[0].content}
        assert texts[shown["first"]] == asked.show(place).first
    await post(client, url, 0, id=asked.queue[0].id, verdict="second")
    again = session(run, "ann")
    assert (again.done, again.state.next) == (4, 4)
    assert again.show(0).verdict == "second"
    assert session(run, "ben").done == 0


async def test_a_wrong_verdict_is_refused_with_its_reason(review: tuple[Session, str], client: aiohttp.ClientSession):
    asked, url = review
    right = asked.queue[0].id
    for place, given, status, words in [
        (0, {"id": right, "verdict": "third"}, 400, "not a verdict"),
        (0, {"id": right}, 400, "not a verdict"),
        (0, {"id": right, "verdict": "tie", "words": "x" * 4001}, 400, "4000"),
        (0, {"id": right, "verdict": "tie", "seconds": -1}, 400, "not a verdict"),
        (1, {"id": right, "verdict": "tie"}, 409, "another pair"),
        (99, {"id": right, "verdict": "tie"}, 409, "no pair 100"),
    ]:
        found, answer = await post(client, url, place, **given)
        assert (found, words in answer["error"]) == (status, True), answer
    async with client.post(f"{url}pairs/0", data="{" * 10, headers=origin(url)) as reply:
        assert reply.status == 400
    async with client.post(f"{url}pairs/0", data="x" * 100_000, headers=origin(url)) as reply:
        assert reply.status == 413
    assert not asked.file.path.exists()


def test_a_line_that_a_crash_cut_off_is_left_out_and_the_next_one_is_whole(run: Run):
    asked = session(run, "ann", PAIRS)
    for place in range(3):
        asked.judge(place, _given(asked, place))
    file = asked.file.path
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    assert len(read_verdicts(file)) == 2
    again = session(run, "ann")
    assert again.state.next == 2
    again.judge(2, _given(again, 2))
    assert len(file.read_bytes().splitlines()) == len(read_verdicts(file)) == 3
    file.write_bytes(whole[:-1])  # only the line's end is missing
    ReviewFile(file).add(read_verdicts(file)[asked.queue[0].id])
    assert len(file.read_bytes().splitlines()) == 4
    assert len(read_verdicts(file)) == 3


def _given(asked: Session, place: int) -> Given:
    return Given(id=asked.queue[place].id, verdict="first")


def test_a_full_disk_is_said_and_the_file_stays_as_it_was(run: Run):
    asked = session(run, "ann", PAIRS)
    asked.judge(0, _given(asked, 0))
    before = asked.file.path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    usual = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limits[1]))
    try:
        with pytest.raises(StorageError, match="cannot be written"):
            asked.judge(1, _given(asked, 1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, usual)
    assert asked.file.path.read_bytes() == before
    assert asked.done == 1
