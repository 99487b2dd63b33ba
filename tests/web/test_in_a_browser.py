"""The pages as a browser shows them."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ledgers import ODD, make_ledger
from web_client import severe_findings

from batcher.ledger.lock import lock
from batcher.web.server import Address

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_the_address_leads_to_the_batches_without_the_token(
    folder: Path, page: Page, address: Address
) -> None:
    """The token doesn't stay in the address, and everybody can use the pages."""
    make_ledger(folder / "archive" / ".batcher" / "ledger.db", 200)
    await page.reload()
    assert page.url == f"{address.root}/"
    assert await severe_findings(page) == []
    await page.get_by_role("link", name="archive").click()
    heading = page.get_by_role("heading", level=1)
    assert (await heading.inner_text()).startswith("archive")
    assert await severe_findings(page) == []
    await page.get_by_role("link", name="Report").click()
    await page.get_by_role("heading", name="What it cost").wait_for()
    assert await severe_findings(page) == []


async def test_a_run_is_followed_without_a_reload(
    folder: Path, page: Page, address: Address
) -> None:
    """What has changed is shown, what a person has opened stays open, and the end is shown too."""
    ledger = make_ledger(folder / "archive" / ".batcher" / "ledger.db", 200)
    with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        sql = "INSERT INTO runs (started_at, version, service) VALUES (?, '0', 'reducto')"
        connection.execute(sql, (time.time(),))
        held = lock(ledger)
        await open_batch(page)
        standing = page.locator("[data-fragment=standing]")
        await standing.get_by_text("Running", exact=True).wait_for()
        opened = page.locator("[data-fragment=failures] details").first
        await opened.locator("summary").click()
        some = "SELECT id FROM documents WHERE state = 'saved' LIMIT 7"
        connection.execute(
            "UPDATE documents SET state = 'failed', kind = 'document', reason = 'torn',"
            f" error_name = 'DOCUMENT_CORRUPT' WHERE id IN ({some})"
        )
        failed = connection.execute("SELECT count(*) FROM documents WHERE state = 'failed'")
        (number,) = failed.fetchone()
        await standing.get_by_text(f"{number} not saved").wait_for()
        assert await opened.get_attribute("open") is not None
        os.close(held)
        end = "UPDATE runs SET ended_at = started_at + 1, exit_code = 1, summary = ?"
        connection.execute(end, ('{"ended": "failed"}',))
        await standing.get_by_text("Not all saved", exact=True).wait_for()


async def test_a_command_is_copied_by_its_button(folder: Path, page: Page) -> None:
    """With the keyboard alone; what was copied is told to who can't see the button."""
    ledger = make_ledger(folder / "archive" / ".batcher" / "ledger.db", 200)
    with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        connection.execute("UPDATE documents SET kind = 'transient' WHERE state = 'failed'")
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await open_batch(page)
    button = page.get_by_role("button", name="Copy the command").first
    await button.focus()
    await page.keyboard.press("Enter")
    words = await page.evaluate("navigator.clipboard.readText()")
    assert words == f"batcher retry {folder / 'archive'} --only transient"
    await page.get_by_role("status").get_by_text(f"Copied: {words}").wait_for()


async def test_a_narrow_page_in_the_dark_can_be_used(folder: Path, page: Page) -> None:
    """At 380 pixels nothing is cut off, however long a name is, and all can be told apart."""
    make_ledger(folder / ("long-name-" * 12) / ".batcher" / "ledger.db", 300)
    await page.set_viewport_size({"width": 380, "height": 800})
    await page.emulate_media(color_scheme="dark")
    await page.reload()
    for _ in range(2):
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width == 380
        paper = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert max(int(part) for part in re.findall(r"\d+", paper)) < 60
        assert await severe_findings(page) == []
        await open_batch(page)
    assert ODD not in await page.content()


async def test_all_that_can_be_clicked_can_be_reached_by_keyboard(folder: Path, page: Page) -> None:
    """The first stop leads past the head of the page; each one can be seen."""
    make_ledger(folder / "archive" / ".batcher" / "ledger.db", 200)
    await open_batch(page)
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "Skip to content"
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"
    there = "main a:visible, main button:visible, main summary:visible"  # not in closed details
    wanted = await page.locator(there).count()
    reached = 0
    for _ in range(wanted):
        await page.keyboard.press("Tab")
        reached += await page.evaluate(
            "document.activeElement.matches('main a, main button, main summary')"
            " && getComputedStyle(document.activeElement).outlineStyle !== 'none'"
        )
    assert reached >= wanted - 2  # scrolling regions are stops as well


async def open_batch(page: Page) -> None:
    await page.goto("/")
    await page.locator(".batch h2 a").first.click()
    await page.wait_for_url("**/batch/*")
