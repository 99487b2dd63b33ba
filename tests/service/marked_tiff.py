"""A scanned TIFF with a word in each place that OCR has to find and to put in order."""

from __future__ import annotations

import io

from PIL import Image
from scans import blank, with_word, write

MARKERS = {
    "heading across columns": "LANTERN",
    "left column": "ORCHARD",
    "right column": "PEBBLE",
    "first of three columns": "GARDEN",
    "second of three columns": "WINDOW",
    "third of three columns": "SILVER",
    "label of a table": "Candle",
    "value of a table": "4711",
    "line under a table": "THUNDER",
    "page upside down": "MEADOW",
    "page on its left side": "FEATHER",
    "page on its right side": "COPPER",
}


def marked() -> tuple[bytes, dict[str, str]]:
    """Return the document, and the marker of each place."""
    pages = [
        _two_columns(),
        _three_columns(),
        _table(),
        _plain("MEADOW").rotate(180),
        _plain("FEATHER").rotate(90, expand=True),
        _plain("COPPER").rotate(270, expand=True),
    ]
    out = io.BytesIO()
    pages[0].save(out, "TIFF", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    return out.getvalue(), dict(MARKERS)


def _two_columns() -> Image.Image:
    page = blank()
    write(page, (90, 90), ["LANTERN shines across both of the columns"], size=44)
    write(page, (90, 220), with_word("ORCHARD"))
    write(page, (680, 238), with_word("PEBBLE"))
    return page


def _three_columns() -> Image.Image:
    page = blank()
    for number, word in enumerate(("GARDEN", "WINDOW", "SILVER")):
        write(page, (50 + 400 * number, 100), [line[:28] for line in with_word(word)], size=22)
    return page


def _table() -> Image.Image:
    page = blank()
    write(page, (90, 90), ["Anchor chain", "Candle box", "Copper kettle", "Brass screws"])
    write(page, (800, 90), ["12.50", "4711", "88.10", "7.25"])
    write(page, (90, 400), with_word("THUNDER", at=0))
    return page


def _plain(word: str) -> Image.Image:
    page = blank()
    write(page, (90, 90), with_word(word))
    return page
