"""What the batch as a whole has on record, by key."""

from __future__ import annotations

import sqlite3


def noted(connection: sqlite3.Connection, key: str) -> str | None:
    """Return the value that was put down last under `key`; None if there is none."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return row and str(row[0])
