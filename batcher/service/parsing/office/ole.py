"""Read the streams of OLE files, and Word's DOC, such a file: text in order, without layout.

What isn't text (pictures, drawings) is left out. Encrypted documents are refused.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import accumulate, groupby, pairwise
from pathlib import Path
from typing import Any, Final

from batcher.service.parsing.office.encryption import ENCRYPTED
from batcher.service.parsing.pages import (
    DocumentProblem,
    Page,
    PageBlock,
    corrupt,
    empty,
    protected,
    table,
)

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
_FOLDER: Final = 1  # olefile's type of a storage


def read_doc(path: Path, _options: Mapping[str, Any]) -> list[Page]:
    """Return paragraphs and tables; pages end at the page breaks that the file holds.

    Raises DocumentProblem if the document is broken, encrypted or has no text.
    """
    with Compound(path) as file:
        body, *stories = (_FIELD.sub("", text) for text in _doc_texts(file))
    pages = [list(_doc_blocks(part)) for part in body.split(_PAGE)]
    for type_, text in zip(_STORIES, stories, strict=True):
        if type_ is not None:
            pages[-1] += _story(text, type_)
    if not any(pages):
        raise empty("the document has no text")
    return [Page(number, number, blocks) for number, blocks in enumerate(pages, start=1)]


class Compound:
    """The streams of an OLE file by name, as a context manager.

    The exceptions of olefile and of parsing broken streams have no common base, so any of them is
    raised as a DocumentProblem.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Compound:
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
        """Tell whether there is a stream of this name; folders are divided by slashes."""
        return bool(self._file.exists(name))

    def read(self, name: str) -> bytes:
        """Return the content of a stream."""
        content: bytes = self._file.openstream(name).read()
        return content

    def folders(self, within: str = "") -> list[str]:
        """Return the paths of the folders in the folder `within`, "" for the outermost."""
        parts = within.split("/") if within else []
        depth = len(parts)
        entries = self._file.listdir(streams=True, storages=True)
        inside = {entry[depth] for entry in entries if entry[:depth] == parts and entry[depth:]}
        found = sorted("/".join([*parts, name]) for name in inside)
        return [path for path in found if self._file.get_type(path) == _FOLDER]


# --- Word -----------------------------------------------------------------------------------------


def _doc_texts(file: Compound) -> list[str]:
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
