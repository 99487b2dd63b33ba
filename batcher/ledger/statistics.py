"""The numbers of a report: a fixed amount of them, whatever the size of the batch.

SQLite does the counting, sorting and bucketing. A first pass writes how long each saved document
took into a temporary table, which ends with the connection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from batcher.common.formatting import format_duration
from batcher.core.lifecycle import VERDICTS
from batcher.core.summary import FailureGroup, NotServed
from batcher.ledger.queries.failed_documents import FailedDocument, FailedDocuments
from batcher.ledger.queries.reporting import ReportingQueries

BUCKETS: Final = 48  # parts that a run's time is divided into
TOP: Final = 10  # rows in the tables of the slowest, largest and most frequent
# failed documents listed, of one group and in all
FAILED_OF_EACH_GROUP: Final = 200
FAILED_AT_MOST: Final = 2_000
QUANTILES: Final = (0.5, 0.9, 0.99)
# Upper bounds in seconds. They grow, so that a second on the local service and an hour on the
# hosted one fit into one picture.
SPANS: Final = (0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10800, 43200)


class Count(NamedTuple):
    """A number under a name. `amount` is a further column of its table: credits, or a share."""

    name: str
    number: int
    amount: float = 0.0


class Phase(NamedTuple):
    """Quantiles, in seconds, of one part of the way from discovery to disk."""

    name: str
    values: tuple[float, ...]


class Slow(NamedTuple):
    """A document and its seconds from acceptance to disk. `job` is empty if there is only one."""

    source: str
    job: str
    size: int
    pages: int | None
    seconds: float


class RunRow(NamedTuple):
    """A run; `saved` and `credits` count the results saved before the next one started."""

    number: int
    started_at: float
    ended_at: float | None
    exit_code: int | None
    saved: int
    credits: float


class Bucket(NamedTuple):
    """`saved` counts the results of the `width` seconds that begin at `at`."""

    at: float
    width: float
    saved: int


class StateChange(NamedTuple):
    """How many documents came to the state `what` in a run and are still in it, with an example."""

    what: str
    number: int
    example: str


@dataclass(frozen=True, slots=True)
class Statistics:
    """All numbers of a report. Amounts are in credits, sizes in bytes."""

    batch: str
    states: Sequence[Count]
    pages: int
    credits: float
    dollars_per_credit: float  # 0 where nothing is billed
    bytes: int
    runs: Sequence[RunRow]
    throughput: Sequence[Bucket]
    phases: Sequence[Phase]
    to_disk: Sequence[Count]
    margins: Sequence[Count]
    errors: Sequence[Count]
    overcome: Sequence[Count]
    folders: Sequence[Count]
    days: Sequence[Count]
    slowest: Sequence[Slow]
    largest: Sequence[Slow]
    changes: Sequence[StateChange]
    left_out: str  # in words, by the latest run that finished its scan
    not_served: NotServed
    failed: Sequence[tuple[FailureGroup, Sequence[FailedDocument]]]  # the first of each group
    cluster: Mapping[str, Any] | None  # of the latest run


def statistics(db: sqlite3.Connection) -> Statistics:
    """Compute the numbers from one consistent state of the ledger."""
    reporting = ReportingQueries(db)
    db.execute("BEGIN")  # one consistent state, while a run may keep writing
    try:
        db.execute(_TOOK)
        db.execute(_SAVES)
        pages, credits = reporting.spent()
        runs = _runs(db)
        return Statistics(
            batch=str(
                db.execute(
                    "SELECT coalesce((SELECT value FROM meta WHERE key = 'batch'), 'rebuilt')"
                ).fetchone()[0]
            ),
            states=[Count(*row) for row in db.execute("SELECT state, documents FROM progress")],
            pages=pages,
            credits=credits,
            dollars_per_credit=reporting.dollars_per_credit(),
            bytes=int(
                db.execute("SELECT total(size) FROM documents WHERE current = 1").fetchone()[0]
            ),
            runs=runs,
            throughput=_throughput(db, runs),
            phases=[
                Phase(name, values)
                for name, column in _PHASES.items()
                if (values := _quantiles(db, column))
            ],
            to_disk=_spans(db),
            margins=_margins(db),
            errors=_errors(db),
            overcome=_counts(db, _OVERCOME),
            folders=_counts(db, _FOLDERS),
            days=_counts(db, _DAYS),
            slowest=_slow(db, "saved_at - accepted_at"),
            largest=_slow(db, "size"),
            changes=_changes(db, runs),
            left_out=str(reporting.left_out().get("words", "")),
            not_served=reporting.not_served(),
            failed=_failed(db),
            cluster=reporting.cluster(),
        )
    finally:
        db.execute("ROLLBACK")


_TOOK: Final = """
    CREATE TEMP TABLE took AS
    SELECT d.id, d.source, d.job, d.size, a.pages, a.credits, a.cost,
           a.sent_at, a.accepted_at, a.ended_at, a.deadline_at,
           (SELECT max(e.at) FROM events e
            WHERE e.document = d.id AND e.event = 'Saved') AS saved_at,
           (SELECT min(e.at) FROM events e
            WHERE e.document = d.id AND e.event = 'Found') AS found_at,
           (SELECT max(json_extract(e.detail, '$.duration')) FROM events e
            WHERE e.document = d.id AND e.event = 'Ended') AS duration
    FROM documents d JOIN attempts a ON a.document = d.id AND a.outcome = 'saved'
    WHERE a.accepted_at IS NOT NULL"""

# Of every result: also of a copy, which nobody waited for at the service.
_SAVES: Final = "CREATE TEMP TABLE saves AS SELECT at FROM events WHERE event = 'Saved'"

_PHASES: Final = {
    "waits here to be sent": "sent_at - found_at",
    "waits at the service, and for us to notice": "saved_at - accepted_at - duration",
    "processing": "duration",
}

# The API's error code where there is one, else the beginning of the reason.
_NAME: Final = """
    CASE WHEN {error_name} IS NOT NULL THEN {error_name}
         WHEN {why} IS NULL THEN {otherwise}
         WHEN instr({why}, ':') BETWEEN 2 AND 60 THEN substr({why}, 1, instr({why}, ':') - 1)
         ELSE substr({why}, 1, 60) END"""

_ERRORS: Final = f"""
    SELECT {
    _NAME.format(error_name="error_name", why="reason", otherwise="replace(state, '_', ' ')")
} AS name, count(*), 0.0
    FROM documents
    WHERE current = 1 AND state IN ({{states}}) GROUP BY name ORDER BY count(*) DESC, name"""
_OVERCOME: Final = f"""
    SELECT {_NAME.format(error_name="a.error_name", why="a.why", otherwise="'not said'")} AS name,
           count(*), 0.0
    FROM attempts a JOIN documents d ON d.id = a.document
    WHERE a.outcome = 'void' AND d.state = 'saved' GROUP BY name ORDER BY count(*) DESC, name"""
_FOLDERS: Final = """
    SELECT CASE WHEN instr(d.source, '/') = 0 THEN '(top)'
                ELSE substr(d.source, 1, instr(d.source, '/') - 1) END AS name,
           count(DISTINCT d.id), total(coalesce(a.credits, a.cost)) AS paid
    FROM documents d JOIN attempts a ON a.document = d.id AND a.outcome IN ('saved', 'lost')
    GROUP BY name ORDER BY paid DESC, name"""
_DAYS: Final = """
    SELECT date(a.sent_at, 'unixepoch', 'localtime') AS name, count(*),
           total(coalesce(a.credits, a.cost))
    FROM attempts a WHERE a.outcome IN ('saved', 'lost') GROUP BY name ORDER BY name"""


def _counts(db: sqlite3.Connection, sql: str) -> list[Count]:
    return [Count(str(name), number, amount) for name, number, amount in db.execute(sql)]


def _errors(db: sqlite3.Connection) -> list[Count]:
    return _counts(db, _ERRORS.format(states=",".join(f"'{state}'" for state in sorted(VERDICTS))))


def _failed(db: sqlite3.Connection) -> list[tuple[FailureGroup, list[FailedDocument]]]:
    """Return each group of failures with the first of its documents."""
    failed = FailedDocuments(db)
    listed = [(group, list[FailedDocument]()) for group in failed.groups()]
    rows = failed.documents(of_each_group=FAILED_OF_EACH_GROUP, at_most=FAILED_AT_MOST)
    for rank, document in rows:
        listed[rank][1].append(document)
    return listed


def _runs(db: sqlite3.Connection) -> list[RunRow]:
    sql = """
        SELECT r.id, r.started_at, r.ended_at, r.exit_code,
               (SELECT count(*) FROM temp.saves s
                WHERE s.at BETWEEN r.started_at AND coalesce(r.next_at, 1e12)),
               (SELECT total(coalesce(t.credits, t.cost)) FROM temp.took t
                WHERE t.saved_at BETWEEN r.started_at AND coalesce(r.next_at, 1e12))
        FROM (SELECT *, lead(started_at) OVER (ORDER BY id) AS next_at FROM runs) r
        ORDER BY r.id DESC LIMIT 30"""
    db.execute("CREATE INDEX temp.took_saved ON took(saved_at)")
    db.execute("CREATE INDEX temp.saves_at ON saves(at)")
    return [RunRow._make(row) for row in db.execute(sql)][::-1]


def _throughput(db: sqlite3.Connection, runs: Sequence[RunRow]) -> list[Bucket]:
    """Return the throughput of the last run that saved something."""
    busy = [run for run in runs if run.saved]
    if not busy:
        return []
    later = [run.started_at for run in runs if run.number > busy[-1].number]
    until = later[0] if later else 1e12
    first, last = db.execute(
        "SELECT min(at), max(at) FROM temp.saves WHERE at BETWEEN ? AND ?",
        (busy[-1].started_at, until),
    ).fetchone()
    start = min(busy[-1].started_at, first)
    number = max(1, min(BUCKETS, int(last - start)))  # no bucket is shorter than a second
    width = max((last - start) / number, 1.0)
    sql = (
        "SELECT min(?, CAST((at - ?) / ? AS INTEGER)), count(*) FROM temp.saves"
        " WHERE at BETWEEN ? AND ? GROUP BY 1"
    )
    found = dict(db.execute(sql, (number - 1, start, width, start, until)))
    return [Bucket(start + n * width, width, found.get(n, 0)) for n in range(number)]


def _quantiles(db: sqlite3.Connection, column: str) -> tuple[float, ...]:
    where = f"FROM temp.took WHERE {column} IS NOT NULL"
    number = db.execute(f"SELECT count(*) {where}").fetchone()[0]
    if not number:
        return ()
    at = (min(int(number * quantile), number - 1) for quantile in QUANTILES)
    sql = f"SELECT max(0.0, {column}) {where} ORDER BY {column} LIMIT 1 OFFSET ?"
    return tuple(float(db.execute(sql, (offset,)).fetchone()[0]) for offset in at)


def _spans(db: sqlite3.Connection) -> list[Count]:
    """Count documents by the time from acceptance to disk, without empty buckets at either end."""
    cases = " ".join(
        f"WHEN saved_at - accepted_at <= {bound} THEN {n}" for n, bound in enumerate(SPANS)
    )
    sql = (
        f"SELECT CASE {cases} ELSE {len(SPANS)} END, count(*) FROM temp.took WHERE saved_at NOT "
        "NULL GROUP BY 1"
    )
    found = dict(db.execute(sql))
    if not found:
        return []
    names = [f"≤ {format_duration(bound)}" for bound in SPANS] + ["later"]
    return [Count(names[n], found.get(n, 0)) for n in range(min(found), max(found) + 1)]


def _margins(db: sqlite3.Connection) -> list[Count]:
    """Count documents by the hours that were left before expiry when they were saved."""
    sql = (
        "SELECT max(-1, min(23, CAST((deadline_at - saved_at) / 3600 AS INTEGER))), count(*) FROM "
        "temp.took"
        " WHERE saved_at NOT NULL AND deadline_at NOT NULL GROUP BY 1"
    )
    found = dict(db.execute(sql))
    return (
        [Count(f"{n}–{n + 1} h", found.get(n, 0)) for n in range(max(found) + 1)] if found else []
    )


def _slow(db: sqlite3.Connection, by: str) -> list[Slow]:
    sql = (
        "SELECT source, CASE WHEN (SELECT min(job) < max(job) FROM temp.took) THEN job ELSE '' END,"
        " size, pages, saved_at - accepted_at FROM temp.took WHERE saved_at NOT NULL"
        f" ORDER BY {by} DESC, source, id LIMIT {TOP}"
    )
    return [Slow._make(row) for row in db.execute(sql)]


def _changes(db: sqlite3.Connection, runs: Sequence[RunRow]) -> list[StateChange]:
    """Count the documents that changed in the last run, by the state that each came to."""
    if not runs:
        return []
    sql = """
        SELECT e.state, count(DISTINCT e.document), min(d.source)
        FROM events e JOIN documents d ON d.id = e.document
        WHERE e.seq > coalesce((SELECT max(seq) FROM events WHERE at < ?), 0) AND e.state = d.state
        AND e.event NOT IN ('DeletionStarted', 'Cleaned')
        GROUP BY e.state ORDER BY 2 DESC"""
    return [StateChange(*row) for row in db.execute(sql, (runs[-1].started_at,))]
