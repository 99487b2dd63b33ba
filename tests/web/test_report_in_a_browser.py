"""The list of failures of a report can be searched, in the file and among the pages of a batch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ledgers import make_ledger
from web_client import severe_findings

from batcher.ledger.connection import reader
from batcher.ledger.statistics import statistics
from batcher.views.report import report_page

if TYPE_CHECKING:
    from playwright.async_api import Browser, Locator, Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

DOCUMENTS = 1_000


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A report as a file, under its own policy."""
    with closing(reader(make_ledger(tmp_path / "ledger.db", DOCUMENTS))) as ledger:
        html = report_page(statistics(ledger), made_at=1_790_300_000.0)
    path = tmp_path / "report.html"
    path.write_text(html, "utf-8")
    return path


@asynccontextmanager
async def opened(browser: Browser, path: Path, *, script: bool) -> AsyncIterator[Page]:
    """Show a file; whatever the browser has to say about it fails the test."""
    context = await browser.new_context(java_script_enabled=script, offline=True)
    context.set_default_timeout(10_000)
    page = await context.new_page()
    troubles: list[str] = []
    page.on("console", lambda said: troubles.append(said.text))
    page.on("pageerror", lambda error: troubles.append(str(error)))
    await page.goto(path.as_uri())
    yield page
    await context.close()
    assert troubles == []


async def shown(page: Page) -> list[str]:
    """The failed documents that can be seen, by path."""
    heads = page.locator(".list tbody th")
    return [await head.inner_text() for head in await heads.all() if await head.is_visible()]


def field(page: Page) -> Locator:
    return page.get_by_role("searchbox", name="Find a failed document")


async def finds(page: Page) -> None:
    """A path, a reason and several words are found; what is cleared shows all again."""
    every = await shown(page)
    assert len(every) > 10
    await field(page).fill(every[3].upper())
    assert every[3] in await shown(page) and len(await shown(page)) < len(every)
    lists = page.locator(".list")
    reason = (await lists.last.locator("caption").inner_text()).partition(": ")[2]
    of_reason = await lists.last.locator("tbody th").all_inner_texts()
    await field(page).fill(reason)
    assert await shown(page) == of_reason and not await lists.first.is_visible()
    await page.get_by_text(f"{len(of_reason)} of {len(every)} listed documents").wait_for()
    await field(page).fill(f"{of_reason[0]} {reason}")
    assert await shown(page) == of_reason[:1]
    await field(page).fill("nothing is called so")
    assert await shown(page) == []
    await field(page).fill("")
    assert await shown(page) == every


async def test_a_report_is_searched_under_its_own_policy(browser: Browser, report: Path) -> None:
    """Without network, and without a word on the console."""
    async with opened(browser, report, script=True) as page:
        await finds(page)


async def test_without_script_a_report_is_whole(browser: Browser, report: Path) -> None:
    """No field that does nothing; the browser's own search is named instead."""
    async with opened(browser, report, script=False) as page:
        assert len(await shown(page)) > 10
        assert await field(page).count() == 0
        assert await page.get_by_text("The browser's search").is_visible()


async def test_the_report_among_the_pages_is_searched_alike(folder: Path, page: Page) -> None:
    """Their policy is another: the script comes as a file."""
    make_ledger(folder / "archive" / ".batcher" / "ledger.db", DOCUMENTS)
    await page.reload()
    await page.get_by_role("link", name="archive").click()
    await page.get_by_role("link", name="Report").click()
    await field(page).wait_for()
    await finds(page)
    assert await severe_findings(page) == []
