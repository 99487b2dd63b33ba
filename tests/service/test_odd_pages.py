"""PDF: a page that is too large, has no size, or is damaged costs itself alone, and is named."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from marked_pdf import File, line
from PIL import Image
from scans import PROSE, blank, write

from batcher.service.parsing import Parsed, parse
from batcher.service.parsing.pdf import drawing
from batcher.service.parsing.scans import ocr

GOOD = "A page as any other"
ODD = "The words of the odd page"
A4 = b"0 0 595 842"
TOO_LARGE = "it is too large to be read to its edges"
DAMAGED = "parts of the file are damaged"


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Parsed]:
    def reading(content: bytes, **settings: Any) -> Parsed:
        path = tmp_path / "it.pdf"
        path.write_bytes(content)
        return parse(path, extension="pdf", options={"settings": settings})

    return reading


def with_page(box: bytes, content: bytes, *, words: bytes = b"", of_stream: bytes = b"") -> bytes:
    """Return a document whose second page is an odd one; `words` are keys of its dictionary."""
    made = File()
    made.page(line(GOOD, 60, 700))
    made.pages.append(made.add(_page(made, box, content, words, of_stream)))
    made.page(line(GOOD, 60, 700))
    return made.bytes()


def _page(made: File, box: bytes, content: bytes, words: bytes, of_stream: bytes) -> bytes:
    return (
        b"<</Type/Page/Parent 2 0 R/MediaBox[%s]%s/Resources<</Font<</F 3 0 R>>>>/Contents %d 0 R>>"
        % (box, words, made.stream(content, of_stream))
    )


def with_scan(box: bytes, wide: int, *, jpeg: bytes | None = None, words: bytes = b"") -> bytes:
    """Return a document whose second page shows nothing but a picture, so many points wide."""
    made = File()
    made.page(line(GOOD, 60, 700))
    head = b"/Subtype/Image/ColorSpace/DeviceGray/BitsPerComponent 8/Width 800/Height 400"
    picture = made.stream(jpeg or _jpeg(), head + b"/Filter/DCTDecode")
    shown = made.stream(b"%d 0 0 %d 0 0 cm/P Do" % (wide, wide // 2))
    made.pages.append(
        made.add(
            b"<</Type/Page/Parent 2 0 R/MediaBox[%s]%s/Resources<</XObject<</P %d 0 R>>>>"
            b"/Contents %d 0 R>>" % (box, words, picture, shown)
        )
    )
    made.page(line(GOOD, 60, 700))
    return made.bytes()


def _jpeg() -> bytes:
    out = io.BytesIO()
    page = blank((800, 400))
    write(page, (40, 40), PROSE)
    page.save(out, "JPEG")
    return out.getvalue()


def texts_of(parsed: Parsed) -> Iterator[str]:
    for chunk in parsed.result["chunks"]:
        for block in chunk["blocks"]:
            yield block["content"]


SIZES = {
    "7,000 points a side": (b"0 0 7000 7000", b""),
    "as large as viewers show": (b"0 0 14400 14400", b""),
    "a kilometre": (b"0 0 2834645 2834645.5", b""),
    "more than can be counted": (b"0 0 9%s 9%s" % (b"0" * 30, b"0" * 30), b""),
    "no width": (b"0 0 0 842", b""),
    "edges the other way round": (b"595 842 0 0", b""),
    "edges that are no numbers": (b"0 0 NaN NaN", b""),
    "two edges": (b"0 0", b""),
    "beside the origin": (b"-900 -900 600 900", b""),
    "a scale": (A4, b"/UserUnit 60"),
    "a scale that can't be": (A4, b"/UserUnit -1"),
    "an empty crop": (A4, b"/CropBox[0 0 0 0]"),
    "a crop larger than the page": (A4, b"/CropBox[-99999 -99999 99999 99999]"),
}


@pytest.mark.parametrize("size", SIZES)
def test_words_of_a_page_of_any_size_are_read(read: Any, size: str) -> None:
    """And it has a picture, where they are asked for."""
    box, words = SIZES[size]
    parsed = read(with_page(box, line(ODD, 60, 700), words=words), return_images=["page"])
    assert list(texts_of(parsed)) == [GOOD, ODD, GOOD]
    assert sorted(parsed.images) == ["page-1.png", "page-2.png", "page-3.png"]


@pytest.mark.skipif(ocr.find_tesseract() is None, reason="Tesseract is not installed")
@pytest.mark.parametrize("size", ["7,000 points a side", "as large as viewers show"])
def test_a_scan_of_any_size_is_read(read: Any, size: str) -> None:
    """Its picture is as large as a picture may be, and no larger."""
    box, words = SIZES[size]
    wide = int(box.split()[2])
    parsed = read(with_scan(box, wide, words=words), return_images=["page"])
    assert "harbour master" in "\n".join(texts_of(parsed))
    with Image.open(io.BytesIO(parsed.images["page-2.png"])) as picture:
        assert 0.9 < picture.width * picture.height / drawing.PIXELS <= 1.01


def test_a_page_that_is_made_smaller_says_so(read: Any) -> None:
    """Words at its far edge can't be read; other pages say nothing."""
    (note,) = read(with_page(b"0 0 2834645 2834645", line(ODD, 60, 700))).notes
    assert note.startswith("page 2:") and TOO_LARGE in note


BROKEN = {
    "its content can't be unpacked": with_page(A4, b"no such", of_stream=b"/Filter/FlateDecode"),
    "its picture can't be unpacked": with_scan(A4, 595, jpeg=b"no JPEG"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_page_of_which_nothing_is_seen_for_damage_is_named(
    read: Any, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A viewer shows a blank page."""
    monkeypatch.setattr(ocr, "find_tesseract", lambda: Blind())
    parsed = read(BROKEN[what])
    assert list(texts_of(parsed)) == [GOOD, "", GOOD]
    (note,) = parsed.notes
    assert note.startswith("page 2:") and DAMAGED in note


class Blind:
    """A Tesseract that finds no word."""

    unknown = ()

    def on_pages(self, *_: object, **__: object) -> dict[int, Any]:
        return {}


def test_a_blank_page_is_no_damage(read: Any) -> None:
    """There is nothing to be named in a document that is whole."""
    assert read(with_page(A4, b"")).notes == []


def test_a_broken_content_costs_what_follows_in_it(read: Any) -> None:
    """Words before it are read."""
    broken = line(ODD, 60, 700) + b" Q Q Q BT /F 12 Tf ((( [ << >> 1 0 0 Tm"
    assert list(texts_of(read(with_page(A4, broken)))) == [GOOD, ODD, GOOD]


def test_a_page_that_cannot_be_drawn_costs_its_picture(
    read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named, and has its words; the other pages have their pictures."""
    real = drawing.run

    def undrawn(content: bytes, **how: Any) -> Any:
        if how.get("extract_screenshots"):
            how["target_pages"] = how["target_pages"].replace("2,", "")
        return real(content, **how)

    monkeypatch.setattr(drawing, "run", undrawn)
    parsed = read(with_page(A4, line(ODD, 60, 700)), return_images=["page"])
    assert list(texts_of(parsed)) == [GOOD, ODD, GOOD]
    assert sorted(parsed.images) == ["page-1.png", "page-3.png"]
    assert parsed.notes == ["page 2: " + drawing.UNDRAWN]


def test_a_page_that_cannot_be_drawn_for_ocr_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the engine that reads pictures alone."""
    monkeypatch.setattr(ocr, "find_tesseract", lambda: None)
    monkeypatch.setattr(ocr, "has_rapidocr", lambda: True)
    scan = ocr.Scan(b"", None, lambda numbers: {})
    assert ocr.recognised_pages(scan, [3])[3].unread == (ocr.UNDRAWN,)
