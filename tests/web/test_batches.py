"""The list of batches, and what each page says of real ones."""

from __future__ import annotations

import asyncio
import os
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from ledgers import make_ledger
from web_client import Client

from batcher.ledger.lock import lock
from batcher.ledger.queries.run_history import KILLED, RunRecord
from batcher.manifest.loading import load
from batcher.runs.running import run_batch
from batcher.web.catalogue import FOLDERS_AT_MOST, Batch, Catalogue
from batcher.web.glance import Glance, attention, glance_at

ROOT = Path(__file__).parents[2]
NOW = 1_800_000_000.0


def record(ended: str = "finished", **more: Any) -> RunRecord:
    told = {"reason": "", "exit_code": 0, "ended_at": NOW} | more
    return RunRecord(
        number=1,
        started_at=NOW - 60,
        ended=ended,
        saved=0,
        failed=0,
        pages=0,
        credits=0.0,
        warnings=(),
        version="0",
        service="local",
        **told,
    )


def values(states: dict[str, int], **more: Any) -> dict[str, Any]:
    nothing = {"under_way": False, "nearest_deadline_at": None, "warnings": []}
    return {"documents": states, "last_run": record(), **nothing, **more}


URGENT_FIRST = [
    ("Past the deadline", values({"waiting": 1}, nearest_deadline_at=NOW - 1)),
    ("Run it again", values({"waiting": 2}, nearest_deadline_at=NOW + 60)),
    ("Killed", values({"queued": 1}, last_run=record(KILLED, ended_at=None, exit_code=None))),
    ("To be decided", values({"held": 1, "saved": 5})),
    ("At a limit", values({"queued": 1}, last_run=record("limit"))),
    ("Not all saved", values({"failed": 1, "saved": 5})),
    ("Running", values({"waiting": 1}, under_way=True, nearest_deadline_at=NOW + 60)),
    ("No run yet", values({}, last_run=None)),
    ("Finished", values({"saved": 5})),
]


def test_what_needs_a_person_comes_first() -> None:
    """Results that may be lost before decisions, these before failures, and all is well last."""
    found = [attention(seen, now=NOW) for _, seen in URGENT_FIRST]
    assert [one.title for one in found] == [title for title, _ in URGENT_FIRST]
    assert sorted(found, key=lambda one: one.rank) == found


async def test_all_batches_below_a_folder_are_listed(shown: Client, folder: Path) -> None:
    """Also deeper ones and the folder's own; a batch that comes later is there later."""
    assert "There is no batch below these folders yet" in (await shown.get("/")).words
    for name in ("a", "b/c/d"):
        make_ledger(folder / name / ".batcher" / "ledger.db", 10)
    html = (await shown.get("/")).text
    assert len(set(re.findall(r"/batch/[0-9a-f]{16}", html))) == 2
    for there in set(re.findall(r"/batch/[0-9a-f]{16}", html)):
        assert (await shown.get(there)).status == 200


def test_a_folder_with_too_many_folders_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a home directory to be searched."""
    assert not Catalogue([tmp_path]).look().is_cut
    monkeypatch.setattr("batcher.web.catalogue.FOLDERS_AT_MOST", 3)
    for number in range(5):
        (tmp_path / f"{number}").mkdir()
    assert Catalogue([tmp_path]).look().is_cut
    assert FOLDERS_AT_MOST > 1000


async def test_a_run_that_was_killed_is_told(shown: Client, folder: Path) -> None:
    """It left no word, and nobody holds its ledger; while somebody does, it is under way."""
    ledger = make_ledger(folder / "archive" / ".batcher" / "ledger.db", 10)
    with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        connection.execute("DELETE FROM runs")
        sql = "INSERT INTO runs (started_at, version, service) VALUES (?, '0', 'local')"
        connection.execute(sql, (time.time(),))
    assert "Killed" in (await shown.get("/")).words
    held = lock(ledger)
    try:
        assert "Running" in (await shown.get("/")).words
    finally:
        os.close(held)


async def test_a_ledger_that_didn_t_change_isn_t_read_again(
    shown: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that is looked at for hours asks every few seconds."""
    reads = []

    def counted(batch: Batch) -> Glance:
        reads.append(batch)
        return glance_at(batch)

    monkeypatch.setattr("batcher.web.pages.batches.glance_at", counted)
    make_ledger(folder / "archive" / ".batcher" / "ledger.db", 10)
    first = (await shown.get("/")).text
    assert (await shown.get("/")).text == first and len(reads) == 1


async def test_a_run_that_has_only_begun_is_shown(shown: Client, folder: Path) -> None:
    """It holds the ledger, and hasn't written yet that it runs."""
    ledger = make_ledger(folder / "archive" / ".batcher" / "ledger.db", 0, nights=0)
    held = lock(ledger)
    answer = await shown.get(await shown.batch())
    os.close(held)
    assert answer.status == 200 and "Running" in answer.words


async def test_what_people_look_for_comes_first(shown: Client, folder: Path) -> None:
    """During a run its pace, and afterwards what failed."""
    ledger = make_ledger(folder / "archive" / ".batcher" / "ledger.db", 200)
    there = await shown.batch()
    words = (await shown.get(there)).words
    assert words.index("Not saved") < words.index("Pace of the last run")
    held = lock(ledger)
    words = (await shown.get(there)).words
    os.close(held)
    assert words.index("Pace of the last run") < words.index("Not saved")


@pytest.mark.parametrize("name", ["quickstart", "trouble"])
async def test_a_real_batch_is_shown(
    name: str, shown: Client, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was saved and what wasn't, why, and the command that mends it."""
    manifest = load(
        ROOT / "manifests" / f"{name}.toml", overrides=[f"output.directory={folder / 'my batch'}"]
    )
    async with asyncio.timeout(100):
        summary = await run_batch(manifest)
    there = await shown.batch()
    words = (await shown.get(there)).words
    assert f"{summary.documents['saved']} saved" in words and "not billed" in words
    assert (f"{summary.exit_code}" in words) and str(folder / "my batch") in words
    if name == "trouble":
        assert "DOCUMENT_PASSWORD_PROTECTED" in words and "locked.pdf" in words
        assert f"batcher retry '{folder / 'my batch'}' --only document" in words
    else:
        assert "Not saved" not in words and "Finished" in words
