"""The one hand that writes the ledger, and a disk that fails it."""

import asyncio
import os
import sqlite3
from pathlib import Path

import pytest

from batcher.common.group_writer import GroupWriter
from batcher.core.events import Accepted
from batcher.errors import OutputError
from batcher.ledger.journal import Journal, entries
from batcher.ledger.writer import group_writer


def connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (x)")
    return connection


async def put(writer: GroupWriter, size: int) -> None:
    await writer.do(lambda c: c.execute("INSERT INTO t VALUES (zeroblob(?))", (size,)))


async def test_a_full_disk_fails_all_that_waits_and_all_that_comes_after(tmp_path: Path) -> None:
    """Also where there is room again: what the failed sync left in memory is not to be trusted."""
    connection = connected(tmp_path / "t.db")
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    writer = group_writer(connection)
    await put(writer, 10)
    outcomes = await asyncio.gather(
        *(put(writer, size) for size in (10, 100_000, 10)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [OutputError] * 3
    with pytest.raises(OutputError, match="disk is full"):
        await put(writer, 10)
    writer.close()
    rows = sqlite3.connect(tmp_path / "t.db").execute("SELECT count(*) FROM t").fetchone()
    assert rows == (1,), "nothing of the failed group, and what was durable before is there"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's own")
async def test_a_journal_that_cannot_be_written_stops_the_ledger(tmp_path: Path) -> None:
    """It must be durable first: a ledger that went on without it could not be made anew."""
    journal = Journal(Path("/dev/full"))
    writer = group_writer(connected(tmp_path / "t.db"), shadow=journal)

    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO t VALUES (1)")
        journal._lines.append(b"a line\n")

    with pytest.raises(OutputError, match="No space left"):
        await writer.do(work)
    with pytest.raises(OutputError, match="No space left"):
        await put(writer, 10)
    writer.close()
    assert sqlite3.connect(tmp_path / "t.db").execute("SELECT count(*) FROM t").fetchone() == (0,)


async def test_a_request_that_is_wrong_fails_alone(tmp_path: Path) -> None:
    """The others of its commit are durable, and the writer goes on."""
    writer = group_writer(connected(tmp_path / "t.db"))

    def wrong(connection: sqlite3.Connection) -> None:
        raise AssertionError("a defect")

    outcomes = await asyncio.gather(
        put(writer, 1), writer.do(wrong), put(writer, 2), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), AssertionError, type(None)]
    await put(writer, 3)
    writer.close()


async def test_the_journal_is_on_disk_before_each_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written, then synced, then committed: a power cut in between leaves no attempt that only the
    ledger knew.
    """
    steps: list[str] = []
    connection = connected(tmp_path / "t.db")
    connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT)")
    journal = Journal(tmp_path / "t.journal.jsonl")
    in_file = (tmp_path / "t.journal.jsonl").stat().st_ino
    write = os.write
    fsync = os.fsync

    def noted(name: str, fd: int) -> None:
        if os.fstat(fd).st_ino == in_file:
            steps.append(name)

    def writes(fd: int, data: bytes) -> int:
        noted("written", fd)
        return write(fd, data)

    def syncs(fd: int) -> None:
        fsync(fd)
        noted("synced", fd)

    monkeypatch.setattr("os.write", writes)
    monkeypatch.setattr("os.fsync", syncs)
    connection.set_trace_callback(
        lambda sql: steps.append("committed") if sql == "COMMIT" else None
    )
    writer = group_writer(connection, shadow=journal)

    async def note(document: int) -> None:
        await writer.do(lambda c: journal.note(c, Accepted(document, "job", 1.0), 0.0))
        assert steps[-3:] == ["written", "synced", "committed"], (
            "and whoever asked goes on after that"
        )

    await note(1)
    await asyncio.gather(*(note(number) for number in range(2, 40)))
    await put(writer, 10)
    writer.close()
    assert steps[-1] == "committed"
    assert steps.count("synced") == steps.count("written") < 39, (
        "one sync serves many, and none where nothing is told"
    )
    assert [entry.values["document"] for entry in entries(tmp_path / "t.journal.jsonl")] == list(
        range(1, 40)
    )
