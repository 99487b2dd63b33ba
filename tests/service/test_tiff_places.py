"""What stands on a scanned page is read once, and in the order in which a person reads it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from marked_tiff import MARKERS, marked

from batcher.service.parsing import Parsed, parse
from batcher.service.parsing.scans import ocr

pytestmark = pytest.mark.skipif(
    ocr.find_tesseract() is None, reason="Tesseract is not installed, so no scan is read"
)


@cache
def parsed() -> Parsed:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "scan.tiff"
        path.write_bytes(marked()[0])
        return parse(path, extension="tiff", options={})


def text() -> str:
    blocks = (block for chunk in parsed().result["chunks"] for block in chunk["blocks"])
    return "\n".join(block["content"] for block in blocks)


@pytest.mark.parametrize("place", MARKERS)
def test_each_place_is_read_once(place: str) -> None:
    """Whichever way the page was put into the scanner."""
    assert text().count(MARKERS[place]) == 1


def test_everything_was_read() -> None:
    """So nothing is said to be missing."""
    assert parsed().notes == []


def test_columns_come_one_after_the_other() -> None:
    """The heading across them first; no line of one stands between lines of another."""
    words = text().replace("\n", " ")
    order = ["LANTERN", "ORCHARD", "PEBBLE", "GARDEN", "WINDOW", "SILVER"]
    assert sorted(order, key=words.index) == order
    left = words[words.index("LANTERN") : words.index("PEBBLE")]
    assert left.count("harbour master") == 2 and left.count("has to show again") == 1


def test_a_table_is_read_by_its_rows() -> None:
    """Its short cells are no columns of prose."""
    assert "| Candle box | 4711 |" in text()


def test_a_turned_page_has_its_boxes_where_they_are_seen() -> None:
    """On the page upside down the text stands at the bottom."""
    blocks = [block for chunk in parsed().result["chunks"] for block in chunk["blocks"]]
    (place,) = [block["bbox"] for block in blocks if "MEADOW" in block["content"]]
    assert place["original_page"] == 4 and place["top"] > 0.5
