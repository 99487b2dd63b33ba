"""What happened in a run, for those who follow it: each query reads no more than what is new."""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

from batcher.core.lifecycle import VERDICTS


class SecondCount(NamedTuple):
    """How many events of a kind there were in the second that begins at `at`, in Unix seconds."""

    at: int
    event: str
    number: int


class Mishap(NamedTuple):
    """Events of one kind that put a document off, with the same reason.

    `until` is when the last of these documents is tried again; None if nothing says so.
    """

    event: str
    reason: str
    number: int
    last_at: float
    until: float | None


class RunBill(NamedTuple):
    """What the submissions since the start of a run come to. Amounts are in credits.

    `out_credits` is the estimate for jobs whose bill isn't known yet.
    """

    submissions: int
    pages: int
    credits: float
    out_credits: float


def last_seq_before(connection: sqlite3.Connection, moment: float) -> int:
    """Return a number that no event before `moment` exceeds, and each later one does.

    Events are numbered in the order of their times, so few of them need be looked at.
    """
    (highest,) = connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
    low = 0
    high = int(highest)
    while low < high:
        middle = (low + high + 1) // 2
        row = connection.execute(_AT, (middle,)).fetchone()
        if row is None or row[0] < moment:
            low = middle
        else:
            high = middle - 1
    return low


def seconds_since(connection: sqlite3.Connection, seq: int) -> list[SecondCount]:
    """Return the events after number `seq`, counted by second and kind, in the order of time."""
    return [SecondCount(*row) for row in connection.execute(_SECONDS, (seq,))]


def mishaps_since(connection: sqlite3.Connection, seq: int) -> list[Mishap]:
    """Return what put documents off after event `seq`, the latest first."""
    return [Mishap(*row) for row in connection.execute(_MISHAPS, (seq,))]


def bill_since(connection: sqlite3.Connection, moment: float) -> RunBill:
    """Return what the attempts come to that were sent since `moment`."""
    return RunBill(*connection.execute(_BILL, (moment,)).fetchone())


def verdicts_since(connection: sqlite3.Connection, seq: int) -> list[int]:
    """Return the documents that came to another verdict than saved after event `seq`."""
    return [row[0] for row in connection.execute(_VERDICTS, (seq,))]


def fetched_since(connection: sqlite3.Connection, moment: float) -> tuple[int, float]:
    """Return the pages and credits of jobs whose end was noticed since `moment`."""
    pages, credits = connection.execute(_FETCHED, (moment,)).fetchone()
    return int(pages), float(credits)


def deadlines_by_minute(connection: sqlite3.Connection) -> list[tuple[float, int]]:
    """Return (deadline, jobs in flight) in the order of time; deadlines are rounded to minutes."""
    return [(minute * 60.0, number) for minute, number in connection.execute(_DEADLINES)]


_AT: Final = "SELECT at FROM events WHERE seq <= ? ORDER BY seq DESC LIMIT 1"
_SECONDS: Final = """
    SELECT CAST(at AS INTEGER) AS second, event, count(*) FROM events WHERE seq > ?
    GROUP BY second, event ORDER BY second"""
_MISHAPS: Final = """
    SELECT event, coalesce(detail ->> 'reason', '') AS reason, count(*), max(at) AS last_at,
           max(detail ->> 'due_at')
    FROM events
    WHERE seq > ? AND event IN ('RefusedForNow', 'ReplyLost', 'JobToRepeat', 'JobVoided',
                                'UploadLapsed', 'Postponed')
    GROUP BY event, reason ORDER BY last_at DESC"""
_VERDICTS: Final = f"""
    SELECT DISTINCT document FROM events NOT INDEXED
    WHERE seq > ? AND state IN ({", ".join(f"'{state}'" for state in sorted(VERDICTS))})"""
_FETCHED: Final = """
    SELECT total(pages), total(coalesce(credits, cost)) FROM attempts
    WHERE ended_at >= ? AND outcome IN ('saved', 'accepted', 'lost')"""
_SETTLED: Final = "(pages IS NOT NULL OR credits IS NOT NULL OR outcome IN ('void', 'saved'))"
_BILL: Final = f"""
    SELECT coalesce(sum(NOT (outcome = 'void' AND cost = 0)), 0),
           CAST(total(pages) AS INTEGER),
           total(iif({_SETTLED}, coalesce(credits, cost), 0)),
           total(iif({_SETTLED}, 0, cost))
    FROM attempts WHERE sent_at >= ?"""
_DEADLINES: Final = """
    SELECT CAST(a.deadline_at / 60 AS INTEGER) AS minute, count(*)
    FROM documents d JOIN attempts a ON a.document = d.id AND a.outcome = 'accepted'
    WHERE d.state IN ('waiting', 'ready') GROUP BY minute ORDER BY minute"""
