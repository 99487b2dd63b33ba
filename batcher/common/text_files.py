"""Text files that people write (manifests, ignore files, listings, schemas, passwords), all read in
one way.

UTF-8, or what a byte order mark says: UTF-8, UTF-16, UTF-32, as Windows' programs write them. Lines
end as they like. A file in any other encoding is refused with its place, and never guessed at.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final


@dataclass(frozen=True, slots=True)
class Encoding:
    """`mark` is what a file begins with that is written so; `newline` are the bytes that end a
    line.
    """

    name: str
    mark: bytes
    newline: bytes

    @property
    def width(self) -> int:
        return len(self.newline)


PLAIN: Final = Encoding("utf-8", b"", b"\n")
_MARKED: Final = (  # the longer marks first: UTF-32's begins as UTF-16's does
    Encoding("utf-32-le", codecs.BOM_UTF32_LE, b"\n\0\0\0"),
    Encoding("utf-32-be", codecs.BOM_UTF32_BE, b"\0\0\0\n"),
    Encoding("utf-16-le", codecs.BOM_UTF16_LE, b"\n\0"),
    Encoding("utf-16-be", codecs.BOM_UTF16_BE, b"\0\n"),
    Encoding("utf-8", codecs.BOM_UTF8, b"\n"),
)
LONGEST_MARK: Final = 4


class NotText(ValueError):
    """Says where it is none, and what to do."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}; save it as UTF-8")
        self.line = line


def read_text(path: Path) -> str:
    r"""The whole file, each line ended by \n. Raises OSError, NotText."""
    return text_of(path.read_bytes())


def text_of(raw: bytes) -> str:
    r"""Each line ended by \n. Raises NotText."""
    encoding = encoding_of(raw)
    return decoded(raw[len(encoding.mark) :], encoding).replace("\r\n", "\n").replace("\r", "\n")


def encoding_of(start: bytes) -> Encoding:
    return next((one for one in _MARKED if start.startswith(one.mark)), PLAIN)


def decoded(raw: bytes, encoding: Encoding, *, line: int = 1) -> str:
    """`raw`, which begins in that line. Raises NotText."""
    try:
        text = raw.decode(encoding.name)
    except UnicodeDecodeError as error:
        number = line + raw[: error.start].count(encoding.newline)
        what = f"byte 0x{raw[error.start]:02x} is not {encoding.name.upper()}"
        raise NotText(number, what) from error
    if "\0" in text:
        number = line + text[: text.index("\0")].count("\n")
        raise NotText(number, "a zero byte: this is no text, or UTF-16 without its byte order mark")
    return text


class Lines:
    """The lines of a file as it is read, where the next of them begins, and how many there were.

    A file that isn't read from its beginning on needs to be told its encoding.
    """

    def __init__(self, file: BinaryIO, encoding: Encoding | None = None) -> None:
        self._file = file
        self.encoding = encoding or self._encoding()
        self.offset = file.tell()
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """Raises NotText for a line that is none; the next one can be had all the same."""
        line = self._line()
        if not line:
            raise StopIteration
        self.offset += len(line)
        self.number += 1
        return decoded(line, self.encoding, line=self.number)

    def _encoding(self) -> Encoding:
        start = self._file.read(LONGEST_MARK)
        encoding = encoding_of(start)
        self._file.seek(len(encoding.mark))
        return encoding

    def _line(self) -> bytes:
        """Up to a newline of its encoding: in one of several bytes a 0x0a may be half of another
        character.
        """
        line = b""
        width = self.encoding.width
        while part := self._file.readline():
            line += part
            line += self._file.read(-len(line) % width)
            if line.endswith(self.encoding.newline):
                break
        return line
