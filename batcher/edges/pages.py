"""Counts the pages of a document without reading it properly: enough for an estimate, and never an error.

It asks for no library and trusts no file: what it can't count has one page.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

LARGEST: Final = 256 << 20  # bytes read for a count
UNPACKED: Final = 16 << 20  # bytes of one compressed stream of a PDF
_PAGE: Final = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
_COUNT: Final = re.compile(rb"/Count\s+(\d{1,6})(?!\d)")
_PACKED: Final = re.compile(rb"/Type\s*/ObjStm.{0,400}?stream\r?\n", re.DOTALL)
_SAID: Final = re.compile(rb"<Pages>(\d{1,6})</Pages>")


def count_pages(path: Path) -> int:
    counter = COUNTERS.get(path.suffix.lower())
    try:
        if counter is None or path.stat().st_size > LARGEST:
            return 1
        return max(1, counter(path))
    except (OSError, ValueError, KeyError, RuntimeError, NotImplementedError, zlib.error, zipfile.BadZipFile):
        return 1


def _of_pdf(path: Path) -> int:
    """Page objects and the tree's own count: where they differ, the larger."""
    pages, counted = 0, 0
    for text in _texts(path.read_bytes()):
        pages += len(_PAGE.findall(text))
        counted = max([counted, *map(int, _COUNT.findall(text))]) if b"/Pages" in text else counted
    return max(pages, counted)


def _texts(raw: bytes) -> Iterator[bytes]:
    """The file itself, and the objects that it keeps packed."""
    yield raw
    for match in _PACKED.finditer(raw):
        try:
            yield zlib.decompressobj().decompress(raw[match.end() :], UNPACKED)
        except zlib.error:
            continue


def _parts(named: re.Pattern[str]) -> Callable[[Path], int]:
    """How many parts of a package go by such a name."""

    def count(path: Path) -> int:
        with zipfile.ZipFile(path) as file:
            return sum(1 for name in file.namelist() if named.fullmatch(name))

    return count


def _of_text(path: Path) -> int:
    """What the program that wrote it counted when it was saved."""
    with zipfile.ZipFile(path) as file, file.open("docProps/app.xml") as part:
        said = _SAID.search(part.read(UNPACKED))
    return int(said[1]) if said else 1


COUNTERS: Final[Mapping[str, Callable[[Path], int]]] = {
    ".pdf": _of_pdf,
    ".docx": _of_text,
    ".pptx": _parts(re.compile(r"ppt/slides/slide\d+\.xml")),
    ".xlsx": _parts(re.compile(r"xl/worksheets/sheet\d+\.xml")),
}
