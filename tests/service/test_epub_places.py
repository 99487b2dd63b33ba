"""EPUB: every chapter that the book lists is read once, and those that can't be are named."""

from __future__ import annotations

from pathlib import Path

import pytest
from marked_epub import CONTAINER, PACKAGE, XHTML, marked, packed
from parsed_documents import read, text_of

from batcher.service.parsing.pages import DocumentProblem


def test_every_place_is_read_once(tmp_path: Path) -> None:
    book, markers = marked()
    parsed = read(tmp_path / "book.epub", book)
    text = text_of(parsed)
    assert {place: text.count(word) for place, word in markers.items()} == dict.fromkeys(markers, 1)
    assert "kept out" not in text and parsed.num_pages == 4


def test_missing_chapters_are_named(tmp_path: Path) -> None:
    book, _ = marked()
    assert [note.removeprefix("page 1: ") for note in read(tmp_path / "book.epub", book).notes] == [
        "chapter photo.jpg is not read: it is of type image/jpeg",
        "chapter lost.xhtml is missing in the archive",
        "chapter unlisted is missing in the archive",
    ]


def test_pictures_are_counted_over_the_chapters(tmp_path: Path) -> None:
    """With the chapters that show them, and those of chapters without text at the first."""
    package = (
        "<package xmlns='http://www.idpf.org/2007/opf'><manifest>"
        + "".join(
            f"<item id='c{n}' href='c{n}.xhtml' media-type='application/xhtml+xml'/>"
            for n in range(3)
        )
        + "</manifest><spine>"
        + "".join(f"<itemref idref='c{n}'/>" for n in range(3))
        + "</spine></package>"
    )
    texts = (
        "<p>one</p>",
        "<img src='cover.png'/>",
        "<p>two</p><img src='a.png'/><img src='b.png'/>",
    )
    chapters = {
        f"OEBPS/c{n}.xhtml": f"<html xmlns='http://www.w3.org/1999/xhtml'><body>{text}</body></html>"
        for n, text in enumerate(texts)
    }
    parts = {"META-INF/container.xml": CONTAINER, "OEBPS/book.opf": package, **chapters}
    assert read(tmp_path / "book.epub", packed(parts)).notes == [
        "pages 1, 3: 3 pictures without an alternative text not read"
    ]


@pytest.mark.parametrize(
    ("broken", "content"),
    [
        ("META-INF/container.xml", "<container"),
        ("META-INF/container.xml", "<container><rootfile full-path='none.opf'/></container>"),
        ("OEBPS/book.opf", PACKAGE[:300]),
    ],
)
def test_a_broken_list_costs_the_order_at_most(tmp_path: Path, broken: str, content: str) -> None:
    parts = {
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": "<package><manifest><item id='b' href='b.xhtml'/><item id='a'"
        " href='a.xhtml'/></manifest><spine><itemref idref='a'/><itemref idref='b'/></spine>"
        "</package>",
        "OEBPS/a.xhtml": XHTML.format("first"),
        "OEBPS/b.xhtml": XHTML.format("second"),
    }
    assert (
        text_of(read(tmp_path / "book.epub", packed(parts | {broken: content})))
        == "first\n\nsecond"
    )


def test_a_broken_chapter_costs_no_other(tmp_path: Path) -> None:
    book, markers = marked()
    at = book.index(b"verse")
    parsed = read(tmp_path / "book.epub", book[:at] + b"?" + book[at + 1 :])
    text = text_of(parsed)
    assert markers["poem"] not in text and markers["heading of a chapter"] in text
    assert any("two.xhtml can't be unpacked" in note for note in parsed.notes)


def test_an_encrypted_book_needs_its_key(tmp_path: Path) -> None:
    """One that only encrypts its fonts does not."""
    listed = "<encryption><EncryptedData><CipherReference URI='{}'/></EncryptedData></encryption>"
    parts = {
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": "<package><manifest><item id='a' href='a.xhtml'/></manifest>"
        "<spine><itemref idref='a'/></spine></package>",
        "OEBPS/a.xhtml": XHTML.format("first"),
    }
    fonts = listed.format("OEBPS/font.otf")
    assert (
        text_of(read(tmp_path / "book.epub", packed(parts | {"META-INF/encryption.xml": fonts})))
        == "first"
    )
    text = listed.format("OEBPS/a.xhtml")
    with pytest.raises(DocumentProblem) as caught:
        read(tmp_path / "book.epub", packed(parts | {"META-INF/encryption.xml": text}))
    assert caught.value.name == "DOCUMENT_PASSWORD_PROTECTED"


def chapter_text(tmp_path: Path, chapter: str) -> str:
    """Return the text of a book with one chapter."""
    parts = {
        "META-INF/container.xml": CONTAINER,
        "OEBPS/book.opf": "<package><manifest><item id='a' href='a.xhtml'/></manifest>"
        "<spine><itemref idref='a'/></spine></package>",
        "OEBPS/a.xhtml": chapter,
    }
    return text_of(read(tmp_path / "book.epub", packed(parts)))


@pytest.mark.parametrize(
    ("declared", "written", "shown"),
    [
        ('<!ENTITY firm "Müller &#38; Söhne">', "by &firm;", "by Müller & Söhne"),
        ("<!ENTITY firm 'a \"b\" ]> c'>", "<img alt='&firm;'/>", 'a "b" ]> c'),
        ("<!ENTITY nbsp '&#160;'> <!ELEMENT x (#PCDATA)>", "a&nbsp;b", "a b"),
        ("<!-- it's <!ENTITY firm 'x'> --><!ENTITY firm 'y'>", "&firm;", "y"),
        ("<!ENTITY firm 'x'><!ENTITY firm 'y'>", "<![CDATA[&firm;]]> &firm;", "&firm; x"),
        # what isn't plain text stays as it is written, as do entities of other files
        ("<!ENTITY firm '&all;&all;'><!ENTITY all 'x'>", "&firm; &all;", "&firm; x"),
        ("<!ENTITY firm SYSTEM 'firm.txt'>", "&firm;", "&firm;"),
        ("<!ENTITY % part SYSTEM 'a.dtd'> %part;", "x", "x"),
    ],
)
def test_entities_that_a_chapter_declares(
    tmp_path: Path, declared: str, written: str, shown: str
) -> None:
    """The declarations are no text of the chapter."""
    chapter = f"<?xml version='1.0'?>\n<!DOCTYPE html [{declared}]>\n<html><p>{written}</p></html>"
    assert chapter_text(tmp_path, chapter) == shown


def test_entities_are_bounded(tmp_path: Path) -> None:
    """Of a value of 100,000 characters ten are a million, and a thousand would be a bomb."""
    chapter = f"<!DOCTYPE html [<!ENTITY a '{'x' * 100_000}'>]><p>{'&a;' * 1000}</p>"
    assert len(chapter_text(tmp_path, chapter)) < 1_100_000


@pytest.mark.parametrize("unit", ["<!--", "<?", "'", "<!ENTITY a '", "<!DOCTYPE html ["])
@pytest.mark.timeout(60)  # if each one looked for its end, it would be hours
def test_declarations_without_an_end_cost_nothing(tmp_path: Path, unit: str) -> None:
    chapter = f"<!DOCTYPE html [{unit * 300_001}]><p>'-->?><p>seen"
    assert "seen" in chapter_text(tmp_path, chapter)
