"""The page of a policy's evaluation, opened from disk in a browser."""

from pathlib import Path

from rlaif.report.policy_page import write_policy_report
from tests.evaluate.policy.planted import evaluated
from tests.evaluate.policy.test_policy_evaluation import BASE, FEW, TUNED
from tests.report.chromium import chromium_page
from tests.report.test_in_chromium import IN_BROWSER

pytestmark = IN_BROWSER


async def test_the_page_reads_nothing_from_elsewhere_and_fits_a_phone(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    write_policy_report(await evaluated(tmp_path, BASE, TUNED, count=20, probes=FEW), file)
    async with chromium_page() as page:
        await page.look(width=375)
        await page.open(file)
        await page.until("document.readyState === 'complete'")
        assert await page.run("document.querySelectorAll('svg[role=img]').length") == 3
        assert await page.run("document.documentElement.scrollWidth <= 375")
        assert "Shown to be a loss" in await page.run("document.getElementById('shown').innerText")
        assert page.complaints == []
        assert {url.partition("#")[0] for url in page.requests} <= {"about:blank", file.as_uri()}
