"""Signed addresses: each is put to once, whatever becomes of the connection."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from peer import KEY, Peer, says
from places import hanging_up, place

from batcher.errors import BadReply, ReplyLostError, SourceChangedError, Unreachable
from batcher.reducto import api_types
from batcher.reducto.client import ReductoClient
from batcher.reducto.file_body import checked_chunks
from batcher.reducto.presigned import SignedAddresses


@pytest.fixture
async def signed() -> AsyncIterator[SignedAddresses]:
    async with SignedAddresses() as addresses:
        yield addresses


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    path = tmp_path / "letter.txt"
    path.write_bytes(b"a letter")
    return path


def body(path: Path, sha256: str | None = None) -> AsyncIterator[bytes]:
    return checked_chunks(path, 8, sha256)


async def test_bytes_arrive_with_their_length_and_without_a_key(signed, letter):
    """A store takes no upload whose length it isn't told."""
    received = {}

    async def put(request: web.Request) -> web.Response:
        received.update(request.headers, body=await request.read(), method=request.method)
        return web.Response(headers={"ETag": '"1"'})

    async with place(put) as url:
        assert (await signed.put(url, body(letter), 8))[0] == 200
    assert (received["method"], received["body"]) == ("PUT", b"a letter")
    assert received["Content-Length"] == "8" and "Authorization" not in received


async def test_a_connection_that_breaks_is_not_made_again(signed, letter):
    """The first request may still arrive, after the address was given up."""
    async with hanging_up() as (url, heads):
        with pytest.raises(ReplyLostError):
            await signed.put(url, body(letter), 8)
    assert len(heads) == 1 and heads[0].startswith(b"PUT /place ")


async def test_nor_by_the_client(peer: Peer, tmp_path: Path):
    """For files that the API takes no other way: each try has an address of its own."""
    path = tmp_path / "large.pdf"
    with path.open("wb") as file:
        file.truncate(api_types.DIRECT_UPLOAD_LIMIT + 1)
    async with hanging_up() as (url, heads):
        peer.moods["upload"] = says(200, {"file_id": "reducto://large", "presigned_url": url})
        async with ReductoClient(peer.url, KEY) as client:
            with pytest.raises(ReplyLostError):
                await client.upload(path, name="large.pdf")
    assert len(heads) == peer.calls["upload"] == 3


async def test_wrong_bytes_do_not_arrive(signed, letter):
    """The request breaks off before its end."""
    arrived = []

    async def put(request: web.Request) -> web.Response:
        arrived.append(await request.read())
        return web.Response()

    async with place(put) as url:
        with pytest.raises(SourceChangedError, match="no longer those that were planned"):
            await signed.put(url, body(letter, hashlib.sha256(b"other").hexdigest()), 8)
    assert not arrived


@pytest.mark.parametrize(
    "url, error", [("http://127.0.0.1:9/place", Unreachable), ("nonsense", BadReply)]
)
async def test_an_address_that_leads_nowhere_is_told_apart(signed, letter, url, error):
    """Nothing has been sent; and the reason doesn't show the address."""
    with pytest.raises(error) as raised:
        await signed.put(url, body(letter), 8)
    assert "/place" not in str(raised.value) and "nonsense" not in str(raised.value)


async def test_the_manifest_s_headers_leave_for_the_api_alone(peer: Peer, letter):
    """An address at the API's own host, which wants them, is nobody else's to put at."""
    for extra, told in (({}, True), ({"X-Gateway": "secret"}, False)):
        url = f"{peer.url}/place"
        peer.moods["upload"] = says(200, {"file_id": "reducto://1", "presigned_url": url})
        async with ReductoClient(peer.url, KEY, headers=extra) as client:
            announced = await client.announce(name="letter.pdf")
        assert (announced.file_id, announced.presigned_url is not None) == ("reducto://1", told)
    peer.moods["upload"] = says(200, {"file_id": "reducto://1"})
    async with ReductoClient(peer.url, KEY) as client:
        assert (await client.announce(name="letter.pdf")).presigned_url is None
