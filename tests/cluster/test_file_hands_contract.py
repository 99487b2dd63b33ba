"""What holds for every hand that moves files, of this machine or of a cluster."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from places import hanging_up, place

from batcher.cluster.file_tasks import Failure, Hashing, Putting, StoredFile, StoredObject
from batcher.cluster.file_work import landmarks
from batcher.cluster.hands import FileHands
from batcher.cluster.local import LocalFileHands
from batcher.cluster.messages import Wanted
from batcher.cluster.on_ray import RayHands
from batcher.reducto.presigned import SignedAddresses
from batcher.sources import directory, object_store

Lend = Callable[[Path], AbstractAsyncContextManager[FileHands]]
TEXT = b"a letter"
SHA256 = hashlib.sha256(TEXT).hexdigest()


@pytest.fixture(params=["local", "ray"])
def lend(request: pytest.FixtureRequest) -> Lend:
    """What lends hands of each kind that see a folder."""
    address = request.getfixturevalue("cluster") if request.param == "ray" else ""

    @asynccontextmanager
    async def lent(folder: Path) -> AsyncIterator[FileHands]:
        if not address:
            async with SignedAddresses() as addresses:
                yield LocalFileHands(addresses)
            return
        wanted = Wanted(address=address, hands=2, landmarks=landmarks(folder))
        async with RayHands(wanted) as hands:
            yield hands

    return lent


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    folder = tmp_path / "letters"
    folder.mkdir()
    (folder / "a.txt").write_bytes(TEXT)
    return folder


def seen(folder: Path, name: str = "a.txt") -> StoredFile:
    """The file as a walk of the folder finds it."""
    found = directory.found_at(bytes(folder / name), name)
    return StoredFile(str(folder), name, found.size, found.mtime_ns)


class Place:
    """Keeps what arrives, by its path, and answers as told."""

    def __init__(self, status: int = 200, **headers: str) -> None:
        self.status = status
        self.headers = headers
        self.arrived: dict[str, bytes] = {}
        self.puts: Counter[str] = Counter()

    async def take(self, request: web.Request) -> web.Response:
        self.puts[request.query_string] += 1
        self.arrived[request.query_string] = await request.read()
        assert "Authorization" not in request.headers
        return web.Response(status=self.status, headers=self.headers)


async def test_a_file_is_hashed_where_it_is_seen(lend: Lend, letters: Path):
    """One that is gone, or isn't the one that was seen, is for who has seen it."""
    async with lend(letters) as hands:
        assert (await hands.do(Hashing(seen(letters)))).sha256 == SHA256
        for other in (
            StoredFile(str(letters), "b.txt", 8),
            StoredFile(str(letters), "a.txt", 9),
            StoredFile(str(letters), "a.txt", 8, mtime_ns=1),
        ):
            report = await hands.do(Hashing(other))
            assert (report.failure, report.sha256) == (Failure.NOT_HERE, "")


async def test_names_that_are_no_text_are_found(lend: Lend, letters: Path):
    """Names are bytes, and go as such."""
    (letters / "a.txt").rename(letters / os.fsdecode(b"\xff.txt"))
    (found,) = directory.some_files(letters, 9)
    file = StoredFile(str(letters), found.name, found.size, found.mtime_ns)
    async with lend(letters) as hands:
        assert (await hands.do(Hashing(file))).sha256 == SHA256


async def test_bytes_arrive_once_at_their_address(lend: Lend, letters: Path):
    """Many at a time, each at its own."""
    there = Place()
    async with lend(letters) as hands, place(there.take) as url:
        tasks = [Putting(seen(letters), f"{url}?{n}", SHA256) for n in range(40)]
        reports = await asyncio.gather(*(hands.do(task) for task in tasks))
    assert {(report.status, report.failure) for report in reports} == {(200, None)}
    assert there.arrived == {str(n): TEXT for n in range(40)}
    assert set(there.puts.values()) == {1}


async def test_other_bytes_do_not_arrive(lend: Lend, letters: Path):
    """Than those that were planned, or of a file that isn't there."""
    there = Place()
    async with lend(letters) as hands, place(there.take) as url:
        for task in (
            Putting(seen(letters), url, hashlib.sha256(b"other").hexdigest()),
            Putting(StoredFile(str(letters), "b.txt", 8), url, SHA256),
        ):
            assert (await hands.do(task)).failure is Failure.NOT_HERE
    assert not there.arrived


async def test_a_refusal_is_told_as_it_came(lend: Lend, letters: Path):
    """With its status, and how long to wait."""
    there = Place(503, **{"Retry-After": "7"})
    async with lend(letters) as hands, place(there.take) as url:
        report = await hands.do(Putting(seen(letters), url, SHA256))
    assert (report.status, report.headers["Retry-After"]) == (503, "7")


async def test_an_answer_that_does_not_come_is_not_asked_for_again(lend: Lend, letters: Path):
    """The bytes may have arrived, or may yet."""
    async with lend(letters) as hands, hanging_up() as (url, heads):
        report = await hands.do(Putting(seen(letters), url, SHA256))
    assert report.failure is Failure.NO_ANSWER and len(heads) == 1


@pytest.mark.parametrize(
    "url, failure",
    [("http://127.0.0.1:9/secret", Failure.NOT_HERE), ("a secret", Failure.NO_ADDRESS)],
)
async def test_an_address_that_leads_nowhere_is_told(lend, letters, url, failure):
    """From here; and the address isn't."""
    async with lend(letters) as hands:
        report = await hands.do(Putting(seen(letters), url, SHA256))
    assert report.failure is failure and "secret" not in report.message


async def test_an_object_goes_from_its_store_to_its_address(
    lend: Lend, letters: Path, monkeypatch: pytest.MonkeyPatch
):
    """By a signed address, so that no hand has credentials; a newer one doesn't."""
    pytest.importorskip("moto.server", reason="needs moto")
    from bucket import bucket

    with bucket(monkeypatch, "inbox") as store:
        store.put("a.txt", TEXT)
        content = object_store.content_by(_headers(store), "a.txt")
        signed = object_store.signed("s3://inbox", "a.txt")
        object_ = StoredObject("a.txt", content, len(TEXT), signed)
        there = Place()
        async with lend(letters) as hands, place(there.take) as url:
            assert (await hands.do(Putting(object_, f"{url}?1"))).status == 200
            store.put("a.txt", b"b letter")
            report = await hands.do(Putting(object_, f"{url}?2"))
    assert report.failure is Failure.NOT_HERE and "changed since it was listed" in report.message
    assert there.arrived == {"1": TEXT}


def _headers(store: Any) -> dict[str, str]:
    """What the store's answers say of the object, by its listing."""
    meta = store.head("a.txt")
    return {"ETag": meta["e_tag"], "Content-Length": str(meta["size"])}


async def test_what_was_done_is_told_before_the_answer(cluster: str, letters: Path):
    """A run may end with it, and its figures are the last that it has heard."""
    wanted = Wanted(address=cluster, hands=1, landmarks=landmarks(letters))
    async with RayHands(wanted) as hands:
        for number in range(1, 4):
            await hands.do(Hashing(seen(letters)))
            assert sum(node.hashed for node in hands.standing.nodes) == number
