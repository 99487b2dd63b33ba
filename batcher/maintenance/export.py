"""Exports a batch as one file of JSON Lines, CSV or Parquet.

It holds results, documents, attempts or costs. Writing streams, so it needs as little memory for a
million documents as for ten. It reads one consistent state of the ledger however long that takes,
and leaves no half-written file. Older versions of a document are left out. In CSV no text can be
taken for a formula.
"""

from __future__ import annotations

import csv
import io
import os
import re
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from batcher.common.extras import install_command
from batcher.common.private_files import make_file
from batcher.core.columns import Columns, ColumnType
from batcher.errors import BatcherError, OutputError
from batcher.ledger.derived_outputs import Derivable, results
from batcher.ledger.queries.reporting import ReportingQueries
from batcher.outputs import derived_files, parquet
from batcher.outputs.result_store import Store
from batcher.outputs.rows import ORIGIN, Row, fitted, line_of, lines_of, widen

FORMATS: Final = ("jsonl", "csv", "parquet")
WHAT: Final = ("results", "documents", "attempts", "costs")
# the characters that OWASP lists for CSV injection
_FORMULA: Final = re.compile(r"[\s\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
_NUMBER: Final = re.compile(r"[+-]?\d+(?:[.,]\d+)*(?:[eE][+-]?\d+)?%?", re.ASCII)
_SECRET: Final = frozenset({"nonce", "key_print"})

Rows = Callable[[], Iterator[Row]]


@dataclass(slots=True)
class Exported:
    """How many rows were written. `missing`: sources whose result isn't on disk as it was saved."""

    rows: int = 0
    missing: list[str] = field(default_factory=list)


def export(
    connection: sqlite3.Connection,
    output: Path,
    target: Path | None,
    *,
    what: str,
    format: str,
    chunks: bool = False,
    access: str = "owner",
) -> Exported:
    """Write `what` in `format` to `target`, or to stdout if that is None.

    In JSON Lines a result is one line, or with `chunks` one line for each chunk; in tables each
    chunk is a row. `access` says who may read a new file. Raises BatcherError.
    """
    exported = Exported()
    connection.execute("BEGIN")  # one consistent state, for as long as it takes
    try:
        if format == "parquet":
            _write_parquet(
                _needed(target), _rows(connection, output, what, exported), exported, access
            )
        else:
            with _opened(target, access) as file:
                for piece in _pieces(connection, output, what, format, chunks, exported):
                    file.write(piece)
    finally:
        connection.execute("ROLLBACK")
    return exported


def _pieces(
    connection: sqlite3.Connection,
    output: Path,
    what: str,
    format: str,
    chunks: bool,
    exported: Exported,
) -> Iterator[bytes]:
    if format == "csv":
        return _csv(_rows(connection, output, what, exported), exported)
    if what == "results":
        return (
            _chunks(connection, Store(output), exported)
            if chunks
            else _results(connection, Store(output), exported)
        )
    return _counted((_line(row) for row in _table(connection, what)), exported)


# --- what -----------------------------------------------------------------------------------------


def _rows(connection: sqlite3.Connection, output: Path, what: str, exported: Exported) -> Rows:
    if what != "results":
        return lambda: _table(connection, what)
    store = Store(output)
    return lambda: derived_files.rows(store, _there(connection, store, exported))


def _there(connection: sqlite3.Connection, store: Store, exported: Exported) -> Iterator[Derivable]:
    exported.missing.clear()
    for one in results(connection):
        if derived_files.whole(store, [one]):
            yield one
        else:
            exported.missing.append(one.source)


def _results(connection: sqlite3.Connection, store: Store, exported: Exported) -> Iterator[bytes]:
    for one in _there(connection, store, exported):
        exported.rows += 1
        yield from line_of(store.read(one.output), derived_files.origin_of(one))


def _chunks(connection: sqlite3.Connection, store: Store, exported: Exported) -> Iterator[bytes]:
    for one in _there(connection, store, exported):
        yield from _counted(
            lines_of(store.read(one.output), derived_files.origin_of(one)), exported
        )


def _table(connection: sqlite3.Connection, what: str) -> Iterator[Row]:
    for row in ReportingQueries(connection).table(what):
        yield {name: value for name, value in row.items() if name not in _SECRET}


# --- how ------------------------------------------------------------------------------------------


def _line(row: Row) -> bytes:
    return msgspec.json.encode(row) + b"\n"


def _counted(pieces: Iterable[bytes], exported: Exported) -> Iterator[bytes]:
    for piece in pieces:
        exported.rows += 1
        yield piece


def _csv(rows: Rows, exported: Exported) -> Iterator[bytes]:
    columns = _columns(rows())
    yield csv_record(map(defused, columns))
    for row in rows():
        exported.rows += 1
        fit = fitted(row, columns)
        yield csv_record("" if fit[name] is None else defused(fit[name]) for name in columns)


def defused(value: object) -> object:
    """Return text that a spreadsheet would compute with an apostrophe before it.

    Documents may contain text from anybody. Numbers stay as they are.
    """
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def csv_record(values: Iterable[object]) -> bytes:
    """Return a line of CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(values)
    return text.getvalue().encode("utf-8", "replace")


def _write_parquet(target: Path, rows: Rows, exported: Exported, access: str) -> None:
    def counted() -> Iterator[Row]:
        for row in rows():
            exported.rows += 1
            yield row

    columns = _columns(rows())
    with unfinished(target, access) as part:
        parquet.write(part, columns, counted())


def _columns(rows: Iterable[Row]) -> Columns:
    """Return columns that are wide enough for all rows.

    For results those that identify the document come first, even if there are no rows.
    """
    kinds: dict[str, ColumnType | None] = {}
    for row in rows:
        widen(kinds, row)
    return {name: kind or ColumnType.TEXT for name, kind in kinds.items()} or ORIGIN


def _needed(target: Path | None) -> Path:
    if find_spec("pyarrow") is None:
        raise BatcherError(
            f"Parquet needs pyarrow, which isn't installed: {install_command('parquet')}"
        )
    if target is None:
        raise BatcherError("Parquet isn't for a terminal or a pipe: name a file with -o")
    return target


@contextmanager
def _opened(target: Path | None, access: str) -> Iterator[BinaryIO]:
    if target is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with unfinished(target, access) as part, part.open("wb") as file:
        yield file


@contextmanager
def unfinished(target: Path, access: str = "owner") -> Iterator[Path]:
    """Yield a file with another name to write to; rename it to `target` if the block succeeds.

    A new file is readable for whom `access` says; one that replaces another keeps that one's mode.

    Raises BatcherError where no file can be at that path, OutputError where the disk fails.
    """
    target = target.resolve()  # so that a symbolic link stays one
    if target.exists() and not target.is_file():
        raise BatcherError(f"{target}: not a regular file; name another file with -o")
    part = target.with_name(f".{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        make_file(part, access)
        if target.exists():
            part.chmod(stat.S_IMODE(target.stat().st_mode))
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        raise BatcherError(f"{target}: {error.strerror}; name another file with -o") from error
    except OSError as error:
        raise OutputError(f"{target}: {error.strerror}; it wasn't written") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
