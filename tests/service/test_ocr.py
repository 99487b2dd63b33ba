"""Pages that are pictures: read by the OCR that is there, and said to be unread where there is
none.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from scans import PROSE, as_pdf, blank, with_word, write

from batcher.service.parsing import Parsed, parse
from batcher.service.parsing.pages import Word
from batcher.service.parsing.scans import ocr, tesseract
from batcher.service.parsing.scans.columns import Piece
from batcher.service.parsing.scans.page_ranges import CORES

DOCUMENTS = Path(__file__).parents[2] / "examples" / "documents"
SCAN = DOCUMENTS / "correspondence" / "delivery-note-scan.pdf"
HANDBOOK = DOCUMENTS / "handbook" / "workshop-handbook.pdf"
HAS_TESSERACT = ocr.find_tesseract() is not None
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


def answer(path: Path, **settings: object) -> Parsed:
    return parse(path, extension=path.suffix[1:], options={"settings": settings})


def read(path: Path, **settings: object) -> list[dict]:
    return [block for c in answer(path, **settings).result["chunks"] for block in c["blocks"]]


@pytest.mark.usefixtures("no_tesseract", "no_rapidocr")
@pytest.mark.parametrize(
    "path", [SCAN, DOCUMENTS / "correspondence" / "receipt.png"], ids=lambda path: path.name
)
def test_without_ocr_a_scan_says_so(path: Path) -> None:
    """A figure of low confidence and no text: never nothing, never invented."""
    (block,) = read(path)
    assert (block["type"], block["content"], block["confidence"]) == ("Figure", "", "low")
    assert answer(path).notes == [ocr.NO_ENGINE]


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

    monkeypatch.setattr("batcher.service.parsing.pdf.document.recognised_pages", refuse)
    assert read(HANDBOOK)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """Two pages of text, a blank one, and a drawing without words."""
    pages = [blank((800, 400)) for _ in range(4)]
    write(pages[0], (60, 60), with_word("ORCHARD"))
    write(pages[1], (60, 60), with_word("PEBBLE"))
    pages[3].paste(0, (100, 100, 700, 300))
    path = tmp_path / "scan.pdf"
    path.write_bytes(as_pdf(pages))
    return path


@pytest.mark.skipif(not HAS_TESSERACT, reason="Tesseract is not installed")
def test_a_page_on_which_nothing_is_found_says_so(scan: Path) -> None:
    """One that is blank has nothing to be found."""
    assert answer(scan).notes == [f"page 4: {ocr.NOTHING_FOUND}"]


@pytest.mark.skipif(not HAS_TESSERACT, reason="Tesseract is not installed")
@pytest.mark.parametrize("cores", [1, 2, 100])
def test_pages_keep_their_places_on_any_number_of_cores(scan: Path, cores: int) -> None:
    """Whichever is done first."""
    token = CORES.set(cores)
    try:
        found = read(scan)
    finally:
        CORES.reset(token)
    pages = {
        word: block["bbox"]["page"]
        for block in found
        for word in ("ORCHARD", "PEBBLE")
        if word in block["content"]
    }
    assert pages == {"ORCHARD": 1, "PEBBLE": 2}


@pytest.mark.parametrize(
    ("confidences", "is_doubted"),
    [
        ([0.9] * 10 + [0.4], False),
        ([0.9] * 10 + [0.4, 0.4], True),
        ([0.9] * 200 + [0.4] * 4, False),
        ([0.9] * 190 + [0.4] * 4, True),
        ([None] * 5, False),
    ],
)
def test_a_page_of_which_ocr_doubts_many_words_says_so(
    confidences: list[float | None], is_doubted: bool
) -> None:
    """One doubtful word is no sign; what liteparse leaves out can't be seen by itself."""
    words = tuple(Word("word", (0.0, 0.0, 0.1, 0.1), told) for told in confidences)
    piece = Piece(words, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0)
    assert ocr.is_doubted([piece]) is is_doubted


@pytest.mark.skipif(not HAS_TESSERACT, reason="Tesseract is not installed")
def test_a_coarse_scan_says_that_words_may_be_missing(tmp_path: Path) -> None:
    """It is read so far as it can be."""
    page = blank()
    write(page, (100, 100), [*with_word("ORCHARD"), *PROSE] * 2, size=20)
    coarse = page.resize((page.width * 35 // 100, page.height * 35 // 100))
    path = tmp_path / "coarse.png"
    coarse.resize(page.size).save(path)
    assert ocr.DOUBTED in answer(path).notes


@pytest.mark.skipif(not HAS_TESSERACT, reason="Tesseract is not installed")
def test_a_language_without_data_is_named(scan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are read with all the same."""
    monkeypatch.setenv(tesseract.LANGUAGES, "eng+tlh")
    (note, _) = answer(scan).notes
    assert note == "pages 1-2: read without the language 'tlh': OCR has no data for it"


@pytest.mark.skipif(not HAS_TESSERACT, reason="Tesseract is not installed")
def test_a_page_that_ocr_fails_on_costs_that_page(
    scan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other pages of its run are read one by one."""
    whole = tesseract.Tesseract.on_pages

    def failing(self: object, content: bytes, numbers: list[int], **how: object) -> object:
        if 2 in numbers:
            raise RuntimeError("no luck")
        return whole(self, content, numbers, **how)

    monkeypatch.setattr(tesseract.Tesseract, "on_pages", failing)
    parsed = answer(scan)
    assert "page 2: not read: OCR failed: no luck" in parsed.notes
    assert "ORCHARD" in str(parsed.result)


@pytest.mark.skipif(not HAS_TESSERACT, reason="Tesseract is not installed")
def test_a_text_that_says_more_than_ocr_is_kept(
    scan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OCR is for pages that have none, or nonsense."""
    blind = {1: frozenset({"garbled"})}
    monkeypatch.setattr("batcher.service.parsing.pdf.document._blind", lambda *_: blind)
    before = read(HANDBOOK, page_range=1)
    monkeypatch.undo()
    assert [block["content"] for block in before] == [
        block["content"] for block in read(HANDBOOK, page_range=1)
    ]


def test_ocr_is_found_by_its_data() -> None:
    """Tesseract without data is no help to liteparse."""
    found = ocr.find_tesseract()
    assert found is None or list(Path(found.folder).glob("*.traineddata"))
    assert found is None or shutil.which("tesseract")
