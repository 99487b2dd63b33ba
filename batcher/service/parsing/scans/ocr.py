"""Recognise the text of pages that are pictures, several pages at once where cores are free.

Tesseract is used, through liteparse, if its data is installed; otherwise RapidOCR (the extra `ocr`)
if that is. Without either such pages stay unread, and the reader marks them so. Nothing is ever
downloaded.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from batcher.common.extras import install_command
from batcher.service.parsing.pages import Box, Word
from batcher.service.parsing.scans.columns import Piece
from batcher.service.parsing.scans.tesseract import (
    Tesseract,
    find_tesseract,
    wanted_languages,
    within,
)

# Why a page that is a picture has no text, for `Page.unread`.
NO_ENGINE: Final = f"not read: no OCR here; apt install tesseract-ocr or {install_command('ocr')}"
NOTHING_FOUND: Final = "not read: OCR found no text"
DOUBTED: Final = (
    "may be incomplete: OCR doubts many words, and leaves out those that it doubts most"
)
# Words of less confidence than this are kept, but those of much less don't come this far: from this
# share of a page's words on, some will be missing.
DOUBT: Final = 0.5
MANY: Final = 0.02
# Pages at once, whatever the cores: each takes a hundred megabytes of the worker's memory, or three
# with RapidOCR.
TESSERACTS: Final = 8
ENGINES: Final = 2
RUN: Final = 3  # pages of a PDF that are read in one go, since it is opened again each time
RAPID_PIXELS: Final = 12_000_000  # of a picture for RapidOCR, which keeps several copies of it
RAPID_LANGUAGES: Final = frozenset({"eng", "chi_sim"})  # what its own models read
BLANK: Final = 48  # of 255 levels of grey: a page that varies by less has nothing on it
COARSE: Final = 4  # pixels a side that are taken together, so that a speck isn't seen

# How many pages may be read at once: asked before each run, so that the answer may change.
CORES: ContextVar[Callable[[], int]] = ContextVar("CORES", default=lambda: 1)


@dataclass(frozen=True, slots=True)
class Recognised:
    """What OCR read on a page, and a sentence for each thing that it could not read."""

    pieces: tuple[Piece, ...] = ()
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scan:
    """A PDF whose pages are to be recognised; `draw` returns pictures of pages by their numbers."""

    content: bytes
    password: str | None
    draw: Callable[[Sequence[int]], Mapping[int, bytes]]


Read = dict[int, Recognised]


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


def recognised(pictures: Iterable[tuple[int, bytes]]) -> Read:
    """Return what is on each of the pictures (PNG), by its number.

    No more pictures are taken than are read at once. Without an engine none is read.
    """
    tesseract = find_tesseract()
    if tesseract is not None:
        return _all(
            (partial(_looked_at, tesseract.on_picture, n, p) for n, p in pictures),
            most=TESSERACTS,
            unknown=tesseract.unknown,
        )
    if not has_rapidocr():
        return {}
    return _all(
        (partial(_looked_at, _rapid_pieces, n, p) for n, p in pictures),
        most=ENGINES,
        unknown=tuple(name for name in wanted_languages() if name not in RAPID_LANGUAGES),
    )


def recognised_pages(scan: Scan, numbers: Sequence[int]) -> Read:
    """Return what is on each of these pages, by number; nothing without an engine."""
    runs = [numbers[first : first + RUN] for first in range(0, len(numbers), RUN)]
    tesseract = find_tesseract()
    if tesseract is None:
        return recognised(picture for run in runs for picture in scan.draw(run).items())
    return _all(
        (partial(_read_run, tesseract, scan, run) for run in runs),
        most=TESSERACTS,
        unknown=tesseract.unknown,
    )


def _all(tasks: Iterable[Callable[[], Read]], *, most: int, unknown: Sequence[str]) -> Read:
    """Do the tasks, as many at once as there are cores for, and return all that they read."""
    cores = CORES.get()
    running: set[Future[Read]] = set()
    read: Read = {}
    with ThreadPoolExecutor(most) as pool:
        for task in tasks:
            running.add(pool.submit(task))
            while len(running) >= min(most, max(1, cores())):
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    read |= future.result()
        for future in running:
            read |= future.result()
    notes = tuple(f"read without the language {name!r}: OCR has no data for it" for name in unknown)
    return {number: _noted(page, notes) for number, page in read.items()}


def _noted(page: Recognised, notes: tuple[str, ...]) -> Recognised:
    return replace(page, unread=(*page.unread, *notes)) if notes and page.pieces else page


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
    read: Callable[[bytes], tuple[Piece, ...]], number: int, picture: bytes
) -> dict[int, Recognised]:
    try:
        pieces = read(picture)
    except (OSError, RuntimeError, ValueError) as trouble:
        return {number: _failed(trouble)}
    return {number: _seen(pieces, not pieces and _is_blank(picture))}


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
        levels: Any = image.convert("L").reduce(COARSE).getextrema()
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
    left, right, top, bottom = min(across), max(across), min(down), max(down)
    box: Box = (left / wide, top / high, (right - left) / wide, (bottom - top) / high)
    slope = (down[1] - down[0]) / max(1.0, across[1] - across[0])
    return Piece((Word(text, box, score),), left, top, right, bottom, bottom - top, slope)
