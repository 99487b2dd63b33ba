"""What people are told: failures in groups, costs, speed, and what happened since an event."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from batcher.core.lifecycle import VERDICTS, State
from batcher.core.reasons import alike
from batcher.core.summary import FailureGroup
from batcher.ledger.queries.fragments import listed
from batcher.ledger.queries.notes import noted
from batcher.ledger.queries.rows import (
    Account,
    Bill,
    StateCount,
)
from batcher.reducto.error_rules import PASSING, RUNS


class ReportingQueries:
    """Numbers and groups for summaries, `status`, `failures` and the report. Credits throughout."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def failures(self, *, passing: Sequence[tuple[int, int]] | None = None) -> list[FailureGroup]:
        """The most frequent first. Failures of the same state, class and error name are one group,
        in the words of the first; where there is no name, reasons that differ in ids alone are one.

        `passing` as of the method; None: as it is by itself.
        """
        waiting = json.dumps(self.passing() if passing is None else passing)
        groups: dict[tuple[str, str | None, str], FailureGroup] = {}
        for row in self._connection.execute(_FAILURES, (waiting,)):
            group = FailureGroup(*row)
            key = (group.state, group.kind, alike(group.error_name or group.reason or ""))
            groups[key] = _together(groups[key], group) if key in groups else group
        return sorted(groups.values(), key=lambda group: -group.documents)

    def passing(self, *, runs: int | None = None, scan: int | None = None) -> list[tuple[int, int]]:
        """(document, runs that have tried it) of those that the next run takes up by itself.

        What failed for a passing reason, and nothing was paid; in fewer than `runs`, by default as
        many as the manifest of the last run says, since a person last decided about these bytes.
        With `scan`, only what that scan has found.
        """
        if runs is None:
            runs = int(
                json.loads(noted(self._connection, "manifest") or "{}")
                .get("retry", {})
                .get("runs", RUNS)
            )
        return list(self._connection.execute(_PASSING, {"runs": runs, "scan": scan}))

    def spent(self) -> tuple[int, float]:
        """Pages and credits of all attempts whose job completed; credits as estimated where the
        service doesn't say.
        """
        pages, credits = _paid(self._bills())
        (beside,) = self._connection.execute("SELECT total(credits) FROM twins").fetchone()
        return pages, credits + float(beside)

    def _bills(self) -> dict[str, Bill]:
        """What attempts that are settled came to, by their outcome."""
        return {row[0]: Bill(*row[1:]) for row in self._connection.execute(_BILLS)}

    def account(self) -> Account:
        """What is spent and what will be; a document costs what it cost on average so far, one
        credit before that.
        """
        bills = self._bills()
        pages, spent = _paid(bills)
        saved = bills.get("saved", _NOTHING)
        out, committed = self._connection.execute(_COMMITTED).fetchone()
        (number,) = self._connection.execute(_TO_COME).fetchone()
        each = saved.credits / saved.attempts if saved.attempts else 1.0
        lost = bills.get("lost", _NOTHING).credits
        failed = bills.get("void", _NOTHING).cost
        return Account(
            pages, spent, lost, failed, float(committed), max(committed, out * each), number * each
        )

    def since(self, seq: int) -> tuple[int, float]:
        """(documents saved, credits of the jobs that ended) after event `seq`."""
        said = "SELECT total(event = 'Saved'), min(at) FROM events WHERE seq > ?"
        saved, from_on = self._connection.execute(said, (seq,)).fetchone()
        bill = (
            "SELECT total(coalesce(credits, cost)) FROM attempts WHERE outcome IN ('saved', "
            "'lost') AND ended_at >= ?"
            " AND document IN (SELECT document FROM events WHERE seq > ?)"
        )
        (credits,) = self._connection.execute(bill, (from_on, seq)).fetchone()
        return int(saved), float(credits)

    def prices(self) -> dict[str, Any]:
        """Of the manifest that the batch was last run with; empty where that is not known."""
        manifest = noted(self._connection, "manifest")
        return dict(json.loads(manifest).get("prices", {})) if manifest else {}

    def left_out(self) -> dict[str, Any]:
        """What the latest run that has looked everywhere left out, as its summary has it."""
        return dict(json.loads(noted(self._connection, "left out") or "{}"))

    def last_summary(self) -> dict[str, Any]:
        """Of the latest run that came to its end; empty where none has."""
        sql = "SELECT summary FROM runs WHERE summary IS NOT NULL ORDER BY id DESC LIMIT 1"
        row = self._connection.execute(sql).fetchone()
        return dict(json.loads(row[0])) if row else {}

    def last_event(self) -> int:
        return int(
            self._connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]
        )

    def verdicts_since(self, seq: int, *, but: Sequence[int] = ()) -> int:
        """Documents that came, after event `seq`, to a verdict other than saved, and stand there
        still.

        Not counted: those of `but`, and the later steps that these block.
        """
        states = ",".join(f"'{state}'" for state in sorted(VERDICTS))
        sql = (
            "SELECT count(DISTINCT e.document) FROM events e JOIN documents d ON d.id = e.document"
            f" WHERE e.seq > ? AND d.current = 1 AND e.state = d.state AND d.state IN ({states})"
            f" AND d.id NOT IN ({_WITH_BLOCKED})"
        )
        return int(self._connection.execute(sql, (seq, json.dumps(but))).fetchone()[0])

    def took(self, limit: int = 500) -> list[tuple[int, float]]:
        """(size of the document, seconds from acceptance to end) of the latest jobs, those of last
        night included.
        """
        sql = (
            "SELECT d.size, a.ended_at - a.accepted_at FROM attempts a JOIN documents d ON d.id = "
            "a.document"
            " WHERE a.ended_at IS NOT NULL AND a.outcome = 'saved'"
            # What a later run brought home had ended nobody knows when.
            " AND a.accepted_at >= coalesce((SELECT max(started_at) FROM runs WHERE started_at <= "
            "a.ended_at), 0)"
            " ORDER BY a.rowid DESC LIMIT ?"
        )
        return list(self._connection.execute(sql, (limit,)))

    def longest_took(self) -> float | None:
        """Seconds from acceptance to end of the longest of the latest jobs."""
        return max((span for _, span in self.took()), default=None)

    def speed(self, latest: int = 5000) -> float | None:
        """Documents saved in a second, of the latest run that saved enough of them to tell."""
        row = self._connection.execute(_SPEED, {"latest": latest}).fetchone()
        return row and float(row[0])

    def steps(self) -> dict[str, dict[str, int]]:
        """Documents by state for each job, in the order in which they were first met; nothing where
        there's but one.
        """
        found: dict[str, dict[str, int]] = {}
        if (
            self._connection.execute(
                "SELECT 1 FROM documents WHERE upstream IS NOT NULL LIMIT 1"
            ).fetchone()
            is None
        ):
            return found  # else all of a large ledger would be read to find it out
        for job, state, number in self._connection.execute(
            "SELECT job, state, count(*) FROM documents WHERE current = 1 GROUP BY job, state "
            "ORDER BY min(id)"
        ):
            found.setdefault(job, {})[state] = number
        return found

    def withdrawn_since(self, seq: int) -> int:
        """Documents that nobody asked for any more, after event `seq`."""
        sql = "SELECT count(*) FROM events WHERE seq > ? AND event = 'Withdrawn'"
        return int(self._connection.execute(sql, (seq,)).fetchone()[0])

    def saved_since(self, seq: int) -> list[tuple[str, int]]:
        """(output, size) of the results that were saved after event `seq`."""
        sql = (
            "SELECT output, output_size FROM documents WHERE current = 1 AND state = 'saved'"
            " AND id IN (SELECT document FROM events WHERE seq > ? AND event = 'Saved')"
        )
        return list(self._connection.execute(sql, (seq,)))

    def progress(self) -> list[StateCount]:
        """Current documents and their bytes, by state; the most frequent first."""
        rows = self._connection.execute("SELECT state, documents, bytes FROM progress")
        return [StateCount(State(state), *rest) for state, *rest in rows]

    def table(self, name: str) -> Iterator[dict[str, Any]]:
        """The rows of a table of `TABLES`, by the names of its columns."""
        cursor = self._connection.execute(TABLES[name])
        names = [column[0] for column in cursor.description]
        for values in cursor:
            yield dict(zip(names, values, strict=True))


# What `batcher export` can write beside results.
TABLES: Final = {
    "documents": "SELECT * FROM documents WHERE current = 1 ORDER BY source, job",
    "attempts": (
        "SELECT d.source, d.job, d.current, a.* FROM attempts a JOIN documents d ON d.id = "
        "a.document"
        " ORDER BY a.document, a.number"
    ),
    "costs": "SELECT * FROM costs ORDER BY sent_at, source",
}
_SPEED = """
    SELECT number / seconds FROM (
        SELECT r.id, count(*) AS number,
               max(0.1, max(e.at) - iif(count(*) = :latest, min(e.at), r.started_at)) AS seconds
        FROM (SELECT * FROM runs ORDER BY id DESC LIMIT 10) r
        JOIN (SELECT at FROM events WHERE event = 'Saved' ORDER BY seq DESC LIMIT :latest) e
             ON e.at >= r.started_at AND (r.ended_at IS NULL OR e.at <= r.ended_at)
        GROUP BY r.id)
    WHERE number >= 5 ORDER BY id DESC LIMIT 1"""
_BILLS = """
    SELECT outcome, count(*), total(pages), total(cost), total(coalesce(credits, cost))
    FROM attempts WHERE outcome IN ('saved', 'lost', 'void') GROUP BY outcome"""
_COMMITTED = (
    "SELECT count(*), total(cost) FROM attempts INDEXED BY one_open_attempt WHERE "
    "outcome IN ('open', 'accepted')"
)
_TO_COME = (
    "SELECT count(*) FROM documents WHERE current = 1 AND state IN ('following', 'queued', "
    "'uploaded')"
)
# As the view `failures` has it, but by the states that are verdicts: an index leads to those.
_FAILURES = f"""
    WITH waiting(id, runs) AS MATERIALIZED (SELECT value ->> 0, value ->> 1 FROM json_each(?))
    SELECT state, kind, reason, count(*) AS documents, min(source), count(w.id),
           coalesce(min(w.runs), 0),
           error_name
    FROM documents d LEFT JOIN waiting w ON w.id = d.id
    WHERE current = 1 AND state IN ({", ".join(f"'{state}'" for state in sorted(VERDICTS))})
    GROUP BY state, kind, error_name, reason ORDER BY documents DESC"""
_WITH_BLOCKED = """
    WITH RECURSIVE these(id) AS (
        SELECT value FROM json_each(?) UNION
        SELECT d.id FROM these t JOIN documents d ON d.upstream = t.id WHERE d.state = 'blocked')
    SELECT id FROM these"""
# Runs count by what happened to these bytes and this step, whichever document they belong to by
# now.
_PASSING = f"""
    WITH failed AS MATERIALIZED (
        SELECT d.id, d.content, d.step FROM documents d LEFT JOIN documents u ON u.id = d.upstream
        WHERE d.state = 'failed' AND d.current = 1 AND d.kind IN ({listed(PASSING)})
        AND (:scan IS NULL OR d.scan = :scan)
        AND (d.upstream IS NULL OR u.state = 'saved')),
    happened AS MATERIALIZED (
        SELECT s.content, s.step, e.seq, e.at, e.event IN ('Retried', 'Follows') AS decided
        FROM (SELECT DISTINCT content, step FROM failed) s
        JOIN documents o ON o.content = s.content AND o.step = s.step
        JOIN events e ON e.document = o.id
        WHERE e.event IN ('Retried', 'Follows', 'JobFailed', 'GivenUp', 'Rejected')),
    decision AS MATERIALIZED (
        SELECT content, step, max(seq) AS seq, max(at) AS at FROM happened
        WHERE decided GROUP BY content, step),
    tried AS MATERIALIZED (
        SELECT h.content, h.step, count(*) AS runs, coalesce(d.at, 0) AS since
        FROM happened h LEFT JOIN decision d ON d.content = h.content AND d.step = h.step
        WHERE NOT h.decided AND h.seq > coalesce(d.seq, 0) GROUP BY h.content, h.step)
    SELECT f.id, t.runs FROM failed f JOIN tried t ON t.content = f.content AND t.step = f.step
    WHERE t.runs < :runs AND NOT EXISTS (
        SELECT 1 FROM documents o JOIN attempts a ON a.document = o.id
        WHERE o.content = f.content AND o.step = f.step
        AND a.outcome <> 'void' AND a.sent_at >= t.since)
    ORDER BY f.id"""
_NOTHING: Final = Bill(0, 0.0, 0.0, 0.0)


def _together(one: FailureGroup, other: FailureGroup) -> FailureGroup:
    waiting = [group.runs for group in (one, other) if group.waits]
    return msgspec.structs.replace(
        one,
        documents=one.documents + other.documents,
        example=min(one.example, other.example),
        waits=one.waits + other.waits,
        runs=min(waiting, default=0),
    )


def _paid(bills: Mapping[str, Bill]) -> tuple[int, float]:
    paid = [bills.get("saved", _NOTHING), bills.get("lost", _NOTHING)]
    return int(sum(bill.pages for bill in paid)), sum(bill.credits for bill in paid)
