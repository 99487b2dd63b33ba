"""A workbook of Excel 97 to 2003 with a word in each place where one can be shown."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path
from typing import Final

from compound_file import write_compound

_WORDS: Final = (
    "sheetname celltext prefixtext 15.5% 1,234.50 2026-03-04 #DIV/0! #N/A TRUE notetext "
    "noteauthor boxtext headertext footertext hiddensheet hiddencell hiddenrow hiddencolumn "
    "longtext chartname titleofchart"
).split()
UNREAD: Final = ("1 picture without an alternative text not read",)
_FORMATS: Final = {
    164: '"prefixtext "0',
    165: "0.0%",
    166: "#,##0.00",
    167: "yyyy\\-mm\\-dd",
}


def marked() -> tuple[bytes, dict[str, str]]:
    """Return the workbook's bytes, and the word that stands in each place."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.xls"
        write_compound(path, {"Workbook": workbook()})
        return path.read_bytes(), {word: word for word in _WORDS}


def workbook(more: bytes = b"") -> bytes:
    """Return the stream of records; `more` are records at the beginning of the first sheet."""
    sheets = {"sheetname": (_sheet(more), 0), "hiddensheet": (_hidden_sheet(), 1)}
    styles = b"".join(
        _record(0x41E, struct.pack("<H", number) + _string(code, wide=True))
        for number, code in _FORMATS.items()
    ) + b"".join(_record(0xE0, struct.pack("<HHH14x", 0, number, 0)) for number in (0, *_FORMATS))
    size = len(_globals(styles, dict.fromkeys(sheets, (0, 0))))
    places: dict[str, tuple[int, int]] = {}
    for name, (content, hidden) in sheets.items():
        places[name] = size, hidden
        size += len(content)
    return _globals(styles, places) + b"".join(content for content, _ in sheets.values())


def _globals(styles: bytes, places: dict[str, tuple[int, int]]) -> bytes:
    listed = b"".join(
        _record(0x85, struct.pack("<IBB", start, hidden, 0) + _string(name))
        for name, (start, hidden) in places.items()
    )
    return _begin(5) + styles + listed + _record(0x0A, b"")


def _record(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def _begin(type_: int) -> bytes:
    return _record(0x809, struct.pack("<HHHHII", 0x600, type_, 0, 0, 0, 0))


def _string(text: str, *, wide: bool = False) -> bytes:
    return struct.pack("<HB" if wide else "<BB", len(text), 0) + text.encode("latin-1")


def _label(row: int, column: int, text: str) -> bytes:
    return _record(0x204, struct.pack("<HHH", row, column, 0) + _string(text, wide=True))


def _number(row: int, column: int, style: int, value: float) -> bytes:
    return _record(0x203, struct.pack("<HHHd", row, column, style, value))


def _box(number: int, type_: int, text: str) -> bytes:
    """A box on the sheet; the text is cut into two records, as long ones are."""
    half = len(text) // 2
    told = _record(0x5D, struct.pack("<HHHHH12x", 0x15, 18, type_, number, 0))
    return (
        told
        + _record(0x1B6, struct.pack("<HH6xHHI", 0, 0, len(text), 16, 0))
        + _record(0x3C, b"\0" + text[:half].encode("latin-1"))
        + _record(0x3C, b"\1" + text[half:].encode("utf-16-le"))
        + _record(0x3C, bytes(16))
    )


def _sheet(more: bytes) -> bytes:
    error = struct.pack("<HHHBB", 3, 0, 0, 0x07, 1)
    failed = struct.pack("<HHH", 3, 1, 0) + b"\x02\0\x2a\0\0\0\xff\xff" + bytes(8)
    rk = struct.pack("<HHHi", 1, 2, 2, 155 << 2 | 3)  # hundredths of a whole number: 1.55
    several = struct.pack("<HHHiHiH", 2, 0, 3, 123450 << 2 | 3, 4, 46085 << 2 | 2, 1)
    rows = [
        _record(0x208, struct.pack("<HHHHHHI", 5, 0, 2, 255, 0, 0, 0x120)),
        _label(0, 0, "celltext"),
        _number(1, 0, 1, 7),
        _number(1, 1, 2, 0.155),
        _record(0x27E, rk),
        _record(0xBD, several),
        _record(0x205, error),
        _record(0x06, failed),
        _record(0x205, struct.pack("<HHHBB", 4, 0, 0, 1, 0)),
        _label(5, 0, "hiddenrow"),
        _label(6, 6, "hiddencolumn"),
        _label(7, 0, "longtext " + "x" * 300),
    ]
    chart = [
        _record(0x5D, struct.pack("<HHHHH12x", 0x15, 18, 5, 8, 0)),
        _begin(0x20),
        _record(0x1051, struct.pack("<BBHHH", 0, 1, 0, 0, 0)),
        _record(0x100D, struct.pack("<H", 0) + _string("titleofchart")),
        _record(0x1051, struct.pack("<BBHHH", 0, 2, 0, 0, 0)),
        _record(0x100D, struct.pack("<H", 0) + _string("celltext")),
        _record(0x1051, struct.pack("<BBHHH", 0, 1, 0, 0, 0)),
        _record(0x100D, struct.pack("<H", 0) + _string("chartname")),
        _record(0x0A, b""),
    ]
    return b"".join(
        [
            _begin(0x10),
            more,
            _record(0x14, _string("&Lheadertext&R&P", wide=True)),
            _record(0x15, _string("&Cfootertext", wide=True)),
            _record(0x7D, struct.pack("<HHHHHH", 6, 6, 2000, 0, 1, 0)),
            *rows,
            _box(1, 6, "boxtext"),
            _box(2, 25, "notetext"),
            _record(0x5D, struct.pack("<HHHHH12x", 0x15, 18, 8, 3, 0)),
            *chart,
            _record(0x1C, struct.pack("<HHHH", 0, 0, 0, 2) + _string("noteauthor", wide=True)),
            _record(0x0A, b""),
        ]
    )


def _hidden_sheet() -> bytes:
    return _begin(0x10) + _label(0, 0, "hiddencell") + _record(0x0A, b"")
