"""Queries about documents with the same bytes and step: which pays, and whose result is copied."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from batcher.core.lifecycle import MAY_HAVE_COST, OPEN, OUT, State
from batcher.ledger.queries.fragments import COUNTS_STILL, has_result, listed
from batcher.ledger.queries.rows import Alike, Copy
from batcher.reducto.error_rules import PASSING


class SharingQueries:
    """One document with the same bytes and step is paid for; the others copy its result."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def is_copy(self, document: int) -> bool:
        """Return whether it still waits for the result of another."""
        sql = "SELECT 1 FROM documents WHERE id = ? AND current = 1 AND state = 'duplicate'"
        return self._connection.execute(sql, (document,)).fetchone() is not None

    def copies(self, limit: int) -> list[Copy]:
        """Return up to `limit` copies whose payer has come to an end."""
        rows = self._connection.execute(
            "SELECT d.id, d.upstream, d.output, p.id, iif(p.state = 'superseded', "
            "p.superseded_from, p.state),"
            " p.state <> 'superseded', (SELECT count(*) FROM attempts a WHERE a.document = p.id"
            " AND NOT (a.outcome = 'void' AND a.job_id IS NULL)), p.output, p.output_sha256, "
            "p.reason, p.kind, p.error_name"
            " FROM documents d JOIN documents p ON p.id = d.payer WHERE d.state = 'duplicate' AND "
            "p.state NOT IN"
            f" ({listed(OPEN)}) ORDER BY d.id LIMIT ?",
            (limit,),
        )
        return [Copy._make((*row[:4], State(row[4]), bool(row[5]), *row[6:])) for row in rows]

    def saved_copies(self, payer: int) -> list[int]:
        """Return the current documents that copied the result of `payer`."""
        sql = (
            "SELECT id FROM documents WHERE payer = ? AND state = 'saved' AND current = 1 AND "
            "id <> payer"
        )
        return [row[0] for row in self._connection.execute(sql, (payer,))]

    def results_like(self, copy: Copy, *, below: int | None = None) -> list[Alike]:
        """Return some results with the same bytes and step, the latest first.

        Only of documents below that number; without it its payer's is the first.
        """
        rows = self._connection.execute(
            "SELECT o.id, o.output, o.output_sha256, o.not_served FROM documents d"
            " JOIN documents o ON o.content = d.content AND o.step = d.step"
            f" AND {has_result('o')}"
            " WHERE d.id = ?1 AND (?2 IS NULL OR o.id < ?2)"
            " ORDER BY ?2 IS NULL AND o.id = ?3 DESC, o.id DESC LIMIT 8",
            (copy.id, below, copy.payer),
        )
        return [Alike._make(row) for row in rows]

    def later_verdict(self, copy: Copy) -> Copy | None:
        """Return `copy` with the verdict of a later job on the same bytes, or None.

        That job came after its payer's, and its document has been superseded since.
        """
        row = self._connection.execute(
            "SELECT p.id, p.superseded_from, p.reason, p.kind, p.error_name FROM documents d"
            " JOIN documents p ON p.content = d.content AND p.step = d.step AND p.id > ?"
            f" AND p.state = 'superseded' AND {COUNTS_STILL} WHERE d.id = ? ORDER BY p.id DESC "
            "LIMIT 1",
            (copy.payer, copy.id),
        ).fetchone()
        if row is None:
            return None
        verdict = {
            "payer_state": State(row[1]),
            "payer_reason": row[2],
            "payer_kind": row[3],
            "payer_error_name": row[4],
        }
        return copy._replace(payer=row[0], payer_current=False, payer_paid=1, **verdict)

    def still_at_service(
        self, document: int, service: str, key_print: str, *, now: float
    ) -> int | None:
        """Return the document whose job gave a result for the same bytes and step, or None.

        Only jobs whose result the service still has count, so that it can be fetched again.
        """
        row = self._connection.execute(
            "SELECT a.document FROM documents d JOIN attempts a ON a.content = d.content AND "
            "a.step = d.step"
            " AND a.outcome = 'saved' JOIN documents o ON o.id = a.document AND o.state IN "
            "('saved', 'superseded')"
            " WHERE d.id = ? AND a.cleaned_at IS NULL AND a.service = ? AND a.key_print = ? AND "
            "a.deadline_at > ?"
            " AND a.number = (SELECT max(b.number) FROM attempts b WHERE b.document = o.id AND "
            "b.outcome = 'saved')"
            " ORDER BY a.deadline_at DESC LIMIT 1",
            (document, service, key_print, now),
        ).fetchone()
        return row and int(row[0])

    def failed_beside_a_result(self, scan: int) -> list[tuple[int, int]]:
        """Return (document, other) where a document has failed and another has its result.

        Only documents that this scan has found, whose reason may pass, and for which nothing was
        paid.
        """
        return list(self._connection.execute(_FAILED_BESIDE, (scan,)))

    def answered(self, wanted: Sequence[tuple[str | None, str]]) -> set[tuple[str, str]]:
        """Return the pairs of content and step with a result, a job, or a verdict that counts."""
        pairs = json.dumps([pair for pair in wanted if pair[0]])
        return {(row[0], row[1]) for row in self._connection.execute(_ANSWERED, (pairs,))}

    def who_has_sent(self, document: int) -> int | None:
        """Return the document with an open submission of the same bytes and step, or None.

        That includes submissions of unknown outcome.
        """
        row = self._connection.execute(
            "SELECT a.document FROM documents d JOIN attempts a ON a.content = d.content AND "
            "a.step = d.step"
            " WHERE d.id = ? AND a.outcome IN ('open', 'accepted')",
            (document,),
        ).fetchone()
        return row and int(row[0])


_FAILED_BESIDE = f"""
    SELECT d.id, (
        SELECT o.id FROM documents o
        WHERE o.content = d.content AND o.step = d.step AND o.id <> d.id AND o.payer IS NOT d.id
        AND {has_result("o")} ORDER BY o.current DESC, o.id LIMIT 1) AS other
    FROM documents d
    WHERE d.current = 1 AND d.state = 'failed' AND d.scan = ? AND d.kind IN ({listed(PASSING)})
    AND other IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.document = d.id AND a.outcome <> 'void')
    ORDER BY d.id"""
_ANSWERED = f"""
    SELECT w.value ->> 0, w.value ->> 1 FROM json_each(?) w
    WHERE EXISTS (
        SELECT 1 FROM documents d WHERE d.content = w.value ->> 0 AND d.step = w.value ->> 1
                  AND (d.state IN ({listed(OUT)}) OR d.output_sha256 IS NOT NULL
                       OR coalesce(d.superseded_from, d.state) IN ({listed(MAY_HAVE_COST)})))"""
