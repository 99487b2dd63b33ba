"""`batcher serve` and its folder: what it refuses, what it leaves alone, what it says."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from service_client import PARSER, Client

from batcher.errors import PlaceUnusable
from batcher.service.local import LocalOptions, LocalService

ROOT = Path(__file__).parents[2]
KEY = "k" * 24


SERVED = ("-m", "batcher")
# The same, but waits no quarter of a minute for the one that has the folder.
SERVED_AT_ONCE = (
    "-c",
    "from batcher.service import folder; folder.LOCK_PATIENCE = 0.2; import batcher.__main__",
)


@contextmanager
def serving(
    folder: Path, *more: str, key: str = KEY, started: Sequence[str] = SERVED
) -> Iterator[subprocess.Popen[str]]:
    paths = f"{ROOT}{os.pathsep}{Path(__file__).parent}"
    words = ["--data-dir", str(folder), "--workers", "1", "--parser", PARSER, *more]
    process = subprocess.Popen(
        [sys.executable, *started, "serve", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": paths, "REDUCTO_API_KEY": key},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def refused(folder: Path, *more: str, started: Sequence[str] = SERVED) -> str:
    """What it says to being turned away, in one line."""
    with serving(folder, *more, started=started) as process:
        said, trouble = process.communicate(timeout=30)
    assert process.returncode == 2 and not said
    assert trouble.startswith("batcher: ") and trouble.count("\n") == 1, trouble
    return trouble


def seen(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Everything below, with its mode and content."""
    paths = [folder, *folder.rglob("*")]
    return {
        str(path): (path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in paths
    }


@pytest.mark.parametrize(
    "names",
    [
        ["Downloads/thesis.pdf.part"],
        ["notes.txt"],
        ["lock"],
        ["uploads/a.part", "results/b.part"],
        ["lock", "uploads/a.part", "results/b.part"],
        ["service.db", "lock", "uploads/a.part", "results/b.part", "letter.txt"],
    ],
)
async def test_a_folder_with_other_people_s_files_is_refused_untouched(
    tmp_path: Path, names: list[str]
) -> None:
    """Nothing in it is made, deleted or given another mode, and the words say what to type
    instead.
    """
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("hours of work")
    tmp_path.chmod(0o755)
    before = seen(tmp_path)
    with pytest.raises(PlaceUnusable, match="--data-dir"):
        async with LocalService(LocalOptions(tmp_path, workers=1, parser=PARSER)):
            raise AssertionError("it serves from there")
    assert seen(tmp_path) == before


async def test_an_empty_folder_keeps_its_mode_and_what_lies_in_it_is_private(
    tmp_path: Path, session: object
) -> None:
    """Whatever the umask: documents, results, pictures and the database are their owner's alone."""
    tmp_path.chmod(0o755)
    before = os.umask(0)
    try:
        async with LocalService(
            LocalOptions(tmp_path, workers=1, parser=PARSER), key="secret"
        ) as service:
            client = Client(session, service)  # type: ignore[arg-type]
            await client.parsed(b"picture")
            modes = {path: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
            folders = {path for path in modes if path.is_dir()}
    finally:
        os.umask(before)
    assert {modes[path] for path in folders} == {0o700} and len(folders) == 3
    assert {mode for path, mode in modes.items() if path not in folders} == {0o600}
    assert tmp_path.stat().st_mode & 0o777 == 0o755


async def test_a_service_knows_its_folder_again(tmp_path: Path) -> None:
    """Also with a stranger's file put there since, and one that an earlier version made, without a
    mark.
    """
    options = LocalOptions(tmp_path / "data", workers=1, parser=PARSER)
    for _ in range(2):
        async with LocalService(options):
            (tmp_path / "data" / "note.txt").write_text("mine")
    (tmp_path / "data" / "note.txt").unlink()
    (tmp_path / "data" / "lock").write_bytes(b"")
    async with LocalService(options):
        assert (tmp_path / "data" / "lock").read_bytes()


async def test_only_its_own_leftovers_are_swept(tmp_path: Path) -> None:
    """A name that no service gives, and whatever a link leads to, are somebody else's."""
    data = tmp_path / "data"
    elsewhere = tmp_path / "elsewhere"
    options = LocalOptions(data, workers=1, parser=PARSER)
    async with LocalService(options):
        pass
    job = str(uuid.uuid4())
    (data / "results" / job).mkdir()
    elsewhere.mkdir()
    (data / "results" / str(uuid.uuid4())).symlink_to(elsewhere)
    own = [
        data / "uploads" / f"{uuid.uuid4()}.part",
        data / "results" / f"{job}.json.part",
        data / "results" / job / "a.png.part",
    ]
    others = [
        data / "uploads" / "thesis.part",
        data / "results" / "mine.json.part",
        elsewhere / "film.part",
        data / "b.part",
    ]
    for path in (*own, *others):
        path.write_text("half")
    async with LocalService(options):
        assert not [path for path in own if path.exists()] and all(path.exists() for path in others)


def test_a_second_service_that_is_turned_away_harms_no_upload_of_the_first(tmp_path: Path) -> None:
    """It looks at nothing in there before it holds the lock."""
    with serving(tmp_path) as first:
        address = first.stdout.readline().strip().removeprefix("http://")
        host, port = address.split(":")
        body = (
            b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
            + b"x" * 600_000
            + b"\r\n--B--\r\n"
        )
        head = f"POST /upload HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {KEY}\r\n"
        head += (
            f"Content-Type: multipart/form-data; boundary=B\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection((host, int(port))) as pipe:
            pipe.sendall(head.encode() + body[:400_000])
            while not list(tmp_path.glob("uploads/*.part")):
                pass
            trouble = refused(tmp_path, started=SERVED_AT_ONCE)
            pipe.sendall(body[400_000:])
            assert pipe.recv(4000).startswith(b"HTTP/1.1 200")
    assert "another local service" in trouble


@pytest.mark.parametrize("key", ["", "  "])
def test_a_key_that_was_made_up_is_told(tmp_path: Path, key: str) -> None:
    """An empty variable holds no key."""
    with serving(tmp_path, key=key) as process:
        process.stdout.readline()
        assert process.stdout.readline().startswith("REDUCTO_API_KEY=")


def test_a_key_that_was_given_is_not_printed(tmp_path: Path) -> None:
    """It ends with SIGTERM in good order, and has said its address alone."""
    with serving(tmp_path) as process:
        address = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest, trouble = process.communicate(timeout=30)
    assert address.startswith("http://") and not rest and not trouble and process.returncode == 0


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    """Exit code 2, one line, and the port in it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert port in refused(tmp_path, "--port", port)


def test_a_host_that_is_none_is_told(tmp_path: Path) -> None:
    """Exit code 2 and one line."""
    assert "999.1.1.1" in refused(tmp_path, "--host", "999.1.1.1")


@pytest.mark.parametrize(
    "kind", ["file", "below a file", "damaged", "a folder for a database", "later"]
)
def test_a_folder_that_can_t_be_used_is_told(tmp_path: Path, kind: str) -> None:
    """Exit code 2 and one line, whatever is wrong with it."""
    folder = tmp_path / "data"
    match kind:
        case "file":
            folder.write_text("a file")
        case "below a file":
            folder.write_text("a file")
            folder = folder / "below"
        case _:
            with serving(folder) as first:
                first.stdout.readline()
            for path in folder.glob("service.db*"):
                path.unlink()
            spoil(folder / "service.db", kind)
    refused(folder)


def spoil(database: Path, kind: str) -> None:
    match kind:
        case "damaged":
            database.write_bytes(b"no database" * 1000)
        case "a folder for a database":
            database.mkdir()
        case "later":
            connection = sqlite3.connect(database)
            connection.execute("PRAGMA user_version = 99")
            connection.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_isn_t_writable_is_told(tmp_path: Path) -> None:
    """Exit code 2 and one line."""
    tmp_path.chmod(0o555)
    try:
        refused(tmp_path / "data")
    finally:
        tmp_path.chmod(0o755)


async def test_sigterm_in_the_middle_of_work_ends_it_in_good_order(
    tmp_path: Path, session: object
) -> None:
    """Exit code 0 and not a word, though a document is being read and a caller waits."""
    with serving(tmp_path / "data", key="secret") as process:
        service = type("Served", (), {"url": process.stdout.readline().strip()})()
        client = Client(session, service)  # type: ignore[arg-type]
        document = await client.upload(f"wait for {tmp_path / 'never'}".encode())
        waiting = asyncio.create_task(client.call("POST", "/parse", json={"input": document}))
        while (await client.call("GET", "/jobs"))[1]["jobs"][:1] == []:
            pass
        process.send_signal(signal.SIGTERM)
        _, trouble = await asyncio.to_thread(process.communicate, timeout=30)
        await asyncio.wait([waiting])
        waiting.exception()
    assert process.returncode == 0 and not trouble


async def test_two_that_begin_at_once_share_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them has the folder, the other is told so."""
    monkeypatch.setattr("batcher.service.folder.LOCK_PATIENCE", 0.2)
    shutil.rmtree(tmp_path)
    options = LocalOptions(tmp_path, workers=1, parser=PARSER)
    async with LocalService(options):
        with pytest.raises(PlaceUnusable, match="another local service"):
            async with LocalService(options):
                raise AssertionError("both have it")
