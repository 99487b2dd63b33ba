"""The client against a service that misbehaves: what is sent how often, and which error comes of
it.
"""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from peer import (
    KEY,
    Handler,
    Peer,
    accepts_and_hangs_up,
    cuts_the_answer_short,
    hangs_up,
    once,
    says,
)

from batcher.errors import (
    BadReply,
    Busy,
    NotFound,
    Refused,
    ReplyLostError,
    ServiceError,
    SourceChangedError,
    SourceGoneError,
    SourceUnreadableError,
    Unauthorised,
    Unreachable,
)
from batcher.reducto import api_types, exchange
from batcher.reducto.client import ReductoClient
from batcher.reducto.public_addresses import Elsewhere, Resolver, may_lead_to

HTML = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


@pytest.fixture
async def client(peer: Peer) -> AsyncIterator[ReductoClient]:
    async with ReductoClient(peer.url, KEY) as client:
        yield client


SUBMISSIONS: dict[str, tuple[Handler, type[ServiceError]]] = {
    "reset": (hangs_up, ReplyLostError),
    "accepted, then reset": (accepts_and_hangs_up, ReplyLostError),
    "half an answer": (cuts_the_answer_short, ReplyLostError),
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
    "422 of FastAPI": (
        says(422, {"detail": [{"loc": ["body", "input"], "msg": "field required"}]}),
        Refused,
    ),
    "429": (says(429, {"detail": "slow down"}, **{"Retry-After": "7"}), Busy),
    "442": (says(442, {}), Refused),
    "500": (says(500, {"detail": "oops"}), BadReply),
    "502 of a gateway": (says(502, HTML), BadReply),
    "503 that names a full queue": (
        says(503, {"error": {"name": "QUEUE_FULL", "message": "later"}}),
        Busy,
    ),
    "503 of a gateway": (says(503, HTML), BadReply),
}


@pytest.mark.parametrize("name", SUBMISSIONS)
async def test_a_submission_is_sent_once_whatever_comes_back(
    name: str, peer: Peer, client: ReductoClient
) -> None:
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


@pytest.mark.parametrize(
    "odd", [None, {"job_id": None, "status": "x"}, {"job_id": "", "status": "x"}, {"job_id": "a"}]
)
async def test_one_row_that_can_not_be_read_hides_no_other(
    odd: object, peer: Peer, client: ReductoClient
) -> None:
    """It is counted: a listing with such a row shows jobs, and never that one isn't there."""
    good = {
        "job_id": "b",
        "status": "Completed",
        "created_at": None,
        "raw_config": {"input": "reducto://1"},
    }
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


async def test_a_long_retry_after_is_for_the_lane_to_keep(
    peer: Peer, client: ReductoClient
) -> None:
    """The call doesn't sleep five minutes by itself; it says how long to wait."""
    peer.moods["jobs"] = says(
        503, {"error": {"name": "BATCH_QUEUE_FULL"}}, **{"Retry-After": "300"}
    )
    with pytest.raises(Busy) as caught:
        await client.jobs()
    assert caught.value.retry_after == 300.0
    assert peer.calls["jobs"] == 1


async def test_messages_of_every_shape_are_understood(peer: Peer, client: ReductoClient) -> None:
    """The API's own, FastAPI's and the gateway's page of HTML."""
    for mood, words in (
        (
            says(400, {"error": {"name": "INVALID_CONFIG", "message": "no such mode"}}),
            "INVALID_CONFIG no such mode",
        ),
        (
            says(422, {"detail": [{"loc": ["body", "input"], "msg": "field required"}]}),
            "field required",
        ),
        (says(500, HTML), "502 Bad Gateway"),
    ):
        peer.moods["run_job"] = mood
        with pytest.raises(ServiceError, match=words):
            await client.run_job("parse", "reducto://x")


async def test_a_file_is_streamed_and_its_bytes_are_checked(
    tmp_path: Path, peer: Peer, client: ReductoClient
) -> None:
    """What arrives is what lay on disk; were it not what was planned, the upload breaks off."""
    path = tmp_path / "big.bin"
    path.write_bytes(b"lantern " * (1 << 20))
    upload = await client.upload(path, name="big.bin")
    assert peer.service.uploads[upload.file_id] == path.read_bytes()
    with pytest.raises(SourceChangedError):
        await client.upload(path, name="big.bin", sha256="0" * 64)
    with pytest.raises(SourceChangedError):
        await client.upload(b"small", name="small.bin", sha256="0" * 64)


async def test_the_key_is_shown_nowhere(peer: Peer, client: ReductoClient) -> None:
    """Neither in the client's own words nor in those of an error that the service sends back with
    it.
    """
    peer.moods["run_job"] = says(500, {"detail": "boom"})
    with pytest.raises(ServiceError) as caught:
        await client.run_job("parse", "reducto://x")
    assert KEY not in repr(client) + repr(caught.value) + str(caught.value)
    assert peer.authorizations == {f"Bearer {KEY}"}


async def test_links_are_followed_only_to_where_they_may_lead(
    tmp_path: Path, client: ReductoClient
) -> None:
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
    peer.moods["upload"] = says(
        200, {"file_id": "reducto://large", "presigned_url": f"http://127.0.0.1:{port}/place"}
    )
    path = tmp_path / "large.pdf"
    with path.open("wb") as file:
        file.truncate(api_types.DIRECT_UPLOAD_LIMIT + 1)  # a hole: nothing is stored
    try:
        assert (await client.upload(path, name="large.pdf")).file_id == "reducto://large"
    finally:
        await runner.cleanup()
    assert received == {"size": api_types.DIRECT_UPLOAD_LIMIT + 1, "authorization": None}


async def test_a_result_that_names_no_length_still_takes_room(
    peer: Peer, client: ReductoClient
) -> None:
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


async def test_a_large_document_that_is_gone_is_no_fault_of_the_service(
    client: ReductoClient, tmp_path: Path
) -> None:
    """Nor of batcher: the document comes to its verdict, and the run goes on."""
    with pytest.raises(SourceGoneError):
        await client.upload(tmp_path / "gone.pdf", name="gone.pdf")
    (tmp_path / "folder.pdf").mkdir()
    with pytest.raises(SourceUnreadableError):
        await client.upload(tmp_path / "folder.pdf", name="folder.pdf")


# --- addresses that are none, and answers that are no HTTP ----------------------------------------

NO_ADDRESSES = [
    "https://[::1",
    "https://[v1.x]/a",
    "https://exa mple]/x",
    "https://host:99999999/x",
    "https://host:port/x",
    "https://host:-1/x",
    "https://" + "a" * 70 + ".example/x",
    "https://.example/x",
    "https://ex..ample/x",
    "https://h\u00f6st\ud83d/x",
    "https://a\r\nHost: b/x",
    "https:///x",
    "https://",
    "http:",
    "/x",
    "",
    "\u0000",
    "\ud83d",
    "javascript:alert(1)",
    "reducto://x",
    "http://127.0.0.1:1/" + "x" * 200_000,
]


@pytest.mark.parametrize("url", NO_ADDRESSES, ids=range(len(NO_ADDRESSES)))
async def test_a_link_that_is_no_address_is_an_error_of_ours(
    url: str, tmp_path: Path, client: ReductoClient
) -> None:
    """Whatever stands there: one document's trouble, and no traceback of a run."""
    with pytest.raises(ServiceError):
        await client.download(url, tmp_path / "part", around=lambda first: (b"", b""))


@pytest.mark.parametrize("url", NO_ADDRESSES, ids=range(len(NO_ADDRESSES)))
async def test_a_presigned_address_that_is_none_is_an_error_of_ours(
    url: str, tmp_path: Path, peer: Peer, client: ReductoClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for where a large file is to be put."""
    monkeypatch.setattr(api_types, "DIRECT_UPLOAD_LIMIT", 10)
    path = tmp_path / "large.pdf"
    path.write_bytes(b"x" * 100)
    peer.moods["upload"] = says(200, {"file_id": "reducto://x", "presigned_url": url})
    with pytest.raises(ServiceError):
        await client.upload(path, name="large.pdf")


@asynccontextmanager
async def saying(answer: bytes) -> AsyncIterator[str]:
    """A server that says these very bytes to everybody, and closes."""

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(say, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def http(body: bytes, **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 200 OK\r\nConnection: close\r\n{lines}\r\n".encode() + body


WHOLE = b'{"type": "full", "chunks": [{"content": "one"}]}'
NO_ANSWERS = {
    "nothing": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "an odd status": b"HTTP/1.1 9999 What\r\n\r\n",
    "a length that is none": http(WHOLE, Content_Length="many"),
    "a negative length": http(WHOLE, Content_Length="-5"),
    "less than its length": http(WHOLE, Content_Length="100"),
    "more than any length": http(WHOLE, Content_Length="9" * 30),
    "packed, and isn't": http(WHOLE, Content_Encoding="gzip"),
    "packed, and cut off": http(gzip.compress(WHOLE)[:-12], Content_Encoding="gzip"),
    "an odd packing": http(WHOLE, Content_Encoding="zstd"),
    "odd chunks": http(b"zz\r\nabc", Transfer_Encoding="chunked"),
    "chunks without an end": http(b"5\r\n[1,2,\r\n", Transfer_Encoding="chunked"),
    "a header without end": http(WHOLE, X=("x" * 200_000)),
    "a header with NUL": http(WHOLE, X="a\x00b"),
    "deep nesting, cut off": http(b"[" * 100_000),
    "cut off after a brace": http(b'{"type":"full","chunks":[{"content":"one"}'),
    "a page of HTML": http(b"<html></html>"),
    "an empty body": http(b""),
    "a number": http(b"12"),
}


@pytest.mark.parametrize("name", NO_ANSWERS)
async def test_what_is_no_whole_answer_is_an_error_of_ours(name: str, tmp_path: Path) -> None:
    """Behind a link, about a job, and to a submission: nothing else is ever raised, and nothing
    torn is taken.
    """
    async with saying(NO_ANSWERS[name]) as url, ReductoClient(url, KEY) as client:
        with pytest.raises(ServiceError):
            await client.download(f"{url}/x", tmp_path / "part", around=lambda first: (b"", b""))
        with pytest.raises(ServiceError):
            await client.job("one")
        with pytest.raises((ReplyLostError, BadReply)):
            await client.run_job("parse", "reducto://x")


@pytest.mark.parametrize(
    "headers", [{}, {"Content_Encoding": "gzip"}, {"Content_Length": str(len(WHOLE))}]
)
async def test_a_whole_result_behind_a_link_is_taken(
    headers: dict[str, str], tmp_path: Path
) -> None:
    """With a length or without one, packed or not, with a mark of its byte order or not."""
    body = gzip.compress(WHOLE) if headers.get("Content_Encoding") else WHOLE
    bodies = [body] if headers else [body, b"\xef\xbb\xbf" + body, b" \n" + body]
    for text in bodies:
        async with saying(http(text, **headers)) as url, ReductoClient(url, KEY) as client:
            part = tmp_path / "part"
            _, size = await client.download(
                f"{url}/x", part, around=lambda first: (b'{"result":', b"}")
            )
            assert json.loads(part.read_bytes()) == {"result": json.loads(WHOLE)}
            assert size == part.stat().st_size


async def test_a_download_that_trickles_in_has_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never silent for long, and never whole: each of these would keep one of the few places in
    which results are fetched for ever.
    """
    monkeypatch.setattr(exchange, "EXCHANGE", 0.1)

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http(b"["))
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.01)

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, ReductoClient(url, KEY) as client:
        with pytest.raises(ReplyLostError, match="trickles in"):
            await client.download(f"{url}/x", tmp_path / "part")


@pytest.mark.parametrize("job_id", ["..", ".", "a/b", "a?b#c", "\x00", "\ud83d", "ü" * 300, " "])
async def test_an_odd_name_of_a_job_asks_for_nothing_else(
    job_id: str, peer: Peer, client: ReductoClient
) -> None:
    """It is one piece of the path, whatever it holds."""
    with pytest.raises(NotFound):
        await client.job(job_id)
    assert set(peer.calls) <= {"job"}


async def test_a_header_of_64_kilobytes_is_read(peer: Peer, client: ReductoClient) -> None:
    """Gateways add long ones."""
    peer.moods["job"] = says(200, {"status": "Pending"}, **{"X-Policy": "x" * 60_000})
    answer, _ = await client.job("one")
    assert answer.status == "Pending"


@pytest.mark.parametrize(
    "date", ["", "x", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 99 Foo 2026", "1e400"]
)
async def test_an_odd_date_is_no_time(date: str, peer: Peer, client: ReductoClient) -> None:
    """Nobody's clock is compared with it."""
    peer.moods["job"] = says(200, {"status": "Pending"}, Date=date)
    await client.job("one")
    assert client.service_time is None or client.service_time > 2e11


# --- where links may lead -------------------------------------------------------------------------

HOSTED = api_types.SERVICES["reducto"]
LOCAL = "http://127.0.0.1:8080"
OFFICE = "https://reducto.office.example"


@pytest.mark.parametrize(
    ("base", "url"),
    [
        (HOSTED, "https://bucket.s3.amazonaws.com/x?signature=y"),
        (HOSTED, f"{HOSTED}/x"),
        (HOSTED, "https://8.8.8.8/x"),
        (LOCAL, "http://127.0.0.1:8080/x"),
        (LOCAL, "http://localhost:9000/x"),
        (LOCAL, "https://bucket.s3.amazonaws.com/x"),
        (OFFICE, "https://10.1.2.3/x"),
        ("http://10.1.2.3", "http://10.1.2.3:9000/x"),
    ],
)
def test_a_link_may_lead_to_a_store(base: str, url: str) -> None:
    """In the world, at the service, or where the service is."""
    assert may_lead_to(url, base)


@pytest.mark.parametrize(
    ("base", "url"),
    [
        (HOSTED, "https://localhost/x"),
        (HOSTED, "https://LOCALHOST./x"),
        (HOSTED, "https://a.localhost/x"),
        (HOSTED, "https://127.0.0.1/x"),
        (HOSTED, "https://127.9.9.9/x"),
        (HOSTED, "https://[::1]/x"),
        (HOSTED, "https://[::ffff:127.0.0.1]/x"),
        (HOSTED, "https://0.0.0.0/x"),
        (HOSTED, "https://169.254.169.254/latest/meta-data"),
        (HOSTED, "https://192.168.1.1/x"),
        (HOSTED, "https://[fd00::1]/x"),
        (HOSTED, "http://bucket.s3.amazonaws.com/x"),
        (HOSTED, HOSTED.replace("https", "http") + "/x"),
        (HOSTED, "ftp://bucket.s3.amazonaws.com/x"),
        (HOSTED, "file:///etc/passwd"),
        (OFFICE, "https://127.0.0.1/x"),
        (OFFICE, "https://169.254.169.254/x"),
        (OFFICE, "http://10.1.2.3/x"),
    ],
)
def test_a_link_leads_to_nothing_of_our_own(base: str, url: str) -> None:
    """Neither to this machine, nor in plain words, nor to the network that we stand in."""
    assert not may_lead_to(url, base)


@pytest.mark.parametrize("name", ["localhost", "2130706433", "0x7f.1"])
async def test_a_name_leads_to_nothing_of_our_own_either(name: str) -> None:
    """However this machine is spelt: what counts is where the name leads."""
    resolver = Resolver(HOSTED)
    with pytest.raises(Elsewhere):
        await resolver.resolve(name, 443)
    assert await Resolver(LOCAL).resolve(name, 443)
