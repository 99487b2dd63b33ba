"""Recipes do what they say: the commands of each page run as they stand, in a fresh folder."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any, Final, TypeVar
from urllib.request import Request, urlopen

import pytest
from certificates import self_signed
from peer import KEY, Peer, listening

T = TypeVar("T")
Y = TypeVar("Y")
ELSEWHERE: Final = "reducto.example.com"

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = {
    path.stem: path.read_text("utf-8")
    for path in sorted((ROOT / "examples" / "recipes").glob("*.md"))
    if path.stem != "README"
}
# what must stand in stdout or stderr, in this order
SAID: Final = {
    "airflow": ["3 saved"],
    "clean-up": ["3 saved", "3 documents", "0 of them now", "3 saved"],
    "concurrency-and-rate": ["3 saved", "3 documents: 3 saved"],
    "cost-by-metadata": ["3 saved", "department", "accounts", "2", "museum", "1"],
    "cron": ["begins", "3 saved"],
    "duckdb": ["3 saved", "chunks", "letter.txt", "0."],
    "exit-codes": ["everything is on disk"],
    "failures": ["exit code 1", "broken.pdf", "broken.pdf", "4 saved", "1 of them now"],
    "move": ["3 saved", "0 of them now"],
    "one-document": ["nothing is paid", "INV-2026-001"],
    "postgres": ["3 saved", "letter.txt", "notes.md"],
    "proxy-and-ca": ["send       3 documents", "key        accepted", "3 saved"],
    "rehearsal": ["3 saved", "letter.txt.json", "3 saved"],
    "s3-to-s3": ["send       3 documents", "3 saved", "0 of them now"],
    "systemd": ['"event":"RunEnded"'],
    "upgrade": ["batcher, version", "3 saved", "3 as they are", "0 of them now"],
}
PROGRAMS: Final = {
    "airflow": "airflow",
    "proxy-and-ca": "openssl",
    "systemd": "systemd-analyze",
}
DOCUMENTS: Final = {
    "invoice.pdf": "documents/invoices/2026/INV-2026-001.pdf",
    "letter.txt": "documents/correspondence/letter-to-museum.txt",
    "notes.md": "documents/reports/meeting-notes.md",
}


def test_every_recipe_is_listed_and_tried() -> None:
    listed = (ROOT / "examples" / "recipes" / "README.md").read_text("utf-8")
    assert set(re.findall(r"\]\(([\w-]+)\.md\)", listed)) == set(PAGES) == set(SAID)


@pytest.mark.skipif(
    not all(map(shutil.which, ("bash", "cat", "cp", "grep", "mkdir", "mv", "rm"))),
    reason="a shell and its usual programs aren't there",
)
@pytest.mark.timeout(300)  # Airflow takes a minute to make its database
@pytest.mark.parametrize("page", PAGES)
def test_a_recipe_does_what_it_says(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox = filled(tmp_path / "inbox")
    if page == "failures":
        (inbox / "broken.pdf").write_bytes((inbox / "invoice.pdf").read_bytes()[:700])
    script = "\n".join(re.findall(r"^```sh\n(.*?)^```", PAGES[page], re.MULTILINE | re.DOTALL))
    with surroundings(page, tmp_path, inbox, monkeypatch):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
    assert done.returncode == 0, done.stdout
    assert re.search(".*".join(map(re.escape, SAID[page])), done.stdout, re.DOTALL), done.stdout


def filled(inbox: Path) -> Path:
    inbox.mkdir()
    for name, path in DOCUMENTS.items():
        shutil.copyfile(ROOT / "examples" / path, inbox / name)
        os.utime(inbox / name, (1_700_000_000, 1_700_000_000))
    return inbox


def environment(folder: Path) -> dict[str, str]:
    """A shell in which `batcher` and `python3` are those of this test."""
    tools = folder / "bin"
    tools.mkdir()
    for name, words in (("batcher", "-m batcher"), ("python3", "")):
        command = f'PYTHONPATH="{ROOT}" exec "{sys.executable}" {words} "$@"'
        (tools / name).write_text(f"#!/bin/sh\n{command}\n")
        (tools / name).chmod(0o755)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {
        **os.environ,
        "PATH": path,
        "XDG_CACHE_HOME": str(folder / "cache"),
        "COLUMNS": "100",
    }


@contextmanager
def surroundings(page: str, folder: Path, inbox: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a page takes for granted: two buckets, a database, a proxy, a folder of this project."""
    if page in PROGRAMS and shutil.which(PROGRAMS[page]) is None:
        pytest.skip(f"{PROGRAMS[page]} isn't there")
    if page in ("airflow", "systemd"):
        shutil.copytree(ROOT / "examples" / "night", folder / "night")
        patch.setenv("AIRFLOW_HOME", str(folder / "airflow"))
    if page == "proxy-and-ca":
        with service_behind_a_proxy(folder, patch):
            yield
    elif page == "s3-to-s3":
        with buckets(inbox, patch):
            yield
    elif page == "postgres":
        with database(folder, patch):
            yield
    else:
        if page == "duckdb":
            pytest.importorskip("duckdb")
        yield


@contextmanager
def buckets(inbox: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    pytest.importorskip("moto")
    pytest.importorskip("obstore")
    from bucket import bucket
    from obstore.store import from_url

    with bucket(patch, "archive") as archive:
        made = Request(f"{os.environ['AWS_ENDPOINT_URL']}/inbox", method="PUT")
        urlopen(made, timeout=10).close()
        there = from_url("s3://inbox", client_options={"allow_http": True})
        for path in inbox.iterdir():
            there.put(path.name, path.read_bytes())
        yield
        names = {one["path"] for listed in archive.list() for one in listed}
        assert {f"results/{name}.json" for name in DOCUMENTS} <= names
        assert "results/letter.txt.md" in names


@contextmanager
def service_behind_a_proxy(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """A service that only a proxy can reach, and whose certificate nobody but company.pem knows."""
    certificate = self_signed(folder / "company.pem", f"DNS:{ELSEWHERE}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    patch.setenv("REDUCTO_API_KEY", KEY)
    patch.setenv("GATEWAY_KEY", "the gateway's key")
    peer = Peer()
    with in_a_thread(serve_through_a_proxy(peer, context)) as (address, asked_for):
        patch.setenv("HTTPS_PROXY", address)
        yield
    assert set(asked_for) == {f"{ELSEWHERE}:443"}
    assert peer.service.jobs
    assert {headers["X-Gateway-Key"] for _, headers in peer.headers} == {"the gateway's key"}


@asynccontextmanager
async def serve_through_a_proxy(
    peer: Peer, tls: ssl.SSLContext
) -> AsyncIterator[tuple[str, list[str]]]:
    """The proxy's address, and what it was asked for."""
    asked_for = list[str]()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked_for.append(head.split()[1].decode())
        there = await asyncio.open_connection("127.0.0.1", int(peer.url.rpartition(":")[2]))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(passed_on(reader, there[1]), passed_on(there[0], writer))

    async with listening(peer, tls=tls):
        proxy = await asyncio.start_server(connect, "127.0.0.1", 0)
        port = proxy.sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}", asked_for
        finally:
            proxy.close()


async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
    writer.close()


@contextmanager
def in_a_thread(serving: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """What `serving` yields, for as long as the block lasts, on a loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()

    def call(work: Coroutine[Any, Any, Y]) -> Y:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    try:
        yield call(serving.__aenter__())
        call(serving.__aexit__(None, None, None))
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def database(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server of its own on a socket; a user without rights runs it, for it refuses root."""
    if not all(map(shutil.which, ("initdb", "pg_ctl", "psql"))):
        pytest.skip("Postgres isn't installed")
    home = Path(f"/tmp/batcher-pg-{os.getpid()}")
    home.mkdir(mode=0o700)
    user: list[str] = []
    if os.getuid() == 0:
        if shutil.which("runuser") is None:
            pytest.skip("Postgres refuses root, and there is no runuser")
        shutil.chown(home, "nobody")
        user = ["runuser", "-u", "nobody", "--"]
    data = str(home / "data")
    quiet = {"cwd": "/", "check": True, "stdout": subprocess.DEVNULL}
    try:
        subprocess.run(
            [*user, "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N"], **quiet
        )
        settings = f"-k {home} -c listen_addresses="
        log = str(home / "log")
        subprocess.run(
            [*user, "pg_ctl", "-D", data, "-w", "-l", log, "-o", settings, "start"], **quiet
        )
        patch.setenv("PGHOST", str(home))
        patch.setenv("PGUSER", "postgres")
        try:
            yield
        finally:
            subprocess.run([*user, "pg_ctl", "-D", data, "-m", "immediate", "stop"], **quiet)
    finally:
        shutil.rmtree(home, ignore_errors=True)
