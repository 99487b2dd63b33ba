"""Where the source of a document is, and what its bytes were."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple


class SourcePlace(NamedTuple):
    """`content` is the hash of the bytes and the extension; None if they couldn't be read."""

    source: str
    folder: str
    place: str | None
    content: str | None


def source_place(connection: sqlite3.Connection, document: int) -> SourcePlace | None:
    """Return where the source of a document is; None if there is no such document."""
    sql = "SELECT source, folder, place, content FROM documents WHERE id = ?"
    row = connection.execute(sql, (document,)).fetchone()
    return row and SourcePlace._make(row)
