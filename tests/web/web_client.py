"""A client of the pages: it opens the address once and has the cookie from then on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import aiohttp

from batcher.web.server import Address

if TYPE_CHECKING:
    from playwright.async_api import Page


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def words(self) -> str:
        """What a person reads: the text without tags, in one line."""
        return " ".join(_Words(self.text).found.split())


class Client:
    def __init__(self, address: Address, session: aiohttp.ClientSession) -> None:
        self.address = address
        self.session = session

    async def enter(self) -> Answer:
        return await self.get(f"/?token={self.address.token}")

    async def get(self, path: str, **more: object) -> Answer:
        return await self.ask("GET", path, **more)

    async def ask(self, method: str, path: str, **more: object) -> Answer:
        async with self.session.request(
            method, self.address.root + path, allow_redirects=False, **more
        ) as answer:
            return Answer(answer.status, dict(answer.headers), await answer.text())

    async def batch(self) -> str:
        """The address of the only batch that is shown."""
        (there,) = set(re.findall(r'href="(/batch/[0-9a-f]{16})"', (await self.get("/")).text))
        return there


@asynccontextmanager
async def client_of(address: Address) -> AsyncIterator[Client]:
    jar = aiohttp.CookieJar(unsafe=True)  # keeps cookies of an address that is a number
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        yield Client(address, session)


class _Words(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found = ""
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.found += f" {data}"


async def severe_findings(page: Page) -> list[str]:
    """What keeps people from using a page, as axe finds it: each rule with the first place."""
    from axe_playwright_python.async_playwright import Axe

    found = (await Axe().run(page)).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
