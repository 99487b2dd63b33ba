"""Read the records of XLS, by [MS-XLS], and what its workbook says before its sheets."""

from __future__ import annotations

import codecs
import struct
from collections.abc import Iterator
from typing import Final

from batcher.service.parsing.pages import protected
from batcher.service.parsing.sheets.number_format import BUILT_IN, GENERAL, NumberFormat
from batcher.service.parsing.sheets.workbook import Limits
from batcher.service.parsing.sheets.xlsx import format_of

# numbers of records, section 2.3
FORMULA: Final = 0x06
END: Final = 0x0A
HEADER: Final = 0x14
FOOTER: Final = 0x15
NOTE: Final = 0x1C
DATES: Final = 0x22
PASSWORD: Final = 0x2F
CONTINUE: Final = 0x3C
CODE_PAGE: Final = 0x42
OBJECT: Final = 0x5D
COLUMN: Final = 0x7D
SHEET: Final = 0x85
NUMBERS: Final = 0xBD
RICH_TEXT: Final = 0xD6
STYLE: Final = 0xE0
SHARED_TEXTS: Final = 0xFC
SHARED_TEXT: Final = 0xFD
BOX_TEXT: Final = 0x1B6
NUMBER: Final = 0x203
TEXT: Final = 0x204
BOOLEAN: Final = 0x205
FORMULA_TEXT: Final = 0x207
ROW: Final = 0x208
RK: Final = 0x27E
FORMAT: Final = 0x41E
BEGIN: Final = 0x809
CHART_TEXT: Final = 0x100D
CHART_SOURCE: Final = 0x1051
OF_CHARTS: Final = (CHART_TEXT, CHART_SOURCE)

LATEST: Final = 0x600  # the version of Excel 97 and later, whose texts are Unicode
MODULE: Final = 6  # a sheet that is a program
PAGES: Final = {1200: "utf-16-le", 10000: "mac_roman", 32768: "mac_roman", 32769: "cp1252"}
BROKEN: Final = (struct.error, LookupError, ValueError, OSError, TypeError, AttributeError)


def records(stream: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    """Yield the number and data of each record from `start` to the end of its substream.

    A chart on a sheet is a substream within it, of whose records only texts are of use.
    """
    depth = 0
    while start + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, start)
        data = stream[start + 4 : start + 4 + size]
        start += 4 + size
        depth += kind == BEGIN
        if kind == END:
            depth -= 1
            if depth <= 0:
                return
        elif depth == 1 or (depth and kind in OF_CHARTS):
            yield kind, data
    raise ValueError("it is cut off")


class Book:
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
        for kind, data in records(self.stream, 0):
            if kind == BEGIN:
                self.is_latest = struct.unpack_from("<H", data)[0] >= LATEST
            elif kind == PASSWORD:
                raise protected()
            elif kind == CODE_PAGE:
                self._encoding = _encoding(struct.unpack_from("<H", data)[0])
            elif kind == DATES:
                since_1904 = data[:1] == b"\x01"
            elif kind == FORMAT:
                codes[struct.unpack_from("<H", data)[0]] = self.string(data, 2, wide=self.is_latest)
            elif kind == STYLE:
                used.append(struct.unpack_from("<H", data, 2)[0])
            elif kind == SHEET:
                self._add_sheet(data)
            elif kind == SHARED_TEXTS or (kind == CONTINUE and last == SHARED_TEXTS):
                shared.append(data)
                kind = SHARED_TEXTS
            last = kind
        self.formats = [format_of(codes.get(n, GENERAL), since_1904=since_1904) for n in used]
        self.texts = list(_shared_texts(shared)) if shared else []

    def _add_sheet(self, data: bytes) -> None:
        start, hidden, type_ = struct.unpack_from("<IBB", data)
        if type_ != MODULE:
            self.sheets.append((self.string(data, 6, wide=False), start, bool(hidden & 3)))

    def string(self, data: bytes, start: int, *, wide: bool) -> str:
        """Return a string whose length stands in one byte, or in two if it is `wide`."""
        length = int.from_bytes(data[start : start + 1 + wide], "little")
        start += 1 + wide
        if self.is_latest:
            return characters(data[start:], length)
        return data[start : start + length].decode(self._encoding, "replace")


def _encoding(page: int) -> str:
    name = PAGES.get(page, f"cp{page}")
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "cp1252"


def characters(data: bytes, length: int) -> str:
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
        """Return the next characters. A record that goes on with them says again how wide they are.

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
