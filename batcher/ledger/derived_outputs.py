"""What the ledger remembers of everything made of saved results, and what is still to be made.

It can all be lost: each is made again from the results on disk, for nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from batcher.core.columns import Columns, ColumnType
from batcher.ledger.ledger import Ledger
from batcher.ledger.queries.notes import noted


class Derivable(NamedTuple):
    """A saved result of which something is to be made.

    `credits` as billed, 0 for a copy of another's.
    """

    document: int
    source: str
    job: str
    output: str
    sha256: str
    size: int
    job_id: str | None
    pages: int | None
    credits: float | None
    metadata: str | None = None  # JSON


class Derived(NamedTuple):
    """A row of the table of that name: whatever `start` and `size` bound in `file` has `sha256`."""

    document: int
    format: str
    result_sha256: str
    file: str
    start: int = 0
    size: int = 0
    sha256: str | None = None
    note: str | None = None


_SAVED: Final = "d.current = 1 AND d.state = 'saved' AND d.output_sha256 IS NOT NULL"
NOTHING: Final = ""  # the file of what couldn't be made
_MADE: Final = (
    "EXISTS (SELECT 1 FROM derived x WHERE x.document = d.id AND x.format = ? AND "
    "x.result_sha256 = d.output_sha256)"
)
_DERIVABLE: Final = (
    "SELECT d.id, d.source, d.job, d.output, d.output_sha256, d.output_size, a.job_id, a.pages,"
    " CASE WHEN d.payer IS NULL THEN coalesce(a.credits, a.cost) ELSE 0.0 END,"
    " d.metadata FROM documents d LEFT JOIN attempts a"
    " ON a.rowid = (SELECT max(b.rowid) FROM attempts b WHERE b.document = coalesce(d.payer, d.id)"
    " AND b.outcome = 'saved')"
)


def missing(connection: sqlite3.Connection, format: str) -> list[tuple[int, int]]:
    """(document, bytes of its result) of those that are saved and of which `format` hasn't been
    made yet.
    """
    sql = (
        f"SELECT d.id, d.output_size FROM documents d WHERE {_SAVED} AND NOT {_MADE} ORDER BY d.id"
    )
    return connection.execute(sql, (format,)).fetchall()


def derivable(
    connection: sqlite3.Connection, format: str, documents: Sequence[int]
) -> list[Derivable]:
    """Those of `documents` that `missing` would name."""
    marks = ",".join("?" * len(documents))
    sql = f"{_DERIVABLE} WHERE d.id IN ({marks}) AND {_SAVED} AND NOT {_MADE} ORDER BY d.id"
    return [Derivable._make(row) for row in connection.execute(sql, (*documents, format))]


def results(connection: sqlite3.Connection) -> Iterator[Derivable]:
    """All current results, by source."""
    rows = connection.execute(f"{_DERIVABLE} WHERE {_SAVED} ORDER BY d.source, d.job")
    return (Derivable._make(row) for row in rows)


def hashes_of(connection: sqlite3.Connection, file: str) -> frozenset[str]:
    """Of everything ever made under that name: what may be replaced."""
    sql = "SELECT sha256 FROM derived WHERE file = ? AND sha256 IS NOT NULL"
    return frozenset(row[0] for row in connection.execute(sql, (file,)))


def files(connection: sqlite3.Connection, format: str) -> dict[str, int]:
    """The files of a format and how far each is known."""
    sql = "SELECT file, max(start + size) FROM derived WHERE format = ? AND file <> ? GROUP BY file"
    return dict(connection.execute(sql, (format, NOTHING)))


def unmade(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """(format, source, why) of what the last run couldn't make of current results."""
    sql = (
        "SELECT x.format, d.source, x.note FROM derived x JOIN documents d ON d.id = x.document"
        f" WHERE {_SAVED} AND d.output_sha256 = x.result_sha256 AND x.file = ? ORDER BY x.format, "
        "d.source"
    )
    return connection.execute(sql, (NOTHING,)).fetchall()


def outdated(connection: sqlite3.Connection, format: str) -> list[str]:
    """Files that hold something of a document which is no longer saved as it was, or has a newer
    version.
    """
    sql = (
        "SELECT DISTINCT x.file FROM derived x JOIN documents d ON d.id = x.document WHERE "
        "x.format = ? AND x.file <> ?"
        f" AND NOT ({_SAVED} AND d.output_sha256 = x.result_sha256)"
    )
    return [row[0] for row in connection.execute(sql, (format, NOTHING))]


def all_made(connection: sqlite3.Connection) -> Iterator[Derived]:
    """Of current results, in the order of their files."""
    sql = (
        "SELECT x.* FROM derived x JOIN documents d ON d.id = x.document"
        f" WHERE {_SAVED} AND d.output_sha256 = x.result_sha256 AND x.file <> ? ORDER BY "
        "x.format, x.file, x.start"
    )
    return (Derived._make(row) for row in connection.execute(sql, (NOTHING,)))


def made_of(connection: sqlite3.Connection, document: int, format: str) -> str | None:
    """The file of that format, whose document it is."""
    sql = "SELECT file FROM derived WHERE document = ? AND format = ? AND file <> ?"
    row = connection.execute(sql, (document, format, NOTHING)).fetchone()
    return row and str(row[0])


def knows(connection: sqlite3.Connection, file: str) -> bool:
    """Whether something was made under that name, now or earlier."""
    return (
        connection.execute("SELECT 1 FROM derived WHERE file = ? LIMIT 1", (file,)).fetchone()
        is not None
    )


def lines_file(connection: sqlite3.Connection) -> str | None:
    """The file whose lines are ours, even where it holds none that count."""
    return noted(connection, "lines")


async def claim_lines_file(ledger: Ledger, name: str) -> None:
    await ledger.note("lines", name)


def columns_of(connection: sqlite3.Connection, job: str) -> Columns | None:
    """Of the Parquet files of that job, as the last run that knew what it asks for had them."""
    text = noted(connection, f"columns of {job}")
    return {name: ColumnType(kind) for name, kind in json.loads(text).items()} if text else None


def found_columns_of(connection: sqlite3.Connection, job: str) -> Columns | None:
    """Of the Parquet files of a job whose rows alone can tell, as far as they have told."""
    text = noted(connection, f"columns found in {job}")
    return {name: ColumnType(kind) for name, kind in json.loads(text).items()} if text else None


async def note_found_columns(ledger: Ledger, job: str, columns: Columns) -> None:
    if columns != found_columns_of(ledger.reader, job):
        await ledger.note(f"columns found in {job}", json.dumps(columns))


async def note_columns(ledger: Ledger, job: str, columns: Columns | None) -> None:
    """None: only its rows can tell."""
    if columns != columns_of(ledger.reader, job):
        await ledger.note(f"columns of {job}", None if columns is None else json.dumps(columns))


class DataSet(NamedTuple):
    """A file that many documents share, as far as it counts.

    `mark` tells it from what it was earlier.
    """

    name: str
    length: int
    mark: str


def data_sets(connection: sqlite3.Connection) -> list[DataSet]:
    """The files of lines and of Parquet."""
    sql = (
        "SELECT file, max(start + size), sha256 FROM derived WHERE format IN ('jsonl', 'parquet') "
        "AND file <> ''"
        " GROUP BY file ORDER BY file"  # of lines, the sha256 of the last one
    )
    return [
        DataSet(file, length, f"{length} {sha256}")
        for file, length, sha256 in connection.execute(sql)
    ]


def mirrored_sets(connection: sqlite3.Connection) -> dict[str, str]:
    """Their marks as they were put into an object store last, by the whole address."""
    return dict(json.loads(noted(connection, "mirrored sets") or "{}"))


async def note_mirrored_sets(ledger: Ledger, marks: dict[str, str]) -> None:
    await ledger.note("mirrored sets", json.dumps(marks))


async def remember(ledger: Ledger, made: Iterable[Derived]) -> None:
    rows = list(made)
    await ledger.write(
        lambda c: c.executemany(
            "INSERT OR REPLACE INTO derived VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows
        )
    )


async def give_up(ledger: Ledger, one: Derivable, format: str, why: str) -> None:
    """It can't be made of that result; the next run tries again."""
    await remember(ledger, [Derived(one.document, format, one.sha256, NOTHING, note=why)])


async def forget(ledger: Ledger, format: str, names: Iterable[str]) -> None:
    """Whatever was made in these files is to be made again."""
    rows = [(format, name) for name in names]
    await ledger.write(
        lambda c: c.executemany("DELETE FROM derived WHERE format = ? AND file = ?", rows)
    )
