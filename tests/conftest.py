"""A service on loopback, an inbox of six letters, and the words that run the one through the
other.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from peer import Peer, listening

# Hundreds of processes are started: none compiles batcher anew, and none reads the certificates of
# the system, for nothing here speaks TLS with anybody else.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
os.environ["SSL_CERT_FILE"] = str(Path(__file__).with_name("nobody.pem"))


def pytest_xdist_auto_num_workers() -> int:
    """Tests wait for processes, disks and services of their own more than they compute."""
    return 2 * len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else 4


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests beside this file first: some take seconds, for which all would wait at the end.

    They would be the last otherwise, for folders come before files.
    """
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)


def pytest_collection_finish() -> None:
    """What is there by now stays to the end: looking through it for garbage would take long."""
    gc.collect()
    gc.freeze()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with listening(Peer()) as peer:
        yield peer


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    for number in range(6):
        path = folder / f"{number % 2}" / f"letter {number // 2}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"letter {number}")
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def words(inbox: Path, out: Path, peer: Peer) -> tuple[object, ...]:
    return ("run", inbox, "-o", out, "--service", peer.url, "-S", "service.settle=1")
