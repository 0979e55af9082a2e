"""The page as a person has it: opened from disk in a browser, searched, filtered, steered by keys, printed."""

import asyncio
import math
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rlaif.report.run_page import write_run_report
from rlaif.runs.reader import Run
from tests.report.chromium import Page, chromium_page
from tests.report.runs import EVIL, make_run, plain

IN_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(os.environ.get("RLAIF_NO_BROWSER") == "1", reason="RLAIF_NO_BROWSER=1: NO BROWSER TEST WAS RUN"),
]

pytestmark = IN_BROWSER

READY = "document.documentElement.classList.contains('browsing')"
SHOWN = "[...document.querySelectorAll('#list li:not([hidden])')].map((row) => row.dataset.id)"
COUNT = "document.getElementById('count').textContent"
HEADING = "document.querySelector('#detail h3').textContent"
FOCUSED = "document.activeElement.closest('li')?.dataset.id"


@pytest.fixture
def run(tmp_path: Path, constitution_file: Path) -> Run:
    return make_run(
        tmp_path / "run",
        constitution_file,
        prompts=12,
        failures=1,
        spread=1.0,
        write=lambda rng, name: f"{plain(rng, name)} {EVIL}",
    )


@pytest.fixture
async def page(run: Run) -> AsyncIterator[Page]:
    write_run_report(run, run.path / "report.html")
    async with chromium_page() as page:
        await page.look()
        await page.open(run.path / "report.html")
        await page.until(READY)
        yield page
        assert page.complaints == []
        assert {url.partition("#")[0] for url in page.requests} <= {"about:blank", (run.path / "report.html").as_uri()}


async def choose(page: Page, name: str, value: str) -> None:
    await page.run(
        f"(() => {{ const field = document.querySelector('.filters').{name}; field.value = {value!r};"
        "field.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )


async def shown(page: Page, some: list[str], of: int) -> None:
    """Check that the list has these prompts, and that the count above it says so."""
    await page.until(f"{COUNT} === '{len(some)} of {of} shown'")
    assert await page.run(SHOWN) == some


async def test_a_script_in_an_answer_does_nothing(page: Page, run: Run):
    for place in range(12):
        await page.run(f"document.querySelectorAll('#list a')[{place}].click()")
        await page.run("document.querySelectorAll('#detail details').forEach((one) => { one.open = true; })")
    await page.run("document.querySelector('#list li[data-id=p0] a').click()")
    assert EVIL in await page.run("document.querySelector('#detail .revision .text').textContent")
    assert "owned" not in await page.run("document.title")
    assert (
        await page.run("document.querySelectorAll('img').length + document.querySelectorAll('#detail script').length")
        == 0
    )


async def test_search_and_filters_leave_what_fits(page: Page, run: Run):
    concluded = {trace.prompt.id: (trace, conclusion) for trace, conclusion in run.conclusions()}
    await shown(page, [f"p{n}" for n in range(12)], 12)
    await page.run("document.querySelector('.filters').q.focus()")
    await page.type("QUESTION 7? water")
    await shown(page, ["p7"] if "water" in str(concluded["p7"][0]) else [], 12)
    await page.run("document.querySelector('.filters button[type=reset]').click()")
    await shown(page, [f"p{n}" for n in range(12)], 12)
    await choose(page, "tag", "odd")
    await shown(page, ["p1", "p3", "p5", "p7", "p9", "p11"], 12)
    await choose(page, "outcome", "o:failed")
    await shown(page, ["p11"], 12)
    await choose(page, "tag", "")
    reasons = {j.abstention for _, conclusion in concluded.values() for j in conclusion.judgements if j.abstention}
    assert reasons
    for reason in reasons:
        await choose(page, "outcome", f"a:{reason}")
        fits = [k for k, (_, c) in concluded.items() if any(j.abstention == reason for j in c.judgements)]
        await shown(page, fits, 12)
    await choose(page, "outcome", "")
    await choose(page, "principle", "c:1")
    await shown(page, [k for k, (t, _) in concluded.items() if any("short" in c.principles for c in t.critiques)], 12)
    await choose(page, "principle", "j:0")
    await shown(page, list(concluded), 12)


async def test_a_revision_that_won_or_lost_is_found(page: Page, run: Run):
    won, lost = [], []
    for trace, conclusion in run.conclusions():
        decided = [j for j in conclusion.judgements if j.abstention is None and j.a[:2] == j.b[:2]]
        ps = [j.p_of(j.a if j.a.endswith(".r1") else j.b) or 0 for j in decided]
        won += [trace.prompt.id] * any(p > 0.5 for p in ps)
        lost += [trace.prompt.id] * any(p < 0.5 for p in ps)
    assert won
    assert lost
    for value, fits in (("won", won), ("lost", lost), ("both", [k for k in won if k in lost])):
        await choose(page, "revision", value)
        await shown(page, fits, 12)


async def test_the_address_keeps_what_was_chosen(page: Page, run: Run):
    await choose(page, "tag", "even")
    await page.run("document.querySelector('#list li[data-id=p4] a').click()")
    await page.run("document.querySelectorAll('.matchups button')[2].click()")
    fragment = await page.run("location.hash")
    await page.open(run.path / "report.html", fragment)
    await page.until(READY)
    await shown(page, ["p0", "p2", "p4", "p6", "p8", "p10"], 12)
    assert await page.run(HEADING) == "p4"
    assert await page.run("document.querySelector('.matchups [aria-pressed=true]').dataset.place") == "2"


async def test_a_trace_named_in_the_address_is_in_sight_in_the_list(page: Page, run: Run):
    await page.look(1280, 500)
    await page.open(run.path / "report.html", "#trace=p11")
    await page.until(READY)
    places = "(([list, row]) => [list.top, row.top, row.bottom, list.bottom])(['#list', '#list li[data-id=p11]']"
    assert await page.run("document.getElementById('list').scrollTop") > 0
    top, row_top, row_bottom, bottom = await page.run(
        f"{places}.map((one) => document.querySelector(one).getBoundingClientRect()))"
    )
    assert top <= row_top < row_bottom <= bottom


async def test_keys_are_enough(page: Page):
    await page.press("/")
    assert await page.run("document.activeElement.name") == "q"
    await page.type("question")
    await page.press("ArrowDown")
    assert await page.run(FOCUSED) == "p0"
    for key, expected in (("j", "p1"), ("ArrowDown", "p2"), ("k", "p1")):
        await page.press(key)
        assert await page.run(FOCUSED) == expected
    await page.press("Enter")
    await page.until(f"{HEADING} === 'p1'")
    assert await page.run("document.activeElement.id") == "detail"
    await page.press("Escape")
    assert await page.run(FOCUSED) == "p1"


async def test_original_and_revision_stand_side_by_side_with_the_difference_marked(page: Page, run: Run):
    marked = 0
    for trace, _ in run.conclusions():
        await page.run(f"document.querySelector('#list li[data-id={trace.prompt.id}] a').click()")
        sides: list[list[Any]] = await page.run(
            "[...document.querySelectorAll('.revision')].map((one) => [...one.querySelectorAll('.text')].map((text) =>"
            "[text.textContent, [...text.querySelectorAll('del, ins')].map((mark) => mark.tagName)]))"
        )
        children = [response for response in trace.responses if response.parent]
        for child, (before, after) in zip(children, sides, strict=True):
            assert (before[0], after[0]) == (trace.response(child.parent or "").text, child.text)
            assert set(before[1]) <= {"DEL"}
            assert set(after[1]) <= {"INS"}
            marked += bool(after[1])
    assert marked > 4


async def test_verdicts_of_both_orders_are_those_of_the_run(page: Page, run: Run):
    trace = run.trace("p3")
    await page.run("document.querySelector('#list li[data-id=p3] a').click()")
    for place, (matchup, judgement) in enumerate(zip(trace.matchups, run.conclude(trace).judgements, strict=True)):
        await page.run(f"document.querySelectorAll('.matchups button')[{place}].click()")
        rows = await page.run(
            "[...document.querySelectorAll('#matchup tbody tr')]"
            ".map((row) => [...row.children].map((cell) => cell.textContent))"
        )
        for part, row in zip(judgement.principles, rows, strict=True):
            verdicts = matchup.verdicts_by_judge()["pairwise-logprob", part.principle]
            ab, ba = verdicts["ab"].logit() or 0, verdicts["ba"].logit() or 0
            assert row[0] == part.principle
            expected = [1 / (1 + math.exp(-ab)), 1 / (1 + math.exp(ba)), part.p, part.position_bias]
            assert [float(cell.replace("−", "-")) for cell in row[1:5]] == pytest.approx(expected, abs=0.021)
            assert row[5] == f"{round(100 * min(v.label_mass for v in verdicts.values()))}%"
            tie = abs(abs(part.position_bias or 0) - abs(part.logit)) < 0.03
            assert tie or (row[6] == "order-dependent") == part.turned


async def test_packed_traces_are_read(page: Page, tmp_path: Path, constitution_file: Path):
    text = "20,000 signs and more, of which none may be lost: é 面 \U0001f600 " * 400
    run = make_run(tmp_path / "large", constitution_file, prompts=9, write=lambda rng, name: f"{name} {text}")
    write_run_report(run, run.path / "report.html")
    assert 'type="text/plain" id="traces-data"' in (run.path / "report.html").read_text(encoding="utf-8")
    async with chromium_page() as other:
        await other.look(390, 844)
        await other.open(run.path / "report.html", "#trace=p8")
        await other.until(READY)
        assert await other.run(HEADING) == "p8"
        assert await other.run("document.querySelector('#detail .revision .text').textContent") == f"s0 {text}"
        assert await other.run("document.documentElement.scrollWidth") == 390
        assert other.complaints == []


@pytest.mark.parametrize("width", [320, 390, 820, 1280, 1900])
async def test_the_page_never_scrolls_sideways(page: Page, width: int):
    await page.look(width, 800)
    await page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    await asyncio.sleep(0.1)
    assert await page.run("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


async def test_light_and_dark_follow_the_reader(page: Page):
    paper = "getComputedStyle(document.body).backgroundColor"
    light = await page.run(paper)
    await page.look(dark=True)
    dark = await page.run(paper)
    assert light != dark
    await page.run("document.getElementById('theme').click()")
    assert await page.run(paper) == light
    tick = "getComputedStyle(document.querySelector('.plot svg text')).fill"
    before = await page.run(tick)
    await page.run("document.getElementById('theme').click()")
    assert await page.run(tick) != before


async def test_on_paper_a_few_traces_stand_open_in_place_of_the_browser(page: Page):
    await page.look(medium="print")
    assert await page.run("getComputedStyle(document.getElementById('browser')).display") == "none"
    assert await page.run("document.querySelectorAll('#printed article').length >= 4")
    assert await page.run("document.getElementById('printed').offsetHeight > 500")
    assert (await page.pdf()).startswith(b"%PDF")


async def test_without_scripts_the_rest_still_stands(run: Run):
    write_run_report(run, run.path / "report.html")
    async with chromium_page(javascript=False) as page:
        await page.look()
        await page.open(run.path / "report.html")
        assert await page.run("document.querySelector('noscript').textContent.includes('JavaScript')")
        assert await page.run("document.getElementById('printed').offsetHeight > 500")
        assert await page.run("document.querySelectorAll('.plot svg').length") == 5
        assert await page.run("document.getElementById('browser').offsetHeight") == 0
        assert "owned" not in await page.run("document.title")
