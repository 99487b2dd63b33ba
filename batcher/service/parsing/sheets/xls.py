"""Read XLS: the records of Excel 5 to 2003, by [MS-XLS], in their file of streams.

A record that is broken ends its sheet; the sheet's `unread` says so.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from batcher.service.parsing.pages import PageBlock, corrupt, protected
from batcher.service.parsing.sheets.number_format import BUILT_IN, GENERAL, NumberFormat, general
from batcher.service.parsing.sheets.page_setup import add_headers
from batcher.service.parsing.sheets.workbook import Limits, Sheet, cell_name, comment, numbers_in
from batcher.service.parsing.sheets.xlsb import ERRORS, rk_number
from batcher.service.parsing.sheets.xlsx import format_of

COLUMNS: Final = 256
# numbers of records, section 2.3
_FORMULA: Final = 0x06
_END: Final = 0x0A
_HEADER: Final = 0x14
_FOOTER: Final = 0x15
_NOTE: Final = 0x1C
_DATES: Final = 0x22
_PASSWORD: Final = 0x2F
_CONTINUE: Final = 0x3C
_CODE_PAGE: Final = 0x42
_OBJECT: Final = 0x5D
_COLUMN: Final = 0x7D
_SHEET: Final = 0x85
_NUMBERS: Final = 0xBD
_RICH_TEXT: Final = 0xD6
_STYLE: Final = 0xE0
_SHARED_TEXTS: Final = 0xFC
_SHARED_TEXT: Final = 0xFD
_BOX_TEXT: Final = 0x1B6
_NUMBER: Final = 0x203
_TEXT: Final = 0x204
_BOOLEAN: Final = 0x205
_FORMULA_TEXT: Final = 0x207
_ROW: Final = 0x208
_RK: Final = 0x27E
_FORMAT: Final = 0x41E
_BEGIN: Final = 0x809
_CHART_TEXT: Final = 0x100D
_CHART_SOURCE: Final = 0x1051
_OF_CHARTS: Final = (_CHART_TEXT, _CHART_SOURCE)
_CELLS: Final = (_FORMULA, _RICH_TEXT, _SHARED_TEXT, _NUMBER, _TEXT, _BOOLEAN, _RK)

_LATEST: Final = 0x600  # the version of Excel 97 and later, whose texts are Unicode
_MODULE: Final = 6  # a sheet that is a program
_PICTURE: Final = 8  # types of what lies on a sheet
_NOTE_OBJECT: Final = 25
_IN_CELLS: Final = 2  # the source of a chart's text is a cell
_PAGES: Final = {1200: "utf-16-le", 10000: "mac_roman", 32768: "mac_roman", 32769: "cp1252"}
_BROKEN: Final = (struct.error, LookupError, ValueError, OSError, TypeError, AttributeError)


def read_xls(path: Path, *, with_hidden: bool) -> list[Sheet]:
    """Return the sheets, hidden ones only if `with_hidden`.

    Raises DocumentProblem if the workbook is broken, has a password or is too large.
    """
    import olefile

    try:
        with olefile.OleFileIO(str(path)) as file:
            name = next((n for n in ("Workbook", "Book") if file.exists(n)), None)
            stream = file.openstream(name).read() if name else b""
    except _BROKEN as error:
        raise corrupt(f"the workbook can't be read: {error}") from error
    if not stream:
        raise corrupt("the workbook can't be read: it holds no sheets")
    book = _Book(stream)
    try:
        book.read()
    except _BROKEN as error:
        raise corrupt(f"the workbook can't be read: {error}") from error
    return [
        _SheetReader(book, name, start).read()
        for name, start, is_hidden in book.sheets
        if with_hidden or not is_hidden
    ]


# --- records --------------------------------------------------------------------------------------


def _records(stream: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    """Yield the number and data of each record from `start` to the end of its substream.

    A chart on a sheet is a substream within it, of whose records only texts are of use.
    """
    depth = 0
    while start + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, start)
        data = stream[start + 4 : start + 4 + size]
        start += 4 + size
        depth += kind == _BEGIN
        if kind == _END:
            depth -= 1
            if depth <= 0:
                return
        elif depth == 1 or (depth and kind in _OF_CHARTS):
            yield kind, data
    raise ValueError("it is cut off")


class _Book:
    """The records before those of the sheets: what cells refer to, and where sheets begin."""

    def __init__(self, stream: bytes) -> None:
        self.stream = stream
        self.sheets: list[tuple[str, int, bool]] = []  # name, start, whether it is hidden
        self.formats: list[NumberFormat | None] = []
        self.texts: list[str] = []
        self.limits = Limits()
        self.is_latest = True
        self._encoding = "cp1252"

    def read(self) -> None:
        """Read the records. Raises DocumentProblem if they are encrypted."""
        codes = dict(BUILT_IN)
        used: list[int] = []
        shared: list[bytes] = []
        since_1904 = False
        last = 0
        for kind, data in _records(self.stream, 0):
            if kind == _BEGIN:
                self.is_latest = struct.unpack_from("<H", data)[0] >= _LATEST
            elif kind == _PASSWORD:
                raise protected()
            elif kind == _CODE_PAGE:
                self._encoding = _encoding(struct.unpack_from("<H", data)[0])
            elif kind == _DATES:
                since_1904 = data[:1] == b"\x01"
            elif kind == _FORMAT:
                codes[struct.unpack_from("<H", data)[0]] = self.string(data, 2, wide=self.is_latest)
            elif kind == _STYLE:
                used.append(struct.unpack_from("<H", data, 2)[0])
            elif kind == _SHEET:
                self._add_sheet(data)
            elif kind == _SHARED_TEXTS or (kind == _CONTINUE and last == _SHARED_TEXTS):
                shared.append(data)
                kind = _SHARED_TEXTS
            last = kind
        self.formats = [format_of(codes.get(n, GENERAL), since_1904=since_1904) for n in used]
        self.texts = list(_shared_texts(shared)) if shared else []

    def _add_sheet(self, data: bytes) -> None:
        start, hidden, type_ = struct.unpack_from("<IBB", data)
        if type_ != _MODULE:
            self.sheets.append((self.string(data, 6, wide=False), start, bool(hidden & 3)))

    def string(self, data: bytes, start: int, *, wide: bool) -> str:
        """Return a string whose length stands in one byte, or in two if it is `wide`."""
        length = int.from_bytes(data[start : start + 1 + wide], "little")
        start += 1 + wide
        if self.is_latest:
            return _characters(data[start:], length)
        return data[start : start + length].decode(self._encoding, "replace")


def _encoding(page: int) -> str:
    name = _PAGES.get(page, f"cp{page}")
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "cp1252"


def _characters(data: bytes, length: int) -> str:
    """Return at most `length` characters; the first byte tells whether each takes two bytes."""
    if not data:
        return ""
    if data[0] & 1:
        return data[1 : 1 + 2 * length].decode("utf-16-le", "replace")
    return data[1 : 1 + length].decode("latin-1")


def _shared_texts(parts: list[bytes]) -> Iterator[str]:
    """Yield the texts that cells refer to by number. They go on from one record to the next."""
    reader = _Pieces(parts)
    _, count = struct.unpack("<II", reader.take(8))
    for _ in range(count):
        if reader.is_at_end():
            return
        length, flags = struct.unpack("<HB", reader.take(3))
        runs = struct.unpack("<H", reader.take(2))[0] if flags & 8 else 0
        extra = struct.unpack("<I", reader.take(4))[0] if flags & 4 else 0
        yield reader.characters(length, is_wide=bool(flags & 1))
        reader.skip(4 * runs + extra)


class _Pieces:
    """Bytes that are spread over several records."""

    def __init__(self, parts: list[bytes]) -> None:
        self._parts = parts
        self._number = 0
        self._start = 0

    def is_at_end(self) -> bool:
        self._advance()
        return self._number >= len(self._parts)

    def take(self, size: int) -> bytes:
        """Return the next bytes. Raises ValueError if there are fewer."""
        taken = b""
        while len(taken) < size:
            if self.is_at_end():
                raise ValueError("a text is cut off")
            part = self._parts[self._number][self._start :][: size - len(taken)]
            self._start += len(part)
            taken += part
        return taken

    def skip(self, size: int) -> None:
        while size and not self.is_at_end():
            step = min(size, len(self._parts[self._number]) - self._start)
            self._start += step
            size -= step

    def characters(self, length: int, *, is_wide: bool) -> str:
        """Return the next characters. A record that goes on with them says anew how wide they are.

        Raises ValueError if there are fewer.
        """
        texts: list[str] = []
        while length:
            part = self._parts[self._number] if self._number < len(self._parts) else b""
            if self._start >= len(part):
                is_wide = bool(self.take(1)[0] & 1)
                part = self._parts[self._number]
            size = 2 if is_wide else 1
            here = min(length, (len(part) - self._start) // size)
            raw = part[self._start : self._start + here * size]
            texts.append(raw.decode("utf-16-le" if is_wide else "latin-1", "replace"))
            self._start = self._start + here * size if here else len(part)
            length -= here
        return "".join(texts)

    def _advance(self) -> None:
        while self._number < len(self._parts) and self._start >= len(self._parts[self._number]):
            self._number += 1
            self._start = 0


# --- one sheet ------------------------------------------------------------------------------------


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

    def __init__(self, book: _Book, name: str, start: int) -> None:
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
            for kind, data in _records(self._book.stream, self._start):
                if kind != _CONTINUE:
                    self._awaited = 0
                self._record(kind, data)
        except _BROKEN as error:
            broken = error
        for number, cells in sorted(self._cells.items()):
            row = self._book.limits.row(number, cells)
            if row is not None:
                sheet.rows.append(row)
        if broken is not None:
            sheet.note_break(broken)
        self._finish()
        return sheet

    def _record(self, kind: int, data: bytes) -> None:
        if kind in _CELLS:
            self._cell(kind, data)
        elif kind == _NUMBERS:
            row, first = struct.unpack_from("<HH", data)
            for n in range((len(data) - 6) // 6):
                (style,) = struct.unpack_from("<H", data, 4 + 6 * n)
                value = rk_number(data[6 + 6 * n : 10 + 6 * n])
                self._put(row, first + n, self._number(style, value))
        elif kind == _FORMULA_TEXT:
            row, column, style = self._formula
            text = self._book.string(data, 0, wide=True)
            self._put(row, column, self._styled(style, text))
        elif kind == _ROW and data[12] & 0x20:
            self._sheet.hidden_rows.add(struct.unpack_from("<H", data)[0])
        elif kind == _COLUMN and data[8] & 1:
            self._beside.hidden_columns.append(struct.unpack_from("<HH", data))
        else:
            self._other(kind, data)

    # --- cells ------------------------------------------------------------------------------------

    def _cell(self, kind: int, data: bytes) -> None:
        row, column, style = struct.unpack_from("<HHH", data)
        if kind == _NUMBER:
            text = self._number(style, struct.unpack_from("<d", data, 6)[0])
        elif kind == _RK:
            text = self._number(style, rk_number(data[6:10]))
        elif kind == _SHARED_TEXT:
            text = self._styled(style, self._book.texts[struct.unpack_from("<I", data, 6)[0]])
        elif kind == _BOOLEAN:
            text = _boolean(data[6], is_error=data[7] == 1)
        elif kind == _FORMULA:
            self._formula = row, column, style
            text = self._result(style, data[6:14])
        else:
            text = self._styled(style, self._book.string(data, 6, wide=True))
        self._put(row, column, text)

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
        if kind == _CONTINUE and self._awaited:
            text = _characters(data, self._awaited)
            beside.boxes[self._box] = beside.boxes.get(self._box, "") + text
            self._awaited -= len(text)
        elif kind == _BOX_TEXT and self._book.is_latest:
            (self._awaited,) = struct.unpack_from("<H", data, 10)
        elif kind == _OBJECT and len(data) >= 8:
            self._object(data)
        elif kind in (_HEADER, _FOOTER) and data:
            code = self._book.string(data, 0, wide=self._book.is_latest)
            beside.headers.append(("Header" if kind == _HEADER else "Footer", code))
        elif kind == _NOTE:
            self._note(data)
        elif kind == _CHART_SOURCE:
            self._source = data[1]
        elif kind == _CHART_TEXT:
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
