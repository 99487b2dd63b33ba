"""Who is let in, and what every answer forbids a browser to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from ledgers import make_ledger
from web_client import client_of

from batcher.web.server import showing


@pytest.fixture
def batch(folder: Path) -> Path:
    return make_ledger(folder / "archive" / ".batcher" / "ledger.db", 20)


@pytest.mark.usefixtures("batch")
async def test_the_token_opens_the_pages_once_and_the_cookie_from_then_on(folder: Path) -> None:
    """Without either there is nothing to see, and the cookie is out of reach for scripts."""
    async with showing([folder]) as address, client_of(address) as client:
        assert (await client.get("/")).status == 403
        welcome = await client.enter()
        assert welcome.status == 200 and "archive" not in welcome.text
        cookie = welcome.headers["Set-Cookie"]
        assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
        assert "archive" in (await client.get("/")).text


@pytest.mark.parametrize("path", ["/", "/batch/0123456789abcdef", "/nothing", "/?token=wrong"])
@pytest.mark.usefixtures("batch")
async def test_who_has_no_token_sees_nothing(path: str, folder: Path) -> None:
    async with showing([folder]) as address, client_of(address) as client:
        answer = await client.get(path)
    assert answer.status == 403 and "archive" not in answer.text
    assert "Open the address that `batcher web` printed" in answer.words
