"""Measures a document without reading it properly: enough for an estimate, and never an error.

It asks for no library and trusts no file: what it can't count has one page and no cells, and isn't `counted`.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Final

from batcher.core.cost import Measure

LARGEST: Final = 256 << 20  # bytes read for a count
UNPACKED: Final = 16 << 20  # bytes of one compressed part
BROKEN: Final = (
    *(OSError, ValueError, KeyError, RuntimeError, EOFError, OverflowError),
    *(struct.error, zlib.error, zipfile.BadZipFile),
)
UNCOUNTED: Final = Measure(counted=False)
# Pictures, of which the service reads one page whatever they hold.
OF_ONE_PAGE: Final = frozenset(
    ".png .apng .jpg .jpeg .gif .bmp .heic .heif .webp .psd .pcx .ppm .pgm .pbm .cur .ftex .pixar".split()
)
PICTURES: Final = 100_000  # of one TIFF: beyond, it's a loop
_PAGE: Final = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
_COUNT: Final = re.compile(rb"/Count\s+(\d{1,6})(?!\d)")
_PACKED: Final = re.compile(rb"/Type\s*/ObjStm.{0,400}?stream\r?\n", re.DOTALL)
_SAID: Final = re.compile(rb"<Pages>(\d{1,6})</Pages>")
_SHEET: Final = re.compile(r"xl/worksheets/sheet\d+\.xml")
_SLIDE: Final = re.compile(r"ppt/slides/slide\d+\.xml")
_VALUE: Final = re.compile(rb"<(?:\w+:)?(?:v|is)>")  # of a cell that isn't empty


def measure(path: Path) -> Measure:
    extension = path.suffix.lower()
    if extension in OF_ONE_PAGE:
        return Measure()
    counter = COUNTERS.get(extension)
    try:
        if counter is None or path.stat().st_size > LARGEST:
            return UNCOUNTED
        pages, cells, counted = counter(path)
        return Measure(max(1, pages), cells, counted and pages > 0)
    except BROKEN:
        return UNCOUNTED


def _of_pdf(path: Path) -> Measure:
    """Page objects and the tree's own count: where they differ, the larger."""
    pages, counted = 0, 0
    for text in _texts(path.read_bytes()):
        pages += len(_PAGE.findall(text))
        counted = max([counted, *map(int, _COUNT.findall(text))]) if b"/Pages" in text else counted
    return Measure(max(pages, counted))


def _texts(raw: bytes) -> Iterator[bytes]:
    """The file itself, and the objects that it keeps packed."""
    yield raw
    for match in _PACKED.finditer(raw):
        try:
            yield zlib.decompressobj().decompress(raw[match.end() :], UNPACKED)
        except zlib.error:
            continue


def _of_text(path: Path) -> Measure:
    """What the program that wrote it counted when it was saved, if it did: a hint, for the service lays it out anew."""
    with zipfile.ZipFile(path) as file, file.open("docProps/app.xml") as part:
        said = _SAID.search(part.read(UNPACKED))
    return Measure(int(said[1]) if said else 1, counted=False)


def _of_slides(path: Path) -> Measure:
    with zipfile.ZipFile(path) as file:
        return Measure(sum(1 for name in file.namelist() if _SLIDE.fullmatch(name)))


def _of_sheets(path: Path) -> Measure:
    with zipfile.ZipFile(path) as file:
        sheets = [name for name in file.namelist() if _SHEET.fullmatch(name)]
        cells = 0
        for name in sheets:
            with file.open(name) as part:
                cells += len(_VALUE.findall(part.read(UNPACKED)))
    return Measure(len(sheets), cells)


def _of_csv(path: Path) -> Measure:
    """Separators and line ends: those inside quotes count too, which makes it no less than it is."""
    separators = {".tsv": b"\t"}.get(path.suffix.lower(), b",")
    raw = path.read_bytes()
    return Measure(1, raw.count(separators) + raw.count(b"\n"))


def _of_tiff(path: Path) -> Measure:
    """Along the chain of its directories, each of which describes one picture."""
    with path.open("rb") as file:
        order = {b"II": "<", b"MM": ">"}[file.read(2)]
        large = struct.unpack(f"{order}H", file.read(2))[0] == 43  # BigTIFF
        if large:
            file.seek(8)
        word, entry, many = ("Q", 20, "Q") if large else ("I", 12, "H")
        return Measure(sum(1 for _ in _directories(file, f"{order}{word}", f"{order}{many}", entry)))


def _directories(file: IO[bytes], word: str, many: str, entry: int) -> Iterator[int]:
    seen: set[int] = set()
    while (at := _next(file, word)) and at not in seen and len(seen) < PICTURES:
        seen.add(at)
        yield at
        file.seek(at)
        file.seek(_next(file, many) * entry, 1)


def _next(file: IO[bytes], form: str) -> int:
    return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])


COUNTERS: Final[Mapping[str, Callable[[Path], Measure]]] = {
    ".pdf": _of_pdf,
    ".docx": _of_text,
    ".pptx": _of_slides,
    ".xlsx": _of_sheets,
    ".xlsm": _of_sheets,
    ".csv": _of_csv,
    ".tsv": _of_csv,
    ".tif": _of_tiff,
    ".tiff": _of_tiff,
}
