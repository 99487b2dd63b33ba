"""Collect the paragraphs and tables of RTF, which tells only at their ends what they were.

A paragraph's properties count at its end, and a row's columns may be told after its cells. So text
waits here until then, and goes to a Flow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from batcher.service.parsing.flow import Flow
from batcher.service.parsing.pages import PageBlock

# columns up to which the edges of a table's cells are laid over each other
MOST_EDGES: Final = 256
# edges nearer to each other than this are one, in twentieths of a point; about a millimetre
SAME_EDGE: Final = 60


@dataclass(frozen=True, slots=True)
class _Row:
    cells: list[str]
    edges: list[int]  # the right edge of each cell in twentieths of a point, if known


@dataclass(slots=True)
class Writer:
    """Text of one place: the document's body, a header, a note or a text box.

    With `has_type` its paragraphs have the type of the Flow's open block.
    """

    flow: Flow
    has_type: bool = False
    line: list[str] = field(default_factory=list)  # text of the open paragraph
    label: str | None = None  # the number or bullet of the open paragraph
    edges: list[int] = field(default_factory=list)  # of the row that is being described
    row_is_open: bool = False
    turns: bool = False  # a page ends with the open paragraph
    beside: list[PageBlock] = field(default_factory=list)  # text boxes and pictures
    notes: list[PageBlock] = field(default_factory=list)
    _notes_of_table: list[PageBlock] = field(default_factory=list)
    _cell: list[str] = field(default_factory=list)
    _cells: list[str] = field(default_factory=list)
    _rows: list[_Row] = field(default_factory=list)

    def end_paragraph(self, type_: str, *, in_table: bool) -> None:
        """End the open paragraph, which is one of a table's cell or one of its own."""
        if in_table:
            self._end_line()
            return
        self.end_table()
        label = self._label()
        text = "".join(self.line)
        self.line.clear()
        self.flow.begin("" if self.has_type else self._type(type_))
        self._write(label + text)
        self.flow.end()
        self.label = None
        self._add_what_waits()
        if self.turns:
            self.turns = False
            self.flow.break_page()

    def break_page(self) -> None:
        """Begin a new page here; within a table after it."""
        if self._cell or self._cells or self._rows:
            self.turns = True
        else:
            self.flow.break_page()

    def end_cell(self) -> None:
        self._cell += [self._label(), *self.line]
        self.line.clear()
        self.label = None
        self._end_boxes()
        self._cells.append("".join(self._cell))
        self._cell.clear()
        self._notes_of_table += self.notes
        self.notes.clear()

    def end_row(self) -> None:
        if any(text.strip() for text in self.line):
            self.end_cell()
        self._close_row()

    def end_nested_cell(self) -> None:
        """A table within a cell is text of the cell: its cells are set apart by blanks."""
        self._cell += [self._label(), *self.line, " "]
        self.line.clear()
        self.label = None
        self._end_boxes()

    def end_nested_row(self) -> None:
        self._end_line()

    def end_table(self) -> None:
        """Write the rows that are there as a table, each cell as wide as its edges say."""
        self._close_row()
        rows = self._rows
        if not rows:
            return
        self._rows = []
        edges = _laid_over(rows)
        self.flow.begin_table()
        for row in rows:
            self.flow.begin_row()
            for text, columns in zip(row.cells, _widths(row, edges), strict=True):
                self.flow.begin_cell()
                self._write(text)
                self.flow.end_cell(columns=columns)
            self.flow.end_row()
        self.flow.end_table()
        for block in self._notes_of_table:
            self.flow.add(block)
        self._notes_of_table.clear()

    def finish(self) -> None:
        """Write what the document left open."""
        if self._cell or self._cells:
            self.end_row()
        elif any(text.strip() for text in self.line):
            self.end_paragraph("Text", in_table=False)
        self.end_table()
        self._add_what_waits()

    def _close_row(self) -> None:
        if self._cell:
            self._cells.append("".join(self._cell))
            self._cell = []
        if self._cells:
            self._rows.append(_Row(self._cells, self.edges))
            self._cells = []
        self.row_is_open = False

    def _end_line(self) -> None:
        self._cell += [self._label(), *self.line, "\n"]
        self.line.clear()
        self.label = None
        self._end_boxes()

    def _end_boxes(self) -> None:
        """Text boxes and pictures of a cell are text of it."""
        for block in self.beside:
            self._cell += ["\n", block.content, "\n"]
        self.beside.clear()

    def _add_what_waits(self) -> None:
        for block in [*self.beside, *self.notes]:
            self.flow.add(block)
        self.beside.clear()
        self.notes.clear()

    def _label(self) -> str:
        """Return the paragraph's number with a blank; bullets are left out."""
        label = " ".join((self.label or "").split())
        is_number = label.isdigit() or (len(label) > 1 and any(map(str.isalnum, label)))
        return label + " " if is_number else ""

    def _type(self, type_: str) -> str:
        return "List Item" if self.label is not None and type_ == "Text" else type_

    def _write(self, text: str) -> None:
        first, *more = text.split("\n")
        self.flow.write(first)
        for line in more:
            self.flow.break_line()
            self.flow.write(line)


def _laid_over(rows: list[_Row]) -> list[int]:
    """Return the edges of all rows in order, those that are nearly the same as one."""
    edges: list[int] = []
    for edge in sorted({edge for row in rows for edge in row.edges}):
        if not edges or edge - edges[-1] > SAME_EDGE:
            edges.append(edge)
    return edges if len(edges) <= MOST_EDGES else []


def _widths(row: _Row, edges: list[int]) -> list[int]:
    """Return how many columns each cell of a row spans."""
    if not edges or len(row.edges) != len(row.cells):
        return [1] * len(row.cells)
    widths = []
    column = 0
    for right in row.edges:
        start = column
        while column < len(edges) and edges[column] <= right:
            column += 1
        widths.append(max(1, column - start))
    return widths
