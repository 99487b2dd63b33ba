"""Queries of `retry`, `verify` and `rebuild`: what to do again, who pays, saved results."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

from batcher.common.names import collision_key
from batcher.core.lifecycle import OPEN, OUT, VERDICTS, State
from batcher.ledger.queries.fragments import has_result, listed
from batcher.ledger.queries.rows import Candidate


class RepairQueries:
    """Queries about a batch without a run; `rebuild` uses them on the ledger that it writes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    # --- documents to do again --------------------------------------------------------------------

    def candidates(self, documents: Sequence[int]) -> list[Candidate]:
        """Return those of `documents` that exist, by number."""
        sql = f"{_CANDIDATE} WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"
        rows = self._connection.execute(sql, (json.dumps(documents),))
        return [_candidate(row) for row in rows]

    def with_verdict(self, *, step: str | None = None) -> Iterator[Candidate]:
        """Yield all current documents with a verdict other than saved, by number.

        With `step`, only those of the job of that name.
        """
        sql = (
            f"{_CANDIDATE} WHERE current = 1 AND state IN ({listed(VERDICTS)})"
            " AND (?1 IS NULL OR job = ?1) ORDER BY id"
        )
        yield from map(_candidate, self._connection.execute(sql, (step,)))

    def of_result(self, output: str) -> Candidate:
        """Return the current document whose result belongs at `output`."""
        # worded like the index, so that SQLite uses it
        sql = f"{_CANDIDATE} WHERE current = 1 AND output = ? AND output_sha256 IS NOT NULL"
        return _candidate(self._connection.execute(sql, (output,)).fetchone())

    def payers_of(self, chosen: Sequence[Candidate], *, replaced: bool = True) -> dict[int, int]:
        """Return, by document, the one that pays for its bytes and step, or has or may have paid.

        For one of several chosen documents with the same bytes and step, that is the document
        itself. One in doubt comes first: the others share its outcome, since its bytes can't be
        sent beside an open submission; a stuck one's own job is asked again in any case. Last
        comes, for those not in doubt and unless `replaced` is False, one whose result something
        newer has replaced.
        """
        again = {c.id for c in chosen}
        payers = dict[int, int]()
        first = dict[tuple[str, str], int]()
        for candidate in sorted(
            chosen, key=lambda c: (c.state not in _IN_DOUBT, c.payer is not None, c.id)
        ):
            same = self._connection.execute(
                "SELECT content, step FROM documents WHERE id = ?", (candidate.id,)
            ).fetchone()
            known = replaced and candidate.state not in _IN_DOUBT
            others = (row[0] for row in self._connection.execute(_OTHERS, (candidate.id, known)))
            other = next((document for document in others if document not in again), None)
            if candidate.state is State.STUCK:
                other = None
            payers[candidate.id] = first.setdefault(same, candidate.id) if other is None else other
        return payers

    def price(self, document: int) -> float:
        """Return what its last attempt cost, in credits; 1 if that isn't known."""
        sql = (
            "SELECT coalesce(credits, cost) FROM attempts WHERE document = ? ORDER BY number DESC "
            "LIMIT 1"
        )
        row = self._connection.execute(sql, (document,)).fetchone()
        return float(row[0]) if row and row[0] else 1.0

    # --- results on disk --------------------------------------------------------------------------

    def saved(self) -> Iterator[tuple[str, str, str]]:
        """Yield (source, output, sha256) of each current result, by number of the document."""
        sql = (
            "SELECT source, output, output_sha256 FROM documents WHERE current = 1 AND state = "
            "'saved' ORDER BY id"
        )
        yield from self._connection.execute(sql)

    def of_older_versions(self) -> Iterator[tuple[str, str, str]]:
        """Yield (source, output, sha256) of each result in whose place no newer one is saved."""
        yield from self._connection.execute(_OLDER)

    def results_of_same_bytes(self, document: int) -> Iterator[tuple[int, str, str]]:
        """Yield (document, output, sha256) of other results with the same bytes and step."""
        yield from self._connection.execute(_WITH_A_RESULT, (document,))

    def kept_by(self, document: int, now: float) -> int | None:
        """Return the document of whose last saved attempt the service still has the result.

        It is the document itself, or another with the same bytes and step; None if there is none.
        """
        row = self._connection.execute(_KEPT, (document, now)).fetchone()
        return row and int(row[0])

    def has_saved_at(self, output: str) -> bool:
        """Return whether a result was ever saved at `output`."""
        sql = "SELECT 1 FROM documents WHERE output = ? AND output_sha256 IS NOT NULL"
        return self._connection.execute(sql, (output,)).fetchone() is not None

    # --- a ledger that is made again --------------------------------------------------------------

    def current_by_state(self) -> dict[str, int]:
        """Return how many current documents are in each state."""
        rows = self._connection.execute(
            "SELECT state, count(*) FROM documents WHERE current = 1 GROUP BY state"
        )
        return dict(rows.fetchall())

    def current_version(self, source: str, job: str, folder: str) -> tuple[int, str, str] | None:
        """Return (document, content, step) of the current version of a source in a job, or None."""
        sql = (
            "SELECT id, content, step FROM documents WHERE source = ? AND job = ? AND folder = "
            "? AND current = 1"
        )
        row = self._connection.execute(sql, (source, job, folder)).fetchone()
        return row and (int(row[0]), row[1], row[2])

    def current_at(self, source: str, job: str, output: str) -> tuple[int, str, str] | None:
        """Return the same of the current document of that source whose result belongs there."""
        sql = (
            "SELECT id, content, step FROM documents WHERE source = ? AND job = ? AND output_key = "
            "? AND current = 1"
        )
        row = self._connection.execute(sql, (source, job, collision_key(output))).fetchone()
        return row and (int(row[0]), row[1], row[2])

    def last_document(self) -> int:
        """Return the highest document number."""
        return int(self._connection.execute("SELECT max(id) FROM documents").fetchone()[0])

    def nonces(self) -> set[str]:
        """Return the nonces of all attempts."""
        return {nonce for (nonce,) in self._connection.execute("SELECT nonce FROM attempts")}

    def unsent(self) -> Iterator[tuple[int, str, str, str, State]]:
        """Yield (document, content, step, output, state) of the documents without a known attempt.

        They come by number, so that an earlier step comes before those that follow it.
        """
        sql = (
            "SELECT id, content, step, output, state FROM documents"
            " WHERE current = 1 AND state IN ('queued', 'following') AND content IS NOT NULL ORDER "
            "BY id"
        )
        for number, content, step, output, state in self._connection.execute(sql):
            yield number, content, step, output, State(state)


_CANDIDATE: Final = "SELECT id, source, state, kind, payer, upstream FROM documents"
_IN_DOUBT: Final = frozenset({State.HELD, State.STUCK})
# Documents with the same bytes and step, but none that waits for the document itself: each would
# wait for the other for ever.
_OTHERS: Final = f"""
    SELECT o.id FROM documents d
    JOIN documents o ON o.content = d.content AND o.step = d.step AND o.id <> d.id
    WHERE d.id = ?1 AND o.payer IS NOT d.id AND (o.state <> 'duplicate' OR o.id = d.payer)
    AND (o.state IN ({listed(OUT)})
         OR o.current = 1 AND o.state IN ({listed(OPEN | _IN_DOUBT | {State.SAVED})})
         OR ?2 AND o.state = 'superseded' AND {has_result("o")})
    ORDER BY o.state = 'superseded', o.id"""
_KEPT: Final = """
    SELECT a.document FROM documents d
    JOIN attempts a ON a.content = d.content AND a.step = d.step AND a.outcome = 'saved'
    JOIN documents o ON o.id = a.document AND o.state IN ('saved', 'superseded')
    WHERE d.id = ? AND a.cleaned_at IS NULL AND a.deadline_at > ?
    AND a.number = (SELECT max(b.number) FROM attempts b
                    WHERE b.document = a.document AND b.outcome = 'saved')
    ORDER BY a.document = d.id DESC, a.deadline_at DESC LIMIT 1"""
_OLDER: Final = """
    SELECT d.source, o.output, o.output_sha256
    FROM documents o JOIN documents d ON d.output_key = o.output_key AND d.current = 1
    WHERE o.current = 0 AND o.output_sha256 IS NOT NULL AND d.output_sha256 IS NULL
    ORDER BY d.id"""
_WITH_A_RESULT: Final = f"""
    SELECT o.id, o.output, o.output_sha256
    FROM documents d JOIN documents o ON o.content = d.content AND o.step = d.step AND o.id <> d.id
    WHERE d.id = ? AND {has_result("o")}
    ORDER BY o.current DESC, o.id"""


def _candidate(row: tuple[int, str, str, str | None, int | None, int | None]) -> Candidate:
    return Candidate(row[0], row[1], State(row[2]), *row[3:])
