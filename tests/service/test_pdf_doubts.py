"""PDF: what is not read or may be wrong is named, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from marked_pdf import File, line, scanned

from batcher.service.parsing import Parsed, parse
from batcher.service.parsing.pages import PageBlock, pictures_not_read
from batcher.service.parsing.pdf import document
from batcher.service.parsing.pdf.garbled import with_doubts


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


def hidden(flag: int) -> bytes:
    """A page with a comment and a field with this flag: 2 for hidden, 32 for not viewed."""
    made = File()
    note = made.add(
        b"<</Type/Annot/Subtype/FreeText/F %d/Rect[60 600 200 620]/Contents(unseen note)>>" % flag
    )
    typed = made.field(b"Tx", (60, 500, 200, 520), b"/T(a)/V(unseen value)")
    made.objects[typed - 1] = made.objects[typed - 1].replace(b"/F 4", b"/F %d" % flag)
    made.page(line("A page", 60, 700), annotations=[note, typed])
    return made.bytes()


@pytest.mark.parametrize("flag", [2, 32])
def test_hidden_notes_and_fields_are_read(read: Any, flag: int) -> None:
    """As the README says: liteparse doesn't tell which they are."""
    text = read(hidden(flag)).result["chunks"][0]["content"]
    assert "unseen note" in text and "unseen value" in text


def test_invisible_text_is_read(read: Any) -> None:
    """As the README says."""
    made = File()
    made.page(line("A page", 60, 700) + b"3 Tr " + line("unseen words", 60, 600))
    assert "unseen words" in read(made.bytes()).result["chunks"][0]["content"]


def test_text_that_other_text_covers_is_not_read(read: Any) -> None:
    """As the README says: liteparse drops it."""
    made = File()
    made.page(line("Name: ______________________", 60, 700) + line("John Smith", 95, 701))
    assert read(made.bytes()).result["chunks"][0]["content"] == "John Smith"


RIGHT = {
    "addresses of mail": ("Sales: sales@example.com", "Press: press@example.com", "me@a.de"),
    "addresses of the web": tuple(f"see https://example.com/a?id={n}&x=1" for n in range(30)),
    "a web address without http": tuple(f"see example.com/a?id={n}&x=1" for n in range(30)),
    "code": tuple(f"result[{n}]=values[{n}]+offset*{n};" for n in range(30)),
    "code with letters": tuple(f"row{n}[i]=cells[i][j]" for n in range(30)),
    "paths": tuple(rf"C:\files\letters\{n} and src\main\page.py" for n in range(30)),
    "signs of their own": ("(+/-)", "[x]", "***", "-->", "$", "100 %"),
}


@pytest.mark.parametrize("what", RIGHT)
def test_signs_that_people_write_are_not_doubted(read: Any, what: str) -> None:
    """The page is of high confidence, and nothing is named."""
    made = File()
    made.page(b"".join(line(words, 60, 760 - 16 * n) for n, words in enumerate(RIGHT[what])))
    parsed = read(made.bytes())
    assert parsed.notes == []
    assert confidences(parsed) == {"high"}


def confidences(parsed: Parsed) -> set[str]:
    return {block["confidence"] for chunk in parsed.result["chunks"] for block in chunk["blocks"]}


def unmapped(words: list[str], *, offset: int, before: int = 0) -> bytes:
    """A page of so many right lines, and of words in a font whose glyphs have no letters.

    The glyphs are counted from `offset` before the letters' own numbers.
    """
    made = File()
    described = made.add(
        b"<</Type/FontDescriptor/FontName/ABCDEF+Foo/Flags 4/FontBBox[0 0 1000 1000]"
        b"/ItalicAngle 0/Ascent 800/Descent -200/CapHeight 700/StemV 80>>"
    )
    glyphs = made.add(
        b"<</Type/Font/Subtype/CIDFontType2/BaseFont/ABCDEF+Foo/DW 500/FontDescriptor %d 0 R"
        b"/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>>>" % described
    )
    font = made.add(
        b"<</Type/Font/Subtype/Type0/BaseFont/ABCDEF+Foo/Encoding/Identity-H"
        b"/DescendantFonts[%d 0 R]>>" % glyphs
    )
    right = (line(f"line {n} of an invoice that is right", 60, 780 - 14 * n) for n in range(before))
    wrong = (
        b"BT /G 11 Tf 60 %d Td <%s> Tj ET\n" % (400 - 20 * n, _numbers(text, offset))
        for n, text in enumerate(words)
    )
    made.page(b"".join([*right, *wrong]), resources=b"/Font<</F 3 0 R/G %d 0 R>>" % font)
    return made.bytes()


def _numbers(text: str, offset: int) -> bytes:
    return b"".join(b"%04x" % (ord(sign) - offset) for sign in text)


LETTER = [
    "Dear customer, this is the invoice for the month of March",
    "We ask you to pay the amount of 1250 euros within two weeks",
    "Please send questions to our office in the main street",
]


@pytest.mark.parametrize("offset", [28, 29, 31])
def test_a_page_whose_letters_are_not_known_is_named(read: Any, offset: int) -> None:
    """All of it is of low confidence, also where liteparse takes it for right."""
    parsed = read(unmapped(LETTER * 6, offset=offset))
    assert parsed.notes in ([document.GARBLED], [document.PARTLY])
    assert confidences(parsed) == {"low"}


PARTS = {
    "amounts": ["1250", "399", "1649"],
    "a heading": ["Annual Report", "Total", "Invoice"],
    "a line": ["Please pay within two weeks to our account"],
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_whose_letters_are_not_known_is_named(read: Any, part: str) -> None:
    """It alone is of low confidence, however much of the page is right."""
    parsed = read(unmapped(PARTS[part], offset=29, before=20))
    right, wrong = parsed.result["chunks"][0]["blocks"]
    assert (right["confidence"], wrong["confidence"]) == ("high", "low")
    assert parsed.notes == [document.PARTLY]


def test_signs_of_private_use_are_doubted_as_words_and_not_as_bullets() -> None:
    """Word writes its bullets with them."""
    words = PageBlock("Text", "\ue020\ue021\ue022")
    bullet = PageBlock("Text", "\uf0b7 item")
    assert with_doubts([words, bullet]) == ([replace(words, sure=False), bullet], True)
