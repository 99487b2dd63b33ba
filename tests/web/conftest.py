"""A server that shows one folder, clients that are let in, and a browser."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from papers import papers_manifest, write_papers
from web_client import Client, client_of

from batcher import run_batch
from batcher.web.server import Address, showing

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder that is shown; a test puts batches into it."""
    folder = tmp_path / "results"
    folder.mkdir()
    return folder


@pytest.fixture
async def shown(folder: Path) -> AsyncIterator[Client]:
    """A client that has opened the address of a server which shows `folder`."""
    async with showing([folder]) as address, client_of(address) as client:
        await client.enter()
        yield client


@pytest_asyncio.fixture(loop_scope="session")
async def address(folder: Path) -> AsyncIterator[Address]:
    """A server that shows `folder`, for tests in a browser."""
    async with showing([folder]) as address:
        yield address


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium, started once, in the event loop of the whole session: what uses it says

        pytestmark = pytest.mark.asyncio(loop_scope="session")

    and is skipped where Chromium is missing.
    """
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    playwright = pytest.importorskip("playwright.async_api", reason="no playwright here")
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, address: Address) -> AsyncIterator[Page]:
    """A page that has been let in and shows all batches. An error on its console fails the test."""
    context = await browser.new_context(
        base_url=address.root, viewport={"width": 1200, "height": 900}
    )
    context.set_default_timeout(10_000)
    page = await context.new_page()
    troubles: list[str] = []
    page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    await page.goto(address.entrance)
    await page.wait_for_url(f"{address.root}/")
    yield page
    await context.close()
    assert troubles == []


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A batch that has really been run: four documents parsed, and fields extracted from each.

    Its folder holds `in` and `results/papers`. Tests that change something take a copy.
    """
    root = tmp_path_factory.mktemp("papers")
    write_papers(root / "in")
    with ThreadPoolExecutor(1) as thread:  # in this one, an event loop may be running
        thread.submit(asyncio.run, run_batch(papers_manifest(root))).result()
    return root


@pytest.fixture
def papers_copied(papers: Path, folder: Path) -> Path:
    """The results of `papers` in the folder that is shown; the sources are the same."""
    there = folder / "papers"
    shutil.copytree(papers / "results" / "papers", there)
    return there
