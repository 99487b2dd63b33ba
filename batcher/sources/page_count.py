"""Count a document's pages and cells well enough for an estimate; nothing here raises an error.

It needs no libraries and trusts no file. What can't be counted has one page and no cells, and isn't
`counted`. Whatever a file claims, no more is read and decompressed, and no more time spent, than
the limits below allow; what was counted up to then is the result.
"""

from __future__ import annotations

import io
import re
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, NamedTuple

from batcher.reducto.rate_card import Measure

LARGEST: Final = 256 << 20  # bytes; larger files aren't counted
UNPACKED: Final = 256 << 20  # bytes decompressed for one document
SAID: Final = 1 << 20  # bytes read of the member with a text's page count
# Bytes read at once of an archive; enough for the directory of some thousands of members.
DIRECTORY: Final = 4 << 20
SECONDS: Final = 10.0  # per document; plans and submissions wait in this thread
UNCOUNTED: Final = Measure(counted=False)
# Formats of pictures of which the service reads one page, whatever they hold.
OF_ONE_PAGE: Final = frozenset(
    (
        ".png .apng .jpg .jpeg .gif .bmp .heic .heif .webp .psd .pcx .ppm .pgm .pbm .cur .ftex "
        ".pixar"
    ).split()
)
PICTURES: Final = 100_000  # per TIFF; more mean that its directories form a loop
PIECE: Final = 1 << 20
FIRST: Final = 4_096  # bytes of a compressed object that are read first; most have no more
SEAM: Final = 512  # bytes that two pieces share, so that no match between them is missed
_PAGE: Final = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
_COUNT: Final = re.compile(rb"/Count\s+(\d{1,6})(?!\d)")
_PACKED: Final = re.compile(rb"/Type\s*/ObjStm.{0,400}?stream\r?\n", re.DOTALL)
_SAID: Final = re.compile(rb"<Pages>(\d{1,6})</Pages>")
_SHEET: Final = re.compile(r"xl/worksheets/sheet\d+\.xml")
_SLIDE: Final = re.compile(r"ppt/slides/slide\d+\.xml")
_VALUE: Final = re.compile(rb"<(?:\w{1,40}:)?(?:v|is)>")  # the value of a cell that isn't empty
# Other methods decompress a piece of input into unbounded output.
_USUAL: Final = (
    zipfile.ZIP_STORED,
    zipfile.ZIP_DEFLATED,
)


def measure(path: Path) -> Measure:
    """Return the pages and cells of the document at `path`; never raises."""
    extension = path.suffix.lower()
    if extension in OF_ONE_PAGE:
        return Measure()
    counter = COUNTERS.get(extension)
    try:
        if counter is None or path.stat().st_size > LARGEST:
            return UNCOUNTED
        pages, cells, counted = counter(path)
        return Measure(max(1, pages), cells, counted and pages > 0)
    # The exceptions of zipfile, lzma, struct and so on have no common base, and each means that the
    # document can't be counted.
    except Exception:
        return UNCOUNTED


class Effort:
    """The budget for one document: bytes fed to a decompressor, bytes that it returns, and time."""

    def __init__(self, fed: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._fed = fed
        self._unpacked = UNPACKED
        self._clock = clock
        self._until = clock() + SECONDS

    @property
    def is_late(self) -> bool:
        """Whether the time is used up."""
        return self._clock() > self._until

    @property
    def is_spent(self) -> bool:
        """Whether time or one of the amounts of bytes is used up."""
        return self._fed <= 0 or self._unpacked <= 0 or self.is_late

    def spend(self, fed: int, unpacked: int) -> None:
        """Deduct bytes fed to a decompressor and bytes that it returned."""
        self._fed -= fed
        self._unpacked -= unpacked


class Window(NamedTuple):
    """A piece of a file that begins with the last bytes of the piece before.

    So a match across the border between two pieces isn't missed.
    """

    at: int
    text: bytes
    seam: int
    is_last: bool

    def matches(self, pattern: re.Pattern[bytes]) -> Iterator[re.Match[bytes]]:
        """Yield the matches of this window, except those that an earlier window has shown."""
        end = len(self.text)
        return (
            m
            for m in pattern.finditer(self.text)
            if m.end() >= self.seam and (m.end() < end or self.is_last)
        )

    def number(self, pattern: re.Pattern[bytes]) -> int:
        """Return the number of matches."""
        return sum(1 for _ in self.matches(pattern))


# --- PDF ------------------------------------------------------------------------------------------


def _of_pdf(path: Path) -> Measure:
    """Count the page objects and read the page tree's own count; the larger one holds."""
    effort = Effort(2 * path.stat().st_size + PIECE)
    pages = 0
    said = 0
    with path.open("rb") as file, path.open("rb") as packed:
        for window in _of_pdf_and_what_it_packs(file, packed, effort):
            pages += window.number(_PAGE)
            if b"/Pages" in window.text:
                said = max([said, *(int(match[1]) for match in window.matches(_COUNT))])
    return Measure(max(pages, said))


def _of_pdf_and_what_it_packs(
    file: IO[bytes], packed: IO[bytes], effort: Effort
) -> Iterator[Window]:
    for window in _windows(_pieces(file)):
        yield window
        for match in window.matches(_PACKED):
            yield from _windows(_unpacked(packed, window.at + match.end(), effort))
        if effort.is_late:
            return


def _unpacked(file: IO[bytes], start: int, effort: Effort) -> Iterator[bytes]:
    """Yield what is compressed from `start` on, up to where the decompressor finds its end.

    Little of what follows is fed to it. Feeding it all the rest of the file, for each compressed
    object again, took seven minutes for 171 MB.
    """
    unpacking = zlib.decompressobj()
    file.seek(start)
    size = FIRST
    while not effort.is_spent and not unpacking.eof:
        data = unpacking.unconsumed_tail or file.read(size)
        if not data:
            return
        try:
            text = unpacking.decompress(data, PIECE)
        except zlib.error:
            effort.spend(len(data), 0)
            return
        effort.spend(
            len(data) - len(unpacking.unconsumed_tail) - len(unpacking.unused_data), len(text)
        )
        size = min(2 * size, PIECE)
        if text:
            yield text


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def _windows(pieces: Iterator[bytes]) -> Iterator[Window]:
    at = 0
    seam = b""
    piece = next(pieces, b"")
    while piece:
        after = next(pieces, b"")
        text = seam + piece
        yield Window(at - len(seam), text, len(seam), not after)
        at = at + len(piece)
        seam = text[-SEAM:]
        piece = after


# --- Office ---------------------------------------------------------------------------------------


class _Frugal(io.BufferedReader):
    """A file of which no more can be read at once than an archive's directory may have."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > DIRECTORY:
            raise ValueError("an archive whose directory is larger than any document's")
        return super().read(size)


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    with _Frugal(io.FileIO(path)) as file, zipfile.ZipFile(file) as archive:
        yield archive


def _opened(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    if archive.getinfo(name).compress_type not in _USUAL:
        raise ValueError("a way of packing that nothing bounds")
    return archive.open(name)


def _of_text(path: Path) -> Measure:
    """Return the page count that the writing program saved, or 1; never `counted`.

    The service lays the text out again, so the number is only a hint.
    """
    with _archive(path) as archive, _opened(archive, "docProps/app.xml") as part:
        said = _SAID.search(part.read(SAID))
    return Measure(int(said[1]) if said else 1, counted=False)


def _of_slides(path: Path) -> Measure:
    with _archive(path) as archive:
        return Measure(sum(1 for name in archive.namelist() if _SLIDE.fullmatch(name)))


def _of_sheets(path: Path) -> Measure:
    effort = Effort(2 * path.stat().st_size + PIECE)
    cells = 0
    with _archive(path) as archive:
        sheets = [name for name in archive.namelist() if _SHEET.fullmatch(name)]
        for name in sheets:
            for window in _windows(_part(archive, name, effort)):
                cells += window.number(_VALUE)
    return Measure(len(sheets), cells)


def _part(archive: zipfile.ZipFile, name: str, effort: Effort) -> Iterator[bytes]:
    if effort.is_spent:
        return
    with _opened(archive, name) as part:
        while not effort.is_spent and (piece := part.read(PIECE)):
            effort.spend(0, len(piece))
            yield piece


# --- the others -----------------------------------------------------------------------------------


def _of_csv(path: Path) -> Measure:
    """Count separators and line ends as cells; those inside quotes make it no less than it is."""
    separator = {".tsv": b"\t"}.get(path.suffix.lower(), b",")
    with path.open("rb") as file:
        return Measure(
            1, sum(piece.count(separator) + piece.count(b"\n") for piece in _pieces(file))
        )


def _of_tiff(path: Path) -> Measure:
    """Follow the chain of directories, each of which describes one picture."""
    with path.open("rb") as file:
        order = {b"II": "<", b"MM": ">"}[file.read(2)]
        large = struct.unpack(f"{order}H", file.read(2))[0] == 43  # BigTIFF
        if large:
            file.seek(8)
        word, entry, many = ("Q", 20, "Q") if large else ("I", 12, "H")
        return Measure(
            sum(1 for _ in _directories(file, f"{order}{word}", f"{order}{many}", entry))
        )


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
    **dict.fromkeys((".pptx", ".pptm", ".potx", ".potm", ".ppsx", ".ppsm"), _of_slides),
    ".xlsx": _of_sheets,
    ".xlsm": _of_sheets,
    ".csv": _of_csv,
    ".tsv": _of_csv,
    ".tif": _of_tiff,
    ".tiff": _of_tiff,
}
