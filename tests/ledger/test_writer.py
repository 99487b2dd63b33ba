"""The one hand that writes the ledger, and a disk that fails it."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from batcher.errors import OutputError
from batcher.ledger.journal import Journal
from batcher.ledger.writer import GroupWriter


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
    writer = GroupWriter(connection)
    await put(writer, 10)
    outcomes = await asyncio.gather(*(put(writer, size) for size in (10, 100_000, 10)), return_exceptions=True)
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
    writer = GroupWriter(connected(tmp_path / "t.db"), shadow=journal)

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
    writer = GroupWriter(connected(tmp_path / "t.db"))

    def wrong(connection: sqlite3.Connection) -> None:
        raise AssertionError("a defect")

    outcomes = await asyncio.gather(put(writer, 1), writer.do(wrong), put(writer, 2), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), AssertionError, type(None)]
    await put(writer, 3)
    writer.close()
