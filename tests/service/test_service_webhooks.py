"""Webhooks arrive as documented: direct or signed, repeated until acknowledged, metadata as it was given."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac

import pytest
from aiohttp import web
from service_client import PARSER, Client

from batcher.service.chaos import read_orders
from batcher.service.local import LocalService, Options
from batcher.service.webhooks import Endpoint, Pauses

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
        listener, app = Listener(*statuses), web.Application()
        app.router.add_post("/hook", listener.take)
        runners.append(web.AppRunner(app))
        await runners[-1].setup()
        await web.TCPSite(runners[-1], "127.0.0.1", 0).start()
        return listener, f"http://127.0.0.1:{runners[-1].addresses[0][1]}/hook"

    yield start
    for runner in runners:
        await runner.cleanup()


def service(folder, **more) -> LocalService:
    return LocalService(Options(folder / "service", workers=1, parser=PARSER, pauses=QUICK, **more), key="secret")


async def test_a_direct_webhook_tells_status_job_and_metadata(tmp_path, session, listen):
    """Nothing else, and metadata verbatim."""
    listener, url = await listen()
    async with service(tmp_path) as local:
        wish = {"webhook": {"mode": "direct", "url": url}, "metadata": {"a": [1, None]}}
        job_id, _ = await Client(session, local).parsed(**{"async": wish})
        _, body = await listener.received.get()
    assert body == b'{"status":"Completed","job_id":"%s","metadata":{"a":[1,null]}}' % job_id.encode()


async def test_a_direct_webhook_is_repeated_three_times(tmp_path, session, listen):
    """Until a 2xx; a redirect is none."""
    listener, url = await listen(500, 302, 404)
    async with service(tmp_path) as local:
        await Client(session, local).parsed(b"refuse", **{"async": {"webhook": {"mode": "direct", "url": url}}})
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


async def test_channels_choose_the_endpoints(tmp_path, session, listen):
    """An endpoint that subscribed to another channel hears nothing."""
    (blue, blue_url), (red, red_url) = await listen(), await listen()
    endpoints = [Endpoint(blue_url, SECRET, frozenset({"blue"})), Endpoint(red_url, SECRET, frozenset({"red"}))]
    async with service(tmp_path, webhooks=endpoints) as local:
        await Client(session, local).parsed(**{"async": {"webhook": {"mode": "svix", "channels": ["red"]}}})
        await red.received.get()
    assert blue.received.empty()


async def test_a_duplicate_webhook_can_be_ordered(tmp_path, session, listen):
    """Twice the same, for listeners that must cope."""
    listener, url = await listen()
    async with service(tmp_path, chaos=read_orders("webhook-duplicate=1")) as local:
        await Client(session, local).parsed(**{"async": {"webhook": {"mode": "direct", "url": url}}})
        bodies = [(await listener.received.get())[1] for _ in range(2)]
    assert bodies[0] == bodies[1]


async def test_the_portal_has_an_address(client):
    """`POST /configure_webhook` answers a JSON string, and the page behind it says what to do."""
    status, address = await client.call("POST", "/configure_webhook")
    async with client.session.get(address) as page:
        assert status == 200 and page.status == 200 and "--webhook" in await page.text()
