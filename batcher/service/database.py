"""The service's SQLite file: one thread writes to it, and reads use a second connection.

A write is durable when `write` returns: what waits together is committed together, so a thousand
submissions a second cost a few commits. This module knows the schema and no rules about jobs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from batcher.common.group_writer import GroupWriter
from batcher.errors import PlaceUnusable

Statement = tuple[str, Sequence[Any]]

SCHEMA: Final = (  # one entry for each version; a file of an earlier one is brought up to date
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
    -- the request as it was sent; empty where a part of it is never written
    request TEXT,
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
GROUP: Final = 1000  # the most writes that share one commit


class Database:
    """Use as a context manager; `write` from the event loop only, `one` and `all` from the thread
    that opened it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Database:
        try:
            connection = _open(self._path)
            _create_schema(connection, self._path)
            self._reader = _open(self._path)
            self._reader.execute("PRAGMA query_only = 1")
        except sqlite3.Error as trouble:
            raise PlaceUnusable(
                f"the local service can't use {self._path}: {trouble}; name another folder with "
                "--data-dir"
            ) from trouble
        self._writer = GroupWriter(connection, name="service-writer", most=GROUP)
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._reader.close()

    async def write(self, *statements: Statement) -> int:
        """Execute all of them in one durable transaction and return the number of rows that the
        last one touched.
        """
        return await self._writer.do(lambda connection: _execute(connection, statements))

    def one(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._reader.execute(sql, parameters).fetchone()
        return row

    def all(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        return self._reader.execute(sql, parameters).fetchall()


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
    touched = 0
    for sql, parameters in statements:
        touched = connection.execute(sql, parameters).rowcount
    return touched
