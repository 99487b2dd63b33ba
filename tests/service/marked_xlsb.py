"""A binary workbook (XLSB) with a word in each place that isn't XML as in XLSX."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import Final

from marked_xlsx import changed
from marked_xlsx import marked as marked_xlsx

_WORDS: Final = (
    "sheetname sharedtext plaintext formulatext prefixtext 15.5% 1,234.50 2026-03-04 #DIV/0! TRUE "
    "#N/A notetext noteauthor headertext footertext hiddensheet hiddencell hiddenrow hiddencolumn "
    "boxtext charttitle threadtext richtext 42.5"
).split()
_FORMATS: Final = {164: '"prefixtext "0', 165: "0.0%", 166: "#,##0.00", 167: "yyyy\\-mm\\-dd"}
_LINKS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def marked() -> tuple[bytes, dict[str, str]]:
    """Return the workbook's bytes, and the word that stands in each place."""
    content, _ = marked_xlsx()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts: dict[str, bytes | None] = dict.fromkeys(
            name for name in archive.namelist() if name.startswith("xl/w") or "shared" in name
        )
        links = archive.read("xl/worksheets/_rels/a.xml.rels")
        workbook = archive.read("xl/_rels/workbook.xml.rels")
        packed = archive.read("_rels/.rels")
    parts |= {
        "_rels/.rels": packed.replace(b"workbook.xml", b"workbook.bin"),
        "xl/workbook.bin": _workbook(),
        "xl/_rels/workbook.bin.rels": workbook.replace(b"a.xml", b"a.bin")
        .replace(b"b.xml", b"b.bin")
        .replace(b"Strings.xml", b"Strings.bin")
        .replace(b"styles.xml", b"styles.bin"),
        "xl/_rels/workbook.xml.rels": None,
        "xl/sharedStrings.bin": _record(19, b"\0" + _string("sharedtext")),
        "xl/styles.bin": _styles(),
        "xl/worksheets/a.bin": _sheet(),
        "xl/worksheets/_rels/a.bin.rels": links.replace(b"comments1.xml", b"comments1.bin"),
        "xl/worksheets/b.bin": _row(0) + _text_cell(0, "hiddencell"),
        "xl/comments1.bin": _notes(),
    }
    return changed(content, parts), {word: word for word in _WORDS}


def _record(kind: int, data: bytes) -> bytes:
    number = bytes([kind]) if kind < 128 else bytes([kind & 0x7F | 0x80, kind >> 7])
    size = len(data)
    length = bytes([size]) if size < 128 else bytes([size & 0x7F | 0x80, size >> 7])
    return number + length + data


def _string(text: str | None) -> bytes:
    if text is None:
        return b"\xff\xff\xff\xff"
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def _workbook() -> bytes:
    return _record(153, bytes(12)) + b"".join(
        _record(156, struct.pack("<II", hidden, number) + _string(link) + _string(name))
        for number, (link, name, hidden) in enumerate(
            [("a", "sheetname", 0), ("b", "hiddensheet", 1)], start=1
        )
    )


def _styles() -> bytes:
    codes = b"".join(
        _record(44, struct.pack("<H", number) + _string(code)) for number, code in _FORMATS.items()
    )
    styles = b"".join(_record(47, struct.pack("<HH12x", 0, n)) for n in (0, *_FORMATS))
    return codes + _record(47, bytes(16)) + _record(617, b"") + styles + _record(618, b"")


def _row(number: int, *, hidden: bool = False) -> bytes:
    return _record(0, struct.pack("<IIHBB5x", number, 0, 300, 0, 0x10 if hidden else 0))


def _cell(kind: int, column: int, style: int, value: bytes) -> bytes:
    return _record(kind, struct.pack("<II", column, style) + value)


def _text_cell(column: int, text: str) -> bytes:
    return _cell(6, column, 0, _string(text))


def _sheet() -> bytes:
    header = struct.pack("<H", 0) + b"".join(
        _string(code) for code in ("&Lheadertext", "&Cfootertext &P", None, None, "unused", None)
    )
    return b"".join(
        [
            _record(60, struct.pack("<IIIIH", 6, 6, 2000, 0, 1)),
            _row(0),
            _cell(7, 0, 0, struct.pack("<I", 0)),
            _text_cell(1, "plaintext"),
            _cell(8, 2, 0, _string("formulatext") + bytes(8)),
            _cell(62, 3, 0, b"\0" + _string("richtext")),
            _row(1),
            _cell(2, 0, 1, struct.pack("<i", 7 << 2 | 2)),
            _cell(5, 1, 2, struct.pack("<d", 0.155)),
            _cell(2, 2, 3, struct.pack("<i", 123450 << 2 | 3)),
            _cell(9, 3, 4, struct.pack("<d", 46085.0) + bytes(8)),
            _cell(2, 4, 0, struct.pack("<d", 42.5)[4:]),
            _row(2),
            _cell(3, 0, 0, b"\x07"),
            _cell(4, 1, 0, b"\x01"),
            _cell(11, 2, 0, b"\x2a" + bytes(8)),
            _row(3, hidden=True),
            _text_cell(0, "hiddenrow"),
            _row(4),
            _text_cell(6, "hiddencolumn"),
            _record(479, header),
        ]
    )


def _notes() -> bytes:
    place = struct.pack("<IIIII16x", 0, 0, 0, 1, 1)
    return (
        _record(632, _string("noteauthor"))
        + _record(635, place)
        + _record(637, b"\0" + _string("notetext"))
    )
