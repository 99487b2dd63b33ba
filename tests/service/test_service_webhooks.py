"""Webhooks arrive as documented: direct or signed, repeated until acknowledged, metadata as it was
given.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import re
from itertools import pairwise

import aiohttp
import pytest
from aiohttp import web
from service_client import PARSER, Client

from batcher.service.endpoints import Endpoint
from batcher.service.faults import read_orders
from batcher.service.local import LocalOptions, LocalService
from batcher.service.public_addresses import Reach
from batcher.service.webhook_sender import sign
from batcher.service.webhooks import Pauses

SECRET = "whsec_" + base64.b64encode(b"a secret of some length").decode()
QUICK = Pauses(direct=(0.01, 0.01, 0.01), svix=(0.01, 0.01))


class Listener:
    """Takes webhooks on loopback, and answers with the statuses it was given, then 200."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.received: asyncio.Queue[tuple[dict, bytes]] = asyncio.Queue()

    async def take(self, request: web.Request) -> web.Response:
        await self.received.put((dict(request.headers), await request.read()))
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


@pytest.fixture
async def listen():
    """Starts listeners, and ends them with the test."""
    runners = []

    async def start(*statuses: int) -> tuple[Listener, str]:
        listener = Listener(*statuses)
        app = web.Application()
        app.router.add_post("/hook", listener.take)
        runners.append(web.AppRunner(app))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0).start()
        return listener, f"http://127.0.0.1:{runners[-1].addresses[0][1]}/hook"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
def told():
    """What the service logs of its webhooks, line by line."""
    lines: asyncio.Queue[str] = asyncio.Queue()
    handler = logging.Handler()
    handler.emit = lambda record: lines.put_nowait(record.getMessage())
    logger = logging.getLogger("batcher.service.webhooks")
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def service(folder, **more) -> LocalService:
    return LocalService(
        LocalOptions(folder / "service", workers=1, parser=PARSER, pauses=QUICK, **more),
        key="secret",
    )


async def test_a_direct_webhook_tells_status_job_and_metadata(tmp_path, session, listen):
    """Nothing else, and metadata verbatim."""
    listener, url = await listen()
    async with service(tmp_path) as local:
        wish = {"webhook": {"mode": "direct", "url": url}, "metadata": {"a": [1, None]}}
        job_id, _ = await Client(session, local).parsed(**{"async": wish})
        _, body = await listener.received.get()
    assert (
        body == b'{"status":"Completed","job_id":"%s","metadata":{"a":[1,null]}}' % job_id.encode()
    )


@pytest.mark.parametrize(
    ("more", "arrives"),
    [
        ({}, True),
        ({"hosts": ["service.example"]}, False),
        ({"hosts": ["service.example"], "reach": Reach(urls=True)}, False),
        ({"hosts": ["service.example"], "reach": Reach(urls=True, loopback=True)}, True),
    ],
)
async def test_a_caller_s_webhook_reaches_no_further_than_his_documents(
    tmp_path, session, listen, told, more, arrives
):
    """Only where all callers are on this machine may any be called back there without a word for
    it.
    """
    listener, url = await listen()
    declared, trusted = await listen()
    async with service(tmp_path, webhooks=[Endpoint(trusted, SECRET)], **more) as local:
        client = Client(session, local)
        await local.rooms.endpoints.add(url, ["portal"])
        await client.parsed(
            **{"async": {"webhook": {"mode": "direct", "url": url}, "metadata": "direct"}}
        )
        await client.parsed(
            **{"async": {"webhook": {"channels": ["portal"]}, "metadata": "portal"}}
        )
        await declared.received.get()
        for _ in range(2 if arrives else 0):
            await listener.received.get()
        for _ in range(0 if arrives else 2):
            assert "--allow-urls" in await told.get()
    assert listener.received.empty()


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "http://169.254.169.254/", "http://2130706432/", "file:///etc", "x"]
)
async def test_a_webhook_into_a_network_is_not_sent(tmp_path, session, told, url):
    """The job itself goes on, and the log says why nobody was called."""
    async with service(tmp_path, reach=Reach(urls=True)) as local:
        _, answer = await Client(session, local).parsed(
            **{"async": {"webhook": {"mode": "direct", "url": url}}}
        )
        assert "out of reach" in await told.get()
    assert answer["status"] == "Completed"


async def test_a_direct_webhook_is_repeated_three_times(tmp_path, session, listen):
    """Until a 2xx; a redirect is none."""
    listener, url = await listen(500, 302, 404)
    async with service(tmp_path) as local:
        await Client(session, local).parsed(
            b"refuse", **{"async": {"webhook": {"mode": "direct", "url": url}}}
        )
        bodies = [(await listener.received.get())[1] for _ in range(4)]
    assert len(set(bodies)) == 1 and b'"Failed"' in bodies[0]


async def test_a_signed_webhook_verifies_and_keeps_its_id(tmp_path, session, listen):
    """Svix's three headers over id, time and raw body; the id is the same in each retry."""
    listener, url = await listen(500)
    async with service(tmp_path, webhooks=[Endpoint(url, SECRET)]) as local:
        await Client(session, local).parsed(**{"async": {"webhook": {"mode": "svix"}}})
        (first, body), (second, _) = [await listener.received.get() for _ in range(2)]
    signed = f"{first['svix-id']}.{first['svix-timestamp']}.".encode() + body
    digest = hmac.new(b"a secret of some length", signed, hashlib.sha256).digest()
    assert first["svix-signature"] == "v1," + base64.b64encode(digest).decode()
    assert first["svix-id"] == second["svix-id"]


async def test_a_webhook_s_mode_may_be_left_out(tmp_path, session, listen):
    """An address means direct, nothing at all means Svix: by the description both modes are
    defaults.
    """
    (direct, url) = await listen()
    (signed, other) = await listen()
    async with service(tmp_path, webhooks=[Endpoint(other, SECRET)]) as local:
        await Client(session, local).parsed(**{"async": {"webhook": {"url": url}}})
        await Client(session, local).parsed(**{"async": {"webhook": {}}})
        assert "svix-id" not in (await direct.received.get())[0]
        assert "svix-id" in (await signed.received.get())[0]


async def test_channels_choose_the_endpoints(tmp_path, session, listen):
    """An endpoint that subscribed to another channel hears nothing."""
    (blue, blue_url) = await listen()
    (red, red_url) = await listen()
    endpoints = [
        Endpoint(blue_url, SECRET, frozenset({"blue"})),
        Endpoint(red_url, SECRET, frozenset({"red"})),
    ]
    async with service(tmp_path, webhooks=endpoints) as local:
        await Client(session, local).parsed(
            **{"async": {"webhook": {"mode": "svix", "channels": ["red"]}}}
        )
        await red.received.get()
    assert blue.received.empty()


async def test_a_duplicate_webhook_can_be_ordered(tmp_path, session, listen):
    """Twice the same, for listeners that must cope."""
    listener, url = await listen()
    async with service(tmp_path, chaos=read_orders("webhook-duplicate=1")) as local:
        await Client(session, local).parsed(
            **{"async": {"webhook": {"mode": "direct", "url": url}}}
        )
        bodies = [(await listener.received.get())[1] for _ in range(2)]
    assert bodies[0] == bodies[1]


@pytest.fixture
def portal(session):
    """The page behind `configure_webhook`, filled in as a browser would, without the key."""

    async def send(local: LocalService, **form: str) -> tuple[int, str]:
        async with session.post(f"{local.url}/configure_webhook") as answer:
            address = await answer.json()
        async with (
            aiohttp.ClientSession() as browser,
            browser.request("POST" if form else "GET", address, data=form) as page,
        ):
            return page.status, await page.text()

    return send


async def test_an_endpoint_is_added_on_the_portal(tmp_path, session, listen, portal):
    """It is shown with a secret of its own, signs with it, and is still there after a restart."""
    listener, url = await listen()
    async with service(tmp_path) as local:
        await portal(local, act="add", url=url, channels="blue, red")
    async with service(tmp_path) as local:
        _, page = await portal(local)
        wish = {"webhook": {"mode": "svix", "channels": ["red"]}, "metadata": "mine"}
        await Client(session, local).parsed(**{"async": wish})
        headers, body = await listener.received.get()
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", page)[0]
    assert url in page and "blue, red" in page and b'"metadata":"mine"' in body
    assert (
        headers["svix-signature"]
        == sign(secret, headers["svix-id"], int(headers["svix-timestamp"]), body)["svix-signature"]
    )


async def test_an_endpoint_is_removed_on_the_portal(tmp_path, listen, portal):
    """By its button; those named at the start have none."""
    _, url = await listen()
    async with service(tmp_path, webhooks=[Endpoint("http://127.0.0.1/started", SECRET)]) as local:
        _, page = await portal(local, act="add", url=url)
        (endpoint_id,) = re.findall(r"value=\"(ep_\w+)\"", page)
        _, page = await portal(local, act="remove", endpoint=endpoint_id)
    assert url not in page and "started" in page and SECRET not in page


async def test_what_is_no_address_is_refused_on_the_portal(tmp_path, portal):
    """And nothing of what was sent is shown as markup."""
    async with service(tmp_path) as local:
        assert (await portal(local, act="add", url="javascript:alert(1)"))[0] == 422
        _, page = await portal(local, act="add", url="http://127.0.0.1/<script>", channels="<b>")
    assert "<script>" not in page and "<b>" not in page


async def test_the_portal_opens_to_its_address_alone(tmp_path, session):
    """A guessed one is not found, whatever key comes with it."""
    async with service(tmp_path) as local, session.get(f"{local.url}/webhooks/guess") as page:
        assert page.status == 404


async def test_an_endpoint_that_fails_for_days_is_disabled(
    tmp_path, session, listen, clock, portal
):
    """After five days of nothing but failures it hears nothing more, until it is enabled again."""
    listener, url = await listen(500, 500, 500)
    async with service(tmp_path, clock=clock) as local:
        await portal(local, act="add", url=url)
        client = Client(session, local)
        await client.parsed(**asked("first"))
        for _ in range(2):
            await listener.received.get()
        clock.now += 5 * 86400
        async with asyncio.timeout(10):
            while "disabled" not in (await portal(local))[1]:
                pass
        await client.parsed(**asked("second"))
        (endpoint_id,) = re.findall(r"value=\"(ep_\w+)\"", (await portal(local))[1])
        await portal(local, act="enable", endpoint=endpoint_id)
        await client.parsed(**asked("third"))
        heard = []
        while b"third" not in b"".join(heard):
            heard.append((await listener.received.get())[1])
    assert b"second" not in b"".join(heard)


def asked(metadata: str) -> dict:
    return {"async": {"webhook": {"mode": "svix"}, "metadata": metadata}}


def test_the_schedules_are_the_documented_ones():
    """Three retries with exponential back-off directly; Svix's seven over twenty-seven hours."""
    pauses = Pauses()
    assert len(pauses.direct) == 3 and all(b == 2 * a for a, b in pairwise(pauses.direct))
    assert list(pauses.svix) == [5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 10 * 3600]
