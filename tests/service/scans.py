"""Pages as scanners make them: text drawn with Pillow's own font, in shades of grey."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

PAGE = (1240, 1754)  # pixels of A4 at 150 to the inch
PROSE = (
    "the harbour master wrote that",
    "every vessel must report to him",
    "before noon and pay in full for",
    "its place at the quay unless the",
    "council had granted some other",
    "terms during the last year which",
    "the owner then has to show again",
)


def blank(size: tuple[int, int] = PAGE) -> Image.Image:
    return Image.new("L", size, 255)


def write(page: Image.Image, place: tuple[int, int], lines: Sequence[str], size: int = 26) -> None:
    """Draw the lines below each other, the first one at `place`."""
    pen = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=size)
    for number, line in enumerate(lines):
        pen.text((place[0], place[1] + round(1.5 * size) * number), line, font=font, fill=0)


def with_word(word: str, at: int = 3) -> list[str]:
    """Return lines of prose, of which one begins with the word."""
    return [f"{word} {line}" if number == at else line for number, line in enumerate(PROSE)]


def as_pdf(pages: Sequence[Image.Image]) -> bytes:
    out = io.BytesIO()
    pages[0].save(out, "PDF", save_all=True, append_images=pages[1:], resolution=150)
    return out.getvalue()
