"""Rows of results as Arrow and pandas, with types: dates, numbers, structs and lists.

Needs the extra `parquet` (pyarrow), for pandas the extra `pandas`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, Protocol

from batcher.common.extras import install_command
from batcher.common.strict_json import encoded
from batcher.errors import BatcherError
from batcher.outputs import shapes
from batcher.outputs.parquet import row_groups
from batcher.outputs.shapes import Shape, fit, settled, shape_of_job, widened
from batcher.results.document import OTHER, Document, Row, own_name

if TYPE_CHECKING:
    import pandas
    import pyarrow

TEXT_AT_ONCE: Final = 4 << 20  # characters of a batch of rows

_COLUMNS: Final[dict[str, dict[str, Shape]]] = {
    "documents": {
        "pages": shapes.INTEGER,
        "type": shapes.TEXT,
        "output": shapes.TEXT,
        "size": shapes.INTEGER,
        "sha256": shapes.TEXT,
    },
    "chunks": {
        "page": shapes.INTEGER,
        "last_page": shapes.INTEGER,
        "text": shapes.TEXT,
        "embed": shapes.TEXT,
    },
    "blocks": {
        "chunk": shapes.INTEGER,
        "type": shapes.TEXT,
        "text": shapes.TEXT,
        "page": shapes.INTEGER,
        "left": shapes.NUMBER,
        "top": shapes.NUMBER,
        "width": shapes.NUMBER,
        "height": shapes.NUMBER,
    },
    "tables": {"table": shapes.INTEGER, "page": shapes.INTEGER, "cells": [shapes.TEXT]},
}
_ORIGIN: Final[dict[str, Shape]] = {
    "source": shapes.TEXT,
    "path": shapes.TEXT,
    "step": shapes.TEXT,
    "job_id": shapes.TEXT,
    "credits": shapes.NUMBER,
}


class Results(Protocol):
    """What is made into tables: `results.reader.Results`."""

    def __iter__(self) -> Iterator[Document]: ...

    def rows(self, what: str) -> Iterator[Row]: ...

    def read(
        self, document: Document, make: Callable[[Document], Iterator[Row]]
    ) -> Iterator[Row]: ...

    def shape(self, step: str) -> Any: ...


def batches(results: Results, what: str, schema: Any) -> pyarrow.RecordBatchReader:
    """Return the rows as a stream of record batches. Raises BatcherError."""
    arrow = _pyarrow()
    columns = _columns(results, what, schema)
    types = arrow.schema([(name, _type(arrow, shape)) for name, shape in columns.items()])
    groups = (
        arrow.RecordBatch.from_pylist(group, schema=types)
        for group in row_groups(
            (_fitted(row, columns) for row in results.rows(what)), text_at_once=TEXT_AT_ONCE
        )
    )
    return arrow.RecordBatchReader.from_batches(types, groups)


def to_pandas(results: Results, what: str, schema: Any) -> pandas.DataFrame:
    """Return the rows as a DataFrame with Arrow types. Raises BatcherError."""
    try:
        import pandas
    except ImportError as error:
        raise BatcherError(
            f"pandas isn't installed: {install_command('pandas')}; rows() needs nothing"
        ) from error
    table = batches(results, what, schema).read_all()
    return table.to_pandas(types_mapper=pandas.ArrowDtype)


# --- columns --------------------------------------------------------------------------------------


def _columns(results: Results, what: str, schema: Any) -> dict[str, Shape]:
    own = _COLUMNS[what] if what in _COLUMNS else _own_fields(results, schema)
    said: Shape = shapes.UNKNOWN
    for document in results:
        said = widened(said, document.metadata or None)
    columns: dict[str, Shape] = {
        **_ORIGIN,
        "metadata": settled(said),
        "row": shapes.INTEGER,
        **own,
    }
    return columns | {OTHER: shapes.TEXT} if what not in _COLUMNS else columns


def _own_fields(results: Results, schema: Any) -> dict[str, Shape]:
    """Return the columns of extracted fields: by their schemas, or else by their values."""
    known: dict[str, Shape | None] = {}
    found: Shape = {}
    for document in results:
        if document.step not in known:
            known[document.step] = _by_schema(results, document.step, schema)
            found = shapes.merged(found, known[document.step] or {})
        if known[document.step] is None:
            for record in results.read(document, Document.fields):
                found = widened(found, record)
    settled_fields = settled(found)
    fields = settled_fields if isinstance(settled_fields, dict) else {}
    return {own_name(name): shape for name, shape in fields.items()}


def _by_schema(results: Results, step: str, schema: Any) -> Shape | None:
    if schema is None:
        known: Shape | None = results.shape(step)
        return known
    shape = shape_of_job("extract", {"instructions": {"schema": schema}})
    if shape is None:
        raise BatcherError("schema: a JSON Schema of an object with properties is wanted")
    return shape


def _type(arrow: Any, shape: Shape) -> Any:
    if isinstance(shape, list):
        return arrow.list_(_type(arrow, shape[0]))
    if isinstance(shape, dict):
        return arrow.struct([(name, _type(arrow, inner)) for name, inner in shape.items()])
    types = {
        shapes.BOOLEAN: arrow.bool_(),
        shapes.INTEGER: arrow.int64(),
        shapes.NUMBER: arrow.float64(),
        shapes.DATE: arrow.date32(),
        shapes.TIMESTAMP: arrow.timestamp("us", tz="UTC"),
    }
    return types.get(shape, arrow.string())


# --- rows -----------------------------------------------------------------------------------------


def _fitted(row: Row, columns: dict[str, Shape]) -> Row:
    misfits: dict[str, Any] = {}
    fitted = fit(row, columns, misfits)
    if misfits and OTHER in columns:
        fitted[OTHER] = encoded(misfits).decode()
    return dict(fitted)


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise BatcherError(
            f"pyarrow isn't installed: {install_command('parquet')}; rows() needs nothing"
        ) from error
    return pyarrow
