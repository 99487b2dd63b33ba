"""Read the tables of a Word document."""

from __future__ import annotations

from typing import Any

from batcher.service.parsing.flow import MOST_COLUMNS
from batcher.service.parsing.office.names import child, is_on, number, value
from batcher.service.parsing.word.walk import Readers, Step, Steps, Walk


class Tables:
    """Tables with their rows and cells."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk

    @property
    def readers(self) -> Readers:
        """Return the method for each element that is read here."""
        return {
            "w:tbl": self._table,
            "w:tr": self._row,
            "w:tc": self._cell,
        }

    def _table(self, node: Any) -> Steps:
        return [self._walk.join_nothing, self._begin_table, *node, self._end_table]

    def _begin_table(self) -> None:
        self._walk.is_blank = False
        self._walk.tables += 1
        self._walk.now.open.append("table")
        self._walk.flow.begin_table()

    def _end_table(self) -> Steps:
        self._walk.tables -= 1
        self._walk.now.open.pop()
        self._walk.flow.end_table()
        if not self._walk.is_top() or self._walk.now.type:
            return ()
        return self._walk.document.notes.comments_so_far(self._walk)

    def _row(self, node: Any) -> Steps:
        properties = child(node, "w:trPr")
        if properties is not None and (
            child(properties, "w:del") is not None or is_on(properties, "w:hidden")
        ):
            return ()
        if self._walk.now.open[-1:] != ["table"]:
            result: Steps = node
            return result
        before = 0 if properties is None else number(value(properties, "w:gridBefore"), 0)
        return [lambda: self._begin_row(before), *node, self._end_row]

    def _begin_row(self, before: int) -> None:
        self._walk.now.open.append("row")
        self._walk.flow.begin_row()
        if 0 < before <= MOST_COLUMNS:
            self._walk.flow.begin_cell()
            self._walk.flow.end_cell(columns=before)

    def _end_row(self) -> None:
        self._walk.now.open.pop()
        self._walk.flow.end_row()

    def _cell(self, node: Any) -> Steps:
        within = self._walk.now.open[-1:]
        if within == ["table"]:  # without a row
            return [lambda: self._begin_row(0), node, self._end_row]
        if within != ["row"]:
            result: Steps = node
            return result
        properties = child(node, "w:tcPr")
        columns = 1 if properties is None else number(value(properties, "w:gridSpan"), 1)
        is_deleted = properties is not None and child(properties, "w:cellDel") is not None
        held = () if is_deleted else node
        return [self._begin_cell, *held, self._walk.join_nothing, lambda: self._end_cell(columns)]

    def _begin_cell(self) -> None:
        self._walk.now.open.append("cell")
        self._walk.flow.begin_cell()

    def _end_cell(self, columns: int) -> None:
        self._walk.now.open.pop()
        self._walk.flow.end_cell(columns=columns)

    def of_rows(self, rows: list[list[str]]) -> Steps:
        """Return the steps that write a table of these rows."""
        if not rows:
            return []
        steps: list[Step] = [self._begin_table]
        for row in rows:
            steps.append(lambda: self._begin_row(0))
            for cell in row:
                steps += [self._begin_cell, cell, lambda: self._end_cell(1)]
            steps.append(self._end_row)
        return self._walk.within([*steps, self._end_table])
