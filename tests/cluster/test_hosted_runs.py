"""Batches of a hosted service whose large files are hashed and uploaded on a cluster.

The service is a peer on loopback that counts; what pays is one process's, with and without hands.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import web
from lending import process_at, session_of
from peer import KEY, Peer, listening

pytestmark = pytest.mark.timeout(400)  # Ray starts a process for all that is asked of it

LARGE = 1_200_000  # bytes
SIGNATURE = "canary-51d0-signature-of-an-address"
TWO_HANDS = ("--on", "ray", "-S", "cluster.hands=2")  # without it, one for each core of the cluster


@pytest.fixture
async def service() -> AsyncIterator[Peer]:
    async with listening(Peer(signature=SIGNATURE)) as peer:
        yield peer


@pytest.fixture
def letters(tmp_path: Path) -> Path:
    """Six large files, two of them with the same bytes, and four small ones."""
    folder = tmp_path / "letters"
    folder.mkdir()
    for number in range(6):
        (folder / f"large-{number}.txt").write_bytes(bytes([max(1, number)]) * LARGE)
    for number in range(4):
        (folder / f"small-{number}.txt").write_text(f"letter {number}")
    return folder


async def batcher(*words: object) -> tuple[int, str, str]:
    """Run a command beside the peer; return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "batcher", *map(str, words)),
        env={**os.environ, "REDUCTO_API_KEY": KEY, "NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def of_bucket(folder: Path, url: str, more: str = "") -> Path:
    """A manifest for the objects of the bucket `inbox`."""
    path = folder / "objects.toml"
    path.write_text(
        f"""batch = "objects"
service = {{ url = "{url}" }}
[source]
url = "s3://inbox"
{more}
[job]
endpoint = "parse"
[output]
directory = "out"
"""
    )
    return path


async def test_large_files_go_by_hands_and_the_rest_as_ever(
    cluster: str, service: Peer, letters: Path, tmp_path: Path
):
    """Each distinct content is paid for once, each address put to once; status and plan --check say
    what the nodes do; the same command sends nothing. No key and no address is in Ray's files.
    """
    out = tmp_path / "out"
    on = ("--service", service.url, *TWO_HANDS, "-S", f"cluster.address={cluster}")
    words = ("-o", out, *on, "-S", "cluster.resources.moving=1")
    code, said, err = await batcher("plan", letters, "--check", *words)
    assert code == 0, err
    assert said.count(": 1 hand for large files") == 2, said
    before = service.calls.copy()
    code, _, err = await batcher("run", letters, *words)
    assert code == 0 and "10 saved" in err, err
    assert service.calls["run_job"] == len(service.service.jobs) == len(service.service.paid()) == 9
    assert service.calls["announce"] == len(service.puts) == 5
    assert set(service.puts.values()) == {1}
    assert service.calls["upload"] - before["upload"] == 5 + 4
    _, status, _ = await batcher("status", out, "--json")
    nodes = json.loads(status)["cluster"]["nodes"]
    assert sum(node["hashed"] for node in nodes) == 6
    assert sum(node["uploaded"] for node in nodes) == 5
    assert "files hashed" in err or "file hashed" in err
    before = service.calls.copy()
    assert (await batcher("run", letters, *words))[0] == 0
    assert service.calls["run_job"] == before["run_job"]
    assert service.calls["upload"] == before["upload"]
    assert (await batcher("report", out, "-o", tmp_path / "report.html"))[0] == 0
    assert "files uploaded" in (tmp_path / "report.html").read_text()
    for path in session_of(cluster).rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert KEY.encode() not in content and SIGNATURE.encode() not in content, path


async def test_hands_that_are_killed_while_they_upload_cost_time_only(
    cluster: str, service: Peer, letters: Path, tmp_path: Path
):
    """Every try has an address of its own, and nothing is paid for twice."""
    killed: list[int] = []

    async def deadly(peer: Peer, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        if len(killed) < 2:
            with suppress(AssertionError):  # it may have been killed for another file
                killed.append(process_at(request.transport.get_extra_info("peername")[1]))
                os.kill(killed[-1], signal.SIGKILL)
        return await peer.put(request)

    service.moods["put"] = deadly
    on = ("--service", service.url, *TWO_HANDS, "-S", f"cluster.address={cluster}")
    words = ("run", letters, "-o", tmp_path / "out", *on)
    code, _, err = await batcher(*words)
    assert code == 0 and "10 saved" in err, err
    assert killed and "what they were at is done again" in err
    assert service.calls["run_job"] == len(service.service.paid()) == 9
    assert set(service.puts.values()) == {1}
    assert service.calls["upload"] > 5 + 4, "another address, or an upload by the run itself"


async def test_a_batch_goes_on_without_its_cluster(
    cluster: str, service: Peer, letters: Path, tmp_path: Path
):
    """What was hashed by hands is the same as what this machine hashes."""
    out = tmp_path / "out"
    on = ("--service", service.url, "-o", out, "-S", "limits.max_documents=3")
    ran = await batcher("run", letters, *on, *TWO_HANDS, "-S", f"cluster.address={cluster}")
    assert ran[0] == 3, ran
    code, _, err = await batcher("run", letters, "--service", service.url, "-o", out)
    assert code == 0 and "10 saved" in err, err
    assert len(service.service.paid()) == 9


async def test_objects_go_from_their_store_without_passing_here(
    cluster: str, service: Peer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By a signed address; hands get no credentials, and Ray's files no address."""
    pytest.importorskip("moto.server", reason="needs moto")
    from bucket import bucket

    with bucket(monkeypatch, "inbox") as store:
        store.put("large.txt", b"x" * LARGE)
        store.put("small.txt", b"a letter")
        manifest = of_bucket(tmp_path, service.url)
        code, _, err = await batcher(
            "run", manifest, *TWO_HANDS, "-S", f"cluster.address={cluster}"
        )
    assert code == 0 and "2 saved" in err, err
    assert len(service.puts) == 1 and service.calls["upload"] == 2
    assert b"x" * LARGE in service.service.uploads.values()
    for path in session_of(cluster).rglob("*"):
        if path.is_file():
            assert b"X-Amz-Signature" not in path.read_bytes(), path


async def test_a_folder_that_no_node_sees_is_told_before_anything_is_sent(
    cluster: str, service: Peer, letters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With the node, the folder, and what to do."""
    unshared = "import batcher.cluster.file_work as work; from pathlib import Path\n"
    unshared += "work.landmarks = lambda folder: [work.StoredFile('/not/here', '', 0)]\n"
    unshared += "from batcher.cli import main; main()"
    words = ("run", letters, "-o", tmp_path / "out", "--service", service.url, *TWO_HANDS)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", unshared, *map(str, words), "-S", f"cluster.address={cluster}"),
        env={**os.environ, "REDUCTO_API_KEY": KEY, "NO_COLOR": "1"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    said = err.decode()
    assert process.returncode == 2, said
    assert "doesn't see the files of /not/here" in said and "mount that folder there" in said
    assert not service.calls["upload"] and not service.calls["run_job"]


async def test_presigned_objects_leave_nothing_for_a_cluster(tmp_path: Path):
    """That is an error of the manifest."""
    manifest = of_bucket(tmp_path, "https://api.example.org", 'transfer = "presign"')
    code, _, err = await batcher("run", manifest, "--on", "ray")
    assert code == 2 and "there is nothing for a cluster to upload" in err, err
