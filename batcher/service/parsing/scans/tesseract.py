"""Tesseract, as liteparse runs it: find its data, and read pages and pictures in any orientation.

liteparse needs nothing of an installed Tesseract but the data; without it, it would try to download
some.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from batcher.service.parsing.pages import Box, Word
from batcher.service.parsing.scans.columns import Piece

# Where Debian and Fedora install the data, relative to the root.
TESSDATA: Final = (
    "usr/share/tesseract-ocr/*/tessdata",
    "usr/share/tessdata",
)
ENDING: Final = ".traineddata"
LANGUAGES: Final = "BATCHER_OCR_LANGUAGES"  # as in "eng+deu"
USUAL: Final = "eng"
PIXELS: Final = 16_000_000  # a larger picture is scaled down: liteparse keeps several copies of it
DPI: Final = 150
# Mean confidence under which a page may be turned, so that the other ways are tried as well.
DOUBTFUL: Final = 0.75
FEWEST: Final = 3  # letters of a word whose box is wide, if the page is upright
TURNS: Final = (180, 90, 270)  # degrees clockwise
NOISE: Final = 0.3  # a sign without letters and digits of less confidence is dirt or a rule


Found = dict[int, tuple[Piece, ...]]


@dataclass(frozen=True, slots=True)
class Tesseract:
    """The data's folder, the languages to read, and those that are wanted and have no data."""

    folder: str
    languages: tuple[str, ...]
    unknown: tuple[str, ...]

    def on_picture(self, picture: bytes) -> tuple[Piece, ...]:
        """Return the pieces of lines on a picture, PNG or JPEG; see `on_pages`."""
        return self.on_pages(within(picture, PIXELS), [1], password=None).get(1, ())

    def on_pages(self, content: bytes, numbers: Sequence[int], *, password: str | None) -> Found:
        """Return the pieces of lines on pages of a PDF, by their numbers.

        Raises RuntimeError, a ParseError of liteparse's, if they can't be read.
        """
        found = self._read(content, numbers, password, turn=0)
        for turn in TURNS:
            doubtful = [number for number in numbers if 0 < _mean(found.get(number)) < DOUBTFUL]
            if not doubtful:
                break
            turned = self._read(content, doubtful, password, turn=turn)
            found |= {n: max(found[n], turned.get(n, ()), key=_worth) for n in doubtful}
        return found

    def _read(
        self, content: bytes, numbers: Sequence[int], password: str | None, *, turn: int
    ) -> Found:
        import liteparse

        reader = liteparse.LiteParse(
            quiet=True,
            ocr_enabled=True,
            ocr_language="+".join(self.languages),
            tessdata_path=self.folder,
            num_workers=1,
            emit_word_boxes=True,
            keep_headers_footers=True,
            password=password,
            target_pages=",".join(map(str, numbers)),
            page_orientation_corrections=[(number, turn) for number in numbers] if turn else None,
            dpi=DPI,
        )
        return {page.page_num: _pieces(page, turn) for page in reader.parse(content).pages}


def wanted_languages() -> tuple[str, ...]:
    """Return the languages that the environment asks for, by Tesseract's names."""
    return tuple(re.findall(r"\w+", os.environ.get(LANGUAGES, "")))


def find_tesseract() -> Tesseract | None:
    """Return how Tesseract is installed, or None if it or all data for languages are missing."""
    folder = _folder()
    if folder is None:
        return None
    known = sorted({path.stem for path in folder.glob("*" + ENDING)} - {"osd"})
    if not known:
        return None
    wanted = wanted_languages() or ((USUAL,) if USUAL in known else tuple(known))
    usable = tuple(name for name in wanted if name in known)
    unknown = tuple(name for name in wanted if name not in known)
    return Tesseract(str(folder), usable or (known[0],), unknown)


def within(picture: bytes, pixels: int) -> bytes:
    """Return the picture, as PNG and scaled down if it has more pixels than this."""
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as image:
        size = image.width * image.height
        if size <= pixels:
            return picture
        share = (pixels / size) ** 0.5
        small = image.resize((max(1, int(image.width * share)), max(1, int(image.height * share))))
    out = io.BytesIO()
    small.save(out, "PNG", compress_level=1)
    return out.getvalue()


def _folder() -> Path | None:
    told = os.environ.get("TESSDATA_PREFIX")
    if told and any(Path(told).glob("*" + ENDING)):
        return Path(told)
    program = shutil.which("tesseract")
    if program is None:
        return None
    places = [
        place for pattern in TESSDATA for place in sorted(Path("/").glob(pattern), reverse=True)
    ]
    # where Homebrew installs it
    places.append(Path(program).resolve().parents[1] / "share" / "tessdata")
    return next((place for place in places if any(place.glob("*" + ENDING))), None)


def _confidences(pieces: Sequence[Piece] | None) -> list[float]:
    """Return the confidence of each recognised word, and none in words that stand on end."""
    return [
        0.0 if _stands_on_end(piece) else word.confidence
        for piece in pieces or ()
        for word in piece.words
        if word.confidence is not None
    ]


def _stands_on_end(piece: Piece) -> bool:
    return len(piece.text) >= FEWEST and piece.bottom - piece.top > piece.right - piece.left


def _mean(pieces: Sequence[Piece] | None) -> float:
    """Return the mean confidence of recognised words; 1 if all text was in the document."""
    told = _confidences(pieces)
    return statistics.fmean(told) if told else 1.0


def _worth(pieces: Sequence[Piece]) -> float:
    return sum(confidence**2 for confidence in _confidences(pieces))


def _pieces(page: Any, turn: int) -> tuple[Piece, ...]:
    return tuple(_piece(item, page, turn) for item in page.text_items or [] if _is_text(item))


def _is_text(item: Any) -> bool:
    if not item.text.strip() or item.width <= 0 or item.height <= 0:
        return False
    sure = item.confidence is None or item.confidence >= NOISE
    return sure or any(map(str.isalnum, item.text))


def _piece(item: Any, page: Any, turn: int) -> Piece:
    found = [word for word in item.words or [] if word.text.strip()] or [item]
    words = tuple(
        Word(word.text.strip(), _box(word, page, turn), item.confidence) for word in found
    )
    first = found[0]
    last = found[-1]
    fall = last.y + last.height / 2 - first.y - first.height / 2
    return Piece(
        words,
        item.x,
        item.y,
        item.x + item.width,
        item.y + item.height,
        statistics.median(word.height for word in found),
        fall / max(1.0, last.x - first.x),
    )


def _box(word: Any, page: Any, turn: int) -> Box:
    """Return the box on the page as it is seen, of which the content is turned by `turn`."""
    page_width = page.width or 1.0
    page_height = page.height or 1.0
    left = word.x / page_width
    wide = word.width / page_width
    top = word.y / page_height
    high = word.height / page_height
    match turn:
        case 90:
            return _clipped(1 - top - high, left, high, wide)
        case 180:
            return _clipped(1 - left - wide, 1 - top - high, wide, high)
        case 270:
            return _clipped(top, 1 - left - wide, high, wide)
        case _:
            return _clipped(left, top, wide, high)


def _clipped(left: float, top: float, wide: float, high: float) -> Box:
    right = min(1.0, max(0.0, left + wide))
    bottom = min(1.0, max(0.0, top + high))
    left = min(right, max(0.0, left))
    top = min(bottom, max(0.0, top))
    return left, top, right - left, bottom - top
