"""The frames of an image as they are meant to be seen: turned as their EXIF data says, on white
where they are transparent, in 8 bits.

Sizes are checked before any pixel is decompressed. Finds no text.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any, Final

from batcher.reducto.api_types import ErrorName
from batcher.service.parsing.pages import DocumentProblem

PIXELS: Final = 50_000_000  # larger images are refused, as by the hosted service
SIDE: Final = 15_000
SMALL: Final = 1000  # pixels of the longer side; OCR reads the small letters of less enlarged
FAINT: Final = 48  # of 255: a picture whose levels differ by less has nothing on it
DARK: Final = 64  # the background for a picture that can't be seen on white
LEVELS: Final = 255
ORIENTATION: Final = 0x0112  # the EXIF tag; 1 is upright
# What Pillow raises for files that are cut, mangled or made to harm.
BROKEN: Final = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    AttributeError,
    RuntimeError,
    struct.error,
    zlib.error,
)


def check_size(size: tuple[int, int]) -> None:
    """Raise DocumentProblem IMAGE_TOO_LARGE if a picture of this width and height isn't read."""
    if size[0] * size[1] > PIXELS or max(size) > SIDE:
        raise too_large(f"{size[0]} x {size[1]} pixels")


def too_large(found: str) -> DocumentProblem:
    """Return the error for a picture that has too many pixels, of which `found` says how many."""
    message = f"{found}; at most {PIXELS // 1_000_000} million and {SIDE} a side are read"
    return DocumentProblem(ErrorName.IMAGE_TOO_LARGE, message, 413)


def picture_of(image: Any, number: int) -> bytes:
    """Return a frame, counted from 1, as PNG.

    Raises DocumentProblem if it is too large, or one of `BROKEN`.
    """
    return _png(frame_at(image, number))


def picture_for_ocr(image: Any, number: int) -> bytes:
    """Return a frame in shades of grey as PNG, enlarged if it is small; see `picture_of`."""
    from PIL import Image

    frame = frame_at(image, number).convert("L")
    if max(frame.size) < SMALL:
        double = (frame.width * 2, frame.height * 2)
        frame = frame.resize(double, Image.Resampling.BICUBIC)
    return _png(frame)


def frame_at(image: Any, number: int) -> Any:
    """Return the frame in mode L or RGB, upright; raises as `picture_of` does."""
    from PIL import ImageOps

    image.seek(number - 1)
    check_size(image.size)
    image.load()  # before EXIF data is looked for, which a PNG may have after its pixels
    is_turned = image.getexif().get(ORIENTATION, 1) != 1
    upright = ImageOps.exif_transpose(image) if is_turned else image  # it would be copied
    if upright.has_transparency_data:
        return _flattened(upright if upright.mode == "RGBA" else upright.convert("RGBA"))
    return _in_bytes(upright)


def _flattened(image: Any) -> Any:
    """Lay the picture on white, or on dark grey if it would be white on white."""
    light = _laid_on(image, LEVELS)
    opaque, transparent = image.getchannel("A").getextrema()[::-1]
    if opaque - transparent < FAINT or _varies(light):
        return light
    return _laid_on(image, DARK)


def _laid_on(image: Any, level: int) -> Any:
    from PIL import Image

    ground = Image.new("RGB", image.size, (level, level, level))
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _varies(image: Any) -> bool:
    lowest, highest = image.convert("L").getextrema()
    return bool(highest - lowest >= FAINT)


def _in_bytes(image: Any) -> Any:
    if image.mode in ("1", "L"):
        return image.convert("L")
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return _stretched(image)
    if image.mode == "LAB":
        return image.getchannel("L")
    return image.convert("RGB")


def _stretched(image: Any) -> Any:
    """Return a picture of more than 8 bits with its darkest level as black, its lightest as white.

    Scanners and cameras use but a part of the range that 16 bits have.
    """
    wide = image.convert("F")
    lowest, highest = wide.getextrema()
    if image.mode == "I" and lowest >= 0 and highest <= LEVELS:
        return wide.convert("L")
    scale = LEVELS / (highest - lowest or 1.0)
    return wide.point(lambda level: level * scale - lowest * scale).convert("L")


def _png(image: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()
