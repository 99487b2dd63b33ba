"""Reads the saved results of a batch as a stream: a hundred thousand take no more memory than ten.

What a result holds is `results.document`'s; how it becomes Arrow is `results.frames`'s.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from batcher.errors import BatcherError, ResultDamaged
from batcher.ledger.derived_outputs import result_of, results, shape_of
from batcher.ledger.schema import readable
from batcher.manifest.loading import load
from batcher.manifest.model import Manifest
from batcher.manifest.patterns import pattern_spec
from batcher.outputs.result_store import Store
from batcher.outputs.shapes import shape_of_job
from batcher.results.document import Document, Row, own_name

if TYPE_CHECKING:
    import pandas
    import pyarrow

TABLES: Final = ("documents", "chunks", "blocks", "fields", "tables")


@dataclass(frozen=True, slots=True)
class _Filter:
    """Which documents are read; None and empty mean all."""

    step: str | None = None
    match: tuple[str, ...] = ()
    type: str | None = None

    def test(self) -> Callable[[Document], bool]:
        """Return a function that tells whether a document is read. Raises BatcherError."""
        try:
            spec = pattern_spec(self.match) if self.match else None
        except ValueError as error:
            raise BatcherError(f"match={self.match!r}: not a pattern: {error}") from error
        kind = None if self.type is None else self.type.lower().removeprefix(".")

        def is_wanted(document: Document) -> bool:
            if kind is not None and document.type != kind:
                return False
            names = {document.source, document.path or document.source}
            return spec is None or any(map(spec.match_file, names))

        return is_wanted


@dataclass(slots=True, eq=False)
class Results:
    """The saved results of a batch, read one at a time, by source. It can change nothing.

    Close it, or use it as a context manager. Iterating over it yields documents and reads none of
    their results; a document stays usable after the batch is closed. `where` returns a part of it,
    which shares its file.

    `missing` has the sources of results that were left out because their files were missing or
    changed; none is left out unless `open_results` was told so by `skip_damaged=True`.

    Every method raises sqlite3.Error if the ledger can't be read at that moment, and those that
    read results raise ResultDamaged.
    """

    _connection: sqlite3.Connection = field(repr=False)
    _store: Store = field(repr=False)
    _skips: bool = False
    _filter: _Filter = _Filter()
    _asked: Mapping[str, Any] = field(default_factory=dict, repr=False)  # shapes by step
    missing: list[str] = field(default_factory=list, repr=False)

    def __enter__(self) -> Self:
        """Return the results themselves."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the ledger's file."""
        self.close()

    def close(self) -> None:
        """Close the ledger's file; what `where` returned is closed as well."""
        self._connection.close()

    def __iter__(self) -> Iterator[Document]:
        """Yield the documents, by source and step."""
        is_wanted = self._filter.test()
        for saved in results(self._connection, self._filter.step):
            document = Document(saved, self._store)
            if is_wanted(document):
                yield document

    def where(
        self, *, step: str | None = None, match: str | None = None, type: str | None = None
    ) -> Results:
        """Return the results that meet all of these, and all conditions of this one.

        `step` is a step's name. `match` is a pattern as in a manifest's `include`, as in
        `invoices/**`; it is held against a document's source and its path. `type` is an extension,
        as in pdf. Raises BatcherError if the pattern is invalid.
        """
        old = self._filter
        if step is not None and old.step not in (None, step):
            raise BatcherError(f"step={step!r}: these are the results of step {old.step!r} alone")
        new = _Filter(
            step=step or old.step,
            match=old.match if match is None else (match,),
            type=old.type if type is None else type,
        )
        new.test()
        return replace(self, _filter=new)

    def steps(self) -> dict[str, int]:
        """Return the number of saved documents of each step, filters aside."""
        sql = (
            "SELECT job, count(*) FROM documents WHERE current = 1 AND state = 'saved'"
            " AND output_sha256 IS NOT NULL GROUP BY job ORDER BY min(id)"
        )
        return dict(self._connection.execute(sql))

    def document(self, id: int) -> Document | None:
        """Return the document with that number in the ledger, or None if it isn't saved."""
        saved = result_of(self._connection, id)
        return None if saved is None else Document(saved, self._store)

    def rows(self, what: str = "fields") -> Iterator[Row]:
        """Yield rows as dictionaries. `what` is one of `TABLES`:

        documents   one row for each document
        chunks      one for each chunk: page, last_page, text, embed
        blocks      one for each block: chunk, type, text, page, left, top, width, height
        fields      one for each extracted object, section of a split or category: its own fields
        tables      one for each row of a table: table, page, cells

        Each row has the columns source, path, step, job_id, credits, metadata and row as well;
        `credits` are the whole document's, so only its first row has them, and the rest 0.
        Raises BatcherError if there is no such table.
        """
        if what not in TABLES:
            raise BatcherError(f"{what!r}: there are {', '.join(TABLES)}")
        self.missing.clear()
        for document in self:
            yield from _with_origin(document, self.read(document, _MAKERS[what]))

    def read(self, document: Document, make: Callable[[Document], Iterator[Row]]) -> Iterator[Row]:
        """Yield what `make` reads of a document; nothing of a damaged one that is to be skipped."""
        try:
            yield from make(document)
        except ResultDamaged as error:
            if not self._skips:
                raise
            self.missing.append(error.source)

    def shape(self, step: str) -> Any:
        """Return the types of the fields that a step extracts, or None if no schema says them."""
        noted = shape_of(self._connection, step)
        return self._asked.get(step) if noted is None else noted

    def batches(self, what: str = "fields", *, schema: Any = None) -> pyarrow.RecordBatchReader:
        """Return the rows as a stream of Arrow record batches, of some thousand rows each.

        DuckDB, Polars and Parquet writers read it as it is, once; memory stays bounded. Dates are
        dates, numbers are numbers, nested objects are structs and lists are lists, by the schema
        of the job that the last run recorded, or by `schema`, a JSON Schema. Without either the
        types follow from the values, which are read twice, and dates are text. `fields` has a
        column `other`: what doesn't fit the schema, by place, as JSON.

        Close the results only after the stream has been read. Raises BatcherError if pyarrow isn't
        installed.
        """
        from batcher.results.frames import batches

        return batches(self, what, schema)

    def to_arrow(self, what: str = "fields", *, schema: Any = None) -> pyarrow.Table:
        """Return the rows as an Arrow table, in memory; otherwise as `batches`."""
        return self.batches(what, schema=schema).read_all()

    def to_pandas(self, what: str = "fields", *, schema: Any = None) -> pandas.DataFrame:
        """Return the rows as a DataFrame whose columns have Arrow types; otherwise as `batches`.

        Raises BatcherError if pandas or pyarrow isn't installed.
        """
        from batcher.results.frames import to_pandas

        return to_pandas(self, what, schema)


def open_results(batch: str | PathLike[str] | Manifest, *, skip_damaged: bool = False) -> Results:
    """Open the results of a batch, given its output directory, or its manifest or path to that.

    With `skip_damaged`, results whose files are missing or changed are left out of rows and tables,
    and their sources are put into `missing`. Raises ManifestError, and LedgerError if there is no
    ledger that can be read.
    """
    if not isinstance(batch, Manifest):
        place = Path(batch)
        if place.is_dir():
            ledger = readable(place / ".batcher" / "ledger.db", any_thread=True)
            return Results(ledger, Store(place.absolute()), skip_damaged)
        batch = load(place, sources=False)
    return Results(
        readable(batch.output.ledger_path, any_thread=True),
        Store(batch.output.directory.absolute()),
        skip_damaged,
        _asked={job.name: shape_of_job(job.endpoint, job.options) for job in batch.jobs},
    )


# --- rows -----------------------------------------------------------------------------------------


def _with_origin(document: Document, rows: Iterator[Row]) -> Iterator[Row]:
    whose: Row = {
        "source": document.source,
        "path": document.path,
        "step": document.step,
        "job_id": document.job_id,
        "credits": document.credits,
        "metadata": document.metadata or None,
    }
    for number, row in enumerate(rows, start=1):
        yield {**whose, "row": number, **row}
        whose["credits"] = 0.0


def _documents(document: Document) -> Iterator[Row]:
    yield {
        "pages": document.pages,
        "type": document.type,
        "output": document.output,
        "size": document.size,
        "sha256": document.sha256,
    }


def _chunks(document: Document) -> Iterator[Row]:
    for chunk in document.chunks():
        yield {
            "page": chunk.page,
            "last_page": chunk.last_page,
            "text": chunk.text,
            "embed": chunk.embed,
        }


def _blocks(document: Document) -> Iterator[Row]:
    for chunk in document.chunks():
        for block in chunk.blocks:
            sides = zip(("left", "top", "width", "height"), block.box or [None] * 4, strict=True)
            yield {
                "chunk": chunk.number,
                "type": block.type,
                "text": block.text,
                "page": block.page,
                **dict(sides),
            }


def _tables(document: Document) -> Iterator[Row]:
    for table in document.tables():
        for row in table.rows:
            yield {"table": table.number, "page": table.page, "cells": list(row)}


def _fields(document: Document) -> Iterator[Row]:
    for record in document.fields():
        yield {own_name(name): value for name, value in record.items()}


_MAKERS: Final[Mapping[str, Callable[[Document], Iterator[Row]]]] = {
    "documents": _documents,
    "chunks": _chunks,
    "blocks": _blocks,
    "fields": _fields,
    "tables": _tables,
}
