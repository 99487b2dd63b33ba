"""Read Word's DOC and Outlook's MSG, OLE formats from before 2007: text in order, without layout.

What isn't text (pictures, drawings, attachments) is left out. Encrypted documents are refused.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import accumulate, groupby, pairwise
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

# Offsets and flags in Word's file information block (FIB), as [MS-DOC] specifies them.
_FLAGS = 0x0A
_CHARACTERS = 0x4C  # of the body; then those of each of `_STORIES`
_PIECES = 0x1A2
_ENCRYPTED = 0x0100
_TABLE_ONE = 0x0200
# type of the part that holds the piece table; parts of type 1 are formats and are skipped
_PIECE_TABLE: Final = 2
# What stands behind the body, in this order: footnotes, headers and footers, macros, comments,
# endnotes, text boxes, and text boxes of headers. None: nobody sees it.
_STORIES: Final = ("Text", "Header", None, "Comment", "Text", "Text", "Header")
_COMPRESSED: Final = 1 << 30  # flag of a piece with one byte per character
# A field's code is removed, its result is kept.
_FIELD: Final = re.compile("\x13[^\x13-\x15]*?\x14|\x13[^\x13-\x15]*\x15|[\x14\x15]")
_CELL = "\x07"
_PAGE = "\x0c"
_SUBJECT, _SENDER, _ADDRESS, _TO, _CC, _BODY, _HTML = "0037 0C1A 0C1F 0E04 0E03 1000 1013".split()
_LONG_NAME = "3707"  # properties with the long and the short name of an attachment
_NAME = "3704"


def read_doc(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return paragraphs and tables; pages end at the page breaks that the file holds.

    Raises DocumentProblem if the document is broken, encrypted or has no text.
    """
    with _Compound(path) as file:
        body, *stories = (_FIELD.sub("", text) for text in _doc_texts(file))
    pages = [list(_doc_blocks(part)) for part in body.split(_PAGE)]
    for type_, text in zip(_STORIES, stories, strict=True):
        if type_ is not None:
            pages[-1] += _story(text, type_)
    if not any(pages):
        raise empty("the document has no text")
    return [Page(number, number, blocks) for number, blocks in enumerate(pages, start=1)]


def read_msg(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return subject, people and body as one page; attachments are named, not opened.

    Raises DocumentProblem if the message is broken or has no text.
    """
    with _Compound(path) as file:
        return one_page(list(_msg_blocks(file)))


class _Compound:
    """The streams of an OLE file by name, as a context manager.

    The exceptions of olefile and of parsing broken streams have no common base, so any of them is
    raised as a DocumentProblem.
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


def _doc_texts(file: _Compound) -> list[str]:
    """Return the body and each of `_STORIES`, joined from the pieces that saving leaves."""
    main = file.read("WordDocument")
    (flags,) = struct.unpack_from("<H", main, _FLAGS)
    if flags & _ENCRYPTED:
        raise protected(ENCRYPTED)
    lengths = struct.unpack_from(f"<{1 + len(_STORIES)}I", main, _CHARACTERS)
    start, size = struct.unpack_from("<II", main, _PIECES)
    pieces = file.read("1Table" if flags & _TABLE_ONE else "0Table")[start : start + size]
    whole = "".join(_pieces(main, _piece_table(pieces)))
    ends = [0, *accumulate(lengths)]
    return [whole[start:end] for start, end in pairwise(ends)]


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
    """Convert text into blocks by Word's control characters.

    A carriage return ends a paragraph; a BEL (7) ends a table's cell, and a second one its row.
    """
    for tabular, lines in groupby(text.split("\r"), key=lambda line: _CELL in line):
        for line in lines:
            rows = [row.split(_CELL) for row in line.split(_CELL * 2)] if tabular else []
            cells = [[_clean(cell) for cell in row] for row in rows]
            filled = [row for row in cells if any(row)]
            tail = cells[-1] if cells and len(cells[-1]) == 1 else []
            if filled and tail == filled[-1]:
                filled.pop()  # What follows the last row is the start of the next paragraph.
            if filled:
                yield table(filled)
            words = tail[0] if tail else "" if tabular else _clean(line)
            if words:
                yield PageBlock("Text", words)


def _story(text: str, type_: str) -> Iterator[PageBlock]:
    """Yield what stands beside the body as blocks of `type_`, tables as tables."""
    for block in _doc_blocks(text.replace(_PAGE, "\r")):
        yield block if block.type == "Table" else replace(block, type=type_)


def _clean(text: str) -> str:
    """Remove the control characters that stand for pictures, notes and hyphens."""
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
    """Return a text property, stored as Unicode or in code page 1252; "" if it is absent."""
    name = f"{folder}/__substg1.0_{tag}" if folder else f"__substg1.0_{tag}"
    for kind, encoding in (("001F", "utf-16-le"), ("001E", "cp1252")):
        if file.holds(name + kind):
            return file.read(name + kind).decode(encoding, "replace").strip("\x00 \r\n")
    return ""
