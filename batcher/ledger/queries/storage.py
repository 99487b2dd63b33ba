"""Queries of `prune`: which files the ledger still needs, and what in the ledger itself is old."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Final, NamedTuple

from batcher.core.lifecycle import State
from batcher.ledger.queries.fragments import EACH


class Replaced(NamedTuple):
    """A result that a newer one replaced, as its document remembers it."""

    document: int
    is_current: bool
    content: str
    step: str
    replaced_at: float


class Served(NamedTuple):
    """A saved result whose job a service has, or had; `is_kept` says whether it still must."""

    document: int
    job_id: str
    file_id: str | None
    output: str
    sha256: str
    is_kept: bool
    deletion_started: bool


class StorageQueries:
    """Queries about what a batch keeps."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def result_bytes(self) -> int:
        """Return the bytes of all current results."""
        sql = "SELECT total(output_size) FROM documents WHERE current = 1 AND state = 'saved'"
        return int(self._connection.execute(sql).fetchone()[0])

    def replaced(self, hashes: Sequence[str]) -> dict[str, list[Replaced]]:
        """Return, by hash, the documents whose result had it; none for a hash no document has."""
        found: dict[str, list[Replaced]] = {sha256: [] for sha256 in hashes}
        for sha256, *row in self._connection.execute(_REPLACED, (json.dumps(list(hashes)),)):
            found[sha256].append(Replaced._make(row))
        return found

    def outputs_of(self, content: str, step: str, sha256: str) -> list[str]:
        """Return where results with these bytes, step and hash were put."""
        sql = (
            "SELECT DISTINCT output FROM documents WHERE content = ? AND step = ? AND "
            "output_sha256 = ?"
        )
        return [row[0] for row in self._connection.execute(sql, (content, step, sha256))]

    def served(self, service: str, now: float) -> list[Served]:
        """Return the saved results that jobs of `service` gave and that aren't deleted there."""
        return [
            Served._make((*row[:5], bool(row[5]), bool(row[6])))
            for row in self._connection.execute(_SERVED, (now, service))
        ]

    def in_doubt(self) -> int:
        """Count the documents whose submission the job list may still have to tell of."""
        states = json.dumps([State.HELD, State.SENDING, State.UNKNOWN])
        sql = f"SELECT count(*) FROM documents WHERE state IN ({EACH})"
        return int(self._connection.execute(sql, (states,)).fetchone()[0])

    def unsaved_of_chain(self) -> int:
        """Count the unsaved documents of a batch whose steps read each other's jobs; else 0."""
        sql = "SELECT 1 FROM documents WHERE upstream IS NOT NULL LIMIT 1"
        if self._connection.execute(sql).fetchone() is None:
            return 0
        unsaved = "SELECT count(*) FROM documents WHERE current = 1 AND state <> 'saved'"
        return int(self._connection.execute(unsaved).fetchone()[0])

    def run_starts(self) -> list[float]:
        """Return when each run began, the newest first."""
        return [
            row[0]
            for row in self._connection.execute("SELECT started_at FROM runs ORDER BY id DESC")
        ]

    def summaries(self, *, but: int) -> list[tuple[int, str]]:
        """Return (run, summary as JSON) of all runs but the last `but`."""
        sql = (
            "SELECT id, summary FROM runs WHERE summary IS NOT NULL AND id NOT IN"
            " (SELECT id FROM runs ORDER BY id DESC LIMIT ?)"
        )
        return list(self._connection.execute(sql, (but,)))

    def unused_bytes(self) -> tuple[int, int]:
        """Return (bytes that the file has and doesn't use, bytes of the file)."""
        (page,) = self._connection.execute("PRAGMA page_size").fetchone()
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        return free * page, pages * page


_REPLACED: Final = f"""
    SELECT d.output_sha256, d.id, d.current, d.content, d.step,
           coalesce((SELECT max(e.at) FROM events e WHERE e.document = d.id), 0)
    FROM documents d WHERE d.output_sha256 IS NOT NULL AND d.output_sha256 IN ({EACH})"""
_SERVED: Final = """
    SELECT d.id, a.job_id, iif(a.input_kind = 'upload', a.file_id, NULL), d.output, d.output_sha256,
           a.deadline_at > ?, a.deletion_started_at IS NOT NULL
    FROM attempts a JOIN documents d ON d.id = a.document
    WHERE a.outcome = 'saved' AND a.cleaned_at IS NULL AND a.job_id IS NOT NULL AND a.service = ?
    AND d.state = 'saved' AND d.current = 1
    AND a.number = (SELECT max(b.number) FROM attempts b WHERE b.document = d.id)"""


def forget_results(connection: sqlite3.Connection, hashes: Sequence[str]) -> None:
    """Record that superseded documents' results with these hashes are gone for good."""
    connection.execute(
        "UPDATE documents SET output_sha256 = NULL, output_size = NULL"
        f" WHERE state = 'superseded' AND current = 0 AND output_sha256 IN ({EACH})",
        (json.dumps(list(hashes)),),
    )


def shorten_summaries(connection: sqlite3.Connection, shorter: Sequence[tuple[str, int]]) -> None:
    """Write (summary, run)."""
    connection.executemany("UPDATE runs SET summary = ? WHERE id = ?", shorter)


def vacuum(connection: sqlite3.Connection) -> None:
    """Rewrite the file without its unused pages. Nobody else may have it open.

    SQLite promises to keep row numbers only where a table has a key of one number, which attempts
    haven't; the audit remembers by such a number how far it has come.
    """
    before = _audited_to(connection)
    connection.execute("VACUUM")
    if _audited_to(connection) != before:
        connection.execute("DELETE FROM meta WHERE key = 'audited_to'")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _audited_to(connection: sqlite3.Connection) -> tuple[int, int] | None:
    sql = (
        "SELECT document, number FROM attempts WHERE rowid ="
        " (SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'audited_to')"
    )
    row = connection.execute(sql).fetchone()
    return row and (int(row[0]), int(row[1]))
