"""Read XLSB: the parts of an XLSX whose records are binary, by [MS-XLSB].

Comments of today, drawings and charts are XML as in XLSX.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from batcher.service.parsing.sheets.number_format import BUILT_IN, GENERAL, general
from batcher.service.parsing.sheets.package import BROKEN, Package
from batcher.service.parsing.sheets.page_setup import add_headers
from batcher.service.parsing.sheets.parts import attempt, read_parts
from batcher.service.parsing.sheets.workbook import COLUMNS, ROWS, Sheet, cell_name, numbers_in
from batcher.service.parsing.sheets.xlsx import Book, format_of, main_part, read_persons

# numbers of records, section 2.3.1
_ROW: Final = 0
_RK: Final = 2
_ERROR: Final = (3, 11)
_BOOLEAN: Final = (4, 10)
_REAL: Final = (5, 9)
_TEXT: Final = (6, 8)
_SHARED_TEXT: Final = 7
_STRING: Final = 19
_FORMAT: Final = 44
_CELL_STYLE: Final = 47
_COLUMN: Final = 60
_RICH_TEXT: Final = 62
_WORKBOOK: Final = 153
_SHEET: Final = 156
_HEADERS: Final = 479
_STYLES_BEGIN: Final = 617
_STYLES_END: Final = 618
_AUTHOR: Final = 632
_COMMENT: Final = 635
_COMMENT_TEXT: Final = 637

ERRORS: Final = {
    0x00: "#NULL!",
    0x07: "#DIV/0!",
    0x0F: "#VALUE!",
    0x17: "#REF!",
    0x1D: "#NAME?",
    0x24: "#NUM!",
    0x2A: "#N/A",
    0x2B: "#GETTING_DATA",
}


def read_xlsb(package: Package, *, with_hidden: bool) -> list[Sheet]:
    """Return the sheets, hidden ones only if `with_hidden`.

    Raises one of BROKEN if the list of sheets can't be read, and DocumentProblem if the workbook
    is too large.
    """
    part = main_part(package, "xl/workbook.bin")
    links = package.links(part)
    book = Book()
    listed: list[tuple[str, str]] = []
    for kind, data in _records(package, part):
        if kind == _WORKBOOK:
            book.since_1904 = bool(data[0] & 1)
        elif kind == _SHEET:
            link, end = _string(data, 8)
            name, _ = _string(data, end)
            if link in links and (with_hidden or not data[0]):
                listed.append((name, links[link].target))
    by_kind = {link.kind: link.target for link in links.values()}
    attempt(book.unread, "the texts of cells", _read_strings, package, by_kind, book)
    attempt(book.unread, "the formats of numbers", _read_formats, package, by_kind, book)
    attempt(book.unread, "the authors of comments", read_persons, package, by_kind, book)
    names = frozenset(name for name, _ in listed)
    sheets = [_sheet(package, book, name, target, names) for name, target in listed]
    if sheets:
        sheets[0].unread[:0] = book.unread
    return sheets


# --- records --------------------------------------------------------------------------------------


def _records(package: Package, part: str) -> Iterator[tuple[int, bytes]]:
    """Yield the number and the data of each record of a part."""
    with package.open(part) as file:
        while first := file.read(1):
            kind = first[0]
            if kind & 0x80:
                kind = kind & 0x7F | (file.read(1)[0] & 0x7F) << 7
            size = 0
            for shift in (0, 7, 14, 21):
                byte = file.read(1)[0]
                size |= (byte & 0x7F) << shift
                if not byte & 0x80:
                    break
            data = file.read(size)
            if len(data) < size:
                raise EOFError("it is cut off")
            yield kind, data


def _string(data: bytes, start: int) -> tuple[str, int]:
    """Return the string at `start`, "" for none, and where it ends."""
    (length,) = struct.unpack_from("<I", data, start)
    if length == 0xFFFFFFFF:
        return "", start + 4
    end = start + 4 + 2 * length
    if end > len(data):
        raise ValueError("a text is longer than its record")
    return data[start + 4 : end].decode("utf-16-le", "replace"), end


# --- what cells refer to --------------------------------------------------------------------------


def _read_strings(package: Package, by_kind: dict[str, str], book: Book) -> None:
    if "sharedStrings" in by_kind:
        for kind, data in _records(package, by_kind["sharedStrings"]):
            if kind == _STRING:
                book.strings.append(_string(data, 1)[0])


def _read_formats(package: Package, by_kind: dict[str, str], book: Book) -> None:
    if "styles" not in by_kind:
        return
    codes = dict(BUILT_IN)
    of_cells = False
    for kind, data in _records(package, by_kind["styles"]):
        if kind == _FORMAT:
            codes[int.from_bytes(data[:2], "little")] = _string(data, 2)[0]
        elif kind in (_STYLES_BEGIN, _STYLES_END):
            of_cells = kind == _STYLES_BEGIN
        elif kind == _CELL_STYLE and of_cells:
            code = codes.get(int.from_bytes(data[2:4], "little"), GENERAL)
            book.formats.append(format_of(code, since_1904=book.since_1904))


# --- one sheet ------------------------------------------------------------------------------------


def _sheet(package: Package, book: Book, name: str, part: str, names: frozenset[str]) -> Sheet:
    sheet = Sheet(name)
    headers: list[tuple[str, str]] = []
    try:
        _read_sheet(package, part, book, sheet, headers)
    except BROKEN as error:
        sheet.note_break(error)
    sheet.note_cells()
    what = f"what belongs to the sheet {name!r}"
    attempt(
        sheet.unread,
        what,
        lambda: read_parts(package, part, sheet, names=names, persons=book.persons, notes=_notes),
    )
    add_headers(sheet, headers)
    for block in (*sheet.above, *sheet.below):
        book.limits.count(len(block.content))
    return sheet


def _read_sheet(
    package: Package, part: str, book: Book, sheet: Sheet, headers: list[tuple[str, str]]
) -> None:
    number = 0
    cells: list[tuple[int, str]] = []
    hidden: list[tuple[int, int]] = []

    def end_row() -> None:
        row = book.limits.row(number, cells)
        if row is not None:
            sheet.rows.append(row)
        cells.clear()

    try:
        for kind, data in _records(package, part):
            if kind == _ROW:
                end_row()
                (number,) = struct.unpack_from("<I", data)
                if number >= ROWS:
                    raise ValueError(f"it has a row {number + 1}")
                if data[11] & 0x10:
                    sheet.hidden_rows.add(number)
            elif 2 <= kind <= 11 or kind == _RICH_TEXT:
                try:
                    cells.append(_cell(kind, data, book))
                except BROKEN:
                    sheet.broken_cells.append(_name(number, data))
            elif kind == _COLUMN and data[16] & 1:
                hidden.append(struct.unpack_from("<II", data))
            elif kind == _HEADERS:
                headers += _headers(data)
    finally:
        end_row()
        sheet.hidden_columns = numbers_in(hidden, COLUMNS)


def _cell(kind: int, data: bytes, book: Book) -> tuple[int, str]:
    """Return the column of a cell and its text, as it is shown."""
    column, style = struct.unpack_from("<II", data)
    if column >= COLUMNS:
        raise ValueError(f"it has a column {column + 1}")
    style &= 0xFFFFFF
    found = book.formats[style] if style < len(book.formats) else None
    if kind in _ERROR:
        return column, ERRORS.get(data[8], "#ERROR!")
    if kind in _BOOLEAN:
        return column, "TRUE" if data[8] else "FALSE"
    if kind == _RK or kind in _REAL:
        value = rk_number(data[8:12]) if kind == _RK else struct.unpack_from("<d", data, 8)[0]
        return column, general(value) if found is None else found.number(value)
    if kind == _SHARED_TEXT:
        text = book.strings[struct.unpack_from("<I", data, 8)[0]]
    else:
        text, _ = _string(data, 9 if kind == _RICH_TEXT else 8)
    return column, text if found is None else found.text(text)


def _name(row: int, cell: bytes) -> str:
    column = int.from_bytes(cell[:4], "little")
    return cell_name(row, column)


def rk_number(data: bytes) -> float:
    """Return the number that is packed into four bytes: the lowest two bits say how."""
    (packed,) = struct.unpack("<i", data)
    if packed & 2:
        value = float(packed >> 2)
    else:
        (value,) = struct.unpack("<d", b"\0\0\0\0" + struct.pack("<i", packed & ~3))
    return value / 100 if packed & 1 else value


def _headers(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield header and footer of usual, of even and of first pages, as far as they are used."""
    used = (True, bool(data[0] & 1), bool(data[0] & 2))
    end = 2
    for is_used in used:
        for type_ in ("Header", "Footer"):
            code, end = _string(data, end)
            if is_used:
                yield type_, code


def _notes(package: Package, part: str) -> Iterator[tuple[str, str, str]]:
    """Yield the cell, the author and the text of each note."""
    authors: list[str] = []
    author = cell = ""
    for kind, data in _records(package, part):
        if kind == _AUTHOR:
            authors.append(_string(data, 0)[0])
        elif kind == _COMMENT:
            index, row, _, column = struct.unpack_from("<IIII", data)
            author = authors[index] if index < len(authors) else ""
            cell = cell_name(row, column)
        elif kind == _COMMENT_TEXT:
            yield cell, author, _string(data, 1)[0]
