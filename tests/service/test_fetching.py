"""Documents by address: refused unless allowed, and never from where no document should come."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web
from service_client import PARSER, Client

from batcher.service.local import LocalOptions, LocalService
from batcher.service.public_addresses import Reach, checked_connector

PLACES = {
    "/moved": "/letter.txt",
    "/inwards": "http://169.254.169.254/latest/meta-data",
    "/round": "/round",
}


@pytest.fixture
async def site():
    """A site on loopback with a document, a redirect to it, one into the void, and a page that
    isn't there.
    """
    app = web.Application()
    app.router.add_get("/letter.txt", letter)
    app.router.add_get("/never.txt", never)
    for path, place in PLACES.items():
        app.router.add_get(path, redirect_to(place))
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def letter(request: web.Request) -> web.Response:
    return web.Response(text="from afar")


async def never(request: web.Request) -> web.Response:
    """Nothing comes until the caller has gone."""
    await asyncio.Event().wait()
    raise AssertionError


def redirect_to(place: str):
    async def redirect(request: web.Request) -> web.Response:
        raise web.HTTPFound(place)

    return redirect


async def outcome(folder, session, source: str, reach: Reach) -> dict:
    options = LocalOptions(folder / "service", workers=1, parser=PARSER, reach=reach)
    async with LocalService(options, key="secret") as service:
        client = Client(session, service)
        answer = await client.end_of(await client.submit(source))
    assert not list((folder / "service" / "uploads").iterdir()), (
        "what was fetched is gone afterwards"
    )
    return answer


@pytest.mark.parametrize("path", ["/letter.txt", "/moved"])
async def test_an_allowed_address_is_read(tmp_path, session, site, path):
    """Redirects are followed, each checked like the first."""
    answer = await outcome(tmp_path, session, site + path, Reach(urls=True, loopback=True))
    assert answer["result"]["result"]["chunks"][0]["content"] == "from afar"


@pytest.mark.parametrize(
    ("path", "reach", "name"),
    [
        ("/letter.txt", Reach(), "URL_NOT_ALLOWED"),
        ("/letter.txt", Reach(urls=True), "URL_NOT_ALLOWED"),
        ("/inwards", Reach(urls=True, loopback=True), "URL_NOT_ALLOWED"),
        ("/round", Reach(urls=True, loopback=True), "INVALID_CONFIG"),
        ("/nothing", Reach(urls=True, loopback=True), "INVALID_CONFIG"),
    ],
)
async def test_what_is_not_allowed_or_not_there_fails_the_job(
    tmp_path, session, site, path, reach, name
):
    """The job is accepted, and then fails by the right name."""
    assert (await outcome(tmp_path, session, site + path, reach))["error"]["name"] == name


async def test_a_name_is_checked_by_what_it_resolves_to(tmp_path, session, site):
    """`localhost` is as private as its address."""
    answer = await outcome(
        tmp_path, session, site.replace("127.0.0.1", "localhost") + "/letter.txt", Reach(urls=True)
    )
    assert answer["error"]["name"] == "URL_NOT_ALLOWED"


@pytest.mark.parametrize(
    "address",
    "10.0.0.1 192.168.1.1 169.254.169.254 0.0.0.0 0.1.2.3 224.0.0.1 100.64.0.1 172.31.0.1 "
    "192.0.0.8 192.0.2.1 "
    "192.88.99.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 240.0.0.1 255.255.255.255 ::1 "
    ":: fe80::1 "
    "fe80::1%eth0 fc00::1 fd12::1 fec0::1 ff02::1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::127.0.0.1 "
    "::8.8.8.8 "
    "::ffff:0:127.0.0.1 64:ff9b::7f00:1 64:ff9b:1::1 64:ff9b:1:ffff::8.8.8.8 100::1 2002:7f00:1:: "
    "2001::1 2001:10::1 "
    "2001:db8::1 3fff::1 4000::1 e000::1 127.1 2130706433 0x7f.1 017700000001 localhost 10 "
    "fe80::1% [::1] "
    "1.2.3.4.5".split(),
)
def test_private_addresses_are_out_of_reach(address):
    """In every spelling of them."""
    assert not Reach(urls=True).admits(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "1.1.1.1", "2606:2800:220:1:248:1893:25c8:1946", "2a00:1450::1"]
)
def test_public_addresses_are_within_reach(address):
    """Otherwise nothing could be fetched at all; without the word for it nothing is."""
    assert Reach(urls=True).admits(address) and not Reach(loopback=True).admits(address)


@pytest.mark.parametrize(
    "host", "127.1 2130706433 0x7f000001 0177.0.0.1 127.0.0.1. localhost. [::ffff:7f00:1] 0".split()
)
async def test_no_spelling_of_this_machine_leads_to_it(tmp_path, session, site, host):
    """Whatever a resolver or a socket makes of it: what is connected to was admitted."""
    address = site.replace("127.0.0.1", host) + "/letter.txt"
    answer = await outcome(tmp_path, session, address, Reach(urls=True))
    assert answer["status"] == "Failed" and answer["error"]["name"] in {
        "URL_NOT_ALLOWED",
        "INVALID_CONFIG",
    }


async def test_a_socket_is_opened_to_admitted_addresses_alone(site):
    """The last word, should anything ever get past the checks before it."""
    async with aiohttp.ClientSession(connector=checked_connector(Reach(urls=True))) as session:
        with pytest.raises(aiohttp.ClientError):
            await session.get(site.replace("127.0.0.1", "127.1"))
    admitted = aiohttp.ClientSession(connector=checked_connector(Reach(loopback=True)))
    async with admitted as session, session.get(site + "/letter.txt") as answer:
        assert await answer.text() == "from afar"


async def test_a_document_that_is_too_large_is_not_downloaded_to_its_end(
    tmp_path, session, site, monkeypatch
):
    """The limit counts bytes as they come, whatever the server promised."""
    monkeypatch.setattr("batcher.service.fetching.SIZE_LIMIT", 4)
    answer = await outcome(tmp_path, session, site + "/letter.txt", Reach(urls=True, loopback=True))
    assert answer["error"]["name"] == "DOCUMENT_TOO_LARGE"


async def test_a_document_that_never_comes_is_given_up(tmp_path, session, site, monkeypatch):
    """Its job fails, and the worker is free for the next."""
    monkeypatch.setattr("batcher.service.fetching.PATIENCE", aiohttp.ClientTimeout(total=0.1))
    answer = await outcome(tmp_path, session, site + "/never.txt", Reach(urls=True, loopback=True))
    assert answer["error"]["name"] == "INVALID_CONFIG" and "downloaded" in answer["reason"]


async def test_cancelling_does_not_wait_for_a_download(tmp_path, session, site, monkeypatch):
    """The answer comes at once; the job is cancelled when its document has come or not."""
    monkeypatch.setattr("batcher.service.fetching.PATIENCE", aiohttp.ClientTimeout(total=3))
    monkeypatch.setattr("batcher.service.queue.CANCELLING", 0.01)
    options = LocalOptions(
        tmp_path, workers=1, parser=PARSER, reach=Reach(urls=True, loopback=True)
    )
    async with LocalService(options, key="secret") as service:
        client = Client(session, service)
        job_id = await client.submit(site + "/never.txt")
        while (await client.call("GET", "/jobs"))[1]["jobs"][0]["status"] == "Pending":
            pass
        assert (await client.call("POST", f"/cancel/{job_id}"))[0] == 200
        assert (await client.call("GET", "/jobs"))[1]["jobs"][0]["status"] == "InProgress"
        assert (await client.call("GET", f"/job/{job_id}"))[1]["status"] == "Pending"
        assert (await client.end_of(job_id))["status"] == "Cancelled"
