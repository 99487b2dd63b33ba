"""The receiver over real HTTP: who gets in, how often, and how little it takes to answer."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest

from batcher.core.signature import Signed, Tokened, sign, token
from batcher.edges.webhook import LARGEST, Receiver, receiving
from batcher.errors import ReceiverUnusable

SECRET, KEY = b"the endpoint's secret", b"a key of ours"


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def signed() -> AsyncIterator[Receiver]:
    async with receiving("127.0.0.1", 0, Signed([SECRET]), clock=time.time) as receiver:
        yield receiver


@pytest.fixture
async def tokened() -> AsyncIterator[Receiver]:
    async with receiving("127.0.0.1", 0, Tokened(KEY), clock=time.time) as receiver:
        yield receiver


def message(job_id: str, nonce: str = "n") -> bytes:
    mark = {"nonce": nonce, "token": token(KEY, nonce)}
    return json.dumps({"status": "Completed", "job_id": job_id, "metadata": {"batcher": mark}}).encode()


def stamp(body: bytes, message_id: str, *, age: int = 0) -> dict[str, str]:
    at = str(int(time.time()) - age)
    signature = f"v1,{sign(SECRET, message_id, at, body)}"
    return {"svix-id": message_id, "svix-timestamp": at, "svix-signature": signature}


async def post(session: aiohttp.ClientSession, url: str, body: bytes, headers: dict[str, str] | None = None) -> int:
    async with session.post(url, data=body, headers=headers) as answer:
        return answer.status


async def test_a_forged_message_is_turned_away(session: aiohttp.ClientSession, signed: Receiver) -> None:
    """401, and no job is asked about."""
    forged = {**stamp(b"{}", "msg"), "svix-signature": f"v1,{base64.b64encode(b'guess' * 6).decode()}"}
    assert await post(session, signed.url, b'{"job_id":"x"}', forged) == 401
    assert signed.waiting == 0


async def test_a_replayed_message_is_turned_away(session: aiohttp.ClientSession, signed: Receiver) -> None:
    """Its signature is good, its time is over."""
    body = b'{"job_id":"x"}'
    assert await post(session, signed.url, body, stamp(body, "msg", age=400)) == 401
    assert signed.waiting == 0


async def test_a_duplicate_is_acknowledged_and_asks_nothing(session: aiohttp.ClientSession, signed: Receiver) -> None:
    """Otherwise it would come again; known by its id, which each repetition keeps."""
    body = b'{"job_id":"x"}'
    statuses = [await post(session, signed.url, body, stamp(body, "msg", age=age)) for age in (2, 1, 0)]
    assert statuses == [204, 204, 204]
    assert signed.waiting == 1


async def test_a_direct_duplicate_is_known_too(session: aiohttp.ClientSession, tokened: Receiver) -> None:
    """By job and nonce, for it has no id of its own."""
    assert [await post(session, tokened.url, message(job)) for job in "aba"] == [204, 204, 204]
    assert [await tokened.next_job() for _ in range(tokened.waiting)] == ["a", "b"]


async def test_a_body_of_a_hundred_megabytes_is_not_read(tokened: Receiver) -> None:
    """The length it announces is enough for a 413, and so are its first bytes where it announces none."""
    host, port = tokened.url.removeprefix("http://").rstrip("/").split(":")
    for head in (b"Content-Length: 100000000", b"Transfer-Encoding: chunked"):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")
        if b"chunked" in head:
            writer.write(b"%x\r\n" % 100_000_000 + b"x" * (LARGEST + 1))
        assert (await reader.readline()).split()[1] == b"413"
        await reader.read()  # and it hangs up
        writer.close()


async def test_a_flood_is_turned_away(session: aiohttp.ClientSession) -> None:
    """Beyond the burst with 429, before anything of it is read."""
    async with receiving("127.0.0.1", 0, Tokened(KEY), clock=time.time, rate=0.001, burst=3) as receiver:
        statuses = [await post(session, receiver.url, b"{}") for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]


async def test_only_posts_are_taken(session: aiohttp.ClientSession, tokened: Receiver) -> None:
    """Whatever the path: a proxy in front may add one."""
    assert await post(session, tokened.url + "some/path?x=1", message("a")) == 204
    async with session.get(tokened.url) as answer:
        assert answer.status == 405


async def test_a_port_that_is_taken_is_named(tokened: Receiver) -> None:
    """With what to do about it."""
    port = int(tokened.url.rstrip("/").rpartition(":")[2])
    with pytest.raises(ReceiverUnusable, match=f"127.0.0.1:{port}.*free the port"):
        async with receiving("127.0.0.1", port, Tokened(KEY), clock=time.time):
            raise AssertionError("it listens twice")
