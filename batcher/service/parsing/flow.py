"""Turn a walk over a document's nodes into blocks, for all formats whose text has no positions.

A reader writes every piece of text once, in reading order, and says where blocks, tables and pages
begin and end. So no text can get lost or come twice, however the elements are nested: they only
decide where a block begins and of which type it is. Time and size are linear in the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing.pages import DocumentProblem, PageBlock, Rows, table

# characters of a document's text; what is longer is a broken or a hostile file
MOST_TEXT: Final = 64 << 20
# columns of a table, and the rows that one cell may span
MOST_COLUMNS: Final = 1024
MOST_SPAN: Final = 1000
# places of a table that hold no text of their own: cells that others span, and short rows
MOST_PLACES: Final = 4 << 20


@dataclass(slots=True)
class _Frame:
    """An open block: the type of the text that is written in it.

    `keeps_space` is True if its white space is shown as it stands, as in HTML's `pre`.
    """

    type: str
    sure: bool
    keeps_space: bool


@dataclass(slots=True)
class _Table:
    """The outermost open table. A table within one of its cells is text of that cell."""

    rows: Rows = field(default_factory=list)
    row: list[str | None] = field(default_factory=list)  # None: nothing is there yet
    # by column: how many rows below the current one a cell of it or above reaches into
    reaching: dict[int, int] = field(default_factory=dict)
    depth: int = 0  # tables open within it


class Flow:
    """Collects text into blocks, and blocks into pages.

    `begin` and `end` must be balanced, and so must the methods for tables, rows and cells; text
    outside of any block makes blocks of type Text.
    """

    def __init__(self) -> None:
        self._pages: list[list[PageBlock]] = [[]]
        self._frames = [_Frame("Text", sure=True, keeps_space=False)]
        self._text: list[str] = []  # of the current block or cell
        self._table: _Table | None = None
        self._size = 0
        self._places = 0

    @property
    def pages(self) -> list[list[PageBlock]]:
        """Return the blocks of each page, once everything is written."""
        self._finish()
        return self._pages

    @property
    def page_number(self) -> int:
        """Return the number of the page that is being written, from 1."""
        return len(self._pages)

    @property
    def blocks(self) -> list[PageBlock]:
        """Return the blocks of all pages, once everything is written."""
        return [block for page in self.pages for block in page]

    # --- text -------------------------------------------------------------------------------------

    def write(self, text: str) -> None:
        """Add text to the current block or cell.

        Raises DocumentProblem if the document has more text than `MOST_TEXT`.
        """
        self._size += len(text)
        if self._size > MOST_TEXT:
            message = f"it holds more than {MOST_TEXT >> 20} million characters of text"
            raise DocumentProblem(ErrorName.DOCUMENT_TOO_LARGE, message, 413)
        if not self._frames[-1].keeps_space:
            # a line feed of the source is a blank; only `break_line` breaks lines
            text = text.replace("\n", " ").replace("\r", " ")
        self._text.append(text)

    def break_line(self) -> None:
        """Begin a new line within the current block or cell."""
        self._text.append("\n")

    def add(self, block: PageBlock) -> None:
        """Add a block that is complete, such as a figure. In a table its content is text of the
        current cell.
        """
        if self._table is not None:
            self._in_line(block.content)
            return
        self._finish()
        self._pages[-1].append(block)

    # --- blocks and pages -------------------------------------------------------------------------

    def begin(self, type_: str = "", *, sure: bool = True, keeps_space: bool = False) -> None:
        """Begin a block; without a type it has that of the block around it."""
        around = self._frames[-1]
        self._finish()
        self._frames.append(
            _Frame(type_ or around.type, sure and around.sure, keeps_space or around.keeps_space)
        )

    def end(self) -> None:
        """End the block that was begun last; what follows belongs to the one around it."""
        self._finish()
        self._frames.pop()

    @contextmanager
    def block(
        self, type_: str = "", *, sure: bool = True, keeps_space: bool = False
    ) -> Iterator[None]:
        """Begin a block, and end it after the `with` statement's body."""
        self.begin(type_, sure=sure, keeps_space=keeps_space)
        yield
        self.end()

    def break_page(self) -> None:
        """Begin a new page. Ignored within a table, which stands on the page where it begins."""
        if self._table is None:
            self._finish()
            self._pages.append([])

    # --- tables -----------------------------------------------------------------------------------

    def begin_table(self) -> None:
        """Begin a table; within a cell, what it holds is text of the cell."""
        if self._table is not None:
            self._table.depth += 1
            self._in_line()
            return
        self._finish()
        self._table = _Table()

    def end_table(self) -> None:
        """End the table that was begun last. One without any text is left out."""
        assert self._table is not None
        if self._table.depth:
            self._table.depth -= 1
            self._in_line()
            return
        found = self._table
        self._table = None
        rows = [row for row in found.rows if any(row)]
        if rows:
            width = max(map(len, rows))
            self._count(sum(width - len(row) for row in rows))
            self._pages[-1].append(table(rows))

    def begin_row(self) -> None:
        """Begin a row; within a nested table it is a line of its own."""
        assert self._table is not None
        if self._table.depth:
            self._in_line()

    def end_row(self) -> None:
        """End the row. Text that stands outside of its cells becomes a cell of its own."""
        found = self._table
        assert found is not None
        if found.depth:
            return
        self._put(columns=1, rows=1, only_text=True)
        width = max([len(found.row), *(column + 1 for column in found.reaching)], default=0)
        self._count(width)
        found.rows.append([cell or "" for cell in found.row])
        found.reaching = {column: left - 1 for column, left in found.reaching.items() if left > 1}
        found.row = []

    def begin_cell(self) -> None:
        """Begin a cell. Within a nested table it is set apart by a blank."""
        assert self._table is not None
        if self._table.depth:
            self._text.append(" ")
            return
        self._put(columns=1, rows=1, only_text=True)

    def end_cell(self, *, columns: int = 1, rows: int = 1) -> None:
        """End the cell. If it spans several places, its text stands in the first."""
        assert self._table is not None
        if self._table.depth:
            self._text.append(" ")
            return
        self._put(columns=columns, rows=rows)

    def _put(self, *, columns: int, rows: int, only_text: bool = False) -> None:
        """Put the text written so far into the next free place of the row."""
        found = self._table
        assert found is not None
        text = self._taken(keeps_space=self._frames[-1].keeps_space)
        if only_text and not text:
            return
        columns = max(1, min(columns, MOST_COLUMNS))
        while found.reaching.get(len(found.row)):
            found.row.append(None)
        start = len(found.row)
        self._count(columns)
        found.row += [text, *[None] * (columns - 1)]
        if rows > 1:
            reach = min(rows, MOST_SPAN)
            found.reaching |= dict.fromkeys(range(start, start + columns), reach)

    def _count(self, places: int) -> None:
        self._places += places
        if self._places > MOST_PLACES:
            message = f"its tables have more than {MOST_PLACES >> 20} million places"
            raise DocumentProblem(ErrorName.DOCUMENT_TOO_LARGE, message, 413)

    # --- what is written so far -------------------------------------------------------------------

    def _finish(self) -> None:
        """Make a block of the text written so far; in a cell it ends a line."""
        if self._table is not None:
            self._in_line()
            return
        frame = self._frames[-1]
        text = self._taken(keeps_space=frame.keeps_space)
        if text:
            self._pages[-1].append(PageBlock(frame.type, text, sure=frame.sure))

    def _in_line(self, text: str = "") -> None:
        """Put `text` on a line of its own within the current cell."""
        if self._text and self._text[-1] != "\n":
            self._text.append("\n")
        if text:
            self._text += [text, "\n"]

    def _taken(self, *, keeps_space: bool) -> str:
        text = "".join(self._text)
        self._text.clear()
        if keeps_space:
            return text.strip("\n").rstrip() if text.strip() else ""
        lines = (" ".join(line.split()) for line in text.split("\n"))
        return "\n".join(line for line in lines if line)
