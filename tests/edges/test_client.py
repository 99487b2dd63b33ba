"""The client against a service that misbehaves: what is sent how often, and which error comes of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from peer import KEY, Handler, Peer, accepts_and_hangs_up, cuts_the_answer_short, hangs_up, once, says

from batcher.core import wire
from batcher.edges.client import ReductoClient
from batcher.errors import (
    BadReply,
    Busy,
    NotFound,
    Refused,
    ReplyLost,
    ServiceError,
    SourceChanged,
    SourceGone,
    SourceUnreadable,
    Unauthorised,
    Unreachable,
)

HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


@pytest.fixture
async def client(peer: Peer) -> AsyncIterator[ReductoClient]:
    async with ReductoClient(peer.url, KEY) as client:
        yield client


SUBMISSIONS: dict[str, tuple[Handler, type[ServiceError]]] = {
    "reset": (hangs_up, ReplyLost),
    "accepted, then reset": (accepts_and_hangs_up, ReplyLost),
    "half an answer": (cuts_the_answer_short, ReplyLost),
    "200 without a job id": (says(200, {}), BadReply),
    "200 with an empty job id": (says(200, {"job_id": ""}), BadReply),
    "200 with a page of HTML": (says(200, HTML), BadReply),
    "200 with a list": (says(200, [1]), BadReply),
    "redirect": (says(302, None, Location="http://127.0.0.1:1/elsewhere"), BadReply),
    "400": (says(400, {"detail": "no"}), Refused),
    "401": (says(401, {"detail": "who are you"}), Unauthorised),
    "402": (says(402, {}), Refused),
    "404": (says(404, {"detail": "no such upload"}), NotFound),
    "408": (says(408, {}), BadReply),
    "409": (says(409, {}), BadReply),
    "422 of FastAPI": (says(422, {"detail": [{"loc": ["body", "input"], "msg": "field required"}]}), Refused),
    "429": (says(429, {"detail": "slow down"}, **{"Retry-After": "7"}), Busy),
    "442": (says(442, {}), Refused),
    "500": (says(500, {"detail": "oops"}), BadReply),
    "502 of a gateway": (says(502, HTML), BadReply),
    "503 that names a full queue": (says(503, {"error": {"name": "QUEUE_FULL", "message": "later"}}), Busy),
    "503 of a gateway": (says(503, HTML), BadReply),
}


@pytest.mark.parametrize("name", SUBMISSIONS)
async def test_a_submission_is_sent_once_whatever_comes_back(name: str, peer: Peer, client: ReductoClient) -> None:
    """And its failure says whether it was surely refused or may have been paid."""
    mood, kind = SUBMISSIONS[name]
    peer.moods["run_job"] = mood
    with pytest.raises(ServiceError) as caught:
        await client.run_job("parse", "reducto://x")
    assert type(caught.value) is kind
    assert peer.calls["run_job"] == 1


async def test_what_never_left_is_told_from_what_was_lost(client: ReductoClient) -> None:
    """Nobody listens: not a byte was sent, so nothing can have been accepted."""
    async with ReductoClient("http://127.0.0.1:1", KEY) as nobody:
        with pytest.raises(Unreachable):
            await nobody.run_job("parse", "reducto://x")


@pytest.mark.parametrize("mood", [hangs_up, says(500, {}), says(502, HTML), says(200, b"{")])
async def test_a_free_call_is_repeated(mood: Handler, peer: Peer, client: ReductoClient) -> None:
    """What costs nothing is asked for again when its answer was no answer."""
    peer.moods["jobs"] = once(mood, "jobs")
    assert (await client.jobs()).jobs == []
    assert peer.calls["jobs"] == 2


@pytest.mark.parametrize("odd", [None, {"job_id": None, "status": "x"}, {"job_id": "", "status": "x"}, {"job_id": "a"}])
async def test_one_row_that_can_not_be_read_hides_no_other(odd: object, peer: Peer, client: ReductoClient) -> None:
    """It is counted: a listing with such a row shows jobs, and never that one isn't there."""
    good = {"job_id": "b", "status": "Completed", "created_at": None, "raw_config": {"input": "reducto://1"}}
    peer.moods["jobs"] = says(200, {"jobs": [odd, good], "next_cursor": 7})
    page = await client.jobs()
    assert [row.job_id for row in page.jobs] == ["b"] and page.jobs[0].mentions("reducto://1")
    assert (page.unreadable, page.next_cursor) == (1, "7")


@pytest.mark.parametrize("cursor", [True, {"at": 1}, ["a"]])
async def test_rows_behind_a_cursor_that_is_none_are_not_read(
    cursor: object, peer: Peer, client: ReductoClient
) -> None:
    """Nobody knows what they would have shown."""
    peer.moods["jobs"] = says(200, {"jobs": [], "next_cursor": cursor})
    page = await client.jobs()
    assert (page.jobs, page.unreadable, page.next_cursor) == ([], 1, None)


async def test_a_definite_no_is_not_repeated(peer: Peer, client: ReductoClient) -> None:
    """404 once is 404."""
    with pytest.raises(NotFound):
        await client.job("nobody")
    assert peer.calls["job"] == 1


async def test_a_long_retry_after_is_for_the_lane_to_keep(peer: Peer, client: ReductoClient) -> None:
    """The call doesn't sleep five minutes by itself; it says how long to wait."""
    peer.moods["jobs"] = says(503, {"error": {"name": "BATCH_QUEUE_FULL"}}, **{"Retry-After": "300"})
    with pytest.raises(Busy) as caught:
        await client.jobs()
    assert caught.value.retry_after == 300.0
    assert peer.calls["jobs"] == 1


async def test_messages_of_every_shape_are_understood(peer: Peer, client: ReductoClient) -> None:
    """The API's own, FastAPI's and the gateway's page of HTML."""
    for mood, words in (
        (says(400, {"error": {"name": "INVALID_CONFIG", "message": "no such mode"}}), "INVALID_CONFIG no such mode"),
        (says(422, {"detail": [{"loc": ["body", "input"], "msg": "field required"}]}), "field required"),
        (says(500, HTML), "502 Bad Gateway"),
    ):
        peer.moods["run_job"] = mood
        with pytest.raises(ServiceError, match=words):
            await client.run_job("parse", "reducto://x")


async def test_a_file_is_streamed_and_its_bytes_are_checked(tmp_path: Path, peer: Peer, client: ReductoClient) -> None:
    """What arrives is what lay on disk; were it not what was planned, the upload breaks off."""
    path = tmp_path / "big.bin"
    path.write_bytes(b"lantern " * (1 << 20))
    upload = await client.upload(path, name="big.bin")
    assert peer.service.uploads[upload.file_id] == path.read_bytes()
    with pytest.raises(SourceChanged):
        await client.upload(path, name="big.bin", sha256="0" * 64)
    with pytest.raises(SourceChanged):
        await client.upload(b"small", name="small.bin", sha256="0" * 64)


async def test_the_key_is_shown_nowhere(peer: Peer, client: ReductoClient) -> None:
    """Neither in the client's own words nor in those of an error that the service sends back with it."""
    peer.moods["run_job"] = says(500, {"detail": "boom"})
    with pytest.raises(ServiceError) as caught:
        await client.run_job("parse", "reducto://x")
    assert KEY not in repr(client) + repr(caught.value) + str(caught.value)
    assert peer.authorizations == {f"Bearer {KEY}"}


async def test_links_are_followed_only_to_where_they_may_lead(tmp_path: Path, client: ReductoClient) -> None:
    """Not to a plain address elsewhere, nor to a file."""
    for url in ("http://169.254.169.254/latest/meta-data", "file:///etc/passwd"):
        with pytest.raises(BadReply, match="not followed"):
            await client.download(url, tmp_path / "part", around=lambda first: (b"", b""))
    assert not (tmp_path / "part").exists()


async def test_a_large_file_goes_by_presigned_put_without_the_key(
    tmp_path: Path, peer: Peer, client: ReductoClient
) -> None:
    """Above what the API takes directly."""
    received: dict[str, object] = {}

    async def put(request: aiohttp.web.Request) -> aiohttp.web.Response:
        size = 0
        async for chunk in request.content.iter_chunked(1 << 20):
            size += len(chunk)
        received.update(size=size, authorization=request.headers.get("Authorization"))
        return aiohttp.web.Response()

    app = aiohttp.web.Application()
    app.router.add_put("/place", put)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    peer.moods["upload"] = says(200, {"file_id": "reducto://large", "presigned_url": f"http://127.0.0.1:{port}/place"})
    path = tmp_path / "large.pdf"
    with path.open("wb") as file:
        file.truncate(wire.DIRECT_UPLOAD_LIMIT + 1)  # a hole: nothing is stored
    try:
        assert (await client.upload(path, name="large.pdf")).file_id == "reducto://large"
    finally:
        await runner.cleanup()
    assert received == {"size": wire.DIRECT_UPLOAD_LIMIT + 1, "authorization": None}


async def test_a_result_that_names_no_length_still_takes_room(peer: Peer, client: ReductoClient) -> None:
    """Bytes in memory are counted whatever the service says of them."""

    class Room:
        taken = 0

        async def take(self, amount: int) -> None:
            self.taken += amount

        def give(self, amount: int) -> None:
            self.taken -= amount

    async def chunked(peer: Peer, request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        answer = aiohttp.web.StreamResponse()
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        await answer.write(b'{"status": "Pending", "filler": "' + b"x" * 100_000 + b'"}')
        return answer

    peer.moods["job"] = chunked
    room = Room()
    _, reserved = await client.job("one", room=room)
    assert reserved == room.taken >= 100_000


async def test_a_large_document_that_is_gone_is_no_fault_of_the_service(client: ReductoClient, tmp_path: Path) -> None:
    """Nor of batcher: the document comes to its verdict, and the run goes on."""
    with pytest.raises(SourceGone):
        await client.upload(tmp_path / "gone.pdf", name="gone.pdf")
    (tmp_path / "folder.pdf").mkdir()
    with pytest.raises(SourceUnreadable):
        await client.upload(tmp_path / "folder.pdf", name="folder.pdf")
