"""The documents of a batch as a table of any size: filtered, sorted, a page at a time.

A page begins after a document, wherever that now stands in the order, and not at a number: the
first page of a million documents costs what the first of a hundred does. What can't be had from an
index of the ledger reads all documents; `connection.bounded` is for that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from batcher.core.lifecycle import State
from batcher.ledger.queries.document_filter import (
    CHANGED,
    CHANGED_AT,
    CREDITS,
    EVERY_DOCUMENT,
    DocumentFilter,
)
from batcher.ledger.queries.fragments import listed

# documents of some states that are better sorted than found among all the others
FEW: Final = 5_000
FOLDERS_AT_MOST: Final = 200
FIRST: Final = 2_000  # documents by which the steps of a batch are known


class Sort(StrEnum):
    """What documents are sorted by. The values appear in addresses of pages."""

    PATH = "path"
    ADDED = "added"
    CHANGED = "changed"
    STATE = "state"
    SIZE = "size"
    PAGES = "pages"
    CREDITS = "credits"


class ListedDocument(NamedTuple):
    """A row of the table.

    `credits` is what was spent on it, billed or else estimated; 0 for a copy. `pages` are those
    that the service counted. `changed_at` is in seconds since the epoch.
    """

    id: int
    path: str
    step: str
    state: State
    size: int
    pages: int | None
    credits: float
    attempts: int
    changed_at: float | None
    reason: str | None
    error_name: str | None
    metadata: str | None
    job_id: str | None
    output: str
    place: str | None
    folder: str


@dataclass(frozen=True, slots=True)
class Order:
    """How documents are sorted; equal ones stand in the order in which they were found."""

    by: Sort = Sort.PATH
    descending: bool = False


class DocumentPage(NamedTuple):
    """Some documents in a row, and whether there are others before and after them."""

    rows: list[ListedDocument]
    has_before: bool
    has_after: bool


class _Lookup(NamedTuple):
    """The tables in which documents `d` are looked for, and what they are sorted by there."""

    table: str
    keys: tuple[str, ...]


class DocumentList:
    """The documents of a ledger that fit `which`, in an order."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        which: DocumentFilter = EVERY_DOCUMENT,
        order: Order = Order(),
    ) -> None:
        """Read nothing yet. `connection` needs only to read."""
        self._connection = connection
        self._which = which
        self._order = order

    def page(
        self, size: int, *, after: int | None = None, before: int | None = None
    ) -> DocumentPage:
        """Return at most `size` documents: the first ones, or those next to a document.

        `after` and `before` are numbers of documents, which need not fit the filter any more.
        """
        if before is not None:
            rows = self._beside(before, size + 1, backwards=True)
            return DocumentPage(rows[:size][::-1], len(rows) > size, bool(rows))
        if after is None:
            rows = self._first(size + 1)
        else:
            rows = self._beside(after, size + 1, backwards=False)
        return DocumentPage(rows[:size], after is not None, len(rows) > size)

    def neighbours(self, document: int) -> tuple[int | None, int | None]:
        """Return the documents before and after one in the list; None where it ends."""
        before = self._beside(document, 1, backwards=True)
        after = self._beside(document, 1, backwards=False)
        return (before[0].id if before else None), (after[0].id if after else None)

    def count(self, at_most: int) -> int:
        """Return the number of documents, or `at_most` if there are more."""
        where, values = self._which.conditions()
        sql = f"SELECT count(*) FROM (SELECT 1 FROM {self._counted()} WHERE {where} LIMIT ?)"
        return int(self._connection.execute(sql, (*values, at_most)).fetchone()[0])

    def _first(self, number: int) -> list[ListedDocument]:
        return self._rows("1", (), number, backwards=False)

    def _beside(self, document: int, number: int, *, backwards: bool) -> list[ListedDocument]:
        """Return the documents after this one, or before it, the nearest first."""
        keys = ", ".join(_KEYS[self._order.by])
        sql = f"SELECT {keys} FROM documents d WHERE d.id = ?"
        place = self._connection.execute(sql, (document,)).fetchone()
        if place is None:
            return []
        sign = "<" if backwards is not self._order.descending else ">"
        found = self._lookup()
        marks = ", ".join("?" * len(found.keys))
        beyond = f"({', '.join(found.keys)}) {sign} ({marks})"
        return self._rows(beyond, place, number, backwards=backwards)

    def _rows(
        self, beyond: str, place: Sequence[object], number: int, *, backwards: bool
    ) -> list[ListedDocument]:
        where, values = self._which.conditions()
        way = "DESC" if backwards is not self._order.descending else "ASC"
        found = self._lookup()
        wanted = ", ".join(f"{key} {way}" for key in found.keys)
        again = ", ".join(f"{key} {way}" for key in _KEYS[self._order.by])
        # The subquery sorts numbers and not whole rows.
        sql = f"""
            SELECT {_COLUMNS} FROM (
                SELECT d.id FROM {found.table} WHERE {where} AND {beyond}
                ORDER BY {wanted} LIMIT ?) chosen
            JOIN documents d ON d.id = chosen.id ORDER BY {again}"""
        rows = self._connection.execute(sql, (*values, *place, number))
        return [_listed(row) for row in rows]

    def _lookup(self) -> _Lookup:
        """Return how those wanted are found soonest."""
        keys = _KEYS[self._order.by]
        if self._is_rare():
            return _Lookup("documents d INDEXED BY by_state", keys)
        if self._order.by is Sort.PATH:
            return _Lookup("documents d INDEXED BY one_current", keys)
        if self._order.by is Sort.CHANGED:
            return _Lookup(_BY_LAST_EVENT, ("e.seq",))
        return _Lookup("documents d", keys)

    def _counted(self) -> str:
        index = "by_state" if self._is_rare() else "one_current"
        return f"documents d INDEXED BY {index}"

    def _is_rare(self) -> bool:
        if not self._which.states:
            return False
        states = listed(map(State, self._which.states))
        sql = (
            "SELECT count(*) FROM (SELECT 1 FROM documents INDEXED BY by_state"
            f" WHERE state IN ({states}) LIMIT ?)"
        )
        return bool(self._connection.execute(sql, (FEW,)).fetchone()[0] < FEW)


def folders_of(connection: sqlite3.Connection) -> list[str]:
    """Return the first folders of the documents' paths, each with its slash.

    There is no more than a fixed number of look-ups: among many files that lie in no folder, some
    folders may be missing.
    """
    found: list[str] = []
    after = ""
    for _ in range(FOLDERS_AT_MOST):
        row = connection.execute(_NEXT_SOURCE, (after,)).fetchone()
        if row is None:
            break
        folder, slash, _ = row[0].partition("/")
        if slash:
            found.append(f"{folder}/")
            after = f"{folder}0"
        else:
            after = f"{folder}\0"
    return found


def steps_of(connection: sqlite3.Connection) -> list[str]:
    """Return the steps of the documents that were found first, which are those of all.

    All documents of a large batch would take a while to read.
    """
    sql = f"""
        SELECT job FROM (SELECT id, job FROM documents WHERE current = 1 ORDER BY id LIMIT {FIRST})
        GROUP BY job ORDER BY min(id)"""
    return [job for (job,) in connection.execute(sql)]


def states_of(connection: sqlite3.Connection) -> list[State]:
    """Return the states in which any document is, in the order of a document's life."""
    sql = "SELECT 1 FROM documents WHERE state = ? AND current = 1 LIMIT 1"
    return [
        state
        for state in State
        if state is not State.SUPERSEDED and connection.execute(sql, (state,)).fetchone()
    ]


def one_listed(connection: sqlite3.Connection, document: int) -> ListedDocument | None:
    """Return one document as a row of the table, whatever became of it; None if there is none."""
    sql = f"SELECT {_COLUMNS} FROM documents d WHERE d.id = ?"
    row = connection.execute(sql, (document,)).fetchone()
    return row and _listed(row)


_PAGES: Final = """coalesce((SELECT max(a.pages) FROM attempts a
    WHERE a.document = coalesce(d.payer, d.id)), -1)"""
# The last events of the batch first, each with its document: what changed last is found at once.
_BY_LAST_EVENT: Final = """events e CROSS JOIN documents d ON d.id = e.document AND NOT EXISTS (
    SELECT 1 FROM events later WHERE later.document = e.document AND later.seq > e.seq)"""
_JOB_ID: Final = """(SELECT a.job_id FROM attempts a
    WHERE a.document = coalesce(d.payer, d.id) AND a.job_id IS NOT NULL
    ORDER BY a.number DESC LIMIT 1)"""
_COLUMNS: Final = f"""d.id, d.source, d.job, d.state, d.size, {_PAGES}, {CREDITS},
    (SELECT count(*) FROM attempts a WHERE a.document = d.id), {CHANGED_AT},
    d.reason, d.error_name, d.metadata, {_JOB_ID}, d.output, d.place, d.folder"""
_KEYS: Final[dict[Sort, tuple[str, ...]]] = {
    Sort.PATH: ("d.source", "d.job", "d.folder"),
    Sort.ADDED: ("d.id",),
    Sort.CHANGED: (CHANGED,),
    Sort.STATE: ("d.state", "d.id"),
    Sort.SIZE: ("d.size", "d.id"),
    Sort.PAGES: (_PAGES, "d.id"),
    Sort.CREDITS: (CREDITS, "d.id"),
}
_NEXT_SOURCE: Final = """
    SELECT source FROM documents INDEXED BY one_current
    WHERE current = 1 AND source > ? ORDER BY source LIMIT 1"""


def _listed(row: Sequence[object]) -> ListedDocument:
    found = ListedDocument._make(row)
    pages = None if found.pages == -1 else found.pages
    return found._replace(state=State(found.state), pages=pages)
