"""PDF: what is not read or may be wrong is named, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from marked_pdf import File, line, scanned

from batcher.service.parsing import Parsed, parse
from batcher.service.parsing.pages import pictures_not_read
from batcher.service.parsing.pdf import document


@pytest.fixture(autouse=True)
def _without_ocr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "has_engine", lambda: False)


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def reading(content: bytes) -> Parsed:
        path = tmp_path / "it.pdf"
        path.write_bytes(content)
        return parse(path, extension="pdf", options={})

    return reading


def illustrated(*, side: int, words: bytes) -> bytes:
    """A page with these words, and a square picture with sides of so many points."""
    made = File()
    image = made.stream(
        bytes(range(256)) * 16,
        b"/Type/XObject/Subtype/Image/Width 64/Height 64/ColorSpace/DeviceGray/BitsPerComponent 8",
    )
    made.page(
        b"q %d 0 0 %d 50 100 cm /P Do Q\n" % (side, side) + words,
        resources=b"/XObject<</P %d 0 R>>" % image,
    )
    return made.bytes()


WORDS = b"".join(line(f"line {n} of a letter with a picture", 60, 800 - 14 * n) for n in range(9))


def test_a_picture_beside_text_is_named(read: Any) -> None:
    """As it is in every other format."""
    assert read(illustrated(side=300, words=WORDS)).notes == [pictures_not_read(1)]


def test_a_small_picture_is_not_named(read: Any) -> None:
    """A logo or a bullet, of which a document may have one on each page."""
    assert read(illustrated(side=50, words=WORDS)).notes == []


def test_a_picture_in_which_words_stand_is_not_named(read: Any) -> None:
    """A scan with its text behind it, or a slide's background: what it shows is read."""
    assert read(illustrated(side=700, words=WORDS)).notes == []


@pytest.mark.parametrize("words", ["", "Stamp"])
def test_a_page_that_is_a_picture_is_named_once(read: Any, words: str) -> None:
    """As a page that needs OCR, and not as a picture too."""
    assert len(read(scanned(words=words)).notes) == 1
