"""Queries of `cancel`: which of the documents that a person names can still be cancelled."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from typing import Final, NamedTuple

from batcher.core.lifecycle import OPEN, OUT
from batcher.ledger.queries.fragments import EACH, listed


class CurrentDocument(NamedTuple):
    """A document that isn't superseded."""

    id: int
    state: str

    @property
    def is_open(self) -> bool:
        """Whether it still awaits its end."""
        return self.state in OPEN


def documents_of(
    connection: sqlite3.Connection, sources: Collection[str], *, step: str | None
) -> list[CurrentDocument]:
    """Return the current documents of these sources: of all steps, or of `step` alone."""
    rows = connection.execute(_OF_SOURCES, (json.dumps(list(sources)), step, step))
    return [CurrentDocument._make(row) for row in rows]


def documents_of_step(connection: sqlite3.Connection, step: str) -> list[CurrentDocument]:
    """Return all current documents of a step."""
    rows = connection.execute(_OF_STEP, (step,))
    return [CurrentDocument._make(row) for row in rows]


def shared_jobs(
    connection: sqlite3.Connection, documents: Collection[int]
) -> list[tuple[str, str]]:
    """Return (source, copy) for copies that await the job of one of `documents`.

    Copies that are among `documents` themselves aren't returned.
    """
    ids = json.dumps(list(documents))
    return list(connection.execute(_SHARED, (ids, ids)))


_OF_SOURCES: Final = f"""
    SELECT id, state FROM documents
    WHERE current = 1 AND source IN ({EACH}) AND (? IS NULL OR job = ?) ORDER BY id"""
_OF_STEP: Final = "SELECT id, state FROM documents WHERE current = 1 AND job = ? ORDER BY id"
_SHARED: Final = f"""
    SELECT primary_one.source, copy.source
    FROM documents copy JOIN documents primary_one ON primary_one.id = copy.payer
    WHERE copy.state = 'duplicate' AND copy.current = 1 AND copy.id NOT IN ({EACH})
    AND primary_one.id IN ({EACH}) AND primary_one.state IN ({listed(OUT)})
    ORDER BY copy.id"""
