"""Pages that are pictures: read by the OCR that is there, and said to be unread where there is
none.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from batcher.service.parsing import ocr, parse
from batcher.service.parsing.pages import Word

DOCUMENTS = Path(__file__).parents[2] / "examples" / "documents"
SCAN = DOCUMENTS / "correspondence" / "delivery-note-scan.pdf"
HANDBOOK = DOCUMENTS / "handbook" / "workshop-handbook.pdf"
HAS_TESSERACT = ocr.tessdata() is not None
HAS_RAPIDOCR = ocr.has_rapidocr()


@pytest.fixture
def no_tesseract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without it: nothing of the name on its path."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("TESSDATA_PREFIX", raising=False)


@pytest.fixture
def no_rapidocr(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra isn't installed."""
    monkeypatch.setitem(sys.modules, "rapidocr", None)


def read(path: Path, **settings: object) -> list[dict]:
    parsed = parse(path, extension=path.suffix[1:], options={"settings": settings})
    return [block for chunk in parsed.result["chunks"] for block in chunk["blocks"]]


@pytest.mark.usefixtures("no_tesseract", "no_rapidocr")
@pytest.mark.parametrize(
    "path", [SCAN, DOCUMENTS / "correspondence" / "receipt.png"], ids=lambda path: path.name
)
def test_without_ocr_a_scan_says_so(path: Path) -> None:
    """A figure of low confidence and no text: never nothing, never invented."""
    (block,) = read(path)
    assert (block["type"], block["content"], block["confidence"]) == ("Figure", "", "low")


@pytest.mark.usefixtures("no_tesseract", "no_rapidocr")
def test_without_ocr_a_scan_still_has_its_picture() -> None:
    """Whoever asks for the page gets to see it."""
    parsed = parse(
        SCAN, extension="pdf", options={"settings": {"return_images": ["page", "figure"]}}
    )
    assert set(parsed.images) == {"page-1.png", "page-1-block-1.png"}


@pytest.mark.skipif(not HAS_TESSERACT, reason="Tesseract is not installed")
@pytest.mark.usefixtures("no_rapidocr")
def test_tesseract_reads_a_scan_where_it_is_installed() -> None:
    """Its words, as sure as it was."""
    found = read(SCAN, return_ocr_data=True)
    assert "Delivery note 1187" in " ".join(block["content"] for block in found)


@pytest.mark.skipif(not HAS_RAPIDOCR, reason="the extra ocr is not installed")
@pytest.mark.usefixtures("no_tesseract")
def test_the_extra_reads_a_scan_where_it_is_installed() -> None:
    """Without Tesseract; words and lines have their places."""
    found = read(SCAN)
    assert "brass deck lanterns" in " ".join(block["content"] for block in found)
    assert all(0 < block["bbox"]["width"] < 1 for block in found)


def test_pages_of_text_are_never_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    """OCR costs seconds a page; sparse text is text all the same."""

    def refuse() -> str:
        raise AssertionError("OCR was asked for")

    monkeypatch.setattr("batcher.service.parsing.pdf._tesseract", refuse)
    assert read(HANDBOOK)


def test_lines_that_follow_each_other_are_a_paragraph() -> None:
    """A gap begins the next one; a paragraph is as sure as its lines are on average."""
    boxes = [(0.1, 0.10, 0.5, 0.02), (0.1, 0.125, 0.6, 0.02), (0.1, 0.3, 0.2, 0.02)]
    lines = [Word(str(n), boxes[n], confidence) for n, confidence in enumerate((0.9, 0.9, 0.4))]
    first, second = ocr.paragraphs_of(lines)
    assert (first.content, first.sure, second.content, second.sure) == ("0\n1", True, "2", False)
    assert first.box == pytest.approx((0.1, 0.1, 0.6, 0.045))


def test_ocr_is_found_by_its_data() -> None:
    """Tesseract without English data is no help to liteparse."""
    found = ocr.tessdata()
    assert found is None or Path(found, "eng.traineddata").is_file()
    assert found is None or shutil.which("tesseract")
