"""Queries for sending: what is due, its current version, its step, and the step before it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from batcher.core.lifecycle import OPEN, OUT, STATES, TO_SUBMIT, State
from batcher.ledger.queries.fragments import EACH, ELSEWHERE, has_result, listed
from batcher.ledger.queries.rows import (
    Due,
    Follower,
    Known,
    ToMeasure,
    Upstream,
)


class SendingQueries:
    """Queries of the scanner and the submitter."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def known(
        self, sources: Sequence[str], job: str, *, folder: str, others: Sequence[str] = ()
    ) -> dict[str, Known]:
        """Return the current versions of those of `sources` that the ledger has, by source.

        A version in `folder` is preferred to one elsewhere. Folders in `others` are left out, since
        the same name stands for another document there.
        """
        rows = self._connection.execute(
            "SELECT id, source, size, mtime_ns, inode, content, step, state, folder, place, "
            "metadata, scan"
            " FROM documents"
            f" WHERE current = 1 AND job = ? AND source IN ({EACH}) AND folder NOT IN ({EACH})"
            " ORDER BY folder = ?",
            (job, json.dumps(sources), json.dumps(others), folder),
        )
        return {row[1]: Known._make((*row[:7], STATES[row[7]], *row[8:])) for row in rows}

    def due(self, now: float, limit: int, *, scan: int) -> list[Due]:
        """Return documents that scan number `scan` found and that may be sent now, longest due
        first.
        """
        rows = self._connection.execute(
            f"{_DUE} FROM {_TO_SUBMIT} AND scan = ? AND due_at <= ? ORDER BY due_at, id LIMIT ?",
            (scan, now, limit),
        )
        return [Due._make((*row[:5], State(row[5]), *row[6:])) for row in rows]

    def due_among(self, documents: Iterable[int], now: float, *, scan: int) -> list[Due]:
        """Return those of `documents` that `due` would return as well."""
        rows = self._connection.execute(
            f"{_DUE} FROM documents WHERE id IN ({EACH}) AND current = 1 AND state IN "
            f"({listed(TO_SUBMIT)}) AND scan = ? AND due_at <= ? ORDER BY due_at, id",
            (json.dumps(sorted(documents)), scan, now),
        )
        return [Due._make((*row[:5], State(row[5]), *row[6:])) for row in rows]

    def following(self, document: int) -> list[tuple[int, str, str]]:
        """Return (number, job, step) of what waits for the job of `document` and is to be sent."""
        return self._connection.execute(
            "SELECT id, job, step FROM documents WHERE upstream = ? AND current = 1"
            " AND state = 'following' ORDER BY id",
            (document,),
        ).fetchall()

    def to_submit(self, documents: Sequence[int]) -> set[int]:
        """Return those of `documents` that are still to be sent."""
        sql = (
            f"SELECT id FROM documents WHERE id IN ({EACH}) AND current = 1 AND state IN "
            f"({listed(TO_SUBMIT)})"
        )
        return {row[0] for row in self._connection.execute(sql, (json.dumps(documents),))}

    def on_their_way(self, documents: Iterable[int]) -> set[int]:
        """Return those of `documents` that are being submitted or have a job in flight."""
        states = listed((State.SENDING, State.WAITING, State.READY))
        sql = f"SELECT id FROM documents WHERE id IN ({EACH}) AND state IN ({states})"
        return {row[0] for row in self._connection.execute(sql, (json.dumps(sorted(documents)),))}

    def next_due_at(self, *, after: float, scan: int) -> float | None:
        """Return the first moment after `after` at which a document becomes due, or None."""
        sql = f"SELECT min(due_at) FROM {_TO_SUBMIT} AND scan = ? AND due_at > ?"
        moment: float | None = self._connection.execute(sql, (scan, after)).fetchone()[0]
        return moment

    def asked_by(self, document: int) -> tuple[str, str | None]:
        """Return the name of the document's job, and the options of its own as JSON, or None.

        Those are what a listing asks for besides the job's options.
        """
        sql = "SELECT job, options FROM documents WHERE id = ?"
        name, options = self._connection.execute(sql, (document,)).fetchone()
        return name, options

    def pages_of(self, document: int) -> int | None:
        """Return the pages billed for its result, or None.

        For a copy these are the pages of the document that it was copied from.
        """
        row = self._connection.execute(
            "SELECT max(a.pages) FROM documents d JOIN attempts a ON a.content = d.content AND "
            "a.step = d.step"
            " AND a.outcome = 'saved' WHERE d.id = ?",
            (document,),
        ).fetchone()
        return None if row[0] is None else int(row[0])

    def upstream_job(self, upstream: int) -> Upstream | None:
        """Return the latest job that gave the result of document `upstream`, or None.

        For a copy this is the job of the document that it was copied from.
        """
        row = self._connection.execute(
            "SELECT a.job_id, a.service, a.key_print, a.deadline_at FROM documents u JOIN "
            "attempts a"
            " ON a.content = u.content AND a.step = u.step AND a.outcome = 'saved' WHERE u.id = ?"
            " AND a.cleaned_at IS NULL ORDER BY a.deadline_at DESC LIMIT 1",
            (upstream,),
        ).fetchone()
        return row and Upstream(*row)

    def upstream_of(self, document: int) -> int | None:
        upstream: int | None = self._connection.execute(
            "SELECT upstream FROM documents WHERE id = ?", (document,)
        ).fetchone()[0]
        return upstream

    def followers(self, upstreams: Sequence[int]) -> list[Follower]:
        """Return the documents that wait for one of `upstreams` that has come to an end."""
        marks = ",".join("?" * len(upstreams))
        rows = self._connection.execute(
            f"{_FOLLOWER} AND d.upstream IN ({marks})", tuple(upstreams)
        )
        return [_follower(row) for row in rows]

    def ready_to_follow(self, *, after: int, limit: int) -> list[Follower]:
        """Return the next `limit` such documents with a number over `after`, by number."""
        rows = self._connection.execute(
            f"{_FOLLOWER} AND d.id > ? ORDER BY d.id LIMIT ?", (after, limit)
        )
        return [_follower(row) for row in rows]

    def another_job(self, job_id: str, *, alive_at: float) -> str | None:
        """Return the latest saved job but `job_id` that the service must still have, or None."""
        row = self._connection.execute(
            "SELECT job_id FROM attempts WHERE outcome = 'saved' AND cleaned_at IS NULL AND "
            "job_id <> ?"
            " AND deadline_at > ? ORDER BY rowid DESC LIMIT 1",
            (job_id, alive_at),
        ).fetchone()
        return row and str(row[0])

    def worth(self, documents: Sequence[int]) -> dict[int, float]:
        """Return the credits of those of `documents` that are saved and cost something.

        For a copy it is what its payer cost.
        """
        marks = ",".join("?" * len(documents))
        sql = f"SELECT id, worth FROM {_WORTH} AND d.id IN ({marks})) WHERE worth > 0"
        return dict(self._connection.execute(sql, tuple(documents)))

    def worth_of_other_steps(self, job: str, step: str) -> tuple[int, float]:
        """Return (documents, credits) of what a job has saved with another step than `step`."""
        sql = (
            f"SELECT count(*), total(worth) FROM {_WORTH} AND d.job = ? AND d.step <> ? AND "
            "d.payer IS NULL)"
        )
        number, credits = self._connection.execute(f"{sql} WHERE worth > 0", (job, step)).fetchone()
        return int(number), float(credits)

    def to_measure(self) -> Iterator[ToMeasure]:
        """Yield all documents still to be sent, including those that wait for an earlier step."""
        rows = self._connection.execute(
            f"SELECT job, folder, source, place, content, options, size, {ELSEWHERE} {_TO_COME}"
            " ORDER BY id"
        )
        return (ToMeasure._make(row) for row in rows)

    def local_files(self) -> Iterator[tuple[str, str, str | None]]:
        """Yield (folder, source, place) of the local files to send, each once."""
        yield from self._connection.execute(
            f"SELECT DISTINCT folder, source, place {_TO_COME} AND NOT {ELSEWHERE}"
        )

    def size(self) -> int:
        """Return the bytes that are certain to be uploaded."""
        return int(self._connection.execute(f"SELECT total(size) {_TO_SEND}").fetchone()[0])

    def number_elsewhere(self) -> int:
        """Count the documents to send that are in an object store or at an address."""
        sql = f"SELECT count(*) {_TO_COME} AND {ELSEWHERE}"
        return int(self._connection.execute(sql).fetchone()[0])


_DUE = (
    "SELECT id, source, folder, content, size, state, file_id, uploaded_at, tries, job, upstream,"
    " on_its_own, options, metadata, place, step"
)
_TO_SEND = "FROM documents WHERE current = 1 AND state IN ('queued', 'uploaded')"
_TO_COME = "FROM documents WHERE current = 1 AND state IN ('queued', 'uploaded', 'following')"
_WHO_PAYS = f"""
    SELECT o.id FROM documents o
    WHERE o.content = d.content AND o.step = d.step AND o.id <> d.id
    AND o.payer IS NOT d.id AND (o.state IN ({listed(OUT)})
    OR o.current = 1 AND o.state IN ({listed(OPEN - {State.DUPLICATE} | {State.SAVED})})
    OR o.state = 'superseded' AND {has_result("o")})
    ORDER BY o.state = 'superseded', o.id LIMIT 1"""
_FOLLOWER = (
    "SELECT d.id, u.job, u.state, u.reason, u.kind,"
    f" iif(d.state = 'blocked', ({_WHO_PAYS}), NULL), iif(d.state = 'blocked', d.content || ' ' "
    "|| d.step, NULL), u.error_name"
    " FROM documents d JOIN documents u ON u.id = d.upstream"
    f" WHERE d.current = 1 AND (d.state = 'following' AND u.state NOT IN ({listed(OPEN)})"
    " OR d.state = 'blocked' AND u.state = 'saved')"
)
# Without statistics SQLite would sort the whole queue for each query instead.
_TO_SUBMIT = "documents INDEXED BY to_submit WHERE current = 1 AND state IN ('queued', 'uploaded')"
_WORTH = (
    "(SELECT d.id, (SELECT coalesce(a.credits, a.cost) FROM attempts a"
    " WHERE a.document = coalesce(d.payer, d.id) AND a.outcome = 'saved' AND a.service <> 'local'"
    " ORDER BY a.number DESC LIMIT 1) AS worth"
    " FROM documents d WHERE d.current = 1 AND d.state = 'saved'"
)


def _follower(
    row: tuple[int, str, str, str | None, str | None, int | None, str | None, str | None],
) -> Follower:
    return Follower(row[0], row[1], State(row[2]), *row[3:])
