"""Documents in Microsoft's compound files of before 2007: Word's DOC and Outlook's MSG. Words in
order, no layout.

What isn't text (pictures, drawings, attachments) is left out, an encrypted document is refused.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final

from batcher.service.parsing.office import ENCRYPTED
from batcher.service.parsing.pages import (
    DocumentProblem,
    Page,
    PageBlock,
    corrupt,
    empty,
    protected,
    table,
)
from batcher.service.parsing.text import html_blocks, one_page, paragraphs

# Places in Word's FIB, as [MS-DOC] gives them.
_FLAGS = 0x0A
_CHARACTERS = 0x4C
_PIECES = 0x1A2
_ENCRYPTED = 0x0100
_TABLE_ONE = 0x0200
_PIECE_TABLE: Final = 2  # the kind of part that holds it; 1 is a list of formats, to be skipped
_COMPRESSED: Final = 1 << 30  # a piece of one byte a character
# its code goes, its result stays
_FIELD: Final = re.compile("\x13[^\x13-\x15]*?\x14|\x13[^\x13-\x15]*\x15|[\x14\x15]")
_CELL = "\x07"
_PAGE = "\x0c"
_SUBJECT, _SENDER, _ADDRESS, _TO, _CC, _BODY, _HTML = "0037 0C1A 0C1F 0E04 0E03 1000 1013".split()
_LONG_NAME = "3707"  # of an attachment
_NAME = "3704"


def read_doc(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Paragraphs and tables; pages by the breaks that are written down."""
    with _Compound(path) as file:
        text = _FIELD.sub("", _doc_text(file))
    pages = [list(_doc_blocks(part)) for part in text.split(_PAGE)]
    if not any(pages):
        raise empty("the document has no text")
    return [Page(number, number, blocks) for number, blocks in enumerate(pages, start=1)]


def read_msg(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Subject, people and body; attachments are named, not opened."""
    with _Compound(path) as file:
        return one_page(list(_msg_blocks(file)))


class _Compound:
    """The file's streams by name.

    What olefile raises of broken ones has no common base, so all of it is caught.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> _Compound:
        import olefile

        try:
            self._file = olefile.OleFileIO(str(self._path))
        except Exception as error:
            raise corrupt(f"the document can't be read: {error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: object
    ) -> None:
        self._file.close()
        if error is not None and not isinstance(error, DocumentProblem | MemoryError):
            raise corrupt(f"the document can't be read: {type(error).__name__}: {error}") from error

    def holds(self, name: str) -> bool:
        return bool(self._file.exists(name))

    def read(self, name: str) -> bytes:
        content: bytes = self._file.openstream(name).read()
        return content

    def folders(self) -> list[str]:
        return sorted({entry[0] for entry in self._file.listdir() if len(entry) > 1})


# --- Word -----------------------------------------------------------------------------------------


def _doc_text(file: _Compound) -> str:
    """The main text, put together from the pieces that saving after saving has left."""
    main = file.read("WordDocument")
    (flags,) = struct.unpack_from("<H", main, _FLAGS)
    if flags & _ENCRYPTED:
        raise protected(ENCRYPTED)
    (characters,) = struct.unpack_from("<I", main, _CHARACTERS)
    start, size = struct.unpack_from("<II", main, _PIECES)
    pieces = file.read("1Table" if flags & _TABLE_ONE else "0Table")[start : start + size]
    return "".join(_pieces(main, _piece_table(pieces)))[:characters]


def _piece_table(parts: bytes) -> bytes:
    at = 0
    while parts[at] != _PIECE_TABLE:
        (size,) = struct.unpack_from("<H", parts, at + 1)
        at += 3 + size
    (size,) = struct.unpack_from("<I", parts, at + 1)
    return parts[at + 5 : at + 5 + size]


def _pieces(main: bytes, listed: bytes) -> Iterator[str]:
    count = (len(listed) - 4) // 12
    bounds = struct.unpack_from(f"<{count + 1}I", listed)
    for number, (first, last) in enumerate(pairwise(bounds)):
        (place,) = struct.unpack_from("<I", listed, 4 * (count + 1) + 8 * number + 2)
        if place & _COMPRESSED:
            start = (place & ~_COMPRESSED) // 2
            yield main[start : start + last - first].decode("cp1252", "replace")
        else:
            yield main[place : place + 2 * (last - first)].decode("utf-16-le", "replace")


def _doc_blocks(text: str) -> Iterator[PageBlock]:
    """Paragraphs end with a return; a table's cells with a bell, and its rows with one more."""
    for tabular, lines in groupby(text.split("\r"), key=lambda line: _CELL in line):
        for line in lines:
            rows = [row.split(_CELL) for row in line.split(_CELL * 2)] if tabular else []
            cells = [[_clean(cell) for cell in row] for row in rows]
            filled = [row for row in cells if any(row)]
            tail = cells[-1] if cells and len(cells[-1]) == 1 else []
            if filled and tail == filled[-1]:
                filled.pop()  # what follows the last row is the beginning of the next paragraph
            if filled:
                yield table(filled)
            words = tail[0] if tail else "" if tabular else _clean(line)
            if words:
                yield PageBlock("Text", words)


def _clean(text: str) -> str:
    """Without the marks of pictures, notes and hyphens."""
    kept = text.replace("\x0b", "\n").replace("\x1e", "-").replace("\xa0", " ")
    return "".join(c for c in kept if c in "\n\t" or c >= " ").strip()


# --- Outlook --------------------------------------------------------------------------------------


def _msg_blocks(file: _Compound) -> Iterator[PageBlock]:
    yield PageBlock("Title", _property(file, _SUBJECT))
    sender = " ".join(
        filter(None, (_property(file, _SENDER), _bracketed(_property(file, _ADDRESS))))
    )
    heads = {"From": sender, "To": _property(file, _TO), "Cc": _property(file, _CC)}
    yield PageBlock(
        "Key Value", "\n".join(f"{name}: {value}" for name, value in heads.items() if value)
    )
    html = f"__substg1.0_{_HTML}0102"
    body = _property(file, _BODY)
    if body:
        yield from paragraphs(body.encode(), "utf-8")
    elif file.holds(html):
        yield from html_blocks(file.read(html), None)
    folders = [folder for folder in file.folders() if folder.startswith("__attach")]
    names = [
        _property(file, _LONG_NAME, folder) or _property(file, _NAME, folder) for folder in folders
    ]
    yield PageBlock("Text", f"Attachments: {', '.join(filter(None, names))}" if any(names) else "")


def _bracketed(address: str) -> str:
    return f"<{address}>" if "@" in address else ""


def _property(file: _Compound, tag: str, folder: str = "") -> str:
    """A text property, as Unicode or in the code page of most."""
    name = f"{folder}/__substg1.0_{tag}" if folder else f"__substg1.0_{tag}"
    for kind, encoding in (("001F", "utf-16-le"), ("001E", "cp1252")):
        if file.holds(name + kind):
            return file.read(name + kind).decode(encoding, "replace").strip("\x00 \r\n")
    return ""
