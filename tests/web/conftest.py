"""A server that shows one folder, clients that are let in, and a browser."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from web_client import Client, client_of, in_thread

from batcher.web.server import Address, showing

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

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


@pytest.fixture
def address(folder: Path) -> Iterator[Address]:
    """A server in a thread of its own that shows `folder`, for tests without an event loop."""
    with in_thread([folder]) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, started once. What needs it is skipped where it is missing."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="no playwright here")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, address: Address) -> Iterator[Page]:
    """A page that has been let in and shows all batches. An error on its console fails the test."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    context.set_default_timeout(10_000)
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(address.entrance)
    page.wait_for_url(f"{address.root}/")
    yield page
    context.close()
    assert troubles == []
