"""What the ledger records about files made from saved results, and what is still to be made.

All of it may be lost: everything is made again from the results on disk, at no cost.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from batcher.core.columns import Columns, ColumnType
from batcher.ledger.ledger import Ledger
from batcher.ledger.queries.notes import noted


class Derivable(NamedTuple):
    """A saved result from which something is to be made.

    `credits` is what was billed, or estimated where there is no bill; 0 for a copy.
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
    folder: str = ""
    place: str | None = None  # where the document is, if not at its name in `folder`


class Derived(NamedTuple):
    """A row of the table `derived`.

    `sha256` is the hash of the `size` bytes at `start` in `file`.
    """

    document: int
    format: str
    result_sha256: str
    file: str
    start: int = 0
    size: int = 0
    sha256: str | None = None
    note: str | None = None


_SAVED: Final = "d.current = 1 AND d.state = 'saved' AND d.output_sha256 IS NOT NULL"
_OLDER: Final = f"NOT ({_SAVED} AND d.output_sha256 = x.result_sha256)"
NOTHING: Final = ""  # stands for the file where it couldn't be made
OF_RESULTS: Final = ("markdown", "jsonl", "parquet")  # the formats of `output.formats` besides JSON
_MADE: Final = (
    "EXISTS (SELECT 1 FROM derived x WHERE x.document = d.id AND x.format = ? AND "
    "x.result_sha256 = d.output_sha256)"
)
_DERIVABLE: Final = (
    "SELECT d.id, d.source, d.job, d.output, d.output_sha256, d.output_size, a.job_id, a.pages,"
    " CASE WHEN d.payer IS NULL THEN coalesce(a.credits, a.cost) ELSE 0.0 END,"
    " d.metadata, d.folder, d.place FROM documents d LEFT JOIN attempts a"
    " ON a.rowid = (SELECT max(b.rowid) FROM attempts b WHERE b.document = coalesce(d.payer, d.id)"
    " AND b.outcome = 'saved')"
)


def missing(connection: sqlite3.Connection, format: str) -> list[tuple[int, int]]:
    """Return (document, bytes of its result) of the saved documents that lack `format`."""
    sql = (
        f"SELECT d.id, d.output_size FROM documents d WHERE {_SAVED} AND NOT {_MADE} ORDER BY d.id"
    )
    return connection.execute(sql, (format,)).fetchall()


def derivable(
    connection: sqlite3.Connection, format: str, documents: Sequence[int]
) -> list[Derivable]:
    """Return those of `documents` that `missing` would return."""
    marks = ",".join("?" * len(documents))
    sql = f"{_DERIVABLE} WHERE d.id IN ({marks}) AND {_SAVED} AND NOT {_MADE} ORDER BY d.id"
    return [Derivable._make(row) for row in connection.execute(sql, (*documents, format))]


def results(connection: sqlite3.Connection, job: str | None = None) -> Iterator[Derivable]:
    """Yield all current results, or those of one job, by source."""
    sql = f"{_DERIVABLE} WHERE {_SAVED} AND (?1 IS NULL OR d.job = ?1) ORDER BY d.source, d.job"
    return (Derivable._make(row) for row in connection.execute(sql, (job,)))


def result_of(connection: sqlite3.Connection, document: int) -> Derivable | None:
    """Return the current result of one document, or None if it has none."""
    row = connection.execute(f"{_DERIVABLE} WHERE {_SAVED} AND d.id = ?", (document,)).fetchone()
    return row and Derivable._make(row)


def shape_of(connection: sqlite3.Connection, job: str) -> Any:
    """Return the shape of what a job extracts, as the last run recorded it; None if it has none."""
    return json.loads(noted(connection, f"shape of {job}") or "null")


async def note_shape(ledger: Ledger, job: str, shape: Any) -> None:
    """Record the shape of what a job extracts: names and types, and nothing else of its schema."""
    if shape != shape_of(ledger.reader, job):
        await ledger.note(f"shape of {job}", None if shape is None else json.dumps(shape))


def hashes_of(connection: sqlite3.Connection, file: str) -> frozenset[str]:
    """Return the hashes of everything ever made in `file`.

    A file with one of them may be replaced.
    """
    sql = "SELECT sha256 FROM derived WHERE file = ? AND sha256 IS NOT NULL"
    return frozenset(row[0] for row in connection.execute(sql, (file,)))


def files(connection: sqlite3.Connection, format: str) -> dict[str, int]:
    """Return the files of a format, with the number of bytes of each that are on record."""
    sql = "SELECT file, max(start + size) FROM derived WHERE format = ? AND file <> ? GROUP BY file"
    return dict(connection.execute(sql, (format, NOTHING)))


def unmade(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Return (format, source, reason) of what couldn't be made from current results."""
    sql = (
        "SELECT x.format, d.source, x.note FROM derived x JOIN documents d ON d.id = x.document"
        f" WHERE {_SAVED} AND d.output_sha256 = x.result_sha256 AND x.file = ? ORDER BY x.format, "
        "d.source"
    )
    return connection.execute(sql, (NOTHING,)).fetchall()


def outdated(connection: sqlite3.Connection, format: str) -> list[str]:
    """Return the files that hold something of a superseded document, or of one that has changed."""
    sql = (
        "SELECT DISTINCT x.file FROM derived x JOIN documents d ON d.id = x.document WHERE "
        "x.format = ? AND x.file <> ?"
        f" AND {_OLDER}"
    )
    return [row[0] for row in connection.execute(sql, (format, NOTHING))]


class Outdated(NamedTuple):
    """A file that holds something of an older version of `source`, and nothing of its newer one."""

    format: str
    file: str
    source: str


def all_outdated(
    connection: sqlite3.Connection, formats: Iterable[str] = OF_RESULTS
) -> Iterator[Outdated]:
    """Yield what is older than the results, in the order of the files.

    A part of a data set is outdated as soon as it holds a row that no result on disk has any more.
    Of Markdown and lines the last counts: these are outdated if nothing was made of a newer result.
    """
    newer = (
        "SELECT 1 FROM documents n WHERE n.output = d.output"  # a newer version keeps the path
        f" AND {_SAVED.replace('d.', 'n.')} AND NOT EXISTS (SELECT 1 FROM derived y WHERE"
        " y.document = n.id AND y.format = x.format AND y.result_sha256 = n.output_sha256)"
    )
    sql = (
        "SELECT DISTINCT x.format, x.file, d.source FROM derived x JOIN documents d"
        " ON d.id = x.document WHERE x.format IN (SELECT value FROM json_each(?))"
        " AND x.file <> ?"
        f" AND {_OLDER}"
        f" AND (x.format = 'parquet' OR EXISTS ({newer})) ORDER BY x.format, x.file, d.source"
    )
    values = (json.dumps(list(formats)), NOTHING)
    return map(Outdated._make, connection.execute(sql, values))


def formats_made(connection: sqlite3.Connection) -> set[str]:
    """Return the formats in which something was ever made."""
    return {format for (format,) in connection.execute("SELECT DISTINCT format FROM derived")}


def all_made(connection: sqlite3.Connection) -> Iterator[Derived]:
    """Yield what was made from current results, in the order of the files."""
    sql = (
        "SELECT x.* FROM derived x JOIN documents d ON d.id = x.document"
        f" WHERE {_SAVED} AND d.output_sha256 = x.result_sha256 AND x.file <> ? ORDER BY "
        "x.format, x.file, x.start"
    )
    return (Derived._make(row) for row in connection.execute(sql, (NOTHING,)))


def files_of(connection: sqlite3.Connection, sources: Sequence[str]) -> set[str]:
    """Return the files that hold something of the current results of these documents."""
    sql = (
        "SELECT DISTINCT x.file FROM derived x JOIN documents d ON d.id = x.document"
        f" WHERE {_SAVED} AND d.source IN (SELECT value FROM json_each(?))"
    )
    return {file for (file,) in connection.execute(sql, (json.dumps(sources),))}


def made_of(connection: sqlite3.Connection, document: int, format: str) -> str | None:
    """Return the file that was made from that document in `format`, or None."""
    sql = "SELECT file FROM derived WHERE document = ? AND format = ? AND file <> ?"
    row = connection.execute(sql, (document, format, NOTHING)).fetchone()
    return row and str(row[0])


def knows(connection: sqlite3.Connection, file: str) -> bool:
    """Return whether something was ever made under that name."""
    return (
        connection.execute("SELECT 1 FROM derived WHERE file = ? LIMIT 1", (file,)).fetchone()
        is not None
    )


def lines_file(connection: sqlite3.Connection) -> str | None:
    """Return the JSON Lines file that this batch writes, even if it holds no current line."""
    return noted(connection, "lines")


async def claim_lines_file(ledger: Ledger, name: str) -> None:
    """Record `name` as the JSON Lines file that this batch writes."""
    await ledger.note("lines", name)


def kind_of_lines(connection: sqlite3.Connection) -> str | None:
    """Return what each line of the JSON Lines file stands for, as `output.lines` has it.

    None if no run has recorded it yet.
    """
    return noted(connection, "kind of lines")


async def note_kind_of_lines(ledger: Ledger, kind: str) -> None:
    if kind != kind_of_lines(ledger.reader):
        await ledger.note("kind of lines", kind)


def columns_of(connection: sqlite3.Connection, job: str) -> Columns | None:
    """Return the columns of a job's Parquet files, as the last run recorded them.

    None if they don't follow from what the job asks for: then only its rows show them.
    """
    text = noted(connection, f"columns of {job}")
    return {name: ColumnType(kind) for name, kind in json.loads(text).items()} if text else None


def found_columns_of(connection: sqlite3.Connection, job: str) -> Columns | None:
    """Return the columns found so far in the rows of a job that doesn't determine them."""
    text = noted(connection, f"columns found in {job}")
    return {name: ColumnType(kind) for name, kind in json.loads(text).items()} if text else None


async def note_found_columns(ledger: Ledger, job: str, columns: Columns) -> None:
    if columns != found_columns_of(ledger.reader, job):
        await ledger.note(f"columns found in {job}", json.dumps(columns))


async def note_columns(ledger: Ledger, job: str, columns: Columns | None) -> None:
    """Record the columns of a job's Parquet files; None if only its rows show them."""
    if columns != columns_of(ledger.reader, job):
        await ledger.note(f"columns of {job}", None if columns is None else json.dumps(columns))


class DataSet(NamedTuple):
    """A file that many documents share, and how many bytes of it count.

    `mark` differs from that of any earlier content.
    """

    name: str
    length: int
    mark: str


def data_sets(connection: sqlite3.Connection) -> list[DataSet]:
    """Return the JSON Lines and Parquet files."""
    sql = (
        "SELECT file, max(start + size), sha256 FROM derived WHERE format IN ('jsonl', 'parquet') "
        "AND file <> ''"
        " GROUP BY file ORDER BY file"  # of JSON Lines, the sha256 of the last line
    )
    return [
        DataSet(file, length, f"{length} {sha256}")
        for file, length, sha256 in connection.execute(sql)
    ]


def mirrored_sets(connection: sqlite3.Connection) -> dict[str, str]:
    """Return the marks of the data sets as last uploaded to an object store, by full address."""
    return dict(json.loads(noted(connection, "mirrored sets") or "{}"))


async def note_mirrored_sets(ledger: Ledger, marks: dict[str, str]) -> None:
    """Record the marks of the data sets as now uploaded."""
    await ledger.note("mirrored sets", json.dumps(marks))


async def remember(ledger: Ledger, made: Iterable[Derived]) -> None:
    """Record what was made, in place of earlier records of the same document and format."""
    rows = list(made)
    await ledger.write(
        lambda c: c.executemany(
            "INSERT OR REPLACE INTO derived VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows
        )
    )


async def give_up(ledger: Ledger, one: Derivable, format: str, why: str) -> None:
    """Record that `format` can't be made from that result; the next run tries again."""
    await remember(ledger, [Derived(one.document, format, one.sha256, NOTHING, note=why)])


async def forget(ledger: Ledger, format: str, names: Iterable[str]) -> None:
    """Delete the record of what was made in these files, so that it is made again."""
    rows = [(format, name) for name in names]
    await ledger.write(
        lambda c: c.executemany("DELETE FROM derived WHERE format = ? AND file = ?", rows)
    )
