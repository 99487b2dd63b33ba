"""The service's SQLite file: one thread writes in groups, reads go to a second connection.

A write is durable when `write` returns. Writes that wait at the same time share one commit, so a
thousand submissions a second cost a few commits. Knows the schema, but no rules about jobs.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from batcher.errors import PlaceUnusable

Statement = tuple[str, Sequence[Any]]

SCHEMA: Final = (  # one entry for each version; older files are migrated when they are opened
    """
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of acceptance, and the listing's cursor
    job_id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    lane INTEGER NOT NULL,
    status TEXT NOT NULL,
    created_at REAL NOT NULL,
    duration REAL,
    raw_config TEXT NOT NULL,               -- the request as it is shown, without passwords
    request TEXT,                           -- empty where that leaves something out, which is never written
    token TEXT NOT NULL,                    -- makes the addresses of its files unguessable
    persist INTEGER NOT NULL DEFAULT 0,
    linked INTEGER NOT NULL DEFAULT 0,      -- its result holds addresses of files served here
    num_pages INTEGER,
    error_name TEXT, error_code INTEGER, error_message TEXT,
    deleted_at REAL
);
CREATE INDEX jobs_open ON jobs (seq) WHERE status = 'Pending';
CREATE INDEX jobs_created ON jobs (created_at);
CREATE TABLE uploads (
    upload_id TEXT PRIMARY KEY,
    extension TEXT NOT NULL,
    size INTEGER,                           -- NULL until the bytes are here
    created_at REAL NOT NULL,
    token TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX uploads_created ON uploads (created_at);
""",
    """
CREATE TABLE endpoints (                    -- for signed webhooks, as added on the portal's page
    endpoint_id TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    secret TEXT NOT NULL,
    channels TEXT NOT NULL,                 -- with commas between; empty: all of them
    failing_since REAL,
    disabled INTEGER NOT NULL DEFAULT 0
);
""",
)
GROUP: Final = 1000  # most writes that share one commit


class Database:
    """A context manager for the file; entering it raises `PlaceUnusable` if it can't be used.

    Call `write` on the event loop only, `one` and `all` in the thread that opened it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._commit_groups, name="service-writer", daemon=True
        )

    def __enter__(self) -> Database:
        try:
            self._writer = _open(self._path)
            _create_schema(self._writer, self._path)
            self._reader = _open(self._path)
            self._reader.execute("PRAGMA query_only = 1")
        except sqlite3.Error as trouble:
            raise PlaceUnusable(
                f"the local service can't use {self._path}: {trouble}; name another folder with "
                "--data-dir"
            ) from trouble
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.put(None)
        self._thread.join()
        self._reader.close()
        self._writer.close()

    async def write(self, *statements: Statement) -> int:
        """Execute the statements in one durable transaction; return the row count of the last one.

        Raises sqlite3.Error if they, or others of the same group, fail.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiting.put(_Write(statements, done))
        touched: int = await done
        return touched

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Row | None:
        """Return the first row, or None."""
        row: sqlite3.Row | None = self._reader.execute(sql, parameters).fetchone()
        return row

    def all(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return all rows."""
        return self._reader.execute(sql, parameters).fetchall()

    def _commit_groups(self) -> None:
        while group := self._next_group():
            try:
                for write in group:
                    write.touched = _execute(self._writer, write.statements)
                self._writer.execute("COMMIT")
            except sqlite3.Error as refusal:
                _roll_back(self._writer)
                _tell(group, refusal)
            else:
                _tell(group, None)

    def _next_group(self) -> list[_Write]:
        group = []
        write = self._waiting.get()
        while write is not None:
            group.append(write)
            if len(group) == GROUP or self._waiting.empty():
                break
            write = self._waiting.get()
        if write is None and group:
            self._waiting.put(None)  # the None is read again after this group is committed
        return group


class _Write:
    __slots__ = ("done", "statements", "touched")

    def __init__(self, statements: Sequence[Statement], done: asyncio.Future[int]) -> None:
        self.statements = statements
        self.done = done
        self.touched = 0


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _create_schema(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(SCHEMA):
        raise PlaceUnusable(
            f"{path} was written by a later version of batcher; give another --data-dir"
        )
    for number in range(version, len(SCHEMA)):
        connection.executescript(
            f"BEGIN IMMEDIATE;{SCHEMA[number]}PRAGMA user_version = {number + 1};COMMIT;"
        )


def _execute(connection: sqlite3.Connection, statements: Sequence[Statement]) -> int:
    if not connection.in_transaction:
        connection.execute("BEGIN IMMEDIATE")
    touched = 0
    for sql, parameters in statements:
        touched = connection.execute(sql, parameters).rowcount
    return touched


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _tell(group: list[_Write], refusal: sqlite3.Error | None) -> None:
    """Complete the futures of a group with one call into the event loop."""
    loop = group[0].done.get_loop()
    if not loop.is_closed():
        loop.call_soon_threadsafe(_settle, group, refusal)


def _settle(group: list[_Write], refusal: sqlite3.Error | None) -> None:
    for write in group:
        if write.done.done():
            continue
        if refusal is None:
            write.done.set_result(write.touched)
        else:
            write.done.set_exception(refusal)
