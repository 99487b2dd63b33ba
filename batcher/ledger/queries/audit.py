"""Queries for comparing the ledger with the service's job list.

They return attempts in doubt, jobs that the list must show, and duplicate jobs.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from batcher.core.crossed_jobs import HOLDING
from batcher.core.duplicate_jobs import AttemptRef
from batcher.core.lifecycle import State
from batcher.core.void_cause import VoidCause
from batcher.ledger.queries.fragments import AUDITED, EACH
from batcher.ledger.queries.rows import (
    Holder,
    KnownJob,
    Unknown,
)
from batcher.reducto.api_types import JOB


class AuditQueries:
    """Queries of recovery, the auditor and the capability checks."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def unknown(self, state: State = State.UNKNOWN) -> list[Unknown]:
        """Return the attempts of unknown outcome.

        With `state` unknown these are the ones being searched for, with `state` held the ones that
        the search was given up for.
        """
        rows = self._connection.execute(
            "SELECT d.id, a.nonce, a.file_id, a.service, a.key_print, a.sent_at, a.fenced_at,"
            " (SELECT count(*) FROM attempts b WHERE b.document = d.id AND"
            f" b.void_cause = '{VoidCause.PROVEN_ABSENT}' AND b.sent_at >="
            " (SELECT coalesce(max(at), 0) FROM events WHERE document = d.id AND event IN "
            "('Retried', 'TakenUp'))),"
            " d.job, a.input_kind"
            " FROM documents d JOIN attempts a ON a.document = d.id AND a.outcome = 'open' WHERE "
            "d.state = ?",
            (state.value,),
        )
        return [Unknown(*row) for row in rows]

    def witness(self, service: str, key_print: str, *, since: float) -> KnownJob | None:
        """Return our latest job that was accepted by that service after `since`, or None."""
        sql = (
            f"SELECT job_id, nonce, accepted_at {_ACCEPTED} AND accepted_at > ? ORDER BY "
            "accepted_at DESC LIMIT 1"
        )
        row = self._connection.execute(sql, (service, key_print, since)).fetchone()
        return row and KnownJob(*row)

    def accepted_jobs(self, service: str, key_print: str, *, alive_at: float) -> dict[str, float]:
        """Return {job id: time of acceptance} of our jobs that the service should still have."""
        sql = f"SELECT job_id, accepted_at {_ACCEPTED} AND {_ALIVE}"
        return dict(self._connection.execute(sql, (service, key_print, alive_at)))

    def still_accepted(
        self, service: str, key_print: str, job_ids: Sequence[str], *, alive_at: float
    ) -> frozenset[str]:
        """Return those of `job_ids` that the service should still have."""
        sql = f"SELECT job_id {_ACCEPTED} AND {_ALIVE} AND job_id IN ({EACH})"
        values = (service, key_print, alive_at, json.dumps(job_ids))
        return frozenset(row[0] for row in self._connection.execute(sql, values))

    def holders(self, service: str, job_ids: Sequence[str]) -> dict[str, Holder]:
        """Return the attempts that hold one of `job_ids`, by job id."""
        sql = (
            f"SELECT job_id, nonce, file_id FROM attempts WHERE service = ? AND job_id IN ({EACH})"
        )
        rows = self._connection.execute(sql, (service, json.dumps(job_ids)))
        return {row[0]: Holder(*row[1:]) for row in rows}

    def proven(self, service: str, key_print: str) -> frozenset[str]:
        """Return the proofs on record for that service and key."""
        sql = "SELECT proof FROM proofs WHERE service = ? AND key_print = ?"
        return frozenset(row[0] for row in self._connection.execute(sql, (service, key_print)))

    def unaudited(self) -> tuple[int, float | None]:
        """Return the row of the last attempt, and when the first unsettled one was sent, or None.

        Unsettled are the attempts after the last row that an audit has settled.
        """
        sql = f"SELECT coalesce(max(rowid), 0), min(sent_at) FROM attempts WHERE rowid > {AUDITED}"
        last, first = self._connection.execute(sql).fetchone()
        return int(last), first

    def listed_jobs(
        self, service: str, key_print: str, *, accepted_before: float, alive_at: float
    ) -> set[str]:
        """Return the jobs of unaudited attempts that the job list has to show."""
        sql = f"SELECT job_id {_LISTED} AND accepted_at < ?"
        return {
            row[0]
            for row in self._connection.execute(
                sql, (service, key_print, alive_at, accepted_before)
            )
        }

    def number_listed(self, service: str, key_print: str, *, alive_at: float) -> int:
        """Return how many such jobs there are, with those that the list may not show yet."""
        sql = f"SELECT count(*) {_LISTED}"
        return int(self._connection.execute(sql, (service, key_print, alive_at)).fetchone()[0])

    def known_jobs(self, service: str, job_ids: Sequence[str]) -> set[str]:
        """Return those of `job_ids` that an attempt holds or that are on record as duplicates."""
        marks = ",".join("?" * len(job_ids))
        sql = " UNION ALL ".join(
            f"SELECT job_id FROM {table} WHERE service = ? AND job_id IN ({marks})"
            for table in ("attempts", "twins")
        )
        return {row[0] for row in self._connection.execute(sql, (service, *job_ids) * 2)}

    def twins(self) -> list[tuple[str, str, float]]:
        """Return (source, job, credits) of the duplicate jobs that audits have found."""
        sql = (
            "SELECT source, job_id, credits FROM twins t JOIN documents d ON d.id = t.document "
            "ORDER BY found_at"
        )
        return list(self._connection.execute(sql))

    def nonces_by_upload(self) -> dict[str, str]:
        """Return {input: nonce} of unaudited attempts, for job lists that don't echo nonces."""
        return dict(
            self._connection.execute(f"SELECT file_id, nonce FROM attempts WHERE rowid > {AUDITED}")
        )

    def attempt_of(self, service: str, key_print: str, nonces: Sequence[str]) -> AttemptRef | None:
        """Return the attempt with one of `nonces` that was made there, or None."""
        marks = ",".join("?" * len(nonces))
        row = self._connection.execute(
            f"{_ATTEMPT_REF} WHERE a.nonce IN ({marks}) AND a.service = ? AND a.key_print = ?",
            (*nonces, service, key_print),
        ).fetchone()
        return row and AttemptRef._make((*row[:7], float(row[7] or 0.0)))

    def made_from(self, inputs: Sequence[str]) -> list[AttemptRef]:
        """Return the attempts of later steps that read one of `inputs`, or each other's jobs.

        `inputs` are earlier jobs, written as the API's inputs are.
        """
        rows = self._connection.execute(_MADE_FROM, {"inputs": json.dumps(inputs), "job": JOB})
        return [AttemptRef._make((*row[:7], float(row[7] or 0.0))) for row in rows]

    def results_of(self, documents: Sequence[int]) -> list[tuple[str, str]]:
        """Return (output, SHA-256) of the results of those documents that have one on disk."""
        sql = (
            "SELECT output, output_sha256 FROM documents"
            f" WHERE output_sha256 IS NOT NULL AND id IN ({EACH})"
        )
        return list(self._connection.execute(sql, (json.dumps(documents),)))

    def holding(self, document: int) -> str | None:
        """Return the nonce of the attempt whose job brings the document's result, or brought it."""
        sql = (
            f"SELECT nonce FROM attempts WHERE document = ? AND outcome IN ({EACH})"
            " ORDER BY number DESC LIMIT 1"
        )
        row = self._connection.execute(sql, (document, json.dumps(HOLDING))).fetchone()
        return row and str(row[0])

    def named_instead(self, document: int, nonces: Sequence[str]) -> AttemptRef | None:
        """Return the attempt of another document that `nonces` belong to, or None.

        The nonces are those in the request of this document's job, as the service shows it. None if
        they name the latest attempt of this document, or no attempt of ours.
        """
        sql = (
            "SELECT nonce, service, key_print FROM attempts WHERE document = ?"
            " ORDER BY number DESC LIMIT 1"
        )
        row = self._connection.execute(sql, (document,)).fetchone()
        if row is None or row[0] in nonces:
            return None
        named = self.attempt_of(row[1], row[2], nonces)
        return named if named is not None and named.document != document else None


_ATTEMPT_REF = (
    "SELECT a.document, d.source, d.job, a.nonce, a.job_id, a.outcome, a.fenced_at,"
    " coalesce(a.credits, nullif(a.cost, 0),"
    " (SELECT max(b.cost) FROM attempts b WHERE b.document = d.id))"
    " FROM attempts a JOIN documents d ON d.id = a.document"
)
_MADE_FROM = f"""
    WITH RECURSIVE made(nonce, job_id) AS (
        SELECT nonce, job_id FROM attempts WHERE file_id IN (SELECT value FROM json_each(:inputs))
        UNION
        SELECT a.nonce, a.job_id FROM made m JOIN attempts a ON a.file_id = :job || m.job_id)
    {_ATTEMPT_REF} JOIN made m ON m.nonce = a.nonce"""
_ACCEPTED = (  # and not deleted by us, nor perhaps deleted
    "FROM attempts WHERE service = ? AND key_print = ? AND job_id IS NOT NULL"
    " AND deletion_started_at IS NULL AND cleaned_at IS NULL"
)
# And not deleted by the service, at its deadline or before. Where an attempt was superseded the
# service wasn't asked for its result.
_ALIVE = f"deadline_at > ? AND (outcome <> 'lost' OR void_cause IS '{VoidCause.SUPERSEDED}')"
_LISTED = (  # still at the service, of attempts that no audit has settled
    f"FROM attempts WHERE rowid > {AUDITED} AND service = ? AND key_print = ?"
    " AND job_id IS NOT NULL AND cleaned_at IS NULL AND deadline_at > ? AND outcome <> 'lost'"
)
