"""A person reviews twenty pairs by keyboard, in a browser."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rlaif.review.session import Session
from rlaif.runs.reader import Run
from rlaif.runs.reviews import file_of, read_verdicts
from tests.report.chromium import Page, chromium_page
from tests.report.test_in_chromium import IN_BROWSER
from tests.review.runs import reviewed_run, served

pytestmark = IN_BROWSER

PAIRS = 20
READY = "document.documentElement?.classList.contains('ready')"
COUNT = "document.getElementById('count').textContent"
OPEN = "!!document.querySelector('dialog[open]')"
KEYS = {"1": "first", "a": "first", "ArrowLeft": "first", "2": "second", "b": "second", "ArrowRight": "second"}
KEYS |= {"t": "tie", "c": "cannot-tell"}


@pytest.fixture
def run(tmp_path: Path, constitution_file: Path) -> Run:
    return reviewed_run(tmp_path / "run", constitution_file, prompts=24)


@pytest.fixture
async def review(run: Run) -> AsyncIterator[tuple[Session, str]]:
    async with served(run, pairs=PAIRS) as found:
        yield found


@pytest.fixture
async def page(review: tuple[Session, str]) -> AsyncIterator[Page]:
    async with chromium_page() as page:
        await page.look()
        await page.visit(review[1])
        await page.until(READY)
        yield page
        assert page.complaints == []
        assert {url for url in page.requests if not url.startswith((review[1], "data:", "about:"))} == set()


async def text(page: Page, place: str) -> str:
    return str(await page.run(f"document.querySelector({place!r}).textContent"))


async def test_twenty_pairs_by_keyboard(page: Page, review: tuple[Session, str], run: Run):
    session, _ = review
    assert await page.run(OPEN)
    await page.press("1")  # while the help is open, no key is a verdict
    await page.press("Enter")
    await page.until(f"!({OPEN})")
    pressed = (list(KEYS) * 3)[:PAIRS]
    for place, key in enumerate(pressed):
        await page.until(f"{COUNT} === 'Pair {place + 1} of {PAIRS}'")
        shown = session.show(place)
        assert await text(page, "#first .text") == shown.first
        assert await text(page, "#second .text") == shown.second
        assert await text(page, "#conversation .turn:last-child .text") == shown.conversation[-1].text
        await page.press(key)
    await page.until(f"{COUNT} === '{PAIRS} of {PAIRS}'")
    assert "20 of 20" in await text(page, "#thanks")
    found = read_verdicts(file_of(run.path, "ann"))
    assert [found[one.id].verdict for one in session.queue] == [KEYS[key] for key in pressed]
    assert "owned" not in await page.run("document.title")
    assert await page.run("document.querySelectorAll('main img, main script').length") == 0


async def test_back_words_and_keeping(page: Page, run: Run):
    await page.press("Escape")
    await page.press("1")
    await page.until(f"{COUNT} === 'Pair 2 of {PAIRS}'")
    await page.press("u")
    await page.until(f"{COUNT} === 'Pair 1 of {PAIRS}'")
    assert await page.run("document.getElementById('first').classList.contains('picked')")
    await page.press("n")
    await page.type("shorter, 1 or 2?")  # letters and digits in the field are words
    await page.press("Escape")
    await page.press("Enter")
    await page.until(f"{COUNT} === 'Pair 2 of {PAIRS}'")
    assert await page.run("document.querySelector('#words textarea').value") == ""
    await page.press("u")
    await page.until(f"{COUNT} === 'Pair 1 of {PAIRS}'")
    await page.press("t")
    await page.until(f"{COUNT} === 'Pair 2 of {PAIRS}'")
    lines = [json.loads(line) for line in file_of(run.path, "ann").read_text().splitlines()]
    assert [(one["verdict"], one.get("words")) for one in lines] == [
        ("first", None),
        ("first", "shorter, 1 or 2?"),
        ("tie", "shorter, 1 or 2?"),
    ]
    await page.visit(page.requests[0])  # closed and opened again: the same person goes on
    await page.until(READY)
    assert await page.run(COUNT) == f"Pair 2 of {PAIRS}"
    assert not await page.run(OPEN)


@pytest.mark.parametrize("width", [320, 390, 820, 1280])
async def test_all_of_a_pair_can_be_reached_and_nothing_scrolls_sideways(page: Page, width: int):
    await page.press("Escape")
    await page.look(width, 700)
    assert await page.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    await page.run("scrollTo(0, 1e6)")
    end = "document.getElementById('second').getBoundingClientRect().bottom"
    assert await page.run(f"{end} <= document.getElementById('verdicts').getBoundingClientRect().top")
    assert await page.run("document.getElementById('verdicts').getBoundingClientRect().bottom <= innerHeight + 1")


async def test_what_could_not_be_saved_is_said_and_the_pair_stays(review: tuple[Session, str], page: Page, run: Run):
    session, _ = review
    await page.press("Escape")
    file_of(run.path, "ann").mkdir(parents=True)  # the file cannot be written
    await page.press("2")
    await page.until("!document.getElementById('problem').hidden")
    assert "Not saved" in await text(page, "#problem")
    assert await page.run(COUNT) == f"Pair 1 of {PAIRS}"
    assert not await page.run("document.getElementById('second').classList.contains('picked')")
    file_of(run.path, "ann").rmdir()
    await page.press("2")
    await page.until(f"{COUNT} === 'Pair 2 of {PAIRS}'")
    assert await page.run("document.getElementById('problem').hidden")
    assert session.done == 1
    assert any("507" in one for one in page.complaints)
    page.complaints.clear()
