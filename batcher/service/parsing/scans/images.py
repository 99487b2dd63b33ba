"""Read images as pages, one for each frame of a TIFF or DCX and the first one of other formats.

What the pixels of a frame mean is known to `frames`; its text is found by OCR.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing.pages import DocumentProblem, Page, PageBlock, corrupt, unsupported
from batcher.service.parsing.pdf.document import PICTURED, WORDED, with_running_lines
from batcher.service.parsing.scans.frames import (
    BROKEN,
    check_size,
    frame_at,
    picture_for_ocr,
    picture_of,
    too_large,
)
from batcher.service.parsing.scans.ocr import NO_ENGINE, NoPicture, has_engine, recognised
from batcher.service.parsing.scans.page_ranges import Read, Recognised
from batcher.service.parsing.scans.paragraphs import blocks_of, lines_of, words_of
from batcher.service.parsing.selection import selected

FRAMES: Final = 500
BROKEN_FRAME: Final = "not read: the frame is broken"
PAGED: Final = frozenset({"TIFF", "DCX"})  # formats whose frames are pages


def read_image(path: Path, options: Mapping[str, Any]) -> list[Page]:
    """Return one page for each frame, read by OCR if an engine is installed, otherwise as a figure.

    All frames are pages, whatever `settings.page_range` says; the range only limits which of them
    are worth OCR and pictures. Where other frames can be read, a broken one is a figure with the
    reason.

    Raises DocumentProblem if the image is broken, too large, has more than `FRAMES` pages, or needs
    a package that isn't installed.
    """
    settings = options.get("settings") or {}
    with _opened(path) as image:
        count = _pages_in(image)
        pages = [_figure(number) for number in range(1, count + 1)]
        wanted = [page.original for page in selected(pages, settings.get("page_range"))]
        for number, seen in _read(image, wanted).items():
            pages[number - 1] = _page(number, seen, settings)
        if any(settings.get(name) for name in PICTURED):
            pages = [_with_picture(page, image, wanted) for page in pages]
        pages[0] = replace(pages[0], unread=(*_left_out(image), *pages[0].unread))
    return with_running_lines(pages)


def frame_of(path: Path, number: int) -> tuple[Any, int]:
    """Return a frame, from 1, as a picture of Pillow's in mode L or RGB, and how many there are.

    Raises DocumentProblem if there is no such frame, or the image can't be read.
    """
    with _opened(path) as image:
        count = _pages_in(image)
        if not 1 <= number <= count:
            raise DocumentProblem(ErrorName.INVALID_CONFIG, f"it has no page {number}", 422)
        return frame_at(image, number), count


def recognised_in_image(path: Path, settings: Mapping[str, Any], numbers: Sequence[int]) -> Read:
    """Return what OCR reads on these frames, by number; raises as `read_image` does.

    Of a broken one it returns the reason, even if it is the only one. No setting matters.
    """
    with _opened(path) as image:
        return recognised(_drawn_from(image), numbers)


def _read(image: Any, wanted: Sequence[int]) -> Read:
    """Return what is on each of the wanted frames, or why it can't be read.

    Raises the error of the last frame if none can be decoded.
    """
    draw = _drawn_from(image)
    read = recognised(draw, wanted) if has_engine() else {n: _undrawn(draw, n) for n in wanted}
    if all(_is_broken(read[number]) for number in wanted):
        picture_for_ocr(image, wanted[-1])
    return read


def _drawn_from(image: Any) -> Callable[[int], bytes]:
    """Return what draws a frame for OCR, in any thread, and raises NoPicture if it is broken."""
    lock = threading.Lock()  # an image has one place in its file

    def draw(number: int) -> bytes:
        try:
            with lock:
                return picture_for_ocr(image, number)
        except BROKEN as error:
            raise NoPicture(f"{BROKEN_FRAME}: {error}") from error

    return draw


def _undrawn(draw: Callable[[int], bytes], number: int) -> Recognised:
    """Return why a frame isn't read where there is no OCR."""
    try:
        draw(number)
    except NoPicture as reason:
        return Recognised(unread=(str(reason),))
    return Recognised(unread=(NO_ENGINE,))


def _is_broken(seen: Recognised) -> bool:
    return any(reason.startswith(BROKEN_FRAME) for reason in seen.unread)


def _figure(number: int, unread: tuple[str, ...] = ()) -> Page:
    return Page(number, number, [PageBlock("Figure", "", sure=False)], unread=unread)


def _page(number: int, seen: Recognised, settings: Mapping[str, Any]) -> Page:
    if not seen.pieces:
        return _figure(number, seen.unread)
    page = Page(number, number, blocks_of(seen.pieces), unread=seen.unread)
    if not any(settings.get(name) for name in WORDED):
        return page
    return replace(page, words=words_of(seen.pieces), lines=lines_of(seen.pieces))


def _with_picture(page: Page, image: Any, wanted: list[int]) -> Page:
    if page.original not in wanted:
        return page
    try:
        return replace(page, picture=picture_of(image, page.original))
    except BROKEN:  # as its reason says already
        return page


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open the image, and turn what Pillow raises for a broken one into a DocumentProblem."""
    from PIL import Image

    with_heif = _know_heif()
    try:
        with warnings.catch_warnings():
            # Pillow's warnings are about sizes, which `check_size` refuses.
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                check_size(image.size)
                yield image
    except Image.DecompressionBombError as bomb:  # Pillow's own limit, four times ours
        raise too_large(str(bomb).partition(" exceeds")[0]) from bomb
    except BROKEN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's
        if not with_heif and _is_heif(path):
            raise unsupported(
                "HEIC images need the package pillow-heif (the extra heic)"
            ) from error
        raise corrupt(f"the image can't be read: {error}") from error


def _pages_in(image: Any) -> int:
    if image.format not in PAGED:
        return 1
    count = _frames_in(image)
    if count > FRAMES:
        message = f"{count} pages; at most {FRAMES} pages of one image are read here"
        raise DocumentProblem(ErrorName.DOCUMENT_TOO_LARGE, message, 413)
    return count


def _left_out(image: Any) -> tuple[str, ...]:
    """Return what of the file isn't read: the frames of an animation but the first, say."""
    others = 0 if image.format in PAGED else _frames_in(image) - 1
    if others < 1:
        return ()
    frames = "frame" if others == 1 else "frames"
    return (f"not read: {others} further {frames} of the image; the first one is read",)


def _frames_in(image: Any) -> int:
    return int(getattr(image, "n_frames", 1))


def _know_heif() -> bool:
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def _is_heif(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8)[4:] == b"ftyp"
