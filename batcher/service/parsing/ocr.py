"""Choose and run the OCR engine for pages without text.

Tesseract is used, through liteparse, if its data is installed; otherwise RapidOCR (the extra `ocr`)
if that is. Without either such pages stay unread, and the reader marks them so. Nothing is ever
downloaded.
"""

from __future__ import annotations

import io
import os
import shutil
import statistics
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from batcher.service.parsing.pages import Box, PageBlock, Word

# Where Debian and Fedora install the data, relative to the root.
TESSDATA: Final = (
    "usr/share/tesseract-ocr/*/tessdata",
    "usr/share/tessdata",
)
# Why a page that is a picture has no text, for `Page.unread`.
NO_ENGINE: Final = "not read: no OCR here; apt install tesseract-ocr or pip install '.[ocr]'"
NOTHING_FOUND: Final = "not read: OCR found no text"
SURE: Final = 0.8  # lowest mean confidence at which recognised text counts as sure
GAP: Final = 0.7  # fraction of a line's height; a wider gap above a line begins a new paragraph


def tessdata() -> str | None:
    """Return the folder with Tesseract's data, or None; liteparse needs nothing else of it."""
    told = os.environ.get("TESSDATA_PREFIX")
    if told and Path(told, "eng.traineddata").is_file():
        return told
    program = shutil.which("tesseract")
    if program is None:
        return None
    places = [
        place for pattern in TESSDATA for place in sorted(Path("/").glob(pattern), reverse=True)
    ]
    # where Homebrew installs it
    places.append(Path(program).resolve().parents[1] / "share" / "tessdata")
    return next((str(place) for place in places if (place / "eng.traineddata").is_file()), None)


def has_rapidocr() -> bool:
    """Tell whether RapidOCR and its runtime are installed."""
    try:
        import onnxruntime  # noqa: F401
        import rapidocr  # noqa: F401
    except ImportError:
        return False
    return True


def lines_in(picture: bytes) -> tuple[Word, ...]:
    """Return the lines that RapidOCR finds on a page's picture, from top to bottom.

    Boxes are fractions of the page.
    """
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as image:
        wide, high = image.size
    found = _engine()(picture)
    if found.boxes is None:
        return ()
    told = zip(found.boxes, found.txts, found.scores, strict=True)
    lines = [Word(text, _place(corners, wide, high), float(score)) for corners, text, score in told]
    return tuple(sorted(lines, key=lambda line: (line.box[1], line.box[0])))


def paragraphs_of(lines: Sequence[Word]) -> list[PageBlock]:
    """Group lines that follow each other closely into paragraphs.

    A paragraph is sure if the mean confidence of its lines is at least `SURE`.
    """
    return [_paragraph(group) for group in _groups(lines)]


def surely(confidences: Sequence[float]) -> bool:
    """Tell whether recognised text with these confidences counts as sure; True without any."""
    return not confidences or statistics.fmean(confidences) >= SURE


@cache
def _engine() -> Any:
    from rapidocr import RapidOCR

    return RapidOCR(params={"Global.log_level": "error"})


def _place(corners: Any, wide: int, high: int) -> Box:
    across = [float(x) / wide for x, _ in corners]
    down = [float(y) / high for _, y in corners]
    left = max(0.0, min(across))
    top = max(0.0, min(down))
    return left, top, min(1.0, max(across)) - left, min(1.0, max(down)) - top


def _groups(lines: Sequence[Word]) -> Iterator[list[Word]]:
    group: list[Word] = []
    for line in lines:
        if group and line.box[1] - (group[-1].box[1] + group[-1].box[3]) > GAP * line.box[3]:
            yield group
            group = []
        group.append(line)
    if group:
        yield group


def _paragraph(lines: Sequence[Word]) -> PageBlock:
    left = min(line.box[0] for line in lines)
    top = min(line.box[1] for line in lines)
    right = max(line.box[0] + line.box[2] for line in lines)
    bottom = max(line.box[1] + line.box[3] for line in lines)
    sure = surely([line.confidence for line in lines if line.confidence is not None])
    return PageBlock(
        "Text",
        "\n".join(line.text for line in lines),
        (left, top, right - left, bottom - top),
        sure,
    )
