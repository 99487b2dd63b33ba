"""Recognise the text of pages that are pictures, range by range; see `page_ranges`.

Tesseract is used, through liteparse, if its data is installed; otherwise RapidOCR (the extra `ocr`)
if that is. Without either such pages stay unread, and the reader marks them so. Nothing is ever
downloaded.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from batcher.common.extras import install_command
from batcher.service.parsing.pages import Box, Word
from batcher.service.parsing.scans.columns import Piece
from batcher.service.parsing.scans.page_ranges import (
    Read,
    ReadRange,
    Recognised,
    read_in_ranges,
)
from batcher.service.parsing.scans.tesseract import (
    Tesseract,
    find_tesseract,
    wanted_languages,
    within,
)

# Why a page that is a picture has no text, for `Page.unread`.
NO_ENGINE: Final = f"not read: no OCR here; apt install tesseract-ocr or {install_command('ocr')}"
UNDRAWN: Final = "not read: it can't be drawn"
NOTHING_FOUND: Final = "not read: OCR found no text"
DOUBTED: Final = (
    "may be incomplete: OCR doubts many words, and leaves out those that it doubts most"
)
# Words of less confidence than this are kept, but those of much less don't come this far: from this
# share of a page's words on, some will be missing.
DOUBT: Final = 0.5
MANY: Final = 0.02
# Threads, whatever the cores: the page of each takes a hundred megabytes of the worker's memory, or
# three with RapidOCR.
TESSERACTS: Final = 8
ENGINES: Final = 2
RAPID_PIXELS: Final = 12_000_000  # of a picture for RapidOCR, which keeps several copies of it
RAPID_LANGUAGES: Final = frozenset({"eng", "chi_sim"})  # what its own models read
BLANK: Final = 48  # of 255 levels of grey: a page that varies by less has nothing on it
COARSE: Final = 4  # pixels a side that are taken together, so that a speck isn't seen
NARROW: Final = 100  # pixels for each of those that the shorter side of the picture has


@dataclass(frozen=True, slots=True)
class Scan:
    """A PDF whose pages are to be recognised; `draw` returns pictures of pages by their numbers."""

    content: bytes
    password: str | None
    draw: Callable[[Sequence[int]], Mapping[int, bytes]]


def has_rapidocr() -> bool:
    """Tell whether RapidOCR and its runtime are installed."""
    try:
        import onnxruntime  # noqa: F401
        import rapidocr  # noqa: F401
    except ImportError:
        return False
    return True


def has_engine() -> bool:
    """Tell whether any page can be recognised."""
    return find_tesseract() is not None or has_rapidocr()


class NoPicture(Exception):
    """A page can't be drawn; the message is a sentence for `Page.unread`."""


def recognised(picture_of: Callable[[int], bytes], numbers: Sequence[int]) -> Read:
    """Return what is on the pictures (PNG) of these numbers; nothing without an engine.

    `picture_of` raises NoPicture where there is none; several threads may call it.
    """
    tesseract = find_tesseract()
    if tesseract is None and not has_rapidocr():
        return {}
    pieces_of = _rapid_pieces if tesseract is None else tesseract.on_picture

    def read(run: Sequence[int]) -> Read:
        return {number: _looked_at(pieces_of, partial(picture_of, number)) for number in run}

    return _noted(tesseract, numbers, read)


def recognised_pages(scan: Scan, numbers: Sequence[int]) -> Read:
    """Return what is on each of these pages, by number; nothing without an engine."""
    tesseract = find_tesseract()
    if tesseract is not None:
        return _noted(tesseract, numbers, partial(_read_run, tesseract, scan))
    if not has_rapidocr():
        return {}

    def read(run: Sequence[int]) -> Read:
        pictures = scan.draw(run)
        return {
            number: _looked_at(_rapid_pieces, partial(_drawn, pictures, number)) for number in run
        }

    return _noted(None, numbers, read)


def _drawn(pictures: Mapping[int, bytes], number: int) -> bytes:
    if number not in pictures:
        raise NoPicture(UNDRAWN)
    return pictures[number]


def _noted(tesseract: Tesseract | None, numbers: Sequence[int], read: ReadRange) -> Read:
    """Read the pages, and note on each with text which languages OCR could not read there."""
    if tesseract is None:
        unknown = tuple(name for name in wanted_languages() if name not in RAPID_LANGUAGES)
    else:
        unknown = tesseract.unknown
    notes = tuple(f"read without the language {name!r}: OCR has no data for it" for name in unknown)

    def read_and_note(run: Sequence[int]) -> Read:
        return {
            number: replace(page, unread=(*page.unread, *notes)) if page.pieces else page
            for number, page in read(run).items()
        }

    most = ENGINES if tesseract is None else TESSERACTS
    return read_in_ranges(numbers, read_and_note if notes else read, most=most)


def _read_run(tesseract: Tesseract, scan: Scan, run: Sequence[int]) -> Read:
    try:
        found = tesseract.on_pages(scan.content, run, password=scan.password)
    except (OSError, RuntimeError, ValueError) as trouble:
        if len(run) > 1:
            return {n: page for one in run for n, page in _read_run(tesseract, scan, [one]).items()}
        return {run[0]: _failed(trouble)}
    empty = [number for number in run if not found.get(number)]
    pictures = scan.draw(empty) if empty else {}
    blank = {number for number in empty if number in pictures and _is_blank(pictures[number])}
    return {number: _seen(found.get(number, ()), number in blank) for number in run}


def _looked_at(
    pieces_of: Callable[[bytes], tuple[Piece, ...]], draw: Callable[[], bytes]
) -> Recognised:
    try:
        picture = draw()
        pieces = pieces_of(picture)
    except NoPicture as reason:
        return Recognised(unread=(str(reason),))
    except (OSError, RuntimeError, ValueError) as trouble:
        return _failed(trouble)
    return _seen(pieces, not pieces and _is_blank(picture))


def _seen(pieces: tuple[Piece, ...], is_blank: bool) -> Recognised:
    if not pieces:
        return Recognised(unread=() if is_blank else (NOTHING_FOUND,))
    return Recognised(pieces, (DOUBTED,) if is_doubted(pieces) else ())


def is_doubted(pieces: Iterable[Piece]) -> bool:
    """Tell whether so many words are doubted that others have probably been left out."""
    told = [word.confidence for piece in pieces for word in piece.words]
    doubted = sum(confidence is not None and confidence < DOUBT for confidence in told)
    return doubted >= max(2, MANY * len(told))


def _failed(trouble: Exception) -> Recognised:
    return Recognised(unread=(f"not read: OCR failed: {trouble}",))


def _is_blank(picture: bytes) -> bool:
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as image:
        # of a narrow picture, as of a roll of paper, the letters themselves are as small as specks
        coarse = max(1, min(COARSE, min(image.size) // NARROW))
        levels: Any = image.convert("L").reduce(coarse).getextrema()
    return bool(levels[1] - levels[0] < BLANK)


_engines = threading.local()  # an engine isn't for two threads at once


def _rapid_pieces(picture: bytes) -> tuple[Piece, ...]:
    small, wide, high = _scaled(picture)
    found = _engine()(small)
    if found.boxes is None:
        return ()
    told = zip(found.boxes, found.txts, found.scores, strict=True)
    return tuple(
        _rapid_piece(corners, text, float(score), wide, high) for corners, text, score in told
    )


def _scaled(picture: bytes) -> tuple[bytes, int, int]:
    from PIL import Image

    content = within(picture, RAPID_PIXELS)
    with Image.open(io.BytesIO(content)) as image:
        return content, image.width, image.height


def _engine() -> Any:
    if not hasattr(_engines, "engine"):
        from rapidocr import RapidOCR

        params = {"Global.log_level": "error", "EngineConfig.onnxruntime.intra_op_num_threads": 1}
        _engines.engine = RapidOCR(params=params)
    return _engines.engine


def _rapid_piece(corners: Any, text: str, score: float, wide: int, high: int) -> Piece:
    across = [min(max(0.0, float(x)), wide) for x, _ in corners]
    down = [min(max(0.0, float(y)), high) for _, y in corners]
    left = min(across)
    right = max(across)
    top = min(down)
    bottom = max(down)
    box: Box = (left / wide, top / high, (right - left) / wide, (bottom - top) / high)
    slope = (down[1] - down[0]) / max(1.0, across[1] - across[0])
    return Piece((Word(text, box, score),), left, top, right, bottom, bottom - top, slope)
