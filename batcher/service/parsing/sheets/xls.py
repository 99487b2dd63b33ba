"""Read XLS: the sheets of Excel 5 to 2003, by [MS-XLS], in their file of streams.

A record that is broken ends its sheet; the sheet's `unread` says so.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from batcher.service.parsing.pages import PageBlock, corrupt
from batcher.service.parsing.sheets.number_format import NumberFormat, general
from batcher.service.parsing.sheets.page_setup import add_headers
from batcher.service.parsing.sheets.workbook import Sheet, cell_name, comment, numbers_in
from batcher.service.parsing.sheets.xls_records import (
    BOOLEAN,
    BOX_TEXT,
    BROKEN,
    CHART_SOURCE,
    CHART_TEXT,
    COLUMN,
    CONTINUE,
    FOOTER,
    FORMULA,
    FORMULA_TEXT,
    HEADER,
    NOTE,
    NUMBER,
    NUMBERS,
    OBJECT,
    RICH_TEXT,
    RK,
    ROW,
    SHARED_TEXT,
    TEXT,
    Book,
    characters,
    records,
)
from batcher.service.parsing.sheets.xlsb import ERRORS, rk_number

COLUMNS: Final = 256
_CELLS: Final = (FORMULA, RICH_TEXT, SHARED_TEXT, NUMBER, TEXT, BOOLEAN, RK)
_PICTURE: Final = 8  # types of what lies on a sheet
_NOTE_OBJECT: Final = 25
_IN_CELLS: Final = 2  # the source of a chart's text is a cell


def read_xls(path: Path, *, with_hidden: bool) -> list[Sheet]:
    """Return the sheets, hidden ones only if `with_hidden`.

    Raises DocumentProblem if the workbook is broken, has a password or is too large.
    """
    import olefile

    try:
        with olefile.OleFileIO(str(path)) as file:
            name = next((n for n in ("Workbook", "Book") if file.exists(n)), None)
            stream = file.openstream(name).read() if name else b""
    except BROKEN as error:
        raise corrupt(f"the workbook can't be read: {error}") from error
    if not stream:
        raise corrupt("the workbook can't be read: it holds no sheets")
    book = Book(stream)
    try:
        book.read()
    except BROKEN as error:
        raise corrupt(f"the workbook can't be read: {error}") from error
    return [
        _SheetReader(book, name, start).read()
        for name, start, is_hidden in book.sheets
        if with_hidden or not is_hidden
    ]


@dataclass(slots=True)
class _Beside:
    """What is on a sheet beside its cells."""

    hidden_columns: list[tuple[int, int]] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[int, int, int, str]] = field(default_factory=list)  # row, column, box, author
    boxes: dict[int, str] = field(default_factory=dict)  # texts by the number of their box
    of_notes: set[int] = field(default_factory=set)  # boxes that show notes
    charts: list[str] = field(default_factory=list)  # titles and names
    pictures: int = 0


class _SheetReader:
    """Reads the records of one sheet, which begin at `start`."""

    def __init__(self, book: Book, name: str, start: int) -> None:
        self._book = book
        self._sheet = Sheet(name)
        self._start = start
        self._beside = _Beside()
        self._cells: dict[int, list[tuple[int, str]]] = {}
        self._box = 0
        self._awaited = 0  # characters of the box's text that are to come
        self._source = 0  # of a chart's next text
        self._formula = (0, 0, 0)  # row, column and style of the last one, whose text may follow

    def read(self) -> Sheet:
        """Return the sheet."""
        sheet = self._sheet
        broken: Exception | None = None
        try:
            for kind, data in records(self._book.stream, self._start):
                if kind != CONTINUE:
                    self._awaited = 0
                self._record(kind, data)
        except BROKEN as error:
            broken = error
        for number, cells in sorted(self._cells.items()):
            row = self._book.limits.row(number, cells)
            if row is not None:
                sheet.rows.append(row)
        if broken is not None:
            sheet.note_break(broken)
        sheet.note_cells()
        self._finish()
        return sheet

    def _record(self, kind: int, data: bytes) -> None:
        if kind in _CELLS:
            self._cell(kind, data)
        elif kind == NUMBERS:
            row, first = struct.unpack_from("<HH", data)
            for n in range((len(data) - 6) // 6):
                (style,) = struct.unpack_from("<H", data, 4 + 6 * n)
                value = rk_number(data[6 + 6 * n : 10 + 6 * n])
                self._put(row, first + n, self._number(style, value))
        elif kind == FORMULA_TEXT:
            row, column, style = self._formula
            text = self._book.string(data, 0, wide=True)
            self._put(row, column, self._styled(style, text))
        elif kind == ROW and data[12] & 0x20:
            self._sheet.hidden_rows.add(struct.unpack_from("<H", data)[0])
        elif kind == COLUMN and data[8] & 1:
            self._beside.hidden_columns.append(struct.unpack_from("<HH", data))
        else:
            self._other(kind, data)

    # --- cells ------------------------------------------------------------------------------------

    def _cell(self, kind: int, data: bytes) -> None:
        row, column, style = struct.unpack_from("<HHH", data)
        if kind == FORMULA:
            self._formula = row, column, style
        try:
            self._put(row, column, self._text(kind, style, data))
        except BROKEN:
            self._sheet.broken_cells.append(cell_name(row, column))

    def _text(self, kind: int, style: int, data: bytes) -> str:
        if kind == NUMBER:
            return self._number(style, struct.unpack_from("<d", data, 6)[0])
        if kind == RK:
            return self._number(style, rk_number(data[6:10]))
        if kind == SHARED_TEXT:
            return self._styled(style, self._book.texts[struct.unpack_from("<I", data, 6)[0]])
        if kind == BOOLEAN:
            return _boolean(data[6], is_error=data[7] == 1)
        if kind == FORMULA:
            return self._result(style, data[6:14])
        return self._styled(style, self._book.string(data, 6, wide=True))

    def _result(self, style: int, result: bytes) -> str:
        """Return the result of a formula; a text follows in a record of its own."""
        if result[6:8] != b"\xff\xff":
            return self._number(style, struct.unpack("<d", result)[0])
        if result[0] in (1, 2):
            return _boolean(result[2], is_error=result[0] == 2)
        return ""

    def _put(self, row: int, column: int, text: str) -> None:
        if column >= COLUMNS:
            raise ValueError(f"it has a column {column + 1}")
        if text:
            self._cells.setdefault(row, []).append((column, text))

    def _number(self, style: int, value: float) -> str:
        found = self._format(style)
        return general(value) if found is None else found.number(value)

    def _styled(self, style: int, text: str) -> str:
        found = self._format(style)
        return text if found is None else found.text(text)

    def _format(self, style: int) -> NumberFormat | None:
        formats = self._book.formats
        return formats[style] if style < len(formats) else None

    # --- beside the cells -------------------------------------------------------------------------

    def _other(self, kind: int, data: bytes) -> None:
        beside = self._beside
        if kind == CONTINUE and self._awaited:
            text = characters(data, self._awaited)
            beside.boxes[self._box] = beside.boxes.get(self._box, "") + text
            self._awaited -= len(text)
        elif kind == BOX_TEXT and self._book.is_latest:
            (self._awaited,) = struct.unpack_from("<H", data, 10)
        elif kind == OBJECT and len(data) >= 8:
            self._object(data)
        elif kind in (HEADER, FOOTER) and data:
            code = self._book.string(data, 0, wide=self._book.is_latest)
            beside.headers.append(("Header" if kind == HEADER else "Footer", code))
        elif kind == NOTE:
            self._note(data)
        elif kind == CHART_SOURCE:
            self._source = data[1]
        elif kind == CHART_TEXT:
            if self._source != _IN_CELLS:
                beside.charts.append(self._book.string(data, 2, wide=False))
            self._source = 0

    def _object(self, data: bytes) -> None:
        type_, self._box = struct.unpack_from("<HH", data, 4)
        self._beside.pictures += type_ == _PICTURE
        if type_ == _NOTE_OBJECT:
            self._beside.of_notes.add(self._box)

    def _note(self, data: bytes) -> None:
        row, column, length = struct.unpack_from("<HHH", data)
        if self._book.is_latest:
            (box,) = struct.unpack_from("<H", data, 6)
            author = self._book.string(data, 8, wide=True)
            self._beside.notes.append((row, column, box, author))
            return
        if row != 0xFFFF:  # else it goes on with the text of the one before
            self._box = -1 - len(self._beside.notes)
            self._beside.notes.append((row, column, self._box, ""))
        text = data[6 : 6 + min(length, 2048)].decode("cp1252", "replace")
        self._beside.boxes[self._box] = self._beside.boxes.get(self._box, "") + text

    def _finish(self) -> None:
        """Add what is beside the cells to the sheet."""
        sheet = self._sheet
        beside = self._beside
        sheet.hidden_columns = numbers_in(beside.hidden_columns, COLUMNS)
        shown = beside.of_notes | {box for _, _, box, _ in beside.notes}
        for number, text in beside.boxes.items():
            if number not in shown and text.strip():
                sheet.below.append(PageBlock("Text", text.strip()))
        sheet.below.append(PageBlock("Figure", "\n".join(dict.fromkeys(beside.charts))))
        sheet.pictures += beside.pictures
        for row, column, box, author in beside.notes:
            sheet.below.append(comment(cell_name(row, column), author, beside.boxes.get(box, "")))
        add_headers(sheet, beside.headers)
        for block in (*sheet.above, *sheet.below):
            self._book.limits.count(len(block.content))


def _boolean(value: int, *, is_error: bool) -> str:
    if is_error:
        return ERRORS.get(value, "#ERROR!")
    return "TRUE" if value else "FALSE"
