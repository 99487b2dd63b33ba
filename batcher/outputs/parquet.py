"""Write rows as Parquet: the columns of `outputs.rows` become Arrow types.

Rows are written in groups, so that memory stays bounded. Needs the extra `parquet`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from batcher.common.extras import install_command
from batcher.core.columns import Columns, ColumnType
from batcher.errors import OutputError
from batcher.outputs.rows import Row, fitted

ROWS_AT_ONCE: Final = 2_000
# Characters; groups of 8 MB took some 40 MB more at the peak of a long run.
TEXT_AT_ONCE: Final = 1 << 20
BLOCK: Final = 1 << 20


def write(path: Path, columns: Columns, rows: Iterable[Row]) -> tuple[int, str]:
    """Write all rows to one file; return its bytes and SHA-256.

    Raises OutputError if pyarrow isn't installed.
    """
    arrow, parquet = _library()
    types = {
        ColumnType.BOOLEAN: arrow.bool_(),
        ColumnType.INTEGER: arrow.int64(),
        ColumnType.NUMBER: arrow.float64(),
        ColumnType.TEXT: arrow.string(),
    }
    schema = arrow.schema([(name, types[kind]) for name, kind in columns.items()])
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in row_groups((fitted(row, columns) for row in rows), text_at_once=TEXT_AT_ONCE):
            writer.write_table(arrow.Table.from_pylist(group, schema=schema))
    return path.stat().st_size, _digest(path)


def row_groups(rows: Iterable[Row], *, text_at_once: int) -> Iterator[list[Row]]:
    """Yield the rows in groups of `ROWS_AT_ONCE` at most, which end at so many characters."""
    group = list[Row]()
    size = 0
    for row in rows:
        group.append(row)
        size += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(group) >= ROWS_AT_ONCE or size >= text_at_once:
            yield group
            group = []
            size = 0
    if group:
        yield group


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _library() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise OutputError(f"Parquet needs pyarrow: {install_command('parquet')}") from error
    return pyarrow, pyarrow.parquet
