"""Documents, their pages and the check by sample, as people use them: by pointer and by keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from web_client import severe_findings

from batcher.maintenance.sample_file import read_sample
from batcher.web.server import Address

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def batch(papers_copied: Path, page: Page, address: Address) -> str:
    """The address of the batch."""
    await page.reload()
    link = page.get_by_role("link", name="papers", exact=True).first
    return f"{address.root}{await link.get_attribute('href')}"


async def is_lit(page: Page, selector: str) -> bool:
    return "lit" in (await page.locator(selector).first.get_attribute("class") or "").split()


async def press(page: Page, key: str) -> None:
    """Press a key once the page listens for it."""
    await page.locator(".keys-button").wait_for(state="attached")
    await page.keyboard.press(key)


async def fits(page: Page) -> bool:
    """Whether nothing sticks out of the window, so that it need not be scrolled sideways."""
    return bool(await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


async def test_a_document_is_found_opened_and_looked_at(page: Page, batch: str) -> None:
    """Filter by path and step, open it, and see which box belongs to which text."""
    await page.goto(f"{batch}/documents")
    assert await severe_findings(page) == []
    await page.get_by_label("Search by path").fill("INV-")
    await page.get_by_text("More filters, and columns").click()
    await page.locator("select[name=step]").select_option("parse")
    await page.get_by_role("button", name="Search").click()
    await page.wait_for_url(re.compile("search=INV-"))
    assert await page.locator(".documents tbody th a").count() == 1
    await press(page, "j")
    await press(page, "Enter")
    await page.wait_for_url(re.compile(r"/documents/\d+\?"))
    await page.wait_for_function("document.querySelector('.sheet img').naturalWidth > 1000")

    table = page.locator(".block.table").first
    mark = await table.get_attribute("data-mark")
    box = f"rect[data-mark={mark}]"
    assert not await is_lit(page, box)
    await table.hover()
    assert await is_lit(page, box) and await is_lit(page, ".block.table")
    await page.locator("rect.title").hover(force=True)
    assert await is_lit(page, ".block.title") and not await is_lit(page, box)
    await page.locator(box).click(force=True)
    assert await page.evaluate("document.activeElement.dataset.mark") == mark
    await page.keyboard.press("Shift+Tab")
    assert not await is_lit(page, box)
    assert await severe_findings(page) == []

    keys = page.get_by_role("dialog", name="Keys")
    await press(page, "?")
    assert await keys.is_visible()
    await page.keyboard.press("Escape")
    assert not await keys.is_visible()


async def test_keys_lead_through_the_documents_of_a_filter(page: Page, batch: str) -> None:
    """j and k, as the links beside the name do; also in the dark, at 380 px, where all fits."""
    await page.set_viewport_size({"width": 380, "height": 800})
    await page.emulate_media(color_scheme="dark")
    await page.goto(f"{batch}/documents?step=extract")
    assert await fits(page)
    names = await page.locator(".documents tbody th a").all_inner_texts()
    await page.locator(".documents tbody th a").first.click()
    for name in names[1:]:
        await press(page, "j")
        await page.get_by_role("heading", level=1, name=name).wait_for()
        assert await fits(page)
    await press(page, "k")
    await page.get_by_role("heading", level=1, name=names[-2]).wait_for()
    assert await severe_findings(page) == []


async def test_a_sample_is_judged_by_keys(page: Page, batch: str, papers_copied: Path) -> None:
    """Draw, judge each with a key, and read the rate; typing a note presses no key."""
    await page.goto(f"{batch}/sample")
    await page.get_by_label("Results of the step").select_option("parse")
    await page.get_by_role("button", name="Draw").click()
    await page.wait_for_url(re.compile("/sample/1$"))
    assert await severe_findings(page) == []
    await page.get_by_label("Note").fill("wrong sum")
    await page.get_by_label("Note").press("Enter")
    await page.get_by_role("heading", level=1).click()
    await press(page, "w")
    for number, key in ((2, "r"), (3, "u"), (4, "r")):
        await page.wait_for_url(re.compile(f"/sample/{number}$"))
        await press(page, key)
    await page.wait_for_url(re.compile("/sample$"))
    assert "4 of 4 judged" in await page.locator(".verdict").inner_text()
    assert await severe_findings(page) == []
    sample = read_sample(papers_copied / ".batcher" / "ledger.db")
    assert sample is not None
    assert [one.mark for one in sample.documents] == ["wrong", "right", "unsure", "right"]
    assert sample.documents[0].note == "wrong sum"
