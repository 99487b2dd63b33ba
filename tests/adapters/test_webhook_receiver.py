"""The receiver over real HTTP: who gets in, how often, and how little it takes to answer."""

import asyncio
import base64
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import aiohttp
import pytest

from batcher.adapters.webhook_receiver import LARGEST, Receiver, receiving
from batcher.doorkeeper import ConnectionLimits
from batcher.errors import ReceiverUnusable
from batcher.reducto.webhook_signature import Signed, Tokened, sign, token

SECRET = b"the endpoint's secret"
KEY = b"a key of ours"


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
    return json.dumps(
        {"status": "Completed", "job_id": job_id, "metadata": {"batcher": mark}}
    ).encode()


def stamp(body: bytes, message_id: str, *, age: int = 0) -> dict[str, str]:
    at = str(int(time.time()) - age)
    signature = f"v1,{sign(SECRET, message_id, at, body)}"
    return {"svix-id": message_id, "svix-timestamp": at, "svix-signature": signature}


async def post(
    session: aiohttp.ClientSession, url: str, body: bytes, headers: dict[str, str] | None = None
) -> int:
    async with session.post(url, data=body, headers=headers) as answer:
        return answer.status


async def test_a_forged_message_is_turned_away(
    session: aiohttp.ClientSession, signed: Receiver
) -> None:
    """401, and no job is asked about."""
    forged = {
        **stamp(b"{}", "msg"),
        "svix-signature": f"v1,{base64.b64encode(b'guess' * 6).decode()}",
    }
    assert await post(session, signed.url, b'{"job_id":"x"}', forged) == 401
    assert signed.waiting == 0


async def test_a_replayed_message_is_turned_away(
    session: aiohttp.ClientSession, signed: Receiver
) -> None:
    """Its signature is good, its time is over."""
    body = b'{"job_id":"x"}'
    assert await post(session, signed.url, body, stamp(body, "msg", age=400)) == 401
    assert signed.waiting == 0


async def test_a_duplicate_is_acknowledged_and_asks_nothing(
    session: aiohttp.ClientSession, signed: Receiver
) -> None:
    """Otherwise it would come again; known by its id, which each repetition keeps."""
    body = b'{"job_id":"x"}'
    statuses = [
        await post(session, signed.url, body, stamp(body, "msg", age=age)) for age in (2, 1, 0)
    ]
    assert statuses == [204, 204, 204]
    assert signed.waiting == 1


async def test_a_direct_duplicate_is_known_too(
    session: aiohttp.ClientSession, tokened: Receiver
) -> None:
    """By job and nonce, for it has no id of its own."""
    assert [await post(session, tokened.url, message(job)) for job in "aba"] == [204, 204, 204]
    assert [await tokened.next_job() for _ in range(tokened.waiting)] == ["a", "b"]


async def test_a_body_of_a_hundred_megabytes_is_not_read(tokened: Receiver) -> None:
    """The length it announces is enough for a 413, and so are its first bytes where it announces
    none.
    """
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
    async with receiving(
        "127.0.0.1", 0, Tokened(KEY), clock=time.time, rate=0.001, burst=3
    ) as receiver:
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


HALF = b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: "
Pipe = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def listening(limits: ConnectionLimits) -> AbstractAsyncContextManager[Receiver]:
    return receiving("127.0.0.1", 0, Tokened(KEY), clock=time.time, limits=limits)


async def opened(url: str, said: bytes) -> Pipe:
    host, port = url.removeprefix("http://").rstrip("/").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(said)
    await writer.drain()
    return reader, writer


async def hung_up(pipe: Pipe) -> bytes:
    """What came before the other side hung up."""
    said = b""
    try:
        async with asyncio.timeout(10):
            said = await pipe[0].read()
    except ConnectionError:
        pass
    finally:
        pipe[1].close()
    return said


@pytest.mark.parametrize(
    "said",
    [b"", b"P", HALF, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{", b"\r\n" * 9],
)
async def test_a_connection_that_never_says_all_is_hung_up_on(said: bytes) -> None:
    """Whether it stops before, within or after its header, and however often it is asked to
    wait.
    """
    limits = ConnectionLimits(connections=8, header=0.2, idle=0.2, stalled=0.2)
    async with listening(limits) as receiver:
        await hung_up(await opened(receiver.url, said))


async def test_a_header_that_drips_in_is_hung_up_on() -> None:
    """Its time runs from its first byte, not from its last."""
    async with listening(ConnectionLimits(connections=8, header=0.3)) as receiver:
        pipe = await opened(receiver.url, HALF)
        ending = asyncio.create_task(hung_up(pipe))
        while not ending.done():
            pipe[1].write(b"x")
            await asyncio.wait([ending], timeout=0.02)


async def test_an_answered_connection_may_rest_and_ask_again() -> None:
    """A client's pause between two messages is longer than a header may take."""
    body = message("a")
    whole = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    async with listening(ConnectionLimits(connections=8, header=0.2, idle=30)) as receiver:
        reader, writer = await opened(receiver.url, whole)
        assert b"204" in await reader.readuntil(b"\r\n\r\n")
        resting = asyncio.create_task(reader.read(1))
        await asyncio.wait([resting], timeout=0.6)
        assert not resting.done(), "it was hung up on"
        resting.cancel()
        await asyncio.wait([resting])
        writer.write(whole)
        assert b"204" in await reader.readuntil(b"\r\n\r\n")
        writer.close()


@pytest.mark.parametrize("said", [HALF, b""])
async def test_a_real_message_comes_through_however_many_hold_on(
    session: aiohttp.ClientSession, said: bytes
) -> None:
    """Who has said least goes first; never more are open than may be."""
    async with listening(ConnectionLimits(connections=8, header=600)) as receiver:
        held = [await opened(receiver.url, said) for _ in range(100)]
        assert await post(session, receiver.url, message("a")) == 204
        ends = [asyncio.create_task(hung_up(pipe)) for pipe in held]
        done, _ = await asyncio.wait(ends, timeout=1)
        assert len(done) >= len(held) - 8
        for _, writer in held:
            writer.close()
        await asyncio.wait(ends)


async def test_half_bodies_make_room_too(session: aiohttp.ClientSession) -> None:
    """A body of ours is there at once: one that isn't after a second may be let go for a real
    message.
    """
    begun = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{"
    async with listening(ConnectionLimits(connections=4, body=0.0)) as receiver:
        held = [await opened(receiver.url, begun) for _ in range(4)]
        assert await post(session, receiver.url, message("a")) == 204
        for _, writer in held:
            writer.close()


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost\r\n\r\n",
    ],
)
async def test_a_malformed_request_leaves_no_trace_and_seldom_a_line(
    caplog: pytest.LogCaptureFixture, said: bytes
) -> None:
    """Whoever sends one may send a million: one line for many, and it says what was wrong."""
    async with listening(ConnectionLimits(connections=8)) as receiver:
        caplog.set_level(logging.INFO)
        for _ in range(20):
            assert b" 400 " in await hung_up(await opened(receiver.url, said))
    assert "Traceback" not in caplog.text and len(caplog.records) <= 1
