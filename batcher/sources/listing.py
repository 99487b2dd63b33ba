"""Documents from a listing: CSV, JSON Lines or Parquet, one row per document, read as a stream.

A row that can't be used is reported by its line number. Nothing checks whether an address exists,
and an address that may be signed leaves this module only for the submission itself.
"""

from __future__ import annotations

import csv
import json
import os
import re
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from batcher.common.extras import install_command
from batcher.common.json_values import KeyTwice, each_once
from batcher.common.names import path_of
from batcher.common.text_files import Lines, NotText
from batcher.errors import ManifestError, Problem, SourceChangedError, SourceGoneError
from batcher.reducto.address_lists import Source
from batcher.sources.directory import Found, found_at
from batcher.sources.listing_row import ListingRow, read_place, read_row

ROW: Final = "row:"  # prefix of the place of a document whose address is in a listing
TOLD: Final = 20  # bad rows that are reported one by one; the rest is only counted
PARQUET_ROWS: Final = 4096  # rows read at once
Row = Mapping[str, Any]


class Table(Protocol):
    """A listing's file. `is_text`: all values are text, whatever they stand for.

    `word` is what a person calls a row's number: "line" or "row".
    """

    is_text: bool
    word: str

    def rows(self) -> Iterator[tuple[int, int, Row | str]]:
        """Yield (place, number, the row or what is wrong with it) for each row.

        `at` finds a row by its place.
        """

    def at(self, place: int) -> Row:
        """Return the row at a place. Raises ValueError, LookupError or OSError."""


def entries(
    listing: Path,
    endpoints: Mapping[str, str],
    *,
    ignore: Collection[str] = (),
    tolerant: Collection[str] = (),
) -> Iterator[tuple[int, str, ListingRow | str]]:
    """Yield (place, its name for people, the row or what is wrong with it) for each row.

    `endpoints` are by the job's name. `ignore` are query parameters of addresses that don't
    distinguish documents; `tolerant` are the jobs whose options may be newer than the API's
    description. Raises ManifestError if the file can't be used, and OSError.
    """
    table = _table(listing)
    for place, number, row in table.rows():
        words = f"{table.word} {number}"
        if isinstance(row, str):
            yield place, words, row
            continue
        try:
            yield (
                place,
                words,
                read_row(row, endpoints, is_text=table.is_text, ignore=ignore, tolerant=tolerant),
            )
        except ValueError as error:
            yield place, words, str(error)


def check(
    listing: Path,
    endpoints: Mapping[str, str],
    *,
    urls: str = "",
    ignore: Collection[str] = (),
    tolerant: Collection[str] = (),
) -> None:
    """Check every row of the listing.

    `urls` is the reason for which addresses aren't allowed in it, or "". Raises ManifestError with
    the problems, row by row.
    """
    problems = list[Problem]()
    more = 0
    seen = array("Q")
    for _, words, entry in _readable(listing, endpoints, ignore, tolerant):
        if isinstance(entry, ListingRow):
            seen.append(_digest(entry.name))
            entry = urls if entry.is_fetched else ""
        if entry and len(problems) < TOLD:
            problems.append(Problem(words, entry))
        elif entry:
            more += 1
    problems += _twins(listing, endpoints, seen, ignore, tolerant)
    if more:
        problems.append(Problem("", f"{more} more rows can't be used"))
    if problems:
        raise ManifestError(str(listing), problems)


def walk(
    listing: Path,
    endpoints: Mapping[str, str],
    *,
    ignore: Collection[str] = (),
    tolerant: Collection[str] = (),
) -> Iterator[Found]:
    """Yield every document of the listing, in its order.

    Rows that can't be used are skipped, since `check` has reported them.
    """
    for place, _, entry in entries(listing, endpoints, ignore=ignore, tolerant=tolerant):
        if isinstance(entry, ListingRow):
            yield _found(listing, place, entry)


def address(listing: Path, place: str, name: str, *, ignore: Collection[str] = ()) -> Source:
    """Return the URL of the row at `place`, or its list of URLs, as the listing has it now.

    Raises SourceGoneError if the listing can't be read, and SourceChangedError if the row is
    another one than when it was read before.
    """
    try:
        entry = read_place(_table(listing).at(int(place.removeprefix(ROW))), ignore=ignore)
    except OSError as error:
        raise SourceGoneError(f"{listing}: {error.strerror}") from error
    except (ValueError, LookupError, csv.Error, ManifestError) as error:
        raise SourceChangedError(
            f"{listing}: its rows have changed since they were read"
        ) from error
    if entry.url is None or entry.name != name:
        raise SourceChangedError(f"{listing}: its rows have changed since they were read")
    return entry.url


def _found(listing: Path, place: int, entry: ListingRow) -> Found:
    metadata = (
        json.dumps(entry.metadata, ensure_ascii=False, allow_nan=False) if entry.metadata else None
    )
    if entry.url is not None:
        return Found(
            entry.name,
            folder=str(listing),
            place=f"{ROW}{place}",
            content=entry.content,
            metadata=metadata,
            overrides=entry.overrides,
        )
    path = str(entry.path)
    found = found_at(os.path.join(os.fsencode(listing.parent), path_of(path)), entry.name)  # noqa: PTH118 (bytes)
    return msgspec.structs.replace(
        found,
        folder=str(listing.parent),
        place=None if path == entry.name else path,
        metadata=metadata,
        overrides=entry.overrides,
    )


def _readable(
    listing: Path, endpoints: Mapping[str, str], ignore: Collection[str], tolerant: Collection[str]
) -> Iterator[tuple[int, str, ListingRow | str]]:
    try:
        yield from entries(listing, endpoints, ignore=ignore, tolerant=tolerant)
    except OSError as error:
        raise ManifestError(
            str(listing), [Problem("source.listing", error.strerror or str(error))]
        ) from error


def _digest(name: str) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")


def _twins(
    listing: Path,
    endpoints: Mapping[str, str],
    seen: array[int],
    ignore: Collection[str],
    tolerant: Collection[str],
) -> list[Problem]:
    """Return a problem for each name that occurs twice.

    Only hashes are kept in memory; the listing is read a second time only if two of them are equal.
    """
    ordered = array("Q", sorted(seen))
    twice = {one for one, next_one in pairwise(ordered) if one == next_one}
    first: dict[str, str] = {}
    problems: list[Problem] = []
    for _, words, entry in (
        entries(listing, endpoints, ignore=ignore, tolerant=tolerant) if twice else ()
    ):
        if isinstance(entry, ListingRow) and _digest(entry.name) in twice:
            if entry.name in first and len(problems) < TOLD:
                hint = "give each of them an id of its own"
                problems.append(
                    Problem(words, f"{entry.name} stands in {first[entry.name]} already", hint)
                )
            first.setdefault(entry.name, words)
    return problems


# --- the three formats ----------------------------------------------------------------------------


def _table(listing: Path) -> Table:
    kind = TABLES.get(listing.suffix.lower())
    if kind is None:
        raise ManifestError(
            str(listing), [Problem("source.listing", "it must be a .csv, .jsonl or .parquet file")]
        )
    return kind(listing)


class CsvTable:
    """A CSV file with a header; a row's place is its offset in bytes."""

    is_text = True
    word = "line"

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self) -> Iterator[tuple[int, int, Row | str]]:
        with self._path.open("rb") as file:
            lines = Lines(file)
            reader = csv.reader(lines, strict=True)
            header = self._header(reader)
            while True:
                place = lines.offset
                number = lines.number + 1
                try:
                    values = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield place, number, f"not CSV: {error}"
                    continue
                except NotText as error:
                    yield place, number, error.what
                    continue
                if values:
                    yield place, number, _named(header, values)

    def at(self, place: int) -> Row:
        with self._path.open("rb") as file:
            lines = Lines(file)
            header = self._header(csv.reader(lines, strict=True))
            file.seek(place)
            row = _named(header, next(csv.reader(Lines(file, lines.encoding), strict=True), []))
        if isinstance(row, str):
            raise ValueError(row)
        return row

    def _header(self, reader: Iterator[list[str]]) -> list[str]:
        try:
            header = next(reader, [])
        except (csv.Error, NotText) as error:
            header = []
            said = f": {error}"
        else:
            said = ""
        if not {"path", "url"} & set(header) or len(set(header)) < len(header):
            what = f"its first line must name the columns, each once, path or url among them{said}"
            if len(header) == 1 and (other := _OTHER_SEPARATOR.search(header[0])):
                what += f"; they are separated by {other[0]!r} here, save it with commas"
            raise ManifestError(str(self._path), [Problem("source.listing", what)])
        return header


_OTHER_SEPARATOR: Final = re.compile(r"[;\t|]")  # as spreadsheets write it in some countries


def _named(header: list[str], values: list[str]) -> Row | str:
    if len(values) > len(header):
        return f"{len(values)} values for {len(header)} columns"
    return dict(zip(header, [*values, *[""] * (len(header) - len(values))], strict=True))


class JsonTable:
    """A JSON Lines file; a row's place is its offset in bytes."""

    is_text = False
    word = "line"

    def __init__(self, path: Path) -> None:
        self._path = path

    def rows(self) -> Iterator[tuple[int, int, Row | str]]:
        with self._path.open("rb") as file:
            lines = Lines(file)
            while True:
                place = lines.offset
                number = lines.number + 1
                try:
                    line = next(lines)
                except StopIteration:
                    return
                except NotText as error:
                    yield place, number, error.what
                    continue
                if line.strip():
                    yield place, number, _object(line)

    def at(self, place: int) -> Row:
        with self._path.open("rb") as file:
            encoding = Lines(file).encoding
            file.seek(place)
            row = _object(next(Lines(file, encoding), ""))
        if isinstance(row, str):
            raise ValueError(row)
        return row


def _object(line: str) -> Row | str:
    try:
        row = json.loads(line, object_pairs_hook=each_once)
    except KeyTwice as error:
        return str(error)
    except ValueError as error:
        return f"not JSON: {error}"
    except RecursionError:
        return "not JSON that can be read: nested too deep"
    return row if isinstance(row, dict) else "a JSON object is wanted in each line"


class ParquetTable:
    """A Parquet file; a row's place is its index. Needs the extra `parquet`.

    Creating it raises ManifestError if pyarrow isn't installed or the file can't be used.
    """

    is_text = False
    word = "row"

    def __init__(self, path: Path) -> None:
        try:
            from pyarrow import ArrowInvalid, parquet
        except ImportError:
            problem = Problem(
                "source.listing", "Parquet needs an extra", install_command("parquet")
            )
            raise ManifestError(str(path), [problem]) from None
        self._path = path
        try:
            self._file = parquet.ParquetFile(path)
        except ArrowInvalid as error:
            raise ManifestError(
                str(path), [Problem("source.listing", f"not Parquet: {error}")]
            ) from error
        names = self._file.schema_arrow.names
        if len(set(names)) < len(names):
            raise ManifestError(
                str(path),
                [Problem("source.listing", "its columns must have distinct names")],
            )

    def rows(self) -> Iterator[tuple[int, int, Row | str]]:
        place = 0
        for batch in self._batches():
            for row in _rows_of(batch):
                yield place, place + 1, row
                place += 1

    def _batches(self) -> Iterator[Any]:
        """Yield the rows in batches. Raises ManifestError if the file is damaged."""
        from pyarrow import ArrowException

        try:
            yield from self._file.iter_batches(batch_size=PARQUET_ROWS)
        except (ArrowException, OSError) as error:
            problem = Problem(
                "source.listing", f"damaged: {str(error).splitlines()[0]}", "write it again"
            )
            raise ManifestError(str(self._path), [problem]) from error

    def at(self, place: int) -> Row:
        left = place
        for group in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(group).num_rows
            if left < rows:
                row = next(_rows_of(self._file.read_row_group(group).slice(left, 1)))
                if isinstance(row, str):
                    raise ValueError(row)
                return row
            left -= rows
        raise LookupError(place)


def _rows_of(table: Any) -> Iterator[Row | str]:
    """Yield each row, or which of its values can't be read."""
    names = table.column_names
    columns = [_values(column) for column in table.columns]
    for values in zip(*columns, strict=True):
        bad = [
            f"{name}: {value}"
            for name, value in zip(names, values, strict=True)
            if isinstance(value, _Unreadable)
        ]
        yield "; ".join(bad) or dict(zip(names, values, strict=True))


class _Unreadable(str):
    """Why a value can't be read."""


def _values(column: Any) -> list[Any]:
    """Convert a whole column at once, or one by one if it has values that Python lacks."""
    try:
        values: list[Any] = column.to_pylist()
    except (ValueError, OverflowError):
        return [_value(scalar) for scalar in column]
    return values


def _value(scalar: Any) -> Any:
    """Return the value, or why it can't be read.

    Moments in nanoseconds become text; years of five digits and the like can't be read.
    """
    try:
        return scalar.as_py()
    except (ValueError, OverflowError):
        if str(scalar.type).startswith(("timestamp[ns", "time64[ns")):
            return str(scalar.cast("string")).replace(" ", "T", 1)
        return _Unreadable(f"a {scalar.type} that is out of range")


TABLES: Final[Mapping[str, Callable[[Path], Table]]] = {
    ".csv": CsvTable,
    ".jsonl": JsonTable,
    ".ndjson": JsonTable,
    ".parquet": ParquetTable,
}
