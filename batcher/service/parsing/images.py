"""Read images as pages, one for each frame.

PNG and JPEG files go to liteparse as they are, other formats as PNG. Sizes are checked before any
pixel is decompressed.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing.pages import DocumentProblem, Page, corrupt, unsupported
from batcher.service.parsing.pdf import read_content

PIXELS: Final = 50_000_000  # larger images are refused, as by the hosted service
SIDE: Final = 15_000
FRAMES: Final = 500
READ_AS_THEY_ARE: Final = frozenset({"PNG", "JPEG"})


def read_image(path: Path, options: Mapping[str, Any]) -> list[Page]:
    """Return one page for each frame, read by OCR if an engine is installed, otherwise as a figure.

    Raises DocumentProblem if the image is broken, too large, or needs a package that isn't
    installed.
    """
    frames = [read_content(frame, _without_range(options)) for frame in _frames(path)]
    pages = [page for frame in frames for page in frame]
    return [
        replace(page, number=number, original=number) for number, page in enumerate(pages, start=1)
    ]


def _without_range(options: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the page range: to its reader each frame is page 1."""
    settings = {
        name: value
        for name, value in (options.get("settings") or {}).items()
        if name != "page_range"
    }
    return {**options, "settings": settings}


def _frames(path: Path) -> Iterator[bytes]:
    from PIL import Image, UnidentifiedImageError

    with_heif = _know_heif()
    warnings.simplefilter("ignore")  # Pillow's warnings are about sizes, which `_check` refuses.
    try:
        with Image.open(path) as image:
            _check(image.size)
            # Frames of other formats, such as GIF, are an animation and not pages.
            count = getattr(image, "n_frames", 1) if image.format in ("TIFF", "DCX") else 1
            if image.format in READ_AS_THEY_ARE and count == 1:
                yield path.read_bytes()
                return
            for number in range(min(count, FRAMES)):
                image.seek(number)
                _check(image.size)
                yield _as_png(image)
    except (
        UnidentifiedImageError,
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        KeyError,
        IndexError,
    ) as error:
        if not with_heif and _is_heif(path):
            raise unsupported(
                "HEIC images need the package pillow-heif (the extra heic)"
            ) from error
        raise corrupt(f"the image can't be read: {error}") from error


def _check(size: tuple[int, int]) -> None:
    if size[0] * size[1] > PIXELS or max(size) > SIDE:
        message = (
            f"{size[0]} x {size[1]} pixels; at most {PIXELS // 1_000_000} million and "
            f"{SIDE} a side are read"
        )
        raise DocumentProblem(ErrorName.IMAGE_TOO_LARGE, message, 413)


def _as_png(image: Any) -> bytes:
    out = io.BytesIO()
    image.convert("L" if image.mode in ("1", "L", "I", "I;16", "F") else "RGB").save(
        out, "PNG", compress_level=1
    )
    return out.getvalue()


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
