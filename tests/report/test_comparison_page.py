"""The page of a comparison: its numbers are those of comparison.json, its texts are escaped, its browser works."""

import html
import re
import shutil
from pathlib import Path

import pytest

from rlaif.compare.comparing import Compared, compare, compare_async
from rlaif.compare.config import compare_config
from rlaif.report.comparison_page import write_comparison_report
from rlaif.report.drawing import with_interval
from rlaif.testing.server import SimulatedModel, SimulatedServer
from rlaif.testing.simulated_model import PlantedRule
from tests.command import serving
from tests.conftest import CONSTITUTION, MakeConfig, configs_in
from tests.report.chromium import chromium_page
from tests.report.runs import EVIL
from tests.report.test_in_chromium import COUNT, HEADING, IN_BROWSER, READY, SHOWN


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    folder = tmp_path_factory.mktemp("made")
    rules, other = folder / "testing.yaml", folder / "other.yaml"
    rules.write_text(CONSTITUTION)
    other.write_text(
        CONSTITUTION.replace("name: testing", "name: other").replace("kinder", "bolder").replace("kindly", "boldly")
    )
    model = SimulatedModel(rules=(PlantedRule(contains="bolder", agrees=0.3),))
    with serving(SimulatedServer(model)) as server:
        run = configs_in(folder, rules)(server, prompts=8)
        asked = Path(run.prompts.path)
        asked.write_text(asked.read_text().replace("Tell me about number 3.", EVIL.replace('"', '\\"')))
        return compare(compare_config([str(rules), str(other)], run, str(folder / "runs" / "compared"), 200))


@pytest.fixture
def compared(made: Compared, tmp_path: Path) -> Compared:
    """Return a comparison of one's own: a copy of one that was made once."""
    shutil.copytree(made.path.parent, tmp_path / "runs")
    return Compared(tmp_path / "runs" / made.path.name, made.comparison)


async def test_the_numbers_on_the_page_are_those_of_the_comparison(compared: Compared) -> None:
    written = write_comparison_report(compared.path, compared.path / "report.html")
    text = html.unescape((compared.path / "report.html").read_text())
    found = compared.comparison
    two = found.pairs[0]
    for estimate in (two.flips, two.beyond_noise, found.rule_sets[0].noise_floor, found.over_parent.cells[0][1]):
        assert with_interval(estimate) in text
    for rules in found.rule_sets:
        labelled = rules.matchups - sum(rules.abstained.values())
        assert f"{rules.name}: {rules.matchups:,} matchups = {labelled:,} labelled" in text
    assert two.guilty[0].principle == "kind"
    assert f"Flips are caused most by {two.guilty[0].rules}/kind" in text
    assert (written.traces_shown, written.traces) == (8, 8)
    assert written.bytes == (compared.path / "report.html").stat().st_size


async def test_only_different_labels_are_shown_as_disagreements(compared: Compared) -> None:
    assert compared.comparison.disagreements
    assert all(one.flips for one in compared.comparison.disagreements)


async def test_noise_is_no_headline(make_config: MakeConfig, constitution_file: Path, tmp_path: Path) -> None:
    other = constitution_file.with_name("other.yaml")
    other.write_text(CONSTITUTION.replace("name: testing", "name: other").replace("kinder", "bolder"))
    async with SimulatedServer() as server:  # it hears no difference between the two sets of rules
        config = compare_config([str(constitution_file), str(other)], make_config(server), str(tmp_path / "alike"), 0)
        done = await compare_async(config)
    write_comparison_report(done.path, done.path / "report.html")
    text = html.unescape((done.path / "report.html").read_text())
    assert "No matchup got different labels." in text
    assert "The rule sets are not shown to differ in how much they label" in text
    assert "testing: no principle is shown to decide more labels than another" in text
    assert not re.search("decides most labels|labels most of|differ most", text)


async def test_a_script_in_a_prompt_is_text(compared: Compared) -> None:
    write_comparison_report(compared.path, compared.path / "report.html")
    page = (compared.path / "report.html").read_text()
    assert len(re.findall(r"<script", page)) == 2  # the data and the one script
    assert EVIL not in page


async def test_the_same_comparison_gives_the_same_page_wherever_it_was_moved(compared: Compared) -> None:
    write_comparison_report(compared.path, compared.path / "report.html")
    before = (compared.path / "report.html").read_bytes()
    moved = compared.path.parent / "elsewhere" / compared.path.name
    moved.parent.mkdir()
    compared.path.rename(moved)
    write_comparison_report(moved, moved / "report.html")
    assert (moved / "report.html").read_bytes() == before


@IN_BROWSER[0]
@IN_BROWSER[1]
async def test_the_pool_can_be_searched_filtered_and_read(compared: Compared) -> None:
    write_comparison_report(compared.path, compared.path / "report.html")
    async with chromium_page() as page:
        await page.look()
        await page.open(compared.path / "report.html")
        await page.until(READY)
        assert await page.run(COUNT) == "8 of 8 shown"
        differing = await page.run(
            "(() => { const field = document.querySelector('.filters').outcome; field.value = 'o:labels differ';"
            "field.dispatchEvent(new Event('input', {bubbles: true})); "
            "return [...field.options].find((one) => one.value === field.value).textContent; })()"
        )
        count = int(re.search(r"\((\d+)\)", differing)[1])
        await page.until(f"{COUNT} === '{count} of 8 shown'")
        first = (await page.run(SHOWN))[0]
        await page.run("document.querySelector('#list li:not([hidden]) a').click()")
        assert await page.run(HEADING) == first
        votes = await page.run("[...document.querySelectorAll('table.votes tbody th')].map((cell) => cell.textContent)")
        assert votes == ["testing", "other"]
        principles = await page.run(
            "[...document.querySelectorAll('table.verdicts tbody th')].map((cell) => cell.textContent)"
        )
        assert principles == ["testing/kind", "testing/short", "other/kind", "other/short"]
        assert await page.run("document.documentElement.scrollWidth <= innerWidth")
        assert "owned" not in await page.run("document.title")
        assert page.complaints == []


def test_a_principle_that_only_criticises_has_its_place_on_the_page(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(
        CONSTITUTION.replace("name: testing", "name: one")
        + "  - {id: only-revises, critique: Point out what is unclear., revise: Say it clearly., critique_only: true}\n"
    )
    (tmp_path / "two.yaml").write_text(CONSTITUTION.replace("name: testing", "name: two"))
    with serving(SimulatedServer()) as server:
        run = configs_in(tmp_path, tmp_path / "one.yaml")(server, prompts=6)
        sources = [str(tmp_path / "one.yaml"), str(tmp_path / "two.yaml")]
        done = compare(compare_config(sources, run, str(tmp_path / "runs" / "compared"), 0))
    write_comparison_report(done.path, done.path / "report.html")
    assert "one/only-revises" in (done.path / "report.html").read_text()
