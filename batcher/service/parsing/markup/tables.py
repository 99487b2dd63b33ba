"""Read the tables of HTML, as far as they are more than a layout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from batcher.service.parsing.markup.tree import CELLS, children, is_layout, span_of
from batcher.service.parsing.markup.writer import Readers, Writer


class Tables:
    """Tables with their rows and cells."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._grids: list[bool] = []  # open tables: whether each is more than a layout

    @property
    def readers(self) -> Readers:
        """Return the method for each element that is read here."""
        return {
            "table": self._table,
            "caption": self._writer.block,
            "tr": self._row,
            **dict.fromkeys(CELLS, self._cell),
        }

    def _table(self, node: Any) -> Iterator[Any]:
        for child in children(node):
            if child.tag == "caption":
                yield child
        rest = (child for child in children(node) if child.tag != "caption")
        is_grid = not is_layout(node)
        self._grids.append(is_grid)
        if is_grid:
            self._writer.flow.begin_table()
            yield from rest
            self._writer.flow.end_table()
        else:
            with self._writer.flow.block():
                yield from rest
        self._grids.pop()

    def _row(self, node: Any) -> Iterator[Any]:
        if not self._is_in_grid():
            yield from self._writer.block(node)
            return
        self._writer.flow.begin_row()
        yield from children(node)
        self._writer.flow.end_row()

    def _cell(self, node: Any) -> Iterator[Any]:
        if not self._is_in_grid():
            yield from self._writer.block(node)
            return
        self._writer.flow.begin_cell()
        yield from children(node)
        attributes = node.attributes
        columns = span_of(attributes.get("colspan"))
        self._writer.flow.end_cell(columns=columns, rows=span_of(attributes.get("rowspan")))

    def _is_in_grid(self) -> bool:
        return bool(self._grids) and self._grids[-1]
