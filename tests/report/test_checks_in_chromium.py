"""What a program found stands beside the critic's verdicts, on the page as on paper."""

from pathlib import Path

from rlaif.generation import generate_async
from rlaif.report.run_page import write_run_report
from rlaif.testing import SimulatedModel, SimulatedServer
from tests.conftest import MakeConfig
from tests.report.chromium import chromium_page
from tests.report.test_in_chromium import IN_BROWSER, READY

pytestmark = IN_BROWSER

RULES = """
name: haiku
version: 1
description: For tests.
principles:
  - {id: finer, compare: "Which answer is finer?", compare_only: true}
  - {id: two-lines, check: {lines: 2}}
"""
ROWS = "[...document.querySelectorAll('#detail table.verdicts tbody tr')].map((row) => row.innerText)"


async def test_the_page_shows_what_a_program_found(tmp_path: Path, make_config: MakeConfig):
    (tmp_path / "rules.yaml").write_text(RULES, encoding="utf-8")
    async with SimulatedServer(SimulatedModel(lines=2)) as server:
        config = make_config(server, constitution=str(tmp_path / "rules.yaml"), revision={"rounds": 0})
        run = await generate_async(config)
    write_run_report(run, run.path / "report.html")
    async with chromium_page() as page:
        await page.look()
        await page.open(run.path / "report.html")
        await page.until(READY)
        seen = []
        for place in range(6):
            await page.run(f"document.querySelectorAll('#list a')[{place}].click()")
            rows = await page.run(ROWS)
            assert len(rows) == 2
            assert "%" in rows[0]
            assert "by a program" in rows[1]
            seen.append(rows[1])
        assert any("passes: 2 lines" in row and "fails: 1 line" in row for row in seen)
        assert page.complaints == []
