"""The journal and a power cut: of a file only what was synced is left, and that must be all the
ledger answered for.
"""

import os
from pathlib import Path
from typing import Any

import pytest

from batcher.core import events as e
from batcher.ledger.intake import Version
from batcher.ledger.journal import entries, journal_of
from batcher.ledger.ledger import open_ledger

NOW = 1_800_000_000.0
STORY = (
    (e.Uploaded(1, "reducto://1"), e.Sending(1, "n1", "s", "k", 1.0)),
    (e.ReplyLost(1, "reset"),),
    (e.Fenced(1, NOW), e.Adopted(1, "job-1", NOW + 43_200)),
    (e.Ended(1, 2, 2.0), e.Saved(1, "a.json", "00", 7)),
    (e.FileMissed(1, "no file"), e.Expired(1, "404")),
)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """How many bytes of each file, by its inode, a power cut would leave."""
    sizes: dict[int, int] = {}

    def watch(name: str) -> None:
        sync = getattr(os, name, None)
        if sync is None:
            return

        def watched(fd: Any) -> None:
            sync(fd)
            status = os.fstat(fd)
            sizes[status.st_ino] = status.st_size

        monkeypatch.setattr(os, name, watched)

    watch("fsync")
    watch("fdatasync")
    return sizes


async def test_what_the_ledger_has_answered_for_outlives_a_power_cut(
    synced: dict[int, int], tmp_path: Path
) -> None:
    """After every commit each step so far is on the disk, or a lost ledger couldn't be made anew
    from it.
    """
    path = tmp_path / "ledger.db"
    ledger = open_ledger(path, batch="b", clock=lambda: NOW)
    facts = {
        "folder": "/in",
        "job": "parse",
        "step": "s",
        "content": "c",
        "size": 1,
        "mtime_ns": 0,
        "inode": 0,
    }
    await ledger.admit([Version(source="a", output="a.json", **facts)])
    told: list[str] = []
    for happened in STORY:
        await ledger.record(*happened)
        told += [type(event).__name__ for event in happened if not isinstance(event, e.Uploaded)]
        assert _after_a_power_cut(journal_of(path), synced, tmp_path / "left") == told
    ledger.close()


def _after_a_power_cut(journal: Path, synced: dict[int, int], left: Path) -> list[str]:
    left.write_bytes(journal.read_bytes()[: synced.get(journal.stat().st_ino, 0)])
    return [entry.event for entry in entries(left)]
