"""Recipes do what they say: the commands of each page run as they stand, in a fresh folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.request import Request, urlopen

import pytest

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = {
    path.stem: path.read_text("utf-8")
    for path in sorted((ROOT / "examples" / "recipes").glob("*.md"))
    if path.stem != "README"
}
# what must stand in stdout or stderr, in this order
SAID: Final = {
    "clean-up": ["3 saved", "3 documents", "0 of them now", "3 saved"],
    "concurrency-and-rate": ["3 saved", "3 documents: 3 saved"],
    "cost-by-metadata": ["3 saved", "department", "accounts", "2", "museum", "1"],
    "duckdb": ["3 saved", "chunks", "letter.txt", "0."],
    "exit-codes": ["everything is on disk"],
    "failures": ["exit code 1", "broken.pdf", "broken.pdf", "4 saved", "1 of them now"],
    "move": ["3 saved", "0 of them now"],
    "one-document": ["nothing is paid", "INV-2026-001"],
    "postgres": ["3 saved", "letter.txt", "notes.md"],
    "rehearsal": ["3 saved", "letter.txt.json", "3 saved"],
    "s3-to-s3": ["send       3 documents", "3 saved", "0 of them now"],
    "upgrade": ["batcher, version", "3 saved", "3 as they are", "0 of them now"],
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
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (tools / name).chmod(0o755)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    return {
        **os.environ,
        "PATH": path,
        "PYTHONPATH": str(ROOT),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "COLUMNS": "100",
    }


@contextmanager
def surroundings(page: str, folder: Path, inbox: Path, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a page takes for granted: two buckets, or a database."""
    if page == "s3-to-s3":
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
