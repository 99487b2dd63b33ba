"""The saved results from which a sample is drawn."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from batcher.ledger.queries.fragments import EACH


class SavedResult(NamedTuple):
    """A result on disk; `size` is in bytes, of the document itself."""

    document: int
    source: str
    step: str
    output: str
    sha256: str
    size: int
    output_size: int
    place: str | None


def numbers_of_results(connection: sqlite3.Connection, step: str) -> list[int]:
    """Return the numbers of all documents whose current result of that step is on disk."""
    sql = f"SELECT d.id FROM documents d WHERE {_SAVED} AND d.job = ?"
    return [number for (number,) in connection.execute(sql, (step,))]


def saved_results(connection: sqlite3.Connection, documents: Iterable[int]) -> list[SavedResult]:
    """Return the current results of these documents, of as many as have one on disk."""
    sql = f"""
        SELECT d.id, d.source, d.job, d.output, d.output_sha256, d.size, d.output_size, d.place
        FROM documents d WHERE d.id IN ({EACH}) AND {_SAVED}"""
    rows = connection.execute(sql, (json.dumps(list(documents)),))
    return [SavedResult._make(row) for row in rows]


_SAVED = "d.current = 1 AND d.state = 'saved' AND d.output_sha256 IS NOT NULL"
