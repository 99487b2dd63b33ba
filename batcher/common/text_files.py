"""Read the text files that people write: manifests, ignore files, listings, schemas, passwords.

They are UTF-8, or what their byte order mark says (UTF-8, UTF-16 or UTF-32, as programs on Windows
write them), with any line ends. A file in another encoding is refused with the place, never
guessed.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final


@dataclass(frozen=True, slots=True)
class Encoding:
    """An encoding with its byte order mark and the bytes that end a line."""

    name: str
    mark: bytes
    newline: bytes

    @property
    def width(self) -> int:
        """The bytes of one code unit."""
        return len(self.newline)


PLAIN: Final = Encoding("utf-8", b"", b"\n")
_MARKED: Final = (  # the longer marks first, since UTF-32's begins like UTF-16's
    Encoding("utf-32-le", codecs.BOM_UTF32_LE, b"\n\0\0\0"),
    Encoding("utf-32-be", codecs.BOM_UTF32_BE, b"\0\0\0\n"),
    Encoding("utf-16-le", codecs.BOM_UTF16_LE, b"\n\0"),
    Encoding("utf-16-be", codecs.BOM_UTF16_BE, b"\0\n"),
    Encoding("utf-8", codecs.BOM_UTF8, b"\n"),
)
LONGEST_MARK: Final = 4


class NotText(ValueError):
    """The file isn't text in its encoding; the message has the line and what to do."""

    def __init__(self, line: int, what: str) -> None:
        self.line = line
        self.what = f"{what}; save it as UTF-8"
        super().__init__(f"line {line}: {self.what}")


def read_text(path: Path) -> str:
    r"""Return the whole file with lines ended by \n. Raises OSError or NotText."""
    return text_of(path.read_bytes())


def text_of(raw: bytes) -> str:
    r"""Return bytes as text with lines ended by \n. Raises NotText."""
    encoding = encoding_of(raw)
    return decoded(raw[len(encoding.mark) :], encoding).replace("\r\n", "\n").replace("\r", "\n")


def encoding_of(start: bytes) -> Encoding:
    """Return the encoding that a file's first bytes show."""
    return next((one for one in _MARKED if start.startswith(one.mark)), PLAIN)


def decoded(raw: bytes, encoding: Encoding, *, line: int = 1) -> str:
    """Decode `raw`, which starts in line `line`. Raises NotText."""
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
    """An iterator over the lines of a binary file.

    `offset` is where the next line starts, and `number` how many were read. Without `encoding` the
    file must be at its start.
    """

    def __init__(self, file: BinaryIO, encoding: Encoding | None = None) -> None:
        self._file = file
        self.encoding = encoding or self._encoding()
        self.offset = file.tell()
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """Return the next line.

        Raises NotText if it isn't text; the following lines can still be read.
        """
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
        """Return the bytes up to a newline; in UTF-16 and UTF-32 a lone byte 0x0a is none."""
        line = b""
        width = self.encoding.width
        while part := self._file.readline():
            line += part
            line += self._file.read(-len(line) % width)
            if line.endswith(self.encoding.newline):
                break
        return line
