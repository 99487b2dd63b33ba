"""Documents in an object store: S3 as moto plays it on loopback."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest
from bucket import SIGNED_BY_ANYBODY
from commandline import batcher, rows
from locked_pdf import locked_pdf
from moto.server import ThreadedMotoServer
from obstore.store import from_url
from peer import Peer, once, says

PLACE = "s3://archive/in"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Six letters below `in/`, one of them hidden, one empty, one elsewhere."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "canary-id",
        "AWS_SECRET_ACCESS_KEY": "canary-secret",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    _request("PUT", f"http://{host}:{port}/archive")
    store = from_url("s3://archive", client_options={"allow_http": True})
    for key, content in {
        "in/a/eins ü.txt": b"one",
        "in/a/two.txt": b"two",
        "in/b/large.txt": b"x" * (2 << 20),
        "in/b/.hidden.txt": b"hidden",
        "in/b/note.unknown": b"of no known type",
        "other/three.txt": b"three",
    }.items():
        obstore.put(store, key, content)
    yield store
    _request("POST", f"http://{host}:{port}/moto-api/reset")
    server.stop()


def _request(method: str, url: str, content: bytes | None = None) -> None:
    import urllib.request

    headers = {"Authorization": SIGNED_BY_ANYBODY}
    asked = urllib.request.Request(url, content, headers, method=method)
    urllib.request.urlopen(asked).close()


@pytest.fixture
def manifest(tmp_path: Path, peer: Peer) -> Path:
    data = {
        "batch": "archive",
        "service": {"url": peer.url},
        "source": {"url": PLACE},
        "output": {"directory": "out"},
    }
    (tmp_path / "m.json").write_text(json.dumps(data))
    return tmp_path / "m.json"


async def test_objects_are_uploaded_and_known_again_unread(
    bucket: object, manifest: Path, peer: Peer, out: Path
) -> None:
    """By ETag and size; one that is written anew is sent anew, and no large one stays behind on
    disk.
    """
    said = await batcher("run", manifest)
    assert said.code == 0, said.err
    assert sorted(len(content) for content in peer.service.uploads.values()) == [3, 3, 2 << 20]
    found = {str(path.relative_to(out)) for path in out.rglob("*.txt.json")}
    assert found == {"a/eins ü.txt.json", "a/two.txt.json", "b/large.txt.json"}
    assert list((out / ".batcher" / "parts").iterdir()) == []
    assert (await batcher("run", manifest)).code == 0
    assert len(peer.service.jobs) == 3
    obstore.put(bucket, "in/a/two.txt", b"two, again")  # type: ignore[arg-type]
    assert (await batcher("run", manifest)).code == 0
    assert len(peer.service.jobs) == 4


async def test_objects_are_handed_over_by_signed_addresses(
    bucket: object, manifest: Path, peer: Peer, out: Path
) -> None:
    """Nothing is uploaded; the signature stands in the submissions and nowhere on disk."""
    peer.service.read_addresses = True
    said = await batcher("run", manifest, "-S", "source.transfer=presign")
    assert said.code == 0, said.err
    assert peer.calls["upload"] == 0
    assert all("X-Amz-Signature=" in job.source for job in peer.service.jobs.values())
    written = b"".join(file.read_bytes() for file in out.rglob("*") if file.is_file())
    for text in (written, said.err.encode()):
        assert b"X-Amz-Signature" not in text
        assert b"canary" not in text
    assert rows(out, "SELECT DISTINCT substr(file_id, 1, 15) FROM attempts") == [(PLACE,)]
    assert (await batcher("run", manifest)).code == 0
    assert len(peer.service.jobs) == 3, "the way it goes makes no other document of it"


async def test_patterns_and_sizes_hold_for_objects_too(
    bucket: object, manifest: Path, peer: Peer
) -> None:
    """As in a folder."""
    planned = await batcher(
        "plan", manifest, "--json", "-S", 'source.exclude=["b/"]', "-S", "source.max_size=1MB"
    )
    assert json.loads(planned.out)["to_send"] == 2, planned.err


async def test_a_plan_says_that_nobody_counts_pages_elsewhere(
    bucket: object, manifest: Path, peer: Peer
) -> None:
    """An estimate from one page each is named as the least it comes to; of files at hand nothing is
    said.
    """
    assert (
        "at least: pages of 3 that lie elsewhere count as one each"
        in (await batcher("plan", manifest)).out
    )
    assert (await batcher("run", manifest)).code == 0
    assert "elsewhere" not in (await batcher("plan", manifest)).out


async def test_a_bucket_that_is_not_there_stops_the_run(
    bucket: object, manifest: Path, peer: Peer
) -> None:
    """Before anything is sent, named once, by the store's own word for it and with where
    credentials come from.
    """
    said = await batcher("run", manifest, "-S", "source.url=s3://nowhere/in")
    assert said.code == 2
    assert (
        said.err.count("s3://nowhere/in") == 1
        and "NoSuchBucket" in said.err
        and "<" not in said.err
    )
    assert "environment" in said.err
    assert "Traceback" not in said.err


async def test_an_object_that_vanished_meanwhile_is_not_sent(
    bucket: object, manifest: Path, peer: Peer, out: Path
) -> None:
    """An earlier run had queued it; the run says that it isn't asked for any more, and the others
    go on.
    """
    assert (await batcher("run", manifest, "-S", "limits.max_documents=1")).code == 3
    obstore.delete(bucket, ["in/a/eins ü.txt", "in/a/two.txt", "in/b/large.txt"])  # type: ignore[arg-type]
    said = await batcher("run", manifest)
    assert said.code == 0
    assert "2 documents that an earlier run had queued will not be sent" in said.err


async def test_protected_objects_are_opened_by_reference(
    bucket: object, manifest: Path, peer: Peer, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tried where they are uploaded from here, also those that were there already when they were
    refused for now.
    """
    monkeypatch.setenv("PASSWORDS", "canary-a\ncanary-b")
    for name, size in {"small": 0, "large": 2 << 20}.items():
        obstore.put(bucket, f"in/{name}.pdf", locked_pdf("x", "canary-b") + b" " * size)  # type: ignore[arg-type]
    peer.moods["run_job"] = once(says(429, {"detail": "slow down"}), "run_job")
    words = ("-S", "source.passwords_env=PASSWORDS", "-S", 'source.include=["*.pdf"]')
    said = await batcher("run", manifest, *words)
    assert said.code == 0, said.err
    sent = [
        json.loads(job.config)["settings"]["document_password"]
        for job in peer.service.jobs.values()
    ]
    assert sent == ["canary-b", "canary-b"]
    assert list((out / ".batcher" / "parts").iterdir()) == []
    assert not [
        file for file in out.rglob("*") if file.is_file() and b"canary" in file.read_bytes()
    ]


ODD = ("in/a//b.txt", "in/a/../b.txt", "in/m/./b.txt", "in/zz//b/c.txt")


@pytest.mark.parametrize("odd", [ODD[:1], ODD[1:2], ODD])
async def test_a_key_that_cannot_be_read_is_told_and_the_others_are_done(
    odd: tuple[str, ...], bucket: object, manifest: Path, peer: Peer, out: Path
) -> None:
    """An empty part, or one of dots: obstore refuses the whole page of it."""
    for key in odd:
        _put_as_it_stands(key)
    for key in ("in/k/last.txt", "in/zz/z.txt"):
        obstore.put(bucket, key, key.encode())  # type: ignore[arg-type]
    for _ in range(2):
        said = await batcher("run", manifest)
        assert said.code in (0, 1), said.err
    names = ["a/eins ü.txt", "a/two.txt", "b/large.txt", "k/last.txt", "zz/z.txt"]
    states = dict(rows(out, "SELECT source, state FROM documents"))
    told = [key.removeprefix("in/") for key in odd]
    assert states == {**dict.fromkeys(names, "saved"), **dict.fromkeys(told, "unreadable")}
    assert len(peer.service.jobs) == len(names)
    assert "Traceback" not in (await batcher("plan", manifest)).err


def _put_as_it_stands(key: str) -> None:
    """obstore can't name such a key."""
    _request("PUT", f"{os.environ['AWS_ENDPOINT_URL']}/archive/{key}", b"odd")
