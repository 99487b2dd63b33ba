"""Queries about where documents stand: states, jobs in flight, deadlines, and files of results."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from batcher.core.inflight import LAPSES, InFlightJob
from batcher.core.lifecycle import State
from batcher.ledger.queries.fragments import AUDITED, EACH
from batcher.ledger.queries.rows import (
    Finished,
)
from batcher.reducto.inputs import InputKind


class TrackingQueries:
    """Queries about single documents, and about jobs that the service is working on."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def counts(self) -> Counter[State]:
        """Return the number of documents in each state, superseded ones included."""
        rows = self._connection.execute("SELECT state, count(*) FROM documents GROUP BY state")
        return Counter({State(state): number for state, number in rows})

    def in_state(self, state: State) -> list[int]:
        return [
            row[0]
            for row in self._connection.execute(
                "SELECT id FROM documents WHERE state = ? ORDER BY id", (state,)
            )
        ]

    def state_of(self, document: int) -> State:
        return State(
            self._connection.execute(
                "SELECT state FROM documents WHERE id = ?", (document,)
            ).fetchone()[0]
        )

    def source_of(self, document: int) -> str:
        return str(
            self._connection.execute(
                "SELECT source FROM documents WHERE id = ?", (document,)
            ).fetchone()[0]
        )

    def name_of(self, document: int) -> tuple[str, str]:
        """Return the source of a document and the step that is done with it."""
        sql = "SELECT source, job FROM documents WHERE id = ?"
        source, step = self._connection.execute(sql, (document,)).fetchone()
        return source, step

    def in_flight(self) -> Iterator[InFlightJob]:
        return (
            _flight(row)
            for row in self._connection.execute(f"{_FLIGHT} WHERE d.state IN ('waiting', 'ready')")
        )

    def in_flight_of(self, documents: Sequence[int]) -> list[InFlightJob]:
        sql = f"{_FLIGHT} WHERE d.id IN ({EACH})"
        return [_flight(row) for row in self._connection.execute(sql, (json.dumps(documents),))]

    def nearest_deadline(self) -> tuple[float, float] | None:
        """Return (acceptance, deadline) of the job in flight that expires first, or None."""
        sql = (
            "SELECT a.accepted_at, min(a.deadline_at) FROM documents d JOIN attempts a ON "
            "a.document = d.id"
            " AND a.outcome = 'accepted' WHERE d.state IN ('waiting', 'ready')"
        )
        accepted_at, deadline_at = self._connection.execute(sql).fetchone()
        return None if deadline_at is None else (accepted_at, deadline_at)

    def nearest_deadline_at(self) -> float | None:
        """Return when the first result of a job in flight expires, or None."""
        nearest = self.nearest_deadline()
        return None if nearest is None else nearest[1]

    def places_of(self, documents: Sequence[int]) -> Mapping[int, str]:
        """Return the output path of each of `documents` that is current.

        A superseded document has no path of its own. Ask at the last moment, since a newer version
        may take over at any time.
        """
        own = f"SELECT id, output FROM documents WHERE id IN ({EACH}) AND current = 1"
        return dict(self._connection.execute(own, (json.dumps(documents),)))

    def hashes_at(self, output: str) -> frozenset[str]:
        """Return the hashes of every file that the ledger ever put at `output`.

        A file with one of them may be replaced by a newer result.
        """
        return self.hashes_of([output])[output]

    def hashes_of(self, outputs: Sequence[str]) -> Mapping[str, frozenset[str]]:
        """Return the same for each of `outputs`."""
        sql = (
            f"SELECT output, output_sha256 FROM documents WHERE output IN ({EACH}) AND "
            "output_sha256 IS NOT NULL"
        )
        hashes = dict.fromkeys(outputs, frozenset[str]())
        for output, sha256 in self._connection.execute(sql, (json.dumps(outputs),)):
            hashes[output] |= {sha256}
        return hashes

    def uncleaned(self, service: str, key_print: str, *, alive_at: float) -> list[int]:
        """Return the saved documents whose job the service should still have."""
        sql = (
            "SELECT a.document FROM attempts a JOIN documents d ON d.id = a.document WHERE "
            "a.outcome = 'saved'"
            " AND a.cleaned_at IS NULL AND a.service = ? AND a.key_print = ? AND a.deadline_at > ?"
            " AND d.state = 'saved' AND d.current = 1"
        )
        return [row[0] for row in self._connection.execute(sql, (service, key_print, alive_at))]

    def finished(self, document: int) -> Finished | None:
        """Return the saved document and its job.

        None if it is no longer saved, or if its job was deleted.
        """
        row = self._connection.execute(
            "SELECT a.job_id, a.file_id, d.output, d.output_sha256, a.deletion_started_at IS NOT "
            "NULL, a.input_kind"
            " FROM documents d JOIN attempts a"
            " ON a.document = d.id AND a.outcome = 'saved' WHERE d.id = ? AND d.state = 'saved' "
            "AND d.current = 1"
            " AND a.cleaned_at IS NULL ORDER BY a.number DESC LIMIT 1",
            (document,),
        ).fetchone()
        return row and Finished._make(row)

    def jobs_to_confirm(self, documents: Sequence[int]) -> dict[int, str]:
        """Return the jobs of saved `documents` that no audit has settled yet.

        Those whose deletion has begun are left out.
        """
        sql = (
            "SELECT d.id, a.job_id FROM documents d JOIN attempts a ON a.document = d.id"
            f" WHERE d.id IN ({EACH}) AND d.state = 'saved' AND d.current = 1"
            " AND a.outcome = 'saved' AND a.deletion_started_at IS NULL"
            f" AND a.rowid > {AUDITED} ORDER BY a.number"
        )
        return dict(self._connection.execute(sql, (json.dumps(documents),)).fetchall())

    def foreign_attempts(self, service: str, key_print: str) -> list[tuple[str, int]]:
        """Return (service, number) of open attempts made at another service or with another key."""
        rows = self._connection.execute(
            "SELECT service, count(*) FROM attempts WHERE outcome IN ('open', 'accepted')"
            " AND NOT (service = ? AND key_print = ?) GROUP BY service",
            (service, key_print),
        )
        return list(rows)


_FLIGHT = (
    "SELECT d.id, a.job_id, d.size, a.accepted_at, a.deadline_at, d.paid,"
    # An upload that old may have been deleted already, because the machine slept between the first
    # byte of the POST and its end.
    f" coalesce(a.fenced_at, iif(a.accepted_at - d.uploaded_at > {LAPSES}, a.accepted_at, NULL)), "
    "d.output,"
    f" a.input_kind IS '{InputKind.JOB}', a.cancel_requested,"
    " a.deletion_started_at IS NOT NULL"
    " FROM documents d JOIN attempts a ON a.document = d.id AND a.outcome = 'accepted'"
)


def _flight(
    row: tuple[int, str, int, float, float, int, float | None, str, int | None, int, int],
) -> InFlightJob:
    fenced = row[6] is not None
    reads_job = bool(row[8])
    recalled = bool(row[9])
    deletion_began = bool(row[10])
    return InFlightJob(
        *row[:6],
        fenced,
        row[7],
        reads_job=reads_job,
        recalled=recalled,
        deletion_began=deletion_began,
    )
