"""A folder as nobody should have one: a run over it hangs nowhere, and every file in it comes to a
verdict.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import stat
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from aiohttp import web
from commandline import batcher, rows
from peer import Peer

from batcher.common.names import elsewhere, path_of, with_tag

READS_ANYTHING = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
PR_CAPBSET_DROP = 24
LETTER = b"a letter"
NAMES = (
    b"plain.txt",
    b"latin \xe9\xff.txt",
    b"new\nline.txt",
    b"escape \x1b[31mred\x1b[0m \x07.txt",
    b"back\\slash \\x41.txt",
    "right-to-left \u202etxt.exe.txt".encode(),
    b"  spaces  .txt",
    b"-rf.txt",
    b"%2e%2e%2f.txt",
    b"quote'\";DROP TABLE documents;--.txt",
    b"n" * 251 + b".txt",
    "ü".encode() * 125 + b".txt",
    b"case.txt",
    b"CASE.txt",
    "nfc é.txt".encode(),
    "nfd e\u0301.txt".encode(),
)


async def test_every_file_of_a_hostile_tree_comes_to_a_verdict(tmp_path: Path, peer: Peer) -> None:
    """Links in circles, pipes, sockets, devices, odd names, paths too long, files that change, go
    or can't be read.
    """
    inbox = tmp_path / "inbox"
    out = tmp_path / "out"
    expected = _plant(inbox)
    peer.moods["upload"] = _meddling(inbox)
    words = ("run", inbox, "-o", out, "--service", peer.url, "-S", "service.settle=1")
    async with asyncio.timeout(90):
        said = await batcher(*words, before=_read_no_more_than_a_user)
    assert said.code == 1, said.err
    assert "\x1b" not in said.err
    found = {
        path_of(str(name)): state
        for name, state in rows(out, "SELECT source, state FROM documents")
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found[b"grows.txt"] in ("source_changed", "saved")  # depending on who came first
    assert found[b"vanishes.txt"] in ("source_gone", "source_changed", "saved")
    assert set(found.values()) <= {
        "saved",
        "unsupported",
        "unreadable",
        "source_changed",
        "source_gone",
        "duplicate",
    }
    assert any(b"deep" in name and state == "unreadable" for name, state in found.items())
    saved = [name for name, state in found.items() if state == "saved"]
    results = [path for path in out.rglob("*.json") if ".batcher" not in path.parts]
    assert len(results) == len(saved)
    assert all(stat.S_ISREG(path.lstat().st_mode) for path in results)
    assert peer.service.paid()


async def test_a_hostile_output_keeps_its_files_and_gets_every_result(
    inbox: Path, out: Path, peer: Peer
) -> None:
    """A file or a link where a folder must be, folders in the place of results: all are saved,
    once, and verified.
    """
    out.mkdir()
    (out / "0").write_text("a stranger's")
    (out / "1").symlink_to(inbox)
    (out / "top.txt.json").mkdir()
    # so deep that its result's whole path would be longer than the system takes
    deep = "/".join(["d" * 240] * 14)
    for name in ("top.txt", f"{deep}/bottom.txt"):
        (inbox / name).parent.mkdir(parents=True, exist_ok=True)
        _write(os.fsencode(inbox / name), name.encode())
    words = ("run", inbox, "-o", out, "--service", peer.url, "-S", "service.settle=1")
    for more in (["--start-over"], []):
        said = await batcher(*words, *more)
        assert said.code == 0, said.err
    assert rows(out, "SELECT state, count(*) FROM documents GROUP BY state") == [("saved", 8)]
    assert len(peer.service.jobs) == 8
    assert (await batcher("verify", out)).code == 0
    assert (out / "0").read_text() == "a stranger's"
    assert not list(inbox.rglob("*.json"))


async def test_a_result_that_has_no_place_at_all_stops_no_other(
    inbox: Path, out: Path, peer: Peer
) -> None:
    """It is paid for and stays at the service: told with what to do, and fetched once there is a
    place.
    """
    result = (
        b'{"response_type":"parse","usage":{"num_pages":1},"result":{"type":"full","chunks":[]}}'
    )

    async def the_same_for_all(peer: Peer, request: web.Request) -> web.StreamResponse:
        return web.Response(
            body=b'{"status":"Completed","result":%b}' % result, content_type="application/json"
        )

    peer.moods["job"] = the_same_for_all
    output = "0/letter 0.txt.json"
    tag = sha256(result).hexdigest()[:8]
    taken = [out / place for place in (output, with_tag(output, tag), *elsewhere(output))]
    for place in taken:
        place.mkdir(parents=True)
    words = ("run", inbox, "-o", out, "--service", peer.url, "-S", "service.settle=1")
    said = await batcher(*words, "--start-over")
    assert said.code == 1, said.err
    assert "move them away" in said.err
    assert rows(out, "SELECT state, count(*) FROM documents GROUP BY state") == [
        ("saved", 5),
        ("stuck", 1),
    ]
    for place in taken:
        place.rmdir()
    assert (await batcher("retry", out, "--only", "stuck")).code == 0
    assert (await batcher(*words)).code == 0
    assert rows(out, "SELECT state, count(*) FROM documents GROUP BY state") == [("saved", 6)]
    assert len(peer.service.jobs) == 6


def _plant(inbox: Path) -> dict[bytes, str]:
    """What each is to come to, by its path."""
    root = os.fsencode(inbox)
    os.mkdir(root)
    expected = {}
    for number, name in enumerate(NAMES):
        _write(root + b"/" + name, LETTER + b" %d" % number)
        expected[name] = "saved"
    for name, make, verdict in _ODD:
        make(root + b"/" + name)
        expected[name] = verdict
    for name in (b"grows.txt", b"vanishes.txt"):
        _write(root + b"/" + name, name * (1 << 18))
    os.symlink(b".", root + b"/circle")
    _deepen(root)
    return expected


def _write(path: bytes, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
    os.utime(path, (1_700_000_000, 1_700_000_000))


def _unreadable(path: bytes) -> None:
    _write(path, LETTER)
    os.chmod(path, 0)


def _listen(path: bytes) -> None:
    here = os.getcwd()
    os.chdir(os.path.dirname(path))  # a socket's whole path may have 108 bytes
    try:
        with socket.socket(socket.AF_UNIX) as door:
            door.bind(os.path.basename(path))
    finally:
        os.chdir(here)


_ODD: tuple[tuple[bytes, Callable[[bytes], None], str], ...] = (
    (b"link.txt", lambda path: os.symlink(b"plain.txt", path), "unsupported"),
    (b"dangling.txt", lambda path: os.symlink(b"nowhere", path), "unsupported"),
    (b"itself.txt", lambda path: os.symlink(os.path.basename(path), path), "unsupported"),
    (b"to the kernel.txt", lambda path: os.symlink(b"/proc/self/mem", path), "unsupported"),
    (b"pipe.txt", lambda path: os.mkfifo(path), "unsupported"),
    (b"socket.txt", _listen, "unsupported"),
    (b"empty.txt", lambda path: _write(path, b""), "unreadable"),
    (b"locked.txt", _unreadable, "unreadable"),
)


def _deepen(root: bytes) -> None:
    """Folders in folders, to a path longer than any call takes, with a letter at the bottom."""
    fd = os.open(root, os.O_RDONLY)
    for _ in range(30):
        name = b"deep" * 50
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open(b"letter.txt", os.O_WRONLY | os.O_CREAT, dir_fd=fd))
    os.close(fd)


def _meddling(inbox: Path) -> Callable[[Peer, web.Request], object]:
    """As soon as anything is uploaded, one file has grown and another is gone."""

    async def upload(peer: Peer, request: web.Request) -> web.StreamResponse:
        (inbox / "vanishes.txt").unlink(missing_ok=True)
        with (inbox / "grows.txt").open("ab") as file:
            file.write(b"more")
        return await peer.upload(request)

    return upload


def _read_no_more_than_a_user() -> None:
    """Root reads what it may not: without these it is as anyone."""
    libc = ctypes.CDLL(None)
    for capability in READS_ANYTHING if os.geteuid() == 0 else ():
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
