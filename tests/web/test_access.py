"""Who is let in, and what every answer forbids a browser to do."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import aiohttp
import pytest
from ledgers import make_ledger
from web_client import Client, client_of

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


async def test_a_name_that_was_made_to_lead_here_is_refused(shown: Client, batch: Path) -> None:
    """A page elsewhere can have its own name lead to this address; its browser then says so."""
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "["):
        assert (await shown.get("/", headers={"Host": host})).status in (400, 403), host
    for host in ("localhost", "127.0.0.1:1", "[::1]:80"):
        assert (await shown.get("/", headers={"Host": host})).status == 200, host


async def test_a_wildcard_lets_in_addresses_and_the_name_of_the_machine(folder: Path) -> None:
    """Names that somebody else may have made up are refused there, too."""
    async with showing([folder], host="0.0.0.0") as address, client_of(address) as client:
        await client.enter()
        assert address.root.startswith("http://127.0.0.1:")
        for host, status in (("192.168.7.7:80", 200), ("evil.example", 403)):
            assert (await client.get("/", headers={"Host": host})).status == status


async def test_a_page_of_another_site_gets_nothing(shown: Client, batch: Path) -> None:
    """Its browser names it as the origin, whatever it asks for."""
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", shown.address.root + "0"):
        assert (await shown.get("/", headers={"Origin": origin})).status == 403, origin
    assert (await shown.get("/", headers={"Origin": shown.address.root})).status == 200


async def test_only_reading_is_allowed(shown: Client, batch: Path) -> None:
    """A page that takes a POST says so itself, and gets none without an origin."""
    there = await shown.batch()
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        assert (await shown.ask(method, there)).status == 405, method
    assert (await shown.ask("POST", there)).status == 403
    posted = await shown.ask("POST", there, headers={"Origin": shown.address.root})
    assert posted.status == 405
    head = await shown.ask("HEAD", there)
    assert head.status == 200 and head.text == ""


async def test_the_token_in_an_address_lets_nobody_post(folder: Path) -> None:
    """A form of another site could carry it there."""
    async with showing([folder]) as address, client_of(address) as client:
        there = f"/?token={address.token}"
        answer = await client.ask("POST", there, headers={"Origin": address.root})
    assert answer.status == 403


@pytest.mark.parametrize(
    "path", ["/", "/batch/0123456789abcdef", "/static/web.css", "/nothing", "/static/nothing"]
)
async def test_every_answer_forbids_what_no_page_needs(
    path: str, shown: Client, batch: Path
) -> None:
    """Pages of errors and static files as well."""
    headers = (await shown.get(path)).headers
    policy = dict(
        rule.strip().split(" ", 1) for rule in headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["img-src"] == "'self' data:"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"


async def test_no_page_has_a_script_or_style_of_its_own(shown: Client, batch: Path) -> None:
    """The policy would forbid them, and silently break the page."""
    for path in ("/", await shown.batch(), "/nothing"):
        html = (await shown.get(path)).text
        assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=|javascript:", html)


@pytest.mark.parametrize(
    "path",
    [
        "/static/..%2f..%2fserver.py",
        "/static/%2e%2e/%2e%2e/access.py",
        "/static/....//layout.html",
        "/static/%2fetc%2fpasswd",
        "/batch/..%2f..%2fetc%2fpasswd",
        "/batch/%2e%2e%2farchive",
        "/batch/archive",
    ],
)
async def test_no_address_leads_to_a_file(path: str, shown: Client, batch: Path) -> None:
    """Static files are known by name and batches by id."""
    url = aiohttp.client.URL(shown.address.root + path, encoded=True)
    async with shown.session.get(url, allow_redirects=False) as answer:
        assert answer.status == 404
        assert "root:" not in await answer.text()


async def test_a_welcome_leads_nowhere_else(folder: Path) -> None:
    """Whatever path the address has, the page that gives the cookie leads on to this server."""
    async with showing([folder]) as address, client_of(address) as client:
        for path in ("//evil.example/x", "/%22%3E%3Cscript%3E", "/batch/x?a=1&b=%22"):
            mark = "&" if "?" in path else "?"
            url = f"{address.root}{path}{mark}token={address.token}"
            async with client.session.get(
                aiohttp.client.URL(url, encoded=True), allow_redirects=False
            ) as answer:
                text = await answer.text()
            (there,) = re.findall(r'content="0;url=([^"]*)"', text)
            assert there.startswith("/") and not there.startswith("//"), there
            assert address.token not in text and "<script" not in text


async def test_a_batch_elsewhere_can_t_be_reached(shown: Client, folder: Path) -> None:
    """Neither by its id, nor through a link in the folder that is shown."""
    outside = folder.parent / "private"
    make_ledger(outside / ".batcher" / "ledger.db", 5)
    (folder / "link").symlink_to(outside)
    (folder / "inner").mkdir()
    (folder / "inner" / ".batcher").symlink_to(outside / ".batcher")
    (folder / "file" / ".batcher").mkdir(parents=True)
    (folder / "file" / ".batcher" / "ledger.db").symlink_to(outside / ".batcher" / "ledger.db")
    answer = await shown.get("/")
    assert "There is no batch below these folders yet" in answer.words
    async with showing([outside]) as address, client_of(address) as other:
        await other.enter()
        there = await other.batch()
    assert (await shown.get(there)).status == 404


async def test_what_isn_t_a_ledger_says_so(shown: Client, folder: Path) -> None:
    """A database of another program, one that is cut off, and one that nobody may read."""
    for name in ("foreign", "torn"):
        (folder / name / ".batcher").mkdir(parents=True)
    with sqlite3.connect(folder / "foreign" / ".batcher" / "ledger.db") as connection:
        connection.execute("CREATE TABLE secrets AS SELECT 'hush' AS word")
    (folder / "torn" / ".batcher" / "ledger.db").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    words = (await shown.get("/")).words
    assert words.count("Can't be read") == 2 and "hush" not in words
    assert "not a ledger of batcher" in words
    for there in set(re.findall(r"/batch/[0-9a-f]{16}", (await shown.get("/")).text)):
        answer = await shown.get(there)
        assert answer.status == 200 and "Can't be read" in answer.words


async def test_no_page_shows_a_key_or_a_signed_link(
    shown: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a service wrote into a reason."""
    monkeypatch.setenv("REDUCTO_API_KEY", "key-of-mine-123456")
    ledger = make_ledger(folder / "archive" / ".batcher" / "ledger.db", 50)
    signed = "https://bucket.example/a.pdf?X-Amz-Signature=0123456789abcdef&api_key=sk-123456789"
    with sqlite3.connect(ledger) as connection:
        connection.execute(
            "UPDATE documents SET reason = ?, error_name = NULL WHERE state = 'failed'",
            (f"no answer from {signed} <script>alert(1)</script>",),
        )
    there = await shown.batch()
    for path in (there, f"{there}/report"):
        page = (await shown.get(path)).text
        assert "no answer from https://bucket.example/a.pdf" in page
        for secret in ("0123456789abcdef", "sk-123456789", "key-of-mine", "<script>alert"):
            assert secret not in page


async def test_nothing_is_written(shown: Client, folder: Path) -> None:
    """Not even beside a finished ledger."""
    ledger = make_ledger(folder / "archive" / ".batcher" / "ledger.db", 50)
    before = ledger.read_bytes()
    there = await shown.batch()
    await shown.get(there)
    assert ledger.read_bytes() == before
    assert {path.name for path in ledger.parent.iterdir()} - {"ledger.db-shm", "ledger.db-wal"} == {
        "ledger.db"
    }
    ledger.chmod(0o400)
    assert (await shown.get(there)).status == 200
