"""Reads what is on record for the batch as a whole, by key."""

from __future__ import annotations

import sqlite3


def noted(connection: sqlite3.Connection, key: str) -> str | None:
    """Return the value that was last recorded under `key`, or None."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return row and str(row[0])
