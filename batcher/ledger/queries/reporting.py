"""Queries for reports to people: failures in groups, costs, speed, and changes since an event."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from batcher.core.lifecycle import VERDICTS, State
from batcher.core.summary import FailureGroup, NotServed, NotServedGroup
from batcher.ledger.queries.failed_documents import (
    PASSING_DOCUMENTS,
    FailureGroups,
    Selection,
    grouping,
    runs_of,
)
from batcher.ledger.queries.fragments import EACH
from batcher.ledger.queries.notes import noted
from batcher.ledger.queries.rows import (
    Account,
    Bill,
    StateCount,
)
from batcher.manifest.model import LOCAL
from batcher.reducto.rate_card import Prices

# The key under which a run keeps how its cluster is.
CLUSTER: Final = "cluster"


class ReportingQueries:
    """Queries of summaries, `status`, `failures` and the report. Amounts are in credits."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def failures(self, *, passing: Sequence[tuple[int, int]] | None = None) -> list[FailureGroup]:
        """Return groups of failures, the most frequent first.

        Failures with the same state, class and error name form one group, with the reason of the
        first. Without an error name, reasons that differ only in ids count as the same. `passing`
        is the result of the method of that name; None calls it.
        """
        waiting = json.dumps(self.passing() if passing is None else passing)
        given = "SELECT value ->> 0, value ->> 1 FROM json_each(?)"
        where, _ = Selection().conditions()
        return FailureGroups(
            self._connection.execute(grouping(given, where), (waiting,))
        ).in_order()

    def not_served(self) -> NotServed:
        """Return the saved documents of which the service left something out, by reason.

        Reasons that differ only in numbers, pages or quoted names count as the same.
        """
        found: dict[str, NotServedGroup] = {}
        documents = 0
        for said, number, example in self._connection.execute(_NOT_SERVED):
            documents += number
            for reason in dict.fromkeys(said.split("\n")):
                key = _PARTICULARS.sub("", _PLURAL.sub(r"\1", reason))
                if key not in found and len(found) >= REASONS_AT_MOST:
                    key = reason = "for other reasons"
                group = found.get(key) or NotServedGroup(reason, 0, example)
                found[key] = replace(group, documents=group.documents + number)
        return NotServed(documents, tuple(sorted(found.values(), key=lambda g: -g.documents)))

    def passing(self, *, runs: int | None = None, scan: int | None = None) -> list[tuple[int, int]]:
        """Return (document, runs that tried it) of failures that the next run tries again.

        These failed for a reason that may pass, nothing was paid for them, and fewer than `runs`
        runs have tried these bytes since a person last decided about them. `runs` is by default
        what the manifest of the last run says. With `scan`, only documents that this scan has found
        are returned.
        """
        if runs is None:
            runs = runs_of(self._connection)
        return list(self._connection.execute(PASSING_DOCUMENTS, {"runs": runs, "scan": scan}))

    def spent(self) -> tuple[int, float]:
        """Return (pages, credits) of all attempts whose job completed, and of duplicate jobs.

        Credits are estimates where the service doesn't state them. What the local service counted
        is never added to what another billed: only one of the two counts, by the latest run.
        """
        pages, credits = _paid(self._bills())
        (beside,) = self._connection.execute(_BESIDE, self._at_local()).fetchone()
        return pages, round(credits + float(beside), 6)

    def outdated(self, jobs: Sequence[str]) -> tuple[int, str, str]:
        """Return how many results are of older bytes than another step of the same file knows, and
        the path and the job of one of them.

        Only those of jobs that are not among `jobs` count: nobody renews them any more.
        """
        row = self._connection.execute(_OUTDATED, [json.dumps(jobs)] * 2).fetchone()
        return int(row[0]), row[1] or "", row[2] or ""

    def is_billed(self) -> bool:
        """Return whether the service of the latest run bills anything; the local one doesn't."""
        return not self._at_local()["local"]

    def _at_local(self) -> dict[str, bool | None]:
        """Return whether the latest run was at the local service, for a query; None if unknown."""
        service = self._manifest().get("service", {})
        if service:
            return {"local": service.get("name") == LOCAL}
        # a ledger that was made anew remembers no manifest before its next run
        services = self._connection.execute("SELECT DISTINCT service FROM attempts").fetchall()
        return {"local": True if services == [(LOCAL,)] else None}

    def _manifest(self) -> dict[str, Any]:
        """Return what the batch remembers of the manifest of its latest run."""
        return dict(json.loads(noted(self._connection, "manifest") or "{}"))

    def _bills(self) -> dict[str, Bill]:
        """Return the totals of settled attempts by outcome."""
        rows = self._connection.execute(_BILLS, self._at_local())
        return {row[0]: Bill(*row[1:]) for row in rows}

    def account(self) -> Account:
        """Return what is spent and what is likely to be spent.

        Documents to come are assumed to cost the average so far, or one credit if there is none.
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
        """Return (documents saved, credits of the jobs that ended) after event `seq`."""
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
        """Return the prices in the manifest of the last run; empty if that isn't known."""
        return dict(self._manifest().get("prices", {}))

    def dollars_per_credit(self) -> float:
        """Return what a credit costs at the service of the latest run; 0 at the local one."""
        price = float(self.prices().get("dollars_per_credit", Prices().dollars_per_credit))
        return price if self.is_billed() else 0.0

    def caps(self) -> dict[str, float]:
        """Return the limits on what the latest run may send, by their names in a manifest."""
        return dict(self._manifest().get("limits", {}))

    def left_out(self) -> dict[str, Any]:
        """Return what the latest run that finished its scan left out, as in its summary."""
        return dict(json.loads(noted(self._connection, "left out") or "{}"))

    def cluster(self) -> dict[str, Any] | None:
        """Return how the cluster of the latest run is or was; None if that had none."""
        recorded = noted(self._connection, CLUSTER)
        return dict(json.loads(recorded)) if recorded else None

    def last_summary(self) -> dict[str, Any]:
        """Return the summary of the latest run that ended; empty if none has."""
        sql = "SELECT summary FROM runs WHERE summary IS NOT NULL ORDER BY id DESC LIMIT 1"
        row = self._connection.execute(sql).fetchone()
        return dict(json.loads(row[0])) if row else {}

    def last_event(self) -> int:
        """Return the number of the last event, or 0."""
        return int(
            self._connection.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0]
        )

    def verdicts_since(self, seq: int, *, but: Sequence[int] = ()) -> int:
        """Count documents that got a verdict other than saved after event `seq`, and have it still.

        The documents `but`, and later steps that these block, aren't counted.
        """
        states = ",".join(f"'{state}'" for state in sorted(VERDICTS))
        sql = (
            "SELECT count(DISTINCT e.document) FROM events e JOIN documents d ON d.id = e.document"
            f" WHERE e.seq > ? AND d.current = 1 AND e.state = d.state AND d.state IN ({states})"
            f" AND d.id NOT IN ({_WITH_BLOCKED})"
        )
        return int(self._connection.execute(sql, (seq, json.dumps(but))).fetchone()[0])

    def took(self, limit: int = 500) -> list[tuple[int, float]]:
        """Return (bytes of the document, seconds from acceptance to end) of the latest jobs.

        Jobs of earlier runs are included.
        """
        sql = (
            "SELECT d.size, a.ended_at - a.accepted_at FROM attempts a JOIN documents d ON d.id = "
            "a.document"
            " WHERE a.ended_at IS NOT NULL AND a.outcome = 'saved'"
            # It isn't known when jobs ended that a later run fetched.
            " AND a.accepted_at >= coalesce((SELECT max(started_at) FROM runs WHERE started_at <= "
            "a.ended_at), 0)"
            " ORDER BY a.rowid DESC LIMIT ?"
        )
        return list(self._connection.execute(sql, (limit,)))

    def longest_took(self) -> float | None:
        """Return the longest of the times of `took` in seconds, or None."""
        return max((span for _, span in self.took()), default=None)

    def speed(self, latest: int = 5000) -> float | None:
        """Return documents saved per second in the latest run that saved at least five, or None."""
        row = self._connection.execute(_SPEED, {"latest": latest}).fetchone()
        return row and float(row[0])

    def steps(self) -> dict[str, dict[str, int]]:
        """Return the number of documents by state for each job, in order of first documents.

        It is empty if the batch has no step that follows another.
        """
        found: dict[str, dict[str, int]] = {}
        if (
            self._connection.execute(
                "SELECT 1 FROM documents WHERE upstream IS NOT NULL LIMIT 1"
            ).fetchone()
            is None
        ):
            return found  # otherwise all of a large ledger would be read to find out
        for job, state, number in self._connection.execute(
            "SELECT job, state, count(*) FROM documents WHERE current = 1 GROUP BY job, state "
            "ORDER BY min(id)"
        ):
            found.setdefault(job, {})[state] = number
        return found

    def withdrawn_since(self, seq: int) -> int:
        """Count the documents that were withdrawn after event `seq`."""
        sql = "SELECT count(*) FROM events WHERE seq > ? AND event = 'Withdrawn'"
        return int(self._connection.execute(sql, (seq,)).fetchone()[0])

    def saved_since(self, seq: int) -> list[tuple[str, int]]:
        """Return (output, bytes) of the results that were saved after event `seq`."""
        sql = (
            "SELECT output, output_size FROM documents WHERE current = 1 AND state = 'saved'"
            " AND id IN (SELECT document FROM events WHERE seq > ? AND event = 'Saved')"
        )
        return list(self._connection.execute(sql, (seq,)))

    def progress(self) -> list[StateCount]:
        """Return current documents and their bytes by state, the most frequent state first."""
        rows = self._connection.execute("SELECT state, documents, bytes FROM progress")
        return [StateCount(State(state), *rest) for state, *rest in rows]

    def table(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of one of `TABLES`, as a dictionary by column."""
        cursor = self._connection.execute(TABLES[name])
        names = [column[0] for column in cursor.description]
        for values in cursor:
            yield dict(zip(names, values, strict=True))


# reasons that are told apart; a service of another make might give each document one of its own
REASONS_AT_MOST: Final = 1_000
_PARTICULARS: Final = re.compile(r"^pages? \d[\d, -]*: |\bpages? (?=\d)|'[^']*'|\d[\d,. -]*")
# a noun behind its number: "6 pictures" are told with "1 picture"
_PLURAL: Final = re.compile(r"(?<=\d )([a-z]+?)s\b")
# The index holds only these documents, and otherwise SQLite would read all that are saved.
_NOT_SERVED: Final = """
    SELECT not_served, count(*), min(source) FROM documents INDEXED BY not_served
    WHERE not_served IS NOT NULL AND current = 1 AND state = 'saved'
    GROUP BY not_served ORDER BY min(source)"""
# What `batcher export` can write besides results.
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
    FROM attempts WHERE outcome IN ('saved', 'lost', 'void')
    AND (:local IS NULL OR (service = 'local') = :local) GROUP BY outcome"""
_BESIDE = "SELECT total(credits) FROM twins WHERE :local IS NULL OR (service = 'local') = :local"
_COMMITTED = (
    "SELECT count(*), total(cost) FROM attempts INDEXED BY one_open_attempt WHERE "
    "outcome IN ('open', 'accepted')"
)
_TO_COME = (
    "SELECT count(*) FROM documents WHERE current = 1 AND state IN ('following', 'queued', "
    "'uploaded')"
)
_WITH_BLOCKED = """
    WITH RECURSIVE these(id) AS (
        SELECT value FROM json_each(?) UNION
        SELECT d.id FROM these t JOIN documents d ON d.upstream = t.id WHERE d.state = 'blocked')
    SELECT id FROM these"""
_NOTHING: Final = Bill(0, 0.0, 0.0, 0.0)
_OUTDATED: Final = f"""
    SELECT count(*), min(d.output), d.job FROM documents d
    WHERE d.current = 1 AND d.state = 'saved' AND d.job NOT IN ({EACH})
    AND EXISTS (SELECT 1 FROM documents n WHERE n.source = d.source AND n.job IN ({EACH})
                AND n.folder = d.folder AND n.current = 1 AND n.content <> d.content)"""


def _paid(bills: Mapping[str, Bill]) -> tuple[int, float]:
    paid = [bills.get("saved", _NOTHING), bills.get("lost", _NOTHING)]
    return int(sum(bill.pages for bill in paid)), sum(bill.credits for bill in paid)
