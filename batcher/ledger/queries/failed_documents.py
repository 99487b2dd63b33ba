"""Which documents failed: in groups, each document in its group, or only their paths.

Rows are read as a stream, sorted by SQLite and not here, so that a hundred thousand failures need
no more memory than a hundred.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from batcher.common.names import path_of
from batcher.core.lifecycle import VERDICTS
from batcher.core.reasons import alike
from batcher.core.summary import FailureGroup
from batcher.ledger.queries.fragments import listed
from batcher.ledger.queries.notes import noted
from batcher.manifest.model import LOCAL
from batcher.manifest.patterns import pattern_spec
from batcher.reducto.error_rules import PASSING, RUNS

# groups that are told apart, as `REASONS_AT_MOST` of `reporting` is for what was not served
GROUPS_AT_MOST: Final = 1_000
_OTHERS: Final = "for other reasons"
_ALL: Final = (1 << 63) - 1  # more rows than SQLite can hold

Key = tuple[str, str | None, str]


class FailedDocument(msgspec.Struct, frozen=True, rename={"kind": "class"}):
    """A document with a verdict other than saved.

    `credits` is what the service billed for its attempts, or our estimate where it says nothing of
    results that are lost. `credits_maybe_billed` is the estimate of attempts without a result, of
    which nobody can say whether they are billed; the local service bills none. `failed_at` is in
    seconds since the epoch; None if that isn't on record. `waits` is whether the next run tries it
    again without being asked, and `runs` is then the number of runs that have tried it.
    """

    path: str
    step: str
    state: str
    kind: str | None
    error_name: str | None
    reason: str | None
    attempts: int
    credits: float
    credits_maybe_billed: float
    failed_at: float | None
    waits: bool
    runs: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Which failures are asked for; a field that is empty or None leaves out none of them.

    `kinds` are error classes, `errors` the API's error names, `globs` patterns as of a manifest's
    `include`, of which one must fit; `since` is in seconds since the epoch.
    """

    state: str | None = None
    kinds: frozenset[str] | None = None
    errors: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()
    since: float | None = None
    step: str | None = None

    def conditions(self) -> tuple[str, list[object]]:
        """Return the conditions on a row `d` of `documents` as SQL, and their values."""
        parts = [f"d.current = 1 AND d.state IN ({listed(VERDICTS)})"]
        values: list[object] = []
        for condition, value in (
            ("d.state = ?", self.state),
            ("d.kind IN (SELECT value FROM json_each(?))", _as_list(self.kinds)),
            (
                "upper(d.error_name) IN (SELECT upper(value) FROM json_each(?))",
                _as_list(self.errors),
            ),
            (f"{_FAILED_AT} >= ?", self.since),
            ("d.job = ?", self.step),
        ):
            if value is not None:
                parts.append(condition)
                values.append(value)
        if self.globs:
            parts.append("is_asked_for(d.source)")
        return " AND ".join(parts), values


class FailedDocuments:
    """The failures of a batch that fit a selection, as of the moment when this is made.

    It reads within one transaction, which lasts until its connection is closed.
    """

    def __init__(self, connection: sqlite3.Connection, selection: Selection = Selection()) -> None:
        """Take a connection that is used for nothing else. Raises ValueError for a bad pattern."""
        self._connection = connection
        self.is_filtered = selection != Selection()
        self._where, self._values = selection.conditions()
        if not connection.in_transaction:
            connection.execute("BEGIN")
        if selection.globs:
            fits = pattern_spec(selection.globs).match_file
            connection.create_function(
                "is_asked_for", 1, lambda source: fits(raw_path(source)), deterministic=True
            )
        self._groups: FailureGroups | None = None

    def groups(self) -> list[FailureGroup]:
        """Return groups of failures as `ReportingQueries.failures` does, the largest first."""
        return self._grouped().in_order()

    def documents(
        self, *, of_each_group: int | None = None, at_most: int | None = None
    ) -> Iterator[tuple[int, FailedDocument]]:
        """Yield (position of its group in `groups`, document), by group and then by path.

        Of each group come the first `of_each_group`, and of all groups together `at_most`.
        """
        ranks = self._grouped().ranks()
        self._connection.create_function(
            "rank_of", 4, lambda *cause: ranks[_key_in(ranks, *cause)], deterministic=True
        )
        sql = _DOCUMENTS.format(where=self._where)
        most = (of_each_group or _ALL, at_most or _ALL)
        for rank, *values, waits, runs in self._connection.execute(sql, (*self._values, *most)):
            values += [bool(waits), runs]
            yield rank, FailedDocument(*values)

    def paths(self) -> Iterator[str]:
        """Yield the path of each document as the ledger spells it, sorted and each one once."""
        sql = f"SELECT DISTINCT d.source FROM documents d WHERE {self._where} ORDER BY d.source"
        for (source,) in self._connection.execute(sql, self._values):
            yield source

    def steps(self) -> list[str]:
        """Return the steps in which some document of the selection failed."""
        sql = f"SELECT DISTINCT d.job FROM documents d WHERE {self._where} ORDER BY d.job"
        return [job for (job,) in self._connection.execute(sql, self._values)]

    def has_step(self, step: str) -> bool:
        """Return whether any document of the batch, failed or not, is of that step."""
        sql = "SELECT 1 FROM documents WHERE job = ? LIMIT 1"
        return self._connection.execute(sql, (step,)).fetchone() is not None

    def all_steps(self) -> list[str]:
        """Return the steps of the batch."""
        sql = "SELECT job FROM documents WHERE current = 1 GROUP BY job ORDER BY min(id)"
        return [job for (job,) in self._connection.execute(sql)]

    def has_error(self, name: str) -> bool:
        """Return whether some failure of the batch has that error name."""
        return name.upper() in {one.upper() for one in self.all_errors()}

    def all_errors(self) -> list[str]:
        """Return the error names of all failures of the batch."""
        where, _ = Selection().conditions()
        sql = (
            f"SELECT DISTINCT d.error_name FROM documents d WHERE {where}"
            " AND d.error_name IS NOT NULL ORDER BY 1"
        )
        return [name for (name,) in self._connection.execute(sql)]

    def _grouped(self) -> FailureGroups:
        if self._groups is None:
            self._note_waiting()
            rows = self._connection.execute(
                grouping("SELECT id, runs FROM temp.waiting", self._where), self._values
            )
            self._groups = FailureGroups(rows)
        return self._groups

    def _note_waiting(self) -> None:
        """Write down in a temporary table which documents the next run tries again."""
        self._connection.execute("DROP TABLE IF EXISTS temp.waiting")
        self._connection.execute("CREATE TEMP TABLE waiting(id INTEGER PRIMARY KEY, runs INTEGER)")
        self._connection.execute(
            f"INSERT INTO temp.waiting {PASSING_DOCUMENTS}",
            {"runs": runs_of(self._connection), "scan": None},
        )


class FailureGroups:
    """Groups of failures, each under what all of its documents have in common."""

    def __init__(self, rows: Iterable[Sequence[object]]) -> None:
        """Take the rows of the query that `grouping` returns."""
        self._groups: dict[Key, FailureGroup] = {}
        for row in rows:
            self._add(FailureGroup(*row))  # type: ignore[arg-type]

    def in_order(self) -> list[FailureGroup]:
        """Return the groups, the one with the most documents first."""
        return [self._groups[key] for key in self._keys()]

    def ranks(self) -> dict[Key, int]:
        """Return the position of each group in `in_order`."""
        return {key: rank for rank, key in enumerate(self._keys())}

    def _keys(self) -> list[Key]:
        return sorted(self._groups, key=lambda key: -self._groups[key].documents)

    def _add(self, group: FailureGroup) -> None:
        name = group.error_name or None
        key = _key_of(group.state, group.kind, str(name) if name else None, group.reason)
        if name is None:
            group = msgspec.structs.replace(group, error_name=msgspec.UNSET)
        if key not in self._groups and len(self._groups) >= GROUPS_AT_MOST:
            key = (group.state, group.kind, _OTHERS)
            group = msgspec.structs.replace(group, reason=_OTHERS, error_name=msgspec.UNSET)
        known = self._groups.get(key)
        self._groups[key] = group if known is None else _together(known, group)


def raw_path(source: str) -> str:
    """Return a document's path as the system would spell it, for patterns to be tried on."""
    return os.fsdecode(path_of(source))


def grouping(waiting: str, where: str) -> str:
    """Return the query of groups. `waiting` selects (document, runs), `where` limits rows `d`.

    Failures are grouped by whole reasons here, and further by `FailureGroups`.
    """
    return _GROUPS.format(waiting=waiting, where=where)


def runs_of(connection: sqlite3.Connection) -> int:
    """Return how many runs try a passing failure, by the manifest of the last run."""
    manifest = json.loads(noted(connection, "manifest") or "{}")
    return int(manifest.get("retry", {}).get("runs", RUNS))


def _as_list(values: Iterable[str] | None) -> str | None:
    return json.dumps(sorted(values)) if values else None


def _key_of(state: str, kind: str | None, error_name: str | None, reason: str | None) -> Key:
    return state, kind, alike(error_name or reason or "")


def _key_in(ranks: dict[Key, int], *cause: str) -> Key:
    key = _key_of(*cause)
    return key if key in ranks else (key[0], key[1], _OTHERS)


def _together(one: FailureGroup, other: FailureGroup) -> FailureGroup:
    waiting = [group.runs for group in (one, other) if group.waits]
    return msgspec.structs.replace(
        one,
        documents=one.documents + other.documents,
        example=min(one.example, other.example),
        waits=one.waits + other.waits,
        runs=min(waiting, default=0),
    )


# When it came to the verdict that it has.
_FAILED_AT: Final = """
    (SELECT max(e.at) FROM events e WHERE e.document = d.id AND e.state = d.state)"""
# Like the view `failures`, but with the list of states that are verdicts, for which there is an
# index.
_GROUPS: Final = """
    WITH waiting(id, runs) AS MATERIALIZED ({waiting})
    SELECT d.state, d.kind, d.reason, count(*) AS documents, min(d.source), count(w.id),
           coalesce(min(w.runs), 0), d.error_name
    FROM documents d LEFT JOIN waiting w ON w.id = d.id
    WHERE {where}
    GROUP BY d.state, d.kind, d.error_name, d.reason ORDER BY documents DESC"""
_DOCUMENTS: Final = f"""
    WITH chosen AS (
        SELECT d.id, d.source, d.job, rank_of(d.state, d.kind, d.error_name, d.reason) AS rank
        FROM documents d WHERE {{where}}),
    numbered AS (
        SELECT id, rank, row_number() OVER (PARTITION BY rank ORDER BY source, job, id) AS number
        FROM chosen),
    picked AS MATERIALIZED (
        SELECT id, rank, number FROM numbered WHERE number <= ? ORDER BY rank, number LIMIT ?)
    SELECT n.rank, d.source, d.job, d.state, d.kind, d.error_name, d.reason,
           (SELECT count(*) FROM attempts a WHERE a.document = d.id),
           (SELECT total(coalesce(a.credits, iif(a.outcome IN ('saved', 'lost'), a.cost, 0)))
            FROM attempts a WHERE a.document = d.id),
           (SELECT total(a.cost) FROM attempts a WHERE a.document = d.id
            AND a.credits IS NULL AND a.outcome NOT IN ('saved', 'lost')
            AND a.service <> '{LOCAL}'),
           {_FAILED_AT}, w.id IS NOT NULL, coalesce(w.runs, 0)
    FROM picked n JOIN documents d ON d.id = n.id LEFT JOIN temp.waiting w ON w.id = d.id
    ORDER BY n.rank, n.number"""
# Runs are counted by what happened to these bytes in this step, in whichever document.
PASSING_DOCUMENTS: Final = f"""
    WITH failed AS MATERIALIZED (
        SELECT d.id, d.content, d.step FROM documents d LEFT JOIN documents u ON u.id = d.upstream
        WHERE d.state = 'failed' AND d.current = 1 AND d.kind IN ({listed(PASSING)})
        AND (:scan IS NULL OR d.scan = :scan)
        AND (d.upstream IS NULL OR u.state = 'saved')),
    happened AS MATERIALIZED (
        SELECT s.content, s.step, e.seq,
               max(iif(e.event IN ('Retried', 'Follows'), e.seq, 0)) OVER same AS decided_seq,
               max(iif(e.event IN ('Retried', 'Follows'), e.at, 0)) OVER same AS decided_at
        FROM (SELECT DISTINCT content, step FROM failed) s
        JOIN documents o ON o.content = s.content AND o.step = s.step
        JOIN events e ON e.document = o.id
        WHERE e.event IN ('Retried', 'Follows', 'JobFailed', 'GivenUp', 'Rejected')
        WINDOW same AS (PARTITION BY s.content, s.step)),
    tried AS MATERIALIZED (
        SELECT content, step, count(*) AS runs, max(decided_at) AS since
        FROM happened WHERE seq > decided_seq GROUP BY content, step)
    SELECT f.id, t.runs FROM tried t
    CROSS JOIN documents f INDEXED BY same_bytes  -- else SQLite pairs all with all
    WHERE f.content = t.content AND f.step = t.step AND +f.id IN (SELECT id FROM failed)
    AND t.runs < :runs AND NOT EXISTS (
        SELECT 1 FROM documents o JOIN attempts a ON a.document = o.id
        WHERE o.content = f.content AND o.step = f.step
        AND a.outcome <> 'void' AND a.sent_at >= t.since)
    ORDER BY f.id"""
